"""Cards and keys that cross: a session begins, ends or is wanted ended as something else begins."""

from __future__ import annotations

from dataclasses import replace

import pytest

from simulator.peripherals.base import ACK_ONLY, Reply
from simulator.peripherals.reader_messages import VEND_DENIED
from simulator.peripherals.reader_settings import ReaderState
from simulator.plan import plan_for, reader_for
from simulator.truth import AuthState
from simulator.world import Link
from tests.scenarios.card_kit import KINDS, READER, ask, begin, charged, pay, plan
from tests.scenarios.stage import Stage, play, with_mdb, with_policy
from tests.scenarios.test_age import flagged, outcomes, reader

REFUND_ERROR = bytes((0x0A, 0xC1))


def resets(stage: Stage) -> int:
    return sum(fact.what == "reset" for fact in stage.world.truth.log)


@pytest.mark.parametrize("cancels", [True, False])
def test_a_card_that_is_read_as_its_selection_is_written_down_pays_for_it(
    cancels: bool, link: Link
) -> None:
    """The reader, always idle, begins a session before it is asked: it is that vend's, to its end.

    Some take SESSION COMPLETE in VEND SUCCESS's place for a cancel, and give the money back.
    """

    async def scenario(stage: Stage) -> None:
        before = resets(stage)
        stage.disk.sync_latency = lambda: 2.0
        await pay(stage, "A3")
        stage.disk.sync_latency = lambda: 0.0
        assert stage.products == ["cola"]
        assert stage.spent == charged(stage) == 200
        assert stage.records("approval.cancel_intended") == []
        await stage.passes(5.0)
        await pay(stage, "B4")  # its session has ended, and another one begins
        assert stage.spent == charged(stage) == 250
        assert resets(stage) == before

    play(scenario, link, plan=plan(complete_cancels=cancels))


def test_a_stop_amid_a_vend_leaves_its_session_to_the_vend(link: Link) -> None:
    """The time of its session is over while the motor turns: it ends behind VEND SUCCESS."""

    async def scenario(stage: Stage) -> None:
        assert stage.running is not None
        await begin(stage)
        began = stage.loop.time()
        await stage.passes(7.5)
        stage.press("A3")
        await stage.until(lambda: "dispense" in stage.intents)
        stage.running.machine.stop("test")
        assert stage.loop.time() < began + 10.0
        await stage.ends()
        assert stage.loop.time() > began + 10.0, "a vend that was too short"
        assert stage.products == ["cola"]
        assert stage.spent == charged(stage) == 200
        await stage.kill()
        await stage.opens()

    play(
        scenario,
        link,
        settings=with_policy(session_timeout_s=10.0),
        plan=plan("classic", complete_cancels=True),
    )


@pytest.mark.parametrize("late_s", [0.0, 0.5, 2.0])
def test_a_selection_that_is_cancelled_before_its_reader_hears_of_it_charges_nobody(
    late_s: float, link: Link
) -> None:
    """The reader takes its time over the end of the last session."""

    async def scenario(stage: Stage) -> None:
        before = resets(stage)
        await ask(stage, "B4")
        await stage.until(lambda: len(stage.records("vend.closed")) == 1)
        stage.press("A3")
        await stage.until(lambda: "approval" in stage.intents)
        await stage.passes(late_s)
        stage.press("*")
        await stage.until(lambda: len(stage.records("vend.closed")) == 2, within_s=6.0)
        await stage.passes(10.0)
        stage.world.present_card("card")
        await stage.passes(10.0)
        assert charged(stage) == 50
        assert stage.products == ["gum"]
        assert resets(stage) == before

    play(scenario, link, plan=plan(session_end_s=4.0))


@pytest.mark.parametrize("behind", [False, True])
def test_what_a_reader_keeps_of_a_cancelled_vend_is_owed(behind: bool, link: Link) -> None:
    """VEND DENIED to the cancel, and a refund error beside it or in the next answer."""

    async def scenario(stage: Stage) -> None:
        reader = stage.world.readers[READER]

        def keeps() -> Reply:
            asked, truth = reader._auth, stage.world.truth
            assert asked is not None
            truth.set_card(asked, AuthState.APPROVED, "not told", amount=asked.requested)
            truth.set_card(asked, AuthState.CAPTURED, "refund error")
            reader._auth, reader._deciding = None, False
            reader._tell(VEND_DENIED, on_sent=denied)
            if not behind:
                reader._tell(REFUND_ERROR)
            return ACK_ONLY

        def denied() -> None:
            reader._back_to_idle()
            if behind:
                reader._tell(REFUND_ERROR)

        reader._cancel_request = keeps  # type: ignore[method-assign]  # it keeps what it has taken
        stage.breaks(READER, "extra_approve_s", 5.0)
        await ask(stage, "A3")
        await stage.passes(2.0)
        stage.press("*")
        await stage.until(lambda: bool(stage.state.closed))
        await stage.quiet()
        assert stage.spent == charged(stage) == stage.claimed == 200
        assert stage.flags == []
        [claim] = stage.state.claims.values()
        assert claim.tender == "card"

    play(scenario, link, plan=plan())


@pytest.mark.parametrize("kind", KINDS)
def test_whoever_keys_while_the_last_session_ends_is_told_what_to_do(kind: str, link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await begin(stage)
        stage.press("B4")
        await stage.closes()
        seen = len(stage.shown)
        stage.press("A3")
        await stage.passes(1.0)
        assert stage.running is not None
        assert stage.running.machine.desk.live.session is not None, "it has not ended yet"
        told = " ".join(stage.shown[seen:]).lower()
        assert "declined" not in told
        assert "please wait" not in told
        if kind == "always idle":
            await stage.shows("hold your card")
            await stage.until(lambda: stage.world.present_card("card"), within_s=30.0)
            await stage.closes()
            assert charged(stage) == 250
        await stage.quiet()

    play(scenario, link, plan=plan(kind, session_end_s=4.0))


@pytest.mark.parametrize("how", ["pulled", "coin return"])
@pytest.mark.parametrize("kind", KINDS)
def test_whoever_keys_behind_a_card_that_was_taken_back_is_told_what_to_do(
    kind: str, how: str, link: Link
) -> None:
    async def scenario(stage: Stage) -> None:
        assert stage.running is not None
        live = stage.running.machine.desk.live
        await begin(stage)
        if how == "pulled":
            stage.world.remove_card()
        else:
            stage.press("*")
        await stage.passes(0.5)
        seen = len(stage.shown)
        stage.press("A3")
        await stage.passes(1.0)
        assert live.session is not None, "it has not ended yet"
        told = " ".join(stage.shown[seen:]).lower()
        assert "declined" not in told
        assert "please wait" not in told
        if kind == "always idle":
            await stage.shows("hold your card")
            stage.press("*")
        await stage.quiet()
        assert charged(stage) == 0

    play(scenario, link, plan=plan(kind, session_end_s=4.0))


def test_a_card_at_one_reader_does_not_wait_for_the_other_one_s_session_to_end(link: Link) -> None:
    settings = with_mdb("cashless2", enabled=True)
    readers = {
        name: replace(reader_for("EUR"), serial=f"{n:012d}", options=0, session_end_s=4.0)
        for n, name in enumerate((READER, "cashless2"), 1)
    }

    async def scenario(stage: Stage) -> None:
        assert stage.running is not None
        live = stage.running.machine.desk.live
        await begin(stage)
        stage.press("B4")
        await stage.closes()
        assert live.session == READER
        assert stage.world.present_card("prepaid", "cashless2")
        await stage.until(lambda: live.session == "cashless2", within_s=2.0)
        await stage.passes(6.0)
        assert live.session == "cashless2", "the end of the other one is not its"
        stage.press("A3")
        await stage.closes()
        await stage.quiet()
        assert stage.products == ["gum", "cola"]
        assert charged(stage) == 250

    play(scenario, link, settings=settings, plan=replace(plan_for(settings), readers=readers))


def test_a_stop_amid_a_vend_for_coins_ends_the_session_that_is_none_of_its(link: Link) -> None:
    """Nobody else would: its card would stay in the reader until the next start."""

    async def scenario(stage: Stage) -> None:
        assert stage.running is not None
        await begin(stage)
        await stage.coins(50)
        stage.press("B4")
        await stage.until(lambda: "dispense" in stage.intents)
        stage.running.machine.stop("test")
        await stage.ends()
        assert stage.records("approval.requested") == []
        assert stage.products == ["gum"]
        assert stage.world.readers[READER].state in (ReaderState.ENABLED, ReaderState.DISABLED)
        await stage.kill()
        await stage.opens()

    play(scenario, link, plan=plan("classic"))


def test_a_vend_at_one_reader_leaves_the_other_ones_session_ending(link: Link) -> None:
    """A card was taken back at a slow one: no selection is for it any more, and no later one."""
    settings = with_mdb("cashless2", enabled=True)
    slow = replace(reader_for("EUR"), serial="000000000001", options=0, session_end_s=6.0)
    readers = {READER: slow, "cashless2": replace(reader_for("EUR"), serial="000000000002")}

    async def scenario(stage: Stage) -> None:
        assert stage.running is not None
        live = stage.running.machine.desk.live
        await begin(stage)
        stage.world.remove_card()
        await stage.passes(0.5)
        stage.press("A3")
        await stage.until(lambda: "approval" in stage.intents)
        stage.press("*")
        await stage.until(lambda: not stage.state.sagas, within_s=3.0)
        stage.press("B4")
        await stage.passes(0.5)
        assert live.session == READER, "it has not ended yet"
        asked = [data.device for data in stage.records("approval.requested")]
        assert asked == ["cashless2", "cashless2"]
        await stage.until(lambda: stage.world.present_card("card", "cashless2"), within_s=10.0)
        await stage.closes()
        await stage.quiet()
        assert stage.products == ["gum"]
        assert charged(stage) == 50

    play(scenario, link, settings=settings, plan=replace(plan_for(settings), readers=readers))


@pytest.mark.parametrize("kind", KINDS)
def test_whoever_takes_the_card_back_is_asked_for_no_age(kind: str, link: Link) -> None:
    """The reader that is asked for a proof hears SESSION COMPLETE all the same, and soon."""

    async def scenario(stage: Stage) -> None:
        assert stage.running is not None
        live = stage.running.machine.desk.live
        await begin(stage)
        stage.press("A3")
        await stage.shows("reader to prove")
        await stage.passes(1.0)
        stage.world.remove_card()
        await stage.until(lambda: live.session is None, within_s=5.0)
        assert outcomes(stage) == ["cancelled"]
        await stage.passes(5.0)
        assert "prove" not in stage.screen
        await pay(stage, "B4")
        assert charged(stage) == 50

    options = {} if kind == "always idle" else {"options": 0}
    play(scenario, link, settings=flagged(), plan=reader(age_check_s=30.0, **options))


def test_of_two_readers_the_one_that_can_checks_the_age(link: Link) -> None:
    settings = flagged(with_mdb("cashless2", enabled=True))
    readers = {
        name: replace(reader_for("EUR"), serial=f"{n:012d}", checks_age=name != READER)
        for n, name in enumerate((READER, "cashless2"), 1)
    }

    async def scenario(stage: Stage) -> None:
        await stage.coins(200)
        stage.press("A3")
        await stage.until(lambda: stage.world.readers["cashless2"].age_asked == 18, within_s=10.0)
        await stage.shows("reader to prove")
        await stage.until(lambda: stage.world.present_card("identity", "cashless2"))
        await stage.closes()
        await stage.quiet()
        assert stage.products == ["cola"]
        assert outcomes(stage) == ["unsupported", "proved"]

    play(scenario, link, settings=settings, plan=replace(plan_for(settings), readers=readers))
