"""A bill recycler: bills that come in go out again as change, with every failure on the way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from config.models import Pulse
from config.pins import Pin
from controller.domain import accounts as acc
from controller.domain import commands as cmd
from controller.faults import FaultCode
from simulator.oracles import Allowance
from simulator.plan import WorldPlan, plan_for
from simulator.truth import TRAY, recycler
from simulator.world import Link
from tests.scenarios.stage import Scenario, Stage, play, with_mdb

SETTINGS = with_mdb("bill", recycle=(500, 1_000))
FIVE, TEN = 0, 1  # bill types
PRICE = 50  # of B4, gum


def plan(**bill: Any) -> WorldPlan:
    """The demo's devices with a recycler."""
    made = plan_for(SETTINGS)
    assert made.bill is not None
    return replace(made, bill=replace(made.bill, **bill))


def plays(scenario: Scenario, link: Link, **more: Any) -> Stage:
    """Play it on a machine that recycles fives and tens, 15 of each inside."""
    return play(scenario, link, settings=SETTINGS, plan=more.pop("plan", plan()), **more)


def held(stage: Stage) -> tuple[int, int]:
    """How many fives and tens are in the recycler."""
    truth = stage.world.truth
    return truth.count(recycler(FIVE)), truth.count(recycler(TEN))


def right(stage: Stage) -> None:
    """The customer has gum, and paid its price less what is promised."""
    assert stage.products == ["gum"]
    assert stage.spent - stage.claimed - stage.credit == PRICE


def paid_bills(stage: Stage) -> list[tuple[int, bool]]:
    """What each payout in bills came to: (amount, certain)."""
    return [
        (data.amount, data.certain)
        for data in stage.records("payout.finished")
        if data.device == "bill"
    ]


# --------------------------------------------------------------------------------- it works


def test_change_comes_in_bills_and_coins_with_the_fewest_pieces(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.bill(2_000)
        assert stage.records("bill.stacked")[-1].into == "stacker", "twenties are not recycled"
        await stage.buys("B4")
        right(stage)
        assert held(stage) == (14, 14)
        tray = {thing.value: n for thing, n in stage.world.truth.things(TRAY).items()}
        assert tray == {1_000: 1, 500: 1, 100: 4, 50: 1}
        assert [(d.device, d.amount) for d in stage.records("payout.intended")] == [
            ("bill", 1_000), ("bill", 500), ("changer", 450),
        ]  # fmt: skip
        assert all(data.proof == "both" for data in stage.records("payout.finished")[:2])

    plays(scenario, link)


def test_a_bill_that_came_in_goes_out_again(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.bill(500)
        assert stage.records("bill.stacked")[-1].into == "recycler"
        assert stage.state.ledger.balance(acc.CASH_RECYCLER) == 500
        assert stage.state.ledger.balance(acc.CASH_STACKER) == 0
        await stage.gives_back()
        assert stage.spent == 0
        assert held(stage) == (0, 0)

    plays(scenario, link, plan=plan(recycled_before=()))


def test_a_full_recycler_leaves_bills_to_the_stacker(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.bill(500)
        assert stage.records("bill.stacked")[-1].into == "stacker"
        assert held(stage) == (15, 15)

    plays(scenario, link, plan=plan(recycler_capacity=15))


def test_bills_of_the_recycler_make_a_large_bill_welcome(link: Link) -> None:
    """Without it nobody could change a twenty: there are few coins in the tubes."""

    async def scenario(stage: Stage) -> None:
        for value in (5, 10, 20, 50):
            stage.world.empty_tube(value, 5)
        stage.world.empty_tube(100, 4)
        await stage.act(cmd.CountTubes())
        await stage.bill(2_000)
        await stage.buys("B4")
        right(stage)
        assert stage.claimed == 0

    plays(scenario, link, judged=False)  # the coins were taken out by hand, so they are missing


def test_a_validator_that_cannot_recycle_sells_all_the_same(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        assert stage.has_fault("bill", FaultCode.BILL_DISPENSER)
        await stage.bill(500)
        await stage.buys("B4")
        right(stage)
        assert paid_bills(stage) == []

    plays(scenario, link, plan=plan(level=1, options=0, recycles=(), recycled_before=()))


# ---------------------------------------------------------------------------- it goes wrong


@pytest.mark.parametrize("after", [0, 1])
def test_a_jam_in_the_recycler_is_paid_on_in_coins(after: int, link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.bill(2_000)
        stage.breaks("bill", "dispense_jam_after", after)
        await stage.buys("B4")
        right(stage)
        assert stage.faults_raised("bill", FaultCode.BILL_DISPENSER) == 1
        assert stage.flags == []
        assert stage.world.bill is not None
        stage.world.bill.clear_jam()
        await stage.until(lambda: not stage.has_fault("bill", FaultCode.BILL_DISPENSER))
        await stage.gives_back() if stage.credit else None

    plays(scenario, link)


def test_a_recycler_that_pays_too_little_is_asked_again(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.bill(2_000)
        stage.breaks("bill", "dispense_short", 1)
        await stage.buys("B4")
        right(stage)
        assert stage.claimed == 0
        assert paid_bills(stage) == [(0, True), (1_000, True), (500, True)]

    plays(scenario, link)


def test_a_recycler_that_pays_too_much_is_flagged_and_booked_as_missing(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.bill(2_000)
        stage.breaks("bill", "dispense_extra", 1)
        await stage.buys("B4")
        assert stage.flags == ["payout paid too much"]
        assert stage.state.ledger.balance(acc.MISSING) == 1_000

    plays(scenario, link, allowance=Allowance(blind=True))


@pytest.mark.parametrize("after", [0, 1])
def test_a_recycler_that_resets_itself_in_a_payout_pays_the_rest_afterwards(
    after: int, link: Link
) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.bill(2_000)
        stage.breaks("bill", "dispense_reset_after", after)
        await stage.buys("B4")
        right(stage)
        assert stage.claimed == 0
        assert stage.flags == []
        assert stage.account.returned == 1_950

    plays(scenario, link)


def test_a_recycler_that_stands_still_is_cancelled_and_coins_pay(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.bill(500)
        stage.breaks("bill", "dispense_stall", True)
        await stage.gives_back()
        assert stage.spent - stage.claimed == 0
        stage.mends("bill", "dispense_stall")

    plays(scenario, link)


@pytest.mark.parametrize("mended", [True, False])
def test_a_recycler_that_stood_still_is_tried_again_where_nothing_else_can_pay(
    mended: bool, link: Link
) -> None:
    """Nobody's change hangs on it before it has paid again; a claim is worse than one more try."""

    async def scenario(stage: Stage) -> None:
        stage.breaks("bill", "dispense_stall", True)
        await stage.coins(200, 200, 100)
        await stage.gives_back()
        assert stage.claimed == 500
        assert stage.has_fault("bill", FaultCode.BILL_DISPENSER)
        if mended:
            stage.mends("bill", "dispense_stall")
        await stage.coins(200, 200, 200, 200, 200, 200, 200, 100)
        assert stage.has_fault("bill", FaultCode.BILL_DISPENSER), "it has not moved a bill since"
        await stage.gives_back()
        if mended:
            assert stage.claimed == 500
            assert paid_bills(stage) == [(0, True), (1_000, True), (500, True)]
            await stage.until(lambda: not stage.has_fault("bill", FaultCode.BILL_DISPENSER))
        else:
            assert stage.claimed == 2_000
            assert paid_bills(stage) == [(0, True), (0, True)]
            stage.mends("bill", "dispense_stall")
        assert stage.flags == []

    pulsed = with_mdb("changer", enabled=False).mdb.model_copy(update={"bill": SETTINGS.mdb.bill})
    coins = Pulse(pin=Pin(40, active_low=True, pull="up"), coins={1: 50, 2: 100, 4: 200})
    bare = SETTINGS.model_copy(update={"mdb": pulsed, "pulse": coins})
    play(scenario, link, settings=bare, plan=plan_for(bare))


def test_a_recycler_that_never_told_of_a_stacked_bill_pays_while_no_bill_would_be_taken(
    link: Link,
) -> None:
    """It is disabled then, and its dispenser is not: so no bill is in escrow."""

    async def scenario(stage: Stage) -> None:
        stage.breaks("bill", "weak_stacker", "lost")
        await stage.until(lambda: stage.world.insert_bill(2_000), within_s=10.0)
        await stage.until(lambda: stage.credit == 2_000, within_s=60.0)
        stage.mends("bill", "weak_stacker")
        await stage.gives_back()
        assert paid_bills(stage) == [(2_000, True)]
        assert stage.spent == stage.claimed == 0

    most = SETTINGS.policy.model_copy(update={"max_credit": 2_000, "multi_vend": True})
    full = SETTINGS.model_copy(update={"policy": most})
    play(scenario, link, settings=full, plan=plan())


def test_coins_pay_where_a_bill_in_escrow_keeps_the_recycler_from_it(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        stage.breaks("bill", "jam_on_stack")
        await stage.until(lambda: stage.world.insert_bill(2_000), within_s=10.0)
        await stage.until(lambda: stage.claimed == 2_000, within_s=120.0)
        await stage.coins(200, 200, 200)
        await stage.gives_back()
        assert stage.last.paid_back == 600
        assert stage.claimed == 2_000
        assert paid_bills(stage) == [(0, True), (0, True)]

    plays(scenario, link, judged=False)


def test_what_coins_can_pay_is_paid_before_the_rest_of_a_stuck_recyclers_debt_is_claimed(
    link: Link,
) -> None:
    async def scenario(stage: Stage) -> None:
        stage.breaks("bill", "jam_on_stack")
        await stage.until(lambda: stage.world.insert_bill(2_000), within_s=10.0)
        await stage.until(lambda: stage.claimed == 2_000, within_s=120.0)
        for value in (5, 10, 20, 50):
            stage.world.empty_tube(value)
        stage.world.empty_tube(100, 3)
        await stage.act(cmd.CountTubes())
        await stage.coins(200, 200, 200)
        await stage.gives_back()
        assert (stage.last.paid_back, stage.last.claimed) == (300, 300)

    plays(scenario, link, judged=False)


def test_a_recycler_that_dies_in_a_payout_is_asked_when_it_is_back(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.bill(2_000)
        stage.press("B4")
        await stage.until(lambda: stage.world.bill is not None and stage.world.bill.recycler.paying)
        stage.world.unplug("bill")
        await stage.passes(8.0)
        stage.world.plug("bill")
        await stage.closes()
        await stage.quiet()
        right(stage)
        assert stage.flags == []

    plays(scenario, link)


def test_a_recycler_that_is_gone_for_good_leaves_a_flagged_claim(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.bill(2_000)
        stage.press("B4")
        await stage.until(lambda: stage.world.bill is not None and stage.world.bill.recycler.paying)
        stage.world.unplug("bill")
        await stage.closes()
        await stage.quiet()
        right(stage)
        assert stage.claimed >= 1_000
        assert stage.flags == ["payout unknown"]

    plays(scenario, link, allowance=Allowance(blind=True))


def test_one_that_falls_silent_is_waited_for_until_the_deadline_of_its_debt(link: Link) -> None:
    """Which counts from the first order, and not from when it was missed (seed 989002767)."""

    async def scenario(stage: Stage) -> None:
        for value in (5, 10, 20, 50, 100):
            stage.world.empty_tube(value)
        await stage.bill(2_000)
        stage.press("*")
        await stage.until(lambda: "payout" in stage.intents)
        ordered_s = stage.loop.time()
        stage.breaks("bill", "silent", True)
        await stage.until(lambda: bool(stage.records("vend.closed")))
        deadline_s = SETTINGS.policy.refund_deadline_s
        assert stage.loop.time() - ordered_s < deadline_s + 1.0
        assert stage.claimed == 2_000
        assert len(stage.records("payout.finished")) > 1

    plays(scenario, link)


# -------------------------------------------------------------------------- kills, power cuts


def moments(stage: Stage) -> dict[str, Callable[[], bool]]:
    """Instants of a payout in bills."""
    bill = stage.world.bill
    assert bill is not None
    return {
        "intent": lambda: "payout" in stage.intents,
        "paying": lambda: bill.recycler.paying,
        "first bill out": lambda: held(stage)[TEN] == 14,
        "told": lambda: len(paid_bills(stage)) == 1,
        "second bill": lambda: held(stage)[FIVE] == 14,
    }


@pytest.mark.parametrize("moment", ["intent", "paying", "first bill out", "told", "second bill"])
@pytest.mark.parametrize("how", ["kill", "power"])
def test_an_end_in_a_payout_of_bills_pays_the_rest_once(how: str, moment: str, link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.bill(2_000)
        came = moments(stage)[moment]
        stage.press("B4")
        await stage.until(came)
        if how == "kill":
            await stage.kill()
        else:
            await stage.cut_power()
            await stage.passes_without(2.0)
            await stage.restore_power()
        await stage.opens()
        await stage.quiet()
        right(stage)
        assert stage.account.returned == 1_950
        assert stage.claimed == 0
        assert stage.flags == []

    plays(scenario, link)


@pytest.mark.parametrize("cause", ["after", "before"])
def test_a_validator_that_resets_while_it_recycles_a_bill_tells_by_its_counts(
    cause: str, link: Link
) -> None:
    async def scenario(stage: Stage) -> None:
        stage.breaks("bill", "reset_in_stack", cause)
        await stage.until(lambda: stage.world.insert_bill(500), within_s=10.0)
        await stage.until(lambda: bool(stage.records("bill.escrowed")))
        await stage.until(lambda: stage.state.escrow is None, within_s=120.0)
        await stage.quiet()
        assert stage.spent == stage.credit == (500 if cause == "after" else 0)
        assert held(stage)[FIVE] == (16 if cause == "after" else 15)
        assert stage.flags == []

    plays(scenario, link)


# ------------------------------------------------------------------------------- technicians


def test_what_staff_fill_take_and_collect_is_booked(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        bill = stage.world.bill
        assert bill is not None
        await stage.act(cmd.EnterService())
        bill.fill_recycler(FIVE, 2)
        bill.move_to_stacker(TEN)
        await stage.until(lambda: len(stage.records("bill.moved")) == 3)
        assert [data.how for data in stage.records("bill.moved")] == ["filled", "filled", "moved"]
        assert stage.state.ledger.balance(acc.CASH_RECYCLER) == 17 * 500 + 14 * 1_000
        taken = bill.empty_recycler()
        answer = await stage.act(cmd.Collect(0, 0, 0, taken))
        assert answer["recycler"] == {"counted": taken, "expected": taken}
        await stage.act(cmd.LeaveService())
        await stage.quiet()
        assert stage.state.recycler_bills() == [(FIVE, 500, 0), (TEN, 1_000, 0)]

    plays(scenario, link, judged=False)  # what was moved to the stacker is still there


def test_bills_that_vanish_while_nobody_looks_are_missing_at_the_next_start(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        bill = stage.world.bill
        assert bill is not None
        await stage.kill()
        taken = bill.empty_recycler()
        await stage.opens()
        assert stage.state.ledger.balance(acc.MISSING) == taken
        assert stage.state.ledger.balance(acc.CASH_RECYCLER) == 0

    plays(scenario, link)


def test_the_return_button_of_a_recycler_gives_the_money_back(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        bill = stage.world.bill
        assert bill is not None
        await stage.bill(500)
        bill.say(b"\x21")
        await stage.closes()
        await stage.quiet()
        assert stage.spent == 0

    plays(scenario, link)


def test_a_bill_that_comes_in_while_change_is_ordered_is_waited_for(link: Link) -> None:
    """The recycler ignores an order while a bill is on its way in."""

    async def scenario(stage: Stage) -> None:
        await stage.bill(1_000)
        await stage.until(lambda: stage.world.insert_bill(500), within_s=10.0)
        await stage.passes(0.3)  # it is being read when the money is wanted back
        await stage.gives_back()
        assert stage.spent == 0
        assert paid_bills(stage) == [(1_000, True)], "it was not asked in vain"

    plays(scenario, link, plan=plan(intake_s=3.0))


@pytest.mark.parametrize("recycling", [True, False])
def test_a_second_bill_of_one_type_that_came_while_nobody_ran_is_no_repeat(
    recycling: bool,
) -> None:
    """Without escrow both tell the same byte; the counts say that there are two bills."""
    drawn = plan(has_escrow=False)
    settings = SETTINGS if recycling else with_mdb("bill", recycle=())
    if not recycling:
        drawn = plan(has_escrow=False, level=1, options=0, recycles=(), recycled_before=())

    async def scenario(stage: Stage) -> None:
        await stage.bill(500)
        await stage.until(lambda: stage.world.insert_bill(500), within_s=10.0)
        await stage.kill()
        await stage.passes_without(3.0)  # it goes on its way all the same
        await stage.opens()
        await stage.quiet()
        assert stage.credit == stage.spent == 1_000
        assert stage.flags == []
        await stage.kill()
        await stage.opens()
        assert stage.credit == 1_000, "and the last one is no third"

    play(scenario, "native", settings=settings, plan=drawn)
