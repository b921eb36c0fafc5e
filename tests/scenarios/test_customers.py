"""What people do with keys, levers and second thoughts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from simulator.peripherals.reader_settings import ReaderState
from simulator.world import Link
from tests.scenarios.card_kit import KINDS, begin, pay, plan
from tests.scenarios.stage import Stage, play, with_policy


def test_two_selections_at_once_deliver_one(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.coins(200, 100)
        stage.press("A1B4")
        await stage.closes()
        await stage.quiet()
        assert stage.products == ["water"]
        assert stage.spent == 150

    play(scenario, link)


@pytest.mark.parametrize("keys", ["B4", "*", "#", "1", "AAAA", "A1"])
@pytest.mark.parametrize("late_s", [0.1, 1.5, 2.6, 3.0])
def test_keys_in_mid_vend_change_nothing(keys: str, late_s: float, link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.coins(200)
        stage.press("A1")
        await stage.until(lambda: "dispense" in stage.intents)
        await stage.passes(late_s)
        stage.press(keys)
        await stage.until(lambda: bool(stage.state.closed))
        await stage.quiet()
        assert stage.products == ["water"]
        assert stage.spent == 150

    play(scenario, link)


def test_a_fast_customer_presses_the_selection_twice_and_gets_one(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.coins(100, 50)
        stage.press("A1A1A1")
        await stage.closes()
        await stage.quiet()
        assert stage.products == ["water"]
        assert stage.spent == 150

    play(scenario, link)


@pytest.mark.parametrize("keys", ["D9", "99", "A9", "#", "*", "A"])
def test_nonsense_on_the_keys_costs_nothing(keys: str, link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        stage.press(keys)
        await stage.passes(10.0)
        await stage.coins(50)
        stage.press(keys)
        await stage.passes(10.0)
        if stage.credit:
            await stage.buys("B4")
            assert stage.spent == 50
        else:
            assert stage.spent == 0

    play(scenario, link)


@pytest.mark.parametrize("how", ["key", "lever", "both", "again and again"])
def test_coin_return_pays_once_however_it_is_asked_for(how: str, link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.coins(100, 50, 20)
        if how in ("key", "both", "again and again"):
            stage.press("*")
        if how in ("lever", "both"):
            stage.world.pull_lever()
        if how == "again and again":
            for _ in range(10):
                await stage.passes(0.2)
                stage.press("*")
                stage.world.pull_lever()
        await stage.until(lambda: bool(stage.state.closed))
        await stage.quiet()
        assert stage.spent == 0
        assert stage.account.returned == 170

    play(scenario, link)


@pytest.mark.parametrize("late_s", [0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3])
def test_coin_return_and_selection_at_the_same_moment(late_s: float, link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.coins(100, 50)
        stage.press("A1")
        await stage.passes(late_s)
        stage.world.pull_lever()
        await stage.until(lambda: bool(stage.state.closed))
        await stage.quiet()
        assert stage.spent == (150 if stage.products else 0)

    play(scenario, link)


def test_too_little_money_is_told_and_kept(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        stage.world.unplug("cashless1")
        await stage.passes(30.0)
        await stage.coins(50)
        stage.press("A3")
        await stage.shows("1.50")
        await stage.coins(100, 50)
        await stage.buys("A3")
        assert stage.spent == 200

    play(scenario, link)


def test_one_customer_after_the_other_for_an_afternoon(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        for turn in range(6):
            stage.world.truth.customer = f"customer {turn}"
            await stage.coins(200)
            await stage.buys("B4")
            stage.world.truth.customer = f"customer {turn} with a card"
            await stage.pays_by_card("A3")
            stage.world.truth.customer = f"customer {turn} with a bill"
            await stage.bill(500)
            await stage.buys("B2")
            await stage.passes(60.0)
        accounts = stage.world.truth.accounts
        assert [accounts[f"customer {n}"].spent for n in range(6)] == [50] * 6
        assert [accounts[f"customer {n} with a card"].spent for n in range(6)] == [200] * 6
        assert [accounts[f"customer {n} with a bill"].spent for n in range(6)] == [240] * 6

    play(scenario, link)


@pytest.mark.parametrize("kind", KINDS)
def test_the_lever_has_a_slow_reader_let_go_of_the_card(kind: str, link: Link) -> None:
    """READER CANCEL: it is in no session yet, and nobody has put money in."""

    async def scenario(stage: Stage) -> None:
        reader = stage.world.reader()
        await stage.until(lambda: stage.world.present_card("card"), within_s=30.0)
        stage.world.pull_lever()
        await stage.until(lambda: reader.card is None, within_s=5.0)
        reader.settings = replace(reader.settings, card_read_s=0.4)
        await stage.passes(2.0)
        assert reader.state is ReaderState.ENABLED
        await pay(stage, "B4")
        assert stage.spent == 50

    play(scenario, link, plan=plan(kind, card_read_s=20.0))


@pytest.mark.parametrize("cancelled", [0, 1])
def test_a_lever_that_is_pressed_in_vain_costs_no_sale(cancelled: int, link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        stage.breaks("cashless1", "no_cancelled", cancelled)
        for _ in range(5):
            stage.world.pull_lever()
            await stage.passes(0.5)
        await stage.pays_by_card("B4")
        stage.world.pull_lever()
        await stage.coins(50)
        await stage.buys("B4")
        assert stage.products == ["gum", "gum"]
        assert stage.spent == 100
        assert stage.state.faults == {}

    play(scenario, link)


@pytest.mark.parametrize("must_vend", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_the_lever_gives_the_coins_back_and_the_card_that_is_still_read(
    kind: str, must_vend: bool, link: Link
) -> None:
    """An owner who keeps credit for a purchase keeps nobody's card for it."""

    async def scenario(stage: Stage) -> None:
        reader = stage.world.reader()
        await stage.coins(100, 50)
        await stage.until(lambda: stage.world.present_card("card"), within_s=30.0)
        stage.world.pull_lever()
        await stage.until(lambda: reader.card is None, within_s=5.0)
        await stage.quiet()
        assert stage.account.returned == (0 if must_vend else 150)
        assert stage.credit == (150 if must_vend else 0)
        reader.settings = replace(reader.settings, card_read_s=0.4)
        await stage.until(lambda: reader.state is ReaderState.ENABLED, within_s=5.0)
        if not must_vend:
            await pay(stage, "B4")
        assert stage.state.faults == {}

    settings = with_policy(must_vend=must_vend)
    play(scenario, link, settings=settings, plan=plan(kind, card_read_s=20.0))


def test_the_lever_gives_back_the_coins_and_ends_the_session(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await begin(stage)
        await stage.coins(100, 50)
        stage.world.pull_lever()
        await stage.until(lambda: stage.world.reader().state is ReaderState.ENABLED, within_s=5.0)
        await stage.quiet()
        assert stage.spent == stage.credit == 0
        assert stage.account.returned == 150

    play(scenario, link, plan=plan("classic"))


@pytest.mark.parametrize("kind", KINDS)
def test_the_lever_gives_back_what_was_to_pay_beside_a_card_that_is_asked(
    kind: str, link: Link
) -> None:
    """VEND CANCEL, SESSION COMPLETE, and the coins: one pull is enough."""

    async def scenario(stage: Stage) -> None:
        if kind == "classic":
            await begin(stage)
        await stage.coins(50)
        stage.press("A3")
        await stage.until(lambda: "approval" in stage.intents)
        await stage.passes(0.3)
        stage.world.pull_lever()
        await stage.until(lambda: stage.account.returned == 50, within_s=30.0)
        await stage.quiet()
        assert stage.spent == 0
        assert stage.world.reader().state in (ReaderState.ENABLED, ReaderState.DISABLED)

    play(scenario, link, plan=plan(kind))


def test_the_lever_gives_back_the_coins_of_a_basket_at_once(link: Link) -> None:
    """The key forgets the selections first; who pulls the lever wants the money."""

    async def scenario(stage: Stage) -> None:
        await stage.coins(200, 200)
        stage.press("A1B4")
        await stage.passes(1.0)
        stage.world.pull_lever()
        await stage.until(lambda: stage.account.returned == 400, within_s=30.0)
        await stage.quiet()
        stage.press("#")
        await stage.passes(2.0)
        assert stage.products == []

    play(scenario, link, settings=with_policy(basket=True))


@pytest.mark.parametrize("paid", [(100, 50), (200,)])
def test_the_lever_in_mid_vend_takes_no_last_word_away(paid: tuple[int, ...], link: Link) -> None:
    """With or without change: what became of the vend is still to be read."""

    async def scenario(stage: Stage) -> None:
        await stage.coins(*paid)
        stage.press("A1")
        await stage.until(lambda: "dispense" in stage.intents)
        stage.world.pull_lever()
        await stage.shows("enjoy")
        await stage.quiet()
        assert stage.products == ["water"]
        assert stage.spent == 150

    play(scenario, link)
