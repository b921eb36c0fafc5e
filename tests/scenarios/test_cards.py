"""Cards on good days, complaints and refusals.

Field lessons 5 (temoto/vender#1: a drop sensor that refunds over MDB), 11
(LanguidSmartass/mdb-arduino-cashless#24: a controller that resets the reader right after begin
session) and 12 (#16 there: credit on the machine's display); of a fork's history: VEND SUCCESS sent
twice and counted twice, a sale with price 0.
"""

from __future__ import annotations

from typing import Any

import pytest

from controller.faults import FaultCode
from simulator.oracles import Allowance
from simulator.peripherals.reader_settings import ALL_AT_ONCE, Card, WrongMoment
from simulator.world import Link
from tests.scenarios.card_kit import (
    KINDS,
    READER,
    ask,
    begin,
    charged,
    fair,
    is_classic,
    pay,
    plan,
)
from tests.scenarios.stage import Stage, play


def _at_s(stage: Stage, type_: str) -> float:
    return next(record.mono_ms for record in stage.told if record.type == type_) / 1_000


# ------------------------------------------------------------------------ the good days


@pytest.mark.parametrize(
    ("kind", "level"), [("classic", 1), ("classic", 2), ("classic", 3), ("always idle", 3)]
)
@pytest.mark.parametrize("at_once", [False, True])
def test_a_card_buys_at_every_level_and_whether_answers_come_at_once_or_later(
    kind: str, level: int, at_once: bool, link: Link
) -> None:
    made = plan(kind, level=level, at_once=ALL_AT_ONCE if at_once else frozenset(), approve_s=0.0)

    async def scenario(stage: Stage) -> None:
        await pay(stage, "A3")
        assert stage.products == ["cola"]
        assert charged(stage) == 200
        await pay(stage, "A3")
        assert charged(stage) == 400
        assert stage.state.faults == {}

    play(scenario, link, plan=made)


@pytest.mark.parametrize("kind", KINDS)
def test_the_customer_reads_that_the_card_was_approved_while_the_motor_turns(
    kind: str, link: Link
) -> None:
    async def scenario(stage: Stage) -> None:
        await pay(stage, "A3")
        frames = [" ".join(" ".join(frame.lines).split()) for frame in stage.world.panel.history]
        told = next(n for n, text in enumerate(frames) if "Card approved" in text)
        assert "On its way" in frames[told]
        approved = _at_s(stage, "approval.finished")
        assert _at_s(stage, "dispense.intended") - approved < 0.1, "the motor did not wait"
        shown_s = stage.world.panel.history[told + 1].at_s - stage.world.panel.history[told].at_s
        assert shown_s >= 1.0
        await stage.coins(200)
        await stage.buys("A3")
        frames = [" ".join(" ".join(frame.lines).split()) for frame in stage.world.panel.history]
        assert "A3 Cola 0.33 l On its way ..." in frames[told + 1 :], "nobody's card"

    play(scenario, link, plan=plan(kind))


@pytest.mark.parametrize("kind", KINDS)
def test_a_discount_is_the_amount_that_is_booked(kind: str, link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await pay(stage, "A3", "discount")
        assert stage.spent == 180
        assert stage.records("settle.finished")[0].amount == 180
        assert stage.state.audit.life.tenders == {"card": (1, 180)}
        await stage.coins(50)
        await pay(stage, "A3", "discount")
        assert stage.spent == 180 + 50 + 135
        assert stage.state.audit.life.tenders == {"card": (2, 180 + 135), "cash": (0, 50)}

    play(scenario, link, plan=plan(kind))


@pytest.mark.parametrize("kind", KINDS)
def test_a_funds_display_decides_nothing(kind: str, link: Link) -> None:
    """A balance that looks too low is the reader's affair: it is asked all the same."""

    async def scenario(stage: Stage) -> None:
        await pay(stage, "A3", "low")
        assert stage.records("approval.requested")[0].amount == 200
        assert stage.spent == 0
        await pay(stage, "B4", "low")
        assert stage.spent == 50

    play(scenario, link, plan=plan(kind, more=(Card("low", balance=60),)))


def test_the_reader_is_not_reset_after_begin_session(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await begin(stage)
        await stage.passes(10.0)
        stage.press("A3")
        await stage.closes()
        resets = [f for f in stage.world.truth.log if f.detail == f"{READER} (reset)"]
        assert len(resets) == 1, "the one of the start"
        assert stage.products == ["cola"]

    play(scenario, link, plan=plan("classic"))


def test_the_display_shows_the_funds_of_a_session_and_what_the_reader_wants_shown(
    link: Link,
) -> None:
    async def scenario(stage: Stage) -> None:
        await begin(stage, "prepaid")
        await stage.shows("10.00")
        assert stage.world.reader().request_display("HOLD CARD STEADY", 3.0)
        await stage.shows("hold card steady")
        await stage.gives_back_session()

    play(scenario, link, plan=plan("classic"))


def test_vend_success_is_counted_once_however_often_it_is_sent(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await ask(stage, "A3")
        await stage.until(lambda: "dispense" in stage.intents)
        stage.breaks(READER, "lost_answers", 3)
        await stage.closes()
        await stage.quiet()
        assert stage.state.counters.vends_card == 1
        assert stage.state.counters.value == 200
        assert charged(stage) == 200
        assert len(stage.records("settle.finished")) == 1

    play(scenario, link)


@pytest.mark.parametrize("kind", KINDS)
def test_a_sale_bears_its_price_even_when_the_request_was_missed(kind: str, link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        if is_classic(stage):
            await begin(stage)
        stage.breaks(READER, "silent_commands", 4)
        stage.press("A3")
        await stage.until(lambda: "approval" in stage.intents)
        if not is_classic(stage):
            await stage.until(lambda: stage.world.present_card("card"), within_s=30.0)
        await stage.closes()
        await stage.quiet()
        assert [a.requested for a in stage.world.truth.authorisations.values()] == [200]
        assert stage.state.counters.value == 200
        fair(stage, 200)

    play(scenario, link, plan=plan(kind))


def test_cash_sales_are_told_to_the_reader_once_with_their_price(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.coins(200)
        stage.breaks(READER, "lost_answers", 1)
        await stage.buys("A1")
        await stage.passes(3.0)
        sales = list(stage.world.reader().cash_sales)
        assert sales
        assert set(sales) == {(150, 1)}

    play(scenario, link)


# ------------------------------------------------------------------ complaints and refusals


@pytest.mark.parametrize(
    ("kind", "when"),
    [*((kind, when) for kind in KINDS for when in ("idle", "request", "dispense")),
     ("classic", "session")],
)  # fmt: skip
@pytest.mark.parametrize("odd", ["out_of_sequence", "unasked_ends"])
def test_a_reader_that_speaks_out_of_turn(odd: str, when: str, kind: str, link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        if when == "idle":
            stage.breaks(READER, odd)
            await stage.passes(3.0)
            await pay(stage, "A3")
        elif when == "session":
            await begin(stage)
            stage.breaks(READER, odd)
            await stage.passes(2.0)
            stage.press("A3")
            await stage.passes(30.0)
        else:
            await ask(stage, "A3")
            if when == "dispense":
                await stage.until(lambda: "dispense" in stage.intents)
            stage.breaks(READER, odd)
            await stage.until(lambda: bool(stage.state.closed))
        await stage.passes(30.0)
        await stage.quiet()
        fair(stage, 200)
        before = stage.spent
        await pay(stage, "B4")
        assert stage.spent == before + 50

    play(scenario, link, plan=plan(kind))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("times", [1, 3])
def test_session_complete_without_an_end_is_answered_by_a_reset(
    kind: str, times: int, link: Link
) -> None:
    async def scenario(stage: Stage) -> None:
        stage.breaks(READER, "no_end", times)
        for _ in range(times + 1):
            await pay(stage, "B4")
            await stage.passes(40.0)
        assert stage.spent == 50 * (times + 1)

    play(scenario, link, plan=plan(kind))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("how", "reader"),
    [
        ("error", {}),
        ("silent", {}),
        ("silent_paid", {}),
        ("", {"can_refund": False}),
        ("", {"level": 1, "options": 0}),
        ("one-way", {}),
    ],
)
def test_a_refund_that_the_reader_does_not_give_becomes_a_claim(
    how: str, reader: dict[str, Any], kind: str, link: Link
) -> None:
    async def scenario(stage: Stage) -> None:
        stage.breaks("A3", "jam")
        if how not in ("", "one-way"):
            stage.breaks(READER, "refund", how)
        await pay(stage, "A3", "one-way" if how == "one-way" else "card")
        assert stage.products == []
        assert stage.claimed == 200
        assert [claim.tender for claim in stage.state.claims.values()] == ["card"]
        assert stage.account.returned == 0
        unprovable = how == "silent_paid" or reader.get("level") == 1
        assert stage.spent == (0 if unprovable else 200)
        assert bool(stage.flags) == (unprovable or how == "silent")

    play(scenario, link, plan=plan(kind, **reader), allowance=Allowance(blind=True))


@pytest.mark.parametrize("kind", KINDS)
def test_a_failed_vend_gives_the_money_back_to_the_card(kind: str, link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        stage.breaks("A3", "hang", 2)
        await pay(stage, "A3", "prepaid")
        assert stage.spent == 0
        assert stage.claimed == 0
        assert stage.world.cards["prepaid"].balance == 1_000

    play(scenario, link, plan=plan(kind))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("wrong", list(WrongMoment))
def test_a_declined_card_leaves_the_cash_where_it_was(
    wrong: WrongMoment, kind: str, link: Link
) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.coins(100)
        await pay(stage, "A3", "declined")
        assert stage.credit == 100
        assert stage.products == []
        await stage.coins(100)
        await stage.buys("A3")
        assert stage.spent == 200

    play(scenario, link, plan=plan(kind, wrong_moment=wrong))


@pytest.mark.parametrize("kind", KINDS)
def test_card_and_cash_pay_together_and_a_jam_gives_both_back_their_own_way(
    kind: str, link: Link
) -> None:
    async def scenario(stage: Stage) -> None:
        stage.breaks("A3", "jam")
        await stage.coins(50)
        await pay(stage, "A3", "prepaid")
        assert stage.account.returned == 50
        assert stage.world.cards["prepaid"].balance == 1_000
        await stage.coins(50)
        await pay(stage, "B1", "prepaid")
        assert stage.world.cards["prepaid"].balance == 870
        assert stage.products == ["crisps"]

    play(scenario, link, plan=plan(kind))


@pytest.mark.parametrize(
    ("code", "fault", "works"),
    [
        (0x01, FaultCode.READER_MEDIA, True),
        (0x21, FaultCode.READER_TAMPER, True),
        (0x51, FaultCode.READER_SERVICE, True),
        (0x81, FaultCode.READER_FAILURE, False),
        (0xA1, FaultCode.READER_JAM, False),
    ],
)
def test_malfunctions_are_incidents_of_their_class(
    code: int, fault: FaultCode, works: bool, link: Link
) -> None:
    async def scenario(stage: Stage) -> None:
        reader = stage.world.reader()
        reader.malfunction(code)
        await stage.until(lambda: stage.faults_raised(READER, fault) == 1, within_s=10.0)
        if works:
            await pay(stage, "B4")
            assert stage.spent == 50
        reader.clear_malfunction()
        await stage.until(lambda: not stage.has_fault(READER, fault), within_s=10.0)
        await pay(stage, "B4")
        assert stage.faults_raised(READER) == 1
        assert charged(stage) == 50 * (1 + works)

    play(scenario, link)
