"""Flagged products are sold to those alone who proved their age at a reader."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from config.machine import MachineSettings
from controller.domain import commands as cmd
from simulator.plan import WorldPlan, plan_for
from simulator.world import Link
from tests.scenarios.stage import SETTINGS, Stage, play, with_mdb, with_policy


def flagged(base: MachineSettings = SETTINGS, age: int = 18) -> MachineSettings:
    products = tuple(
        p.model_copy(update={"min_age": age}) if p.id == "cola" else p for p in base.products
    )
    return base.model_copy(update={"products": products})


def reader(**settings: Any) -> WorldPlan:
    plan = plan_for(SETTINGS)
    readers = {name: replace(found, **settings) for name, found in plan.readers.items()}
    return replace(plan, readers=readers)


async def shows_card(stage: Stage, card: str) -> None:
    await stage.shows("reader to prove")
    await stage.passes(1.0)
    await stage.until(lambda: stage.world.present_card(card))


def outcomes(stage: Stage) -> list[str]:
    return [data.outcome for data in stage.records("age.checked")]


def test_an_identity_card_proves_it_and_coins_pay(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.coins(200)
        stage.press("A3")
        await shows_card(stage, "identity")
        await stage.closes()
        await stage.quiet()
        assert stage.products == ["cola"]
        assert stage.spent == 200
        (checked,) = stage.records("age.checked")
        assert (checked.age, checked.column, checked.outcome) == (18, "A3", "proved")

    play(scenario, link, settings=flagged())


@pytest.mark.parametrize(("paid", "bought"), [(200, ["cola"]), (100, [])])
def test_a_proof_is_no_good_to_whoever_comes_next(paid: int, bought: list[str], link: Link) -> None:
    """The older one goes with the product, or the coins; a child stands there at once."""

    async def scenario(stage: Stage) -> None:
        await stage.coins(paid)
        stage.press("A3")
        await shows_card(stage, "identity")
        if paid < 200:
            await stage.shows("Missing")
            stage.press("*")
            await stage.until(lambda: not stage.state.sagas)
            stage.press("*")
        await stage.until(lambda: stage.credit == 0 and not stage.state.sagas)
        await stage.quiet()
        await stage.coins(200)
        stage.press("A3")
        await stage.shows("reader to prove")
        assert stage.products == bought

    play(scenario, link, settings=flagged())


def test_a_bank_card_proves_it_and_pays(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        stage.press("A3")
        await shows_card(stage, "grown-up")
        await stage.until(lambda: bool(stage.records("vend.closed")))
        await stage.quiet()
        assert stage.products == ["cola"]
        assert stage.spent == 200

    play(scenario, link, settings=flagged(), plan=reader(options=0))


@pytest.mark.parametrize("card", ["child", "card"])
def test_who_is_too_young_or_does_not_tell_gets_nothing(card: str, link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.coins(200)
        stage.press("A3")
        await shows_card(stage, card)
        await stage.shows("not proved")
        assert outcomes(stage) == ["not_proved"]
        assert stage.products == []
        stage.press("*")
        await stage.quiet()
        await stage.passes(2.0)
        assert stage.spent - stage.credit == 0

    play(scenario, link, settings=flagged())


def test_other_products_need_no_proof(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.coins(100, 50)
        await stage.buys("A1")
        assert stage.products == ["water"]
        assert outcomes(stage) == []

    play(scenario, link, settings=flagged())


def test_whoever_chooses_something_else_is_asked_no_longer(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.coins(100, 50)
        stage.press("A3")
        await stage.shows("reader to prove")
        await stage.buys("A1")
        assert stage.products == ["water"]
        assert outcomes(stage) == ["cancelled"]
        await stage.pays_by_card("B4")
        assert stage.products == ["water", "gum"]

    play(scenario, link, settings=flagged())


def test_coin_return_and_patience_end_the_question(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.coins(200)
        stage.press("A3")
        await stage.shows("reader to prove")
        stage.press("*")
        await stage.shows("Credit")
        stage.press("A3")
        await stage.shows("reader to prove")
        await stage.passes(61.0)
        await stage.shows("Credit")
        assert outcomes(stage) == ["cancelled", "cancelled"]
        await stage.gives_back()
        assert stage.spent == 0

    play(scenario, link, settings=flagged())


def test_a_question_that_replaces_another_ends_as_any_other(link: Link) -> None:
    # The answer of the first one, taken back, came while the second was asked, and passed for its.
    async def scenario(stage: Stage) -> None:
        stage.press("A3")
        await stage.shows("reader to prove")
        await stage.passes(1.0)
        stage.press("A3")
        await stage.passes(1.0)
        await stage.shows("reader to prove")
        await stage.passes(61.0)
        assert outcomes(stage) == ["cancelled", "cancelled"]
        await stage.quiet()

    play(scenario, link, settings=flagged())


@pytest.mark.parametrize("why", ["no check", "no reader", "off", "dead"])
def test_where_nobody_can_check_it_is_not_sold(why: str, link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        if why == "off":
            await stage.act(cmd.EnableReader("cashless1", on=False))
        if why == "dead":
            stage.breaks("cashless1", "silent")
            await stage.passes(1.0)
        await stage.coins(200)
        stage.press("A3")
        await stage.shows("No age check")
        assert outcomes(stage) == ["unsupported"]
        assert stage.products == []
        stage.mends("cashless1", "silent") if why == "dead" else None
        await stage.passes(15.0)
        await stage.gives_back()

    settings = flagged(with_mdb("cashless1", enabled=False)) if why == "no reader" else flagged()
    plan = None if why == "no reader" else reader(checks_age=why != "no check")
    play(scenario, link, settings=settings, plan=plan)


def test_a_reader_that_resets_in_the_question_sells_nothing(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.coins(200)
        stage.press("A3")
        await stage.shows("reader to prove")
        await stage.passes(1.0)
        stage.world.reader().self_reset()
        await stage.until(lambda: bool(outcomes(stage)))
        assert outcomes(stage) == ["unsupported"]
        await stage.passes(5.0)
        stage.press("A3")
        await shows_card(stage, "identity")
        await stage.closes()
        await stage.quiet()
        assert stage.products == ["cola"]

    play(scenario, link, settings=flagged())


@pytest.mark.parametrize("how", ["kill", "power"])
def test_a_proof_is_forgotten_with_the_process(how: str, link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.coins(200)
        stage.press("A3")
        await stage.shows("reader to prove")
        if how == "kill":
            await stage.kill()
        else:
            await stage.cut_power()
            await stage.passes_without(2.0)
            await stage.restore_power()
        await stage.opens()
        assert stage.credit == 200
        stage.press("A3")
        await shows_card(stage, "identity")
        await stage.closes()
        await stage.quiet()
        assert stage.products == ["cola"]
        assert stage.spent == 200

    play(scenario, link, settings=flagged())


def test_a_basket_asks_once_for_all_of_it(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.coins(200, 200, 200)
        for number, selection in enumerate(("A3", "A1", "A3"), 1):
            stage.press(selection)
            await stage.shows(f"Items {number}")
        stage.press("#")
        await shows_card(stage, "identity")
        await stage.until(lambda: len(stage.records("vend.closed")) == 3)
        await stage.quiet()
        assert sorted(stage.products) == ["cola", "cola", "water"]
        assert stage.spent == 550
        assert outcomes(stage) == ["proved"]

    play(scenario, link, settings=flagged(with_policy(basket=True)))


def test_a_token_and_app_credit_need_the_proof_as_well(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.act(cmd.GrantAppCredit("pay-1", 200, 120.0, "A3"))
        stage.press("A3")
        await shows_card(stage, "child")
        await stage.shows("not proved")
        assert stage.products == []
        assert len(stage.state.rights) == 1
        await stage.act(cmd.EndGrant("pay-1"))
        await stage.passes(70.0)

    play(scenario, link, settings=flagged())


@pytest.mark.parametrize("pause_s", [0.0, 0.02, 0.1, 0.3, 1.0])
def test_second_thoughts_leave_no_question_behind(pause_s: float, link: Link) -> None:
    """Keyed again and again at every pace: the reader is free for whoever comes next."""

    async def scenario(stage: Stage) -> None:
        for keys in ("A3", "*", "A3", "A3", "B4", "*", "A3", "*"):
            stage.press(keys)
            await stage.passes(pause_s)
        await stage.passes(65.0)
        await stage.quiet()
        stage.press("*")
        await stage.quiet()
        assert stage.world.reader().age_asked == 0
        await stage.pays_by_card("A1")
        assert stage.products == ["water"]

    play(scenario, link, settings=flagged())


def test_the_lever_gives_the_coins_back_of_who_was_asked_for_an_age(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.coins(200)
        stage.press("A3")
        await stage.shows("reader to prove")
        stage.world.pull_lever()
        await stage.until(lambda: stage.account.returned == 200, within_s=30.0)
        await stage.quiet()
        assert outcomes(stage) == ["cancelled"]

    play(scenario, link, settings=flagged())
