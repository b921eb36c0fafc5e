"""Card readers that die, reset, refuse, answer late or out of turn; cards and minds that change.

Field lessons 5 (temoto/vender#1: a drop sensor that refunds over MDB), 11
(LanguidSmartass/mdb-arduino-cashless#24: a controller that resets the reader right after begin
session) and 12 (#16 there: credit on the machine's display); of a fork's history: VEND SUCCESS sent
twice and counted twice, a sale with price 0, a level that is not reset by RESET, wrong answers of
level 2 and 3.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from config.machine import MachineSettings
from controller.domain import commands as cmd
from controller.faults import FaultCode
from controller.ports import DeviceName
from simulator.oracles import Allowance
from simulator.peripherals.reader_settings import ALL_AT_ONCE, OPTION_ALWAYS_IDLE, Card, WrongMoment
from simulator.plan import WorldPlan, cards, plan_for, reader_for
from simulator.truth import AuthState
from simulator.world import Link
from tests.scenarios.stage import SETTINGS, Stage, play, with_mdb, with_policy

READER = "cashless1"
KINDS = ("always idle", "classic")
MOMENTS = ("session", "request", "approval", "success", "failure", "complete")


def plan(kind: str = "always idle", more: tuple[Card, ...] = (), **reader: Any) -> WorldPlan:
    """The demo's devices with another reader."""
    made = replace(reader_for("EUR"), **reader)
    if kind == "classic":
        made = replace(made, options=0)
    return replace(plan_for(SETTINGS), readers={READER: made}, cards=(*cards(), *more))


async def pay(stage: Stage, keys: str, card: str = "card") -> None:
    """Choose and pay by card, in the order that the reader wants; returns when all is quiet."""
    before = len(stage.records("vend.closed"))
    await ask(stage, keys, card)
    await stage.until(lambda: len(stage.records("vend.closed")) > before, within_s=300.0)
    await stage.quiet()


async def ask(stage: Stage, keys: str, card: str = "card") -> None:
    """Bring a request under way, whose card is read."""
    if is_classic(stage):
        await begin(stage, card)
        stage.press(keys)
        await stage.until(lambda: "approval" in stage.intents or bool(stage.state.closed))
        return
    assert stage.running is not None
    ready = stage.running.machine.desk.live.ready
    await stage.until(lambda: DeviceName.CASHLESS1 in ready, within_s=60.0)
    stage.press(keys)
    await stage.until(lambda: "approval" in stage.intents, within_s=10.0)
    await stage.until(lambda: stage.world.present_card(card), within_s=10.0)


async def begin(stage: Stage, card: str = "card") -> None:
    """Hold a card to a classic reader, again and again, until its session has begun."""
    assert stage.running is not None
    live = stage.running.machine.desk.live

    def begun() -> bool:
        stage.world.present_card(card)
        return live.session is not None

    await stage.until(begun, within_s=200.0)


def is_classic(stage: Stage) -> bool:
    """Tell which kind of reader stands there."""
    return not stage.world.reader().settings.options


def quarters() -> MachineSettings:
    """The demo machine with prices that a reader of 25 cents can tell."""
    return SETTINGS.model_copy(
        update={"columns": tuple(c.model_copy(update={"price": 75}) for c in SETTINGS.columns)}
    )


def charged(stage: Stage) -> int:
    """What the card's owner pays for good."""
    return sum(
        auth.amount
        for auth in stage.world.truth.authorisations.values()
        if auth.state is AuthState.CAPTURED
    )


def fair(stage: Stage, price: int) -> None:
    """Paid and delivered, or not paid; else a claim over the card's money."""
    assert stage.products in ([], ["cola"])
    due = price if stage.products else 0
    assert stage.spent - stage.claimed == due
    assert all(claim.tender == "card" for claim in stage.state.claims.values())
    assert stage.account.returned == 0, "card money never becomes cash"


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
def test_a_discount_is_the_amount_that_is_booked(kind: str, link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await pay(stage, "A3", "discount")
        assert stage.spent == 180
        assert stage.records("settle.finished")[0].amount == 180

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


# ------------------------------------------------------------ deaths and resets of a reader


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("away_s", [4.0, 40.0])
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_reader_that_dies_at_a_moment_of_the_vend(
    moment: str, away_s: float, kind: str, link: Link
) -> None:
    async def scenario(stage: Stage) -> None:
        stage.breaks(READER, "dies_for_s", away_s)
        stage.breaks(READER, "dies_at", moment)
        if moment == "failure":
            stage.breaks("A3", "jam")
        await pay(stage, "A3")
        await stage.passes(60.0)
        stage.mends("A3", "jam")
        fair(stage, 200)
        before = stage.spent
        await pay(stage, "B4")
        assert stage.spent == before + 50, "it sells by card again"
        assert not stage.has_fault(READER, FaultCode.DEVICE_SILENT)

    play(scenario, link, plan=plan(kind))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_reader_that_resets_itself_at_a_moment_of_the_vend(
    moment: str, kind: str, link: Link
) -> None:
    """Its reset charges what was approved and told: delivered, or a claim."""

    async def scenario(stage: Stage) -> None:
        stage.breaks(READER, "resets_at", moment)
        if moment == "failure":
            stage.breaks("A3", "jam")
        if moment == "session" and is_classic(stage):
            await begin(stage)
            await stage.passes(3.0)
        await pay(stage, "A3")
        await stage.passes(5.0)
        stage.mends("A3", "jam")
        fair(stage, 200)
        before = stage.spent
        await pay(stage, "B4")
        assert stage.spent == before + 50

    play(scenario, link, plan=plan(kind))


@pytest.mark.parametrize("kind", KINDS)
def test_a_request_that_is_never_answered_is_cancelled(kind: str, link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        stage.breaks(READER, "no_answers")
        await pay(stage, "A3")
        assert stage.spent == 0
        assert stage.products == []
        await pay(stage, "A3")
        assert stage.products == ["cola"]

    play(scenario, link, plan=plan(kind))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("late_s", [5.0, 25.0, 61.0])
def test_an_approval_that_comes_late(kind: str, late_s: float, link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        stage.breaks(READER, "extra_approve_s", late_s)
        await pay(stage, "A3")
        fair(stage, 200)
        assert stage.claimed == 0
        stage.mends(READER, "extra_approve_s")
        await stage.passes(5.0)
        before = stage.spent
        await pay(stage, "B4")
        assert stage.spent == before + 50

    play(scenario, link, plan=plan(kind))


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


# ----------------------------------------------------------------------- changes of mind


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


# --------------------------------------------------------------------- readers that don't fit


@pytest.mark.parametrize("kind", KINDS)
def test_a_price_that_the_reader_cannot_express_is_a_fault_and_never_rounded(
    kind: str, link: Link
) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.act(cmd.SetPrice("B4", 55))
        await stage.until(lambda: stage.has_fault(READER, FaultCode.DEVICE_UNSUITABLE))
        if is_classic(stage):
            await begin(stage)
        before = len(stage.records("vend.closed"))
        stage.press("B4")
        await stage.until(lambda: len(stage.records("vend.closed")) > before)
        assert stage.world.truth.authorisations == {}
        await stage.quiet()
        await stage.coins(50, 20, 5)
        await stage.buys("A3")
        await stage.act(cmd.SetPrice("B4", 75))
        await stage.until(lambda: not stage.has_fault(READER, FaultCode.DEVICE_UNSUITABLE))
        await stage.quiet()
        await pay(stage, "B4")
        assert charged(stage) == 75

    play(scenario, link, plan=plan(kind, scale=25), settings=quarters())


def test_a_reader_of_another_currency_is_refused_and_cash_sells(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.until(lambda: stage.has_fault(READER, FaultCode.DEVICE_UNSUITABLE))
        assert not stage.world.present_card("card")
        await stage.coins(50)
        await stage.buys("B4")
        assert stage.spent == 50
        await stage.passes(120.0)
        assert stage.faults_raised(READER) == 1

    play(scenario, link, plan=plan(currency=0x1840))


@pytest.mark.parametrize(
    "odd",
    [
        {"long_id_always": True, "level": 2, "options": 0},
        {"reset_tells_at_once": True},
        {"tolerates_repeats": False},
        {"wrong_moment": WrongMoment.SILENCE},
        {"cancel_repeats": True},
        {"complete_cancels": True},
        {"session_end_s": 3.0},
        {"level": 1, "options": 0, "cash_sale": False},
        {"approval_timeout_s": 30.0},
    ],
    ids="-".join,
)
def test_readers_with_habits_of_their_own_sell_and_refund(odd: dict[str, Any], link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await pay(stage, "B4")
        assert charged(stage) == 50
        stage.breaks("A3", "jam")
        await pay(stage, "A3")
        if odd.get("level") == 1:  # its ACK proves no refund
            assert stage.claimed == 200
            assert stage.flags
        else:
            assert stage.claimed == 0
        assert stage.spent == 50
        stage.breaks(READER, "resets")
        await stage.passes(5.0)
        await pay(stage, "B4")
        assert stage.products == ["gum", "gum"]

    play(scenario, link, plan=plan(**odd), allowance=Allowance(blind=odd.get("level") == 1))


def test_the_levels_state_is_forgotten_at_a_reset(link: Link) -> None:
    """A reader that is replaced by one of a lower level in mid life is spoken to in its level."""

    async def scenario(stage: Stage) -> None:
        await pay(stage, "B4")
        reader = stage.world.reader()
        stage.world.unplug(READER)
        await stage.passes(25.0)
        reader.settings = replace(reader.settings, level=1, options=0)
        stage.world.plug(READER)
        await stage.passes(30.0)
        await begin(stage)
        stage.press("B4")
        await stage.closes()
        assert charged(stage) == 100

    play(scenario, link)


def test_a_reader_is_spoken_to_no_higher_than_the_owner_says(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await begin(stage)
        stage.press("A3")
        await stage.closes()
        assert stage.world.reader().level == 1
        assert charged(stage) == 200

    play(scenario, link, settings=with_mdb(READER, level=1))


def test_always_idle_is_left_off_where_the_owner_wants_it_so(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        assert not stage.world.reader().always_idle
        stage.press("A3")
        await stage.shows("2.00")
        assert stage.state.sagas == {}
        await begin(stage)
        stage.press("A3")
        await stage.closes()
        assert charged(stage) == 200

    play(scenario, link, settings=with_mdb(READER, always_idle=False))


def test_two_readers_serve_one_customer_at_a_time(link: Link) -> None:
    settings = with_mdb("cashless2", enabled=True)

    async def serve(stage: Stage, name: DeviceName) -> None:
        assert stage.running is not None
        live = stage.running.machine.desk.live
        await stage.until(lambda: stage.world.present_card("card", name.value))
        await stage.until(lambda: live.session is name)
        stage.press("B4")
        await stage.closes()
        await stage.quiet()
        assert stage.world.truth.authorisations[len(stage.products)].reader == name.value

    async def scenario(stage: Stage) -> None:
        for name in (DeviceName.CASHLESS2, DeviceName.CASHLESS1, DeviceName.CASHLESS2):
            await serve(stage, name)
        assert charged(stage) == 150

    play(
        scenario,
        link,
        settings=settings,
        plan=replace(
            plan_for(settings),
            readers={
                name: replace(reader_for("EUR"), options=0, serial=f"{n:012d}")
                for n, name in enumerate(("cashless1", "cashless2"), 1)
            },
        ),
    )


def two_readers(settings: MachineSettings, idle: str) -> WorldPlan:
    """Two readers, one of them always idle; the other begins a session with each card."""
    made = {
        name: replace(
            reader_for("EUR"), serial=f"{n:012d}", options=OPTION_ALWAYS_IDLE * (name == idle)
        )
        for n, name in enumerate(("cashless1", "cashless2"), 1)
    }
    return replace(plan_for(settings), readers=made)


@pytest.mark.parametrize("coins", [(), (100,)])
@pytest.mark.parametrize("idle", ["cashless1", "cashless2"])
def test_while_one_reader_is_asked_a_card_may_come_to_the_other(
    idle: str, coins: tuple[int, ...], link: Link
) -> None:
    settings = with_mdb("cashless2", enabled=True)
    other = "cashless2" if idle == "cashless1" else "cashless1"

    async def scenario(stage: Stage) -> None:
        await stage.coins(*coins)
        stage.press("A3")
        await stage.until(lambda: "approval" in stage.intents)
        await stage.passes(1.0)
        assert stage.world.present_card("card", other)
        await stage.until(lambda: bool(stage.products))
        await stage.quiet()
        assert (stage.products, stage.spent) == (["cola"], 200)
        authorisations = stage.world.truth.authorisations.values()
        assert [(a.reader, a.state) for a in authorisations] == [
            (idle, AuthState.CANCELLED),
            (other, AuthState.CAPTURED),
        ]
        # And the first one is free again.
        stage.press("B4")
        await stage.until(lambda: "approval" in stage.intents)
        assert stage.world.present_card("card", idle)
        await stage.closes()
        await stage.quiet()
        assert stage.spent == 250

    play(scenario, link, settings=settings, plan=two_readers(settings, idle))


@pytest.mark.parametrize("later_s", [0.0, 0.1, 0.3, 0.5, 0.8])
def test_of_two_cards_at_two_readers_one_pays(later_s: float, link: Link) -> None:
    settings = with_mdb("cashless2", enabled=True)

    async def scenario(stage: Stage) -> None:
        stage.press("A3")
        await stage.until(lambda: "approval" in stage.intents)
        assert stage.world.present_card("card", "cashless1")
        await stage.passes(later_s)
        stage.world.present_card("prepaid", "cashless2")
        await stage.until(lambda: bool(stage.products))
        await stage.quiet()
        assert (stage.products, stage.spent) == (["cola"], 200)
        await stage.passes(5.0)
        assert stage.running is not None
        assert stage.running.machine.desk.live.session is None

    play(scenario, link, settings=settings, plan=two_readers(settings, "cashless1"))


def test_a_cancelled_request_is_not_taken_up_by_a_card_elsewhere(link: Link) -> None:
    settings = with_mdb("cashless2", enabled=True)

    async def scenario(stage: Stage) -> None:
        stage.press("A3")
        await stage.until(lambda: "approval" in stage.intents)
        stage.world.present_card("card", "cashless2")
        await stage.passes(0.35)
        stage.press("*")
        await stage.passes(5.0)
        await stage.quiet()
        assert charged(stage) == 200 * len(stage.products)
        if not stage.products:
            await stage.gives_back_session()

    play(scenario, link, settings=settings, plan=two_readers(settings, "cashless1"))


def test_a_second_session_waits_for_the_first_customer(link: Link) -> None:
    settings = with_mdb("cashless2", enabled=True)

    async def scenario(stage: Stage) -> None:
        await stage.until(lambda: stage.world.present_card("card", "cashless1"))
        assert stage.running is not None
        live = stage.running.machine.desk.live
        await stage.until(lambda: live.session is DeviceName.CASHLESS1)
        stage.world.present_card("prepaid", "cashless2")
        await stage.passes(3.0)
        stage.press("B4")
        await stage.closes()
        await stage.quiet()
        assert [a.reader for a in stage.world.truth.authorisations.values()] == ["cashless1"]
        assert charged(stage) == 50

    play(
        scenario,
        link,
        settings=settings,
        plan=replace(
            plan_for(settings),
            readers={
                name: replace(reader_for("EUR"), options=0, serial=f"{n:012d}")
                for n, name in enumerate(("cashless1", "cashless2"), 1)
            },
        ),
    )


@pytest.mark.parametrize("refund", ["", "error"])
def test_the_outcome_of_a_refund_is_heard_although_vendd_died_over_it(
    refund: str, link: Link
) -> None:
    """The reader gives back, or fails to, while nobody listens; the first poll tells."""

    async def scenario(stage: Stage) -> None:
        stage.breaks("A3", "jam")
        stage.breaks(READER, "refund", refund)
        await ask(stage, "A3")
        await stage.until(lambda: "settle" in stage.intents)
        await stage.kill()
        await stage.passes_without(2.0)
        await stage.opens()
        await stage.quiet()
        assert stage.claimed == (200 if refund else 0)
        assert stage.spent == (200 if refund else 0)

    play(scenario, link)


@pytest.mark.parametrize("link", ["native"], indirect=True)
def test_a_refund_error_of_a_slow_disk_is_told_twice_and_counted_once(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        stage.breaks("A3", "jam")
        stage.breaks(READER, "refund", "error")
        await ask(stage, "A3")
        await stage.until(lambda: "settle" in stage.intents)
        stage.disk.sync_latency = lambda: 0.4
        await stage.closes()
        stage.disk.sync_latency = lambda: 0.0
        await stage.quiet()
        assert stage.claimed == 200
        assert len(stage.records("refund.refused")) == 1
        assert stage.flags == []

    play(scenario, link)


def test_a_refund_error_on_a_line_that_loses_everything_is_never_taken_for_a_refund(
    link: Link,
) -> None:
    """An adapter acknowledges what it then loses on its way to us."""

    async def scenario(stage: Stage) -> None:
        stage.breaks("A3", "jam")
        stage.breaks(READER, "refund", "error")
        await ask(stage, "A3")
        await stage.until(lambda: "settle" in stage.intents)
        await stage.passes(0.3)
        stage.breaks("line", "loss", 1.0)
        await stage.passes(0.3)
        stage.mends("line", "loss")
        await stage.until(lambda: bool(stage.state.closed))
        await stage.quiet()
        assert charged(stage) == 200
        assert stage.claimed == 200

    play(scenario, link)
