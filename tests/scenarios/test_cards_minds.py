"""Cards that are pulled, and customers who change their mind or do nothing."""

from __future__ import annotations

import pytest

from simulator.peripherals.base import Item
from simulator.peripherals.reader_messages import SESSION_CANCEL
from simulator.truth import Authorisation
from simulator.world import Link
from tests.scenarios.card_kit import (
    KINDS,
    ask,
    begin,
    charged,
    fair,
    pay,
    plan,
)
from tests.scenarios.stage import Stage, play, with_policy


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("late_s", [0.0, 0.6, 1.4, 2.5])
def test_a_card_that_is_pulled_at_any_point(kind: str, late_s: float, link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await ask(stage, "A3")
        await stage.passes(late_s)
        stage.world.remove_card()
        await stage.until(lambda: bool(stage.state.closed))
        await stage.quiet()
        fair(stage, 200)
        assert stage.claimed == 0
        await stage.passes(5.0)
        before = stage.spent
        await pay(stage, "B4")
        assert stage.spent == before + 50

    play(scenario, link, plan=plan(kind))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("behind_s", [0.0, 0.1])
@pytest.mark.parametrize("can_refund", [True, False])
def test_a_reader_that_wants_its_card_back_behind_its_approval_sells_all_the_same(
    kind: str, behind_s: float, can_refund: bool, link: Link
) -> None:
    """SESSION CANCEL REQUEST is a request: it stops no vend that is approved, whoever pulls."""

    async def scenario(stage: Stage) -> None:
        reader = stage.world.readers["cashless1"]
        decide = reader._decide

        def wants_the_end(auth: Authorisation | None) -> Item | None:
            told = decide(auth)
            if behind_s:
                reader._after(behind_s, reader._tell, SESSION_CANCEL)
            else:
                reader._tell(SESSION_CANCEL)  # in the same answer
            return told

        reader._decide = wants_the_end  # type: ignore[method-assign]  # listens, and passes on
        await pay(stage, "A3")
        assert stage.products == ["cola"]
        assert stage.spent == charged(stage) == 200
        assert stage.claimed == 0
        assert stage.records("approval.cancel_intended") == []
        await stage.passes(10.0)
        await pay(stage, "B4")  # its session has ended, and the next one begins
        assert stage.spent == charged(stage) == 250

    play(scenario, link, plan=plan(kind, can_refund=can_refund))


@pytest.mark.parametrize("late_s", [0.0, 0.02, 0.04, 0.06, 0.08])
def test_a_card_that_is_pulled_as_its_session_ends_keeps_no_reader_waiting(
    late_s: float, link: Link
) -> None:
    """It asks for its end and says END SESSION in one breath: another end it would never answer."""

    async def scenario(stage: Stage) -> None:
        def resets() -> int:
            return sum(fact.what == "reset" for fact in stage.world.truth.log)

        before = resets()
        await begin(stage)
        stage.press("A3")
        await stage.until(lambda: bool(stage.state.closed))
        await stage.passes(late_s)
        stage.world.remove_card()
        await stage.passes(1.0)
        await pay(stage, "B4")
        assert stage.spent == 250
        await stage.passes(60.0)
        assert resets() == before

    play(scenario, link, plan=plan("classic"))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("late_s", [0.0, 0.6, 1.2, 1.5, 2.5])
def test_a_customer_who_cancels_at_any_point(kind: str, late_s: float, link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await ask(stage, "A3")
        await stage.passes(late_s)
        stage.press("*")
        await stage.until(lambda: bool(stage.state.closed))
        await stage.quiet()
        fair(stage, 200)
        assert stage.claimed == 0
        await stage.passes(5.0)
        before = stage.spent
        await pay(stage, "B4")
        assert stage.spent == before + 50

    play(scenario, link, plan=plan(kind))


def test_a_customer_who_never_shows_a_card_does_not_hold_the_machine(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        stage.press("A3")
        await stage.closes()
        assert 9.0 < stage.loop.time() < 20.0, "the configured time, not the built-in one"
        await stage.coins(50)
        await stage.buys("B4")
        assert stage.spent == 50

    play(scenario, link, settings=with_policy(approval_timeout_s=10.0))


def test_a_session_without_a_selection_is_ended(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await begin(stage)
        assert stage.running is not None
        live = stage.running.machine.desk.live
        began = stage.loop.time()
        await stage.until(lambda: live.session is None)
        assert stage.loop.time() - began < 15.0, "the configured time, not the built-in one"
        assert stage.spent == 0
        await pay(stage, "B4")
        assert stage.spent == 50

    play(scenario, link, plan=plan("classic"), settings=with_policy(session_timeout_s=10.0))


@pytest.mark.parametrize("late_s", [0.1, 0.8, 1.2, 1.4, 1.8])
def test_cash_that_pays_while_the_reader_waits_cancels_the_request(
    late_s: float, link: Link
) -> None:
    """Coins against a card that is just being read: one of them pays, never both."""

    async def scenario(stage: Stage) -> None:
        stage.press("B4")
        await stage.until(lambda: "approval" in stage.intents)
        stage.world.insert_coin(50)
        await stage.passes(late_s)
        stage.world.present_card("card")
        await stage.until(lambda: bool(stage.products))
        await stage.quiet()
        await stage.passes(10.0)
        assert stage.products == ["gum"]
        assert stage.spent - stage.credit == 50
        assert stage.claimed == 0

    play(scenario, link)


def test_cash_alone_pays_while_the_reader_waits(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        stage.press("A1")
        await stage.until(lambda: "approval" in stage.intents)
        stage.world.insert_coin(100)
        await stage.passes(1.0)
        stage.world.insert_coin(50)
        await stage.until(lambda: bool(stage.products))
        await stage.quiet()
        assert stage.products == ["water"]
        assert stage.spent == 150
        assert charged(stage) == 0

    play(scenario, link)


# ------------------------------------------------------- coins where a card was waited for


def test_coins_that_come_while_a_card_is_waited_for_pay_what_the_panel_shows(link: Link) -> None:
    """Nobody can tell whose they are: whoever puts them in reads what they buy, and gets it."""

    async def scenario(stage: Stage) -> None:
        stage.press("A3")
        await stage.until(lambda: "approval" in stage.intents)
        await stage.passes(30.0)
        await stage.shows("A3")
        await stage.shows("2.00")
        await stage.coins(100)
        await stage.shows("1.00")
        stage.world.insert_coin(100)
        await stage.closes(2)
        await stage.quiet()
        assert stage.products == ["cola"]
        assert stage.spent == 200
        assert all(auth.amount == 0 for auth in stage.world.truth.authorisations.values())

    play(scenario, link)


def test_whoever_does_not_want_that_has_the_coins_back_by_the_coin_return(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        stage.press("A3")
        await stage.until(lambda: "approval" in stage.intents)
        await stage.coins(100)
        stage.press("*")
        await stage.until(lambda: not stage.state.sagas)
        await stage.gives_back()
        assert (stage.spent, stage.credit, stage.products) == (0, 0, [])

    play(scenario, link)


@pytest.mark.parametrize("late_s", [0.0, 0.04, 0.08, 0.1, 0.12, 0.16])
def test_a_card_that_is_gone_as_its_selection_is_keyed_is_waited_for_as_any_other(
    late_s: float, link: Link
) -> None:
    """The reader, always idle, took the request as one without a card (seed 997004003)."""

    async def scenario(stage: Stage) -> None:
        await begin(stage, "empty")
        await stage.passes(1.0)
        stage.world.remove_card()
        await stage.passes(late_s)
        stage.press("A1")
        began = stage.loop.time()
        await stage.until(lambda: bool(stage.state.closed), within_s=100.0)
        await stage.quiet()
        assert stage.loop.time() - began < 75.0
        await pay(stage, "A1")
        assert stage.products == ["water"]

    play(scenario, link, plan=plan())
