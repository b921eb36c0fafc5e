"""Stackers that are weak, jam, are full or have bills that nobody told of.

Field lesson 4 (temoto/vender#18: weak stacker motor, the note is taken and credit never given).
"""

from __future__ import annotations

import pytest

from controller.domain import accounts as acc
from controller.domain import commands as cmd
from controller.faults import FaultCode
from simulator.peripherals.bill import SimBill
from simulator.world import Link
from tests.scenarios.bill_kit import BILL, offer, offers, plan, right_after
from tests.scenarios.stage import Stage, play, with_mdb, with_policy

# ------------------------------------------------------------------- the weak stacker (4)


def test_a_stacked_bill_that_is_never_told_is_an_alarm_and_then_credit_by_the_count(
    link: Link,
) -> None:
    async def scenario(stage: Stage) -> None:
        stage.breaks(BILL, "weak_stacker", "lost")
        await offer(stage, 1000)
        await stage.until(lambda: stage.has_fault(BILL, FaultCode.BILL_STUCK_IN_ESCROW))
        await stage.until(lambda: stage.credit == 1000, within_s=120.0)
        await stage.until(lambda: not stage.has_fault(BILL, FaultCode.BILL_STUCK_IN_ESCROW))
        stage.mends(BILL, "weak_stacker")
        await stage.bill(500)
        assert stage.faults_raised(BILL) == 1

    play(scenario, link)


async def goes_unseen(stage: Stage) -> None:
    """A bill leaves escrow, and nobody tells or counts it: its customer gets a claim."""
    stage.breaks(BILL, "weak_stacker", "uncounted")
    await offer(stage, 1000)
    await stage.until(lambda: stage.claimed == 1000, within_s=60.0)
    stage.mends(BILL, "weak_stacker")


def test_a_bill_that_nobody_tells_and_nobody_counts_is_a_claim(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await goes_unseen(stage)
        await stage.quiet()
        assert stage.credit == 0
        assert not offers(stage, 500), "nothing goes where a bill is stuck"
        # A technician finds it in the stacker, and nothing in escrow.
        await stage.act(cmd.EnterService())
        await stage.act(cmd.Collect(cashbox=0, stacker=1000, bills=0))
        stage.world.truth.empty("stacker", "technician")
        await stage.act(cmd.LeaveService())
        await stage.passes(5.0)
        await stage.bill(500)
        await stage.buys("B2")
        assert stage.claimed == 1000
        assert stage.spent == 1240

    play(scenario, link)


def test_bills_are_taken_again_behind_one_that_left_escrow_without_a_word(link: Link) -> None:
    """Its validator says that none is there; when no word of it can come any more, it is out."""

    async def scenario(stage: Stage) -> None:
        await goes_unseen(stage)
        await stage.passes(25.0)
        assert stage.state.escrow is not None, "a word may come yet"
        assert not offers(stage, 500)
        await stage.until(lambda: stage.state.escrow is None, within_s=10.0)
        assert stage.state.ledger.balance(acc.MISSING) == 1000
        assert stage.flags == ["bill in escrow unknown"]
        assert not stage.has_fault(BILL, FaultCode.BILL_STUCK_IN_ESCROW)
        await stage.passes(1.0)
        await stage.bill(500)
        await stage.buys("B2")
        # A technician finds two bills in the stacker, one that nobody knew of.
        bill = stage.world.bill
        assert bill is not None
        await stage.act(cmd.EnterService())
        assert bill.remove_cashbox() == 1500
        await stage.until(lambda: stage.has_fault(BILL, FaultCode.BILL_CASHBOX_OUT))
        bill.insert_cashbox()
        box = stage.world.truth.empty("cashbox", "technician")
        await stage.act(cmd.Collect(cashbox=box, stacker=1500, bills=1))
        await stage.act(cmd.LeaveService())
        await stage.passes(5.0)
        assert stage.claimed == 1000
        assert stage.spent == 1240

    play(scenario, link)


def hears_one_order_unanswered(stage: Stage) -> None:
    """The next ESCROW is carried out, and its ACK is lost: it is repeated, to no bill."""
    bill = stage.world.bill
    assert bill is not None
    before, left = bill.on_command, 1

    def look(command: bytes) -> None:
        nonlocal left
        if before is not None:
            before(command)
        if command[0] == 0x35 and left:
            left -= 1
            stage.breaks(BILL, "lost_answers", 1)

    bill.on_command = look


def test_a_bill_that_is_counted_before_it_is_told_is_one_bill(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        stage.breaks(BILL, "weak_stacker", "late")
        stage.breaks(BILL, "weak_late_s", 10.0)
        hears_one_order_unanswered(stage)
        await offer(stage, 1000)
        await stage.until(lambda: stage.credit > 0, within_s=60.0)
        assert stage.records("bill.stacked")[0].proof == "counted"
        stage.mends(BILL, "weak_stacker")
        await stage.passes(20.0)
        assert (stage.credit, stage.state.stacker) == (1000, 1)
        await stage.bill(1000)  # another one is
        await stage.gives_back()

    play(scenario, link)


def test_a_late_report_pays_nobody_twice(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        stage.breaks(BILL, "weak_stacker", "late")
        stage.breaks(BILL, "weak_late_s", 100.0)
        stage.breaks(BILL, "stacker_error", -1)  # nor does it count the bill before it tells
        await offer(stage, 1000)
        await stage.until(lambda: stage.claimed == 1000, within_s=120.0)
        stage.mends(BILL, "stacker_error")
        stage.mends(BILL, "weak_stacker")
        await stage.until(lambda: bool(stage.records("bill.stacked")), within_s=120.0)
        await stage.passes(40.0)
        assert stage.credit == 0
        assert stage.claimed == 1000
        assert not stage.has_fault(BILL, FaultCode.BILL_STUCK_IN_ESCROW)
        assert stage.spent == 1000

    play(scenario, link)


def test_a_bill_that_the_motor_does_not_move_comes_back_or_is_claimed(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        stage.breaks(BILL, "weak_stacker", "held")
        await offer(stage, 1000)
        await stage.until(lambda: stage.account.returned == 1000, within_s=120.0)
        stage.mends(BILL, "weak_stacker")
        await right_after(stage, 1000)
        assert stage.claimed == 0
        await stage.bill(1000)
        await stage.gives_back()
        assert stage.spent == stage.claimed

    play(scenario, link)


@pytest.mark.parametrize("fault", ["jam_on_stack", "jam_on_return"])
@pytest.mark.parametrize("restart", ["no", "kill", "power"])
def test_a_bill_that_jams_becomes_a_claim_and_the_mended_machine_takes_bills_again(
    fault: str, restart: str, link: Link
) -> None:
    async def scenario(stage: Stage) -> None:
        bill = stage.world.bill
        assert bill is not None
        stage.breaks(BILL, fault)
        if fault == "jam_on_return":
            stage.breaks(BILL, "weak_stacker", "held")
        await offer(stage, 1000)
        await stage.until(lambda: stage.has_fault(BILL, FaultCode.BILL_JAM))
        stage.mends(BILL, "weak_stacker")
        if restart == "kill":
            await stage.kill()
        elif restart == "power":
            await stage.cut_power()
            await stage.restore_power()
        if restart != "no":
            await stage.opens()
        await stage.until(lambda: stage.claimed == 1000, within_s=60.0)
        await stage.passes(30.0)
        assert stage.has_fault(BILL, FaultCode.BILL_JAM)
        assert stage.faults_raised(BILL, FaultCode.BILL_JAM) == 1 + (restart == "power")
        assert not offers(stage, 500)
        bill.clear_jam("technician")
        await stage.until(lambda: not stage.has_fault(BILL, FaultCode.BILL_JAM))
        await stage.passes(2.0)
        assert stage.state.ledger.balance(acc.MISSING) == 1000, "the technician has it in hand"
        await stage.bill(500)
        await stage.buys("B2")
        assert stage.spent == 1240
        assert stage.claimed == 1000

    play(scenario, link)


async def jams(stage: Stage) -> SimBill:
    """A bill jams on its way to the stacker, and its customer gets a claim."""
    bill = stage.world.bill
    assert bill is not None
    stage.breaks(BILL, "jam_on_stack")
    await offer(stage, 1000)
    await stage.until(lambda: stage.claimed == 1000, within_s=60.0)
    return bill


@pytest.mark.parametrize("why", ["no change", "credit limit"])
def test_a_jam_is_seen_to_be_mended_where_no_bill_would_be_taken(why: str, link: Link) -> None:
    """One that we disabled for another reason could not tell that it is free again."""

    async def scenario(stage: Stage) -> None:
        bill = await jams(stage)
        if why == "no change":
            for value in (5, 10, 20, 50, 100):
                stage.world.empty_tube(value)
            await stage.act(cmd.CountTubes())
        else:
            await stage.coins(200, 200, 200)
        await stage.passes(5.0)
        assert stage.has_fault(BILL, FaultCode.BILL_JAM)
        missing = stage.state.ledger.balance(acc.MISSING)
        bill.clear_jam("technician")
        await stage.until(lambda: stage.state.escrow is None, within_s=3.0)
        assert not stage.has_fault(BILL, FaultCode.BILL_JAM)
        assert stage.state.ledger.balance(acc.MISSING) == missing + 1000
        await stage.passes(1.0)
        assert not offers(stage, 500), why
        if why == "credit limit":
            await stage.gives_back()

    play(scenario, link, settings=with_policy(max_credit=1000))


def test_a_jam_is_seen_to_be_mended_when_the_owner_takes_bills_no_more(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        bill = await jams(stage)
        await stage.kill()
        stage.settings = with_mdb("bill", max_value=100)
        await stage.opens()
        await stage.passes(5.0)
        assert stage.has_fault(BILL, FaultCode.BILL_JAM)
        bill.clear_jam("technician")
        await stage.until(lambda: stage.state.escrow is None, within_s=3.0)
        await stage.passes(1.0)
        assert not offers(stage, 500)

    play(scenario, link)


def test_a_jam_is_seen_to_be_mended_while_the_machine_has_shut_itself(link: Link) -> None:
    """Whoever got the bill back had the claim for days as well (swarm, seed 990001825)."""

    async def scenario(stage: Stage) -> None:
        bill = await jams(stage)
        stage.breaks("A3", "jam")
        await stage.coins(200)
        await stage.buys("A3")
        await stage.until(lambda: stage.has_fault("machine", FaultCode.MACHINE_REFUNDS))
        await stage.quiet()
        missing = stage.state.ledger.balance(acc.MISSING)
        bill.clear_jam("technician")
        await stage.until(lambda: stage.state.escrow is None, within_s=3.0)
        assert stage.state.ledger.balance(acc.MISSING) == missing + 1000
        await stage.passes(1.0)
        assert not offers(stage, 500)

    play(scenario, link, settings=with_policy(machine_refunds_max=1))


@pytest.mark.parametrize("takes", [True, False])
@pytest.mark.parametrize("into", ["technician", "stacker"])
def test_a_bill_that_comes_before_the_freed_one_was_asked_after_is_not_taken_for_it(
    into: str, takes: bool, link: Link
) -> None:
    """It is in escrow when the count of the stacker tells where the one before it went."""

    async def scenario(stage: Stage) -> None:
        bill = await jams(stage)
        if not takes:
            await stage.coins(200, 200, 200)
        await stage.passes(5.0)
        missing = stage.state.ledger.balance(acc.MISSING)
        bill.clear_jam(into)
        assert offers(stage, 500)
        stage.breaks(BILL, "silent_commands", 3)  # and so is the first question for the count
        await stage.passes(40.0)
        assert stage.state.escrow is None
        assert stage.state.ledger.balance(acc.MISSING) == missing + 1000
        assert stage.claimed == 1000
        assert stage.credit == (500 if takes else 600)
        assert stage.flags == (
            ["bills in the stacker that no record explains"] if into == "stacker" else []
        )
        assert not stage.has_fault(BILL, FaultCode.BILL_STUCK_IN_ESCROW)

    play(
        scenario,
        link,
        settings=with_policy(max_credit=1000),
        plan=plan(intake_s=0.1),
        judged=into != "stacker",
    )


# ---------------------------------------------------------------------- the stacker itself


def test_a_full_stacker_takes_no_more_bills_until_it_is_emptied(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        bill = stage.world.bill
        assert bill is not None
        await stage.bill(500)
        await stage.until(lambda: stage.has_fault(BILL, FaultCode.BILL_STACKER_FULL))
        await stage.passes(30.0)
        assert not offers(stage, 500)
        assert stage.faults_raised(BILL, FaultCode.BILL_STACKER_FULL) == 1
        await stage.buys("B2")
        box = stage.world.truth.value("cashbox")
        assert bill.remove_cashbox() == 500
        await stage.until(lambda: stage.has_fault(BILL, FaultCode.BILL_CASHBOX_OUT))
        bill.insert_cashbox()
        await stage.act(cmd.Collect(cashbox=box, stacker=500, bills=1))
        stage.world.truth.empty("cashbox", "technician")
        await stage.until(lambda: not stage.has_fault(BILL, FaultCode.BILL_STACKER_FULL))
        await stage.until(lambda: not stage.has_fault(BILL, FaultCode.BILL_CASHBOX_OUT))
        await stage.bill(500)
        await stage.buys("B2")
        assert stage.spent == 480
        assert stage.flags == []

    play(scenario, link, plan=plan(stacker_capacity=1))


@pytest.mark.parametrize(
    ("broken", "code"), [("motor", FaultCode.BILL_MOTOR), ("sensor", FaultCode.BILL_SENSOR)]
)
def test_a_broken_validator_is_one_incident_and_coins_still_sell(
    broken: str, code: FaultCode, link: Link
) -> None:
    async def scenario(stage: Stage) -> None:
        stage.breaks(BILL, "broken", broken)
        await stage.until(lambda: stage.has_fault(BILL, code))
        await stage.passes(60.0)
        assert stage.faults_raised(BILL) == 1
        await stage.coins(100, 50)
        await stage.buys("A1")
        stage.mends(BILL, "broken")
        await stage.until(lambda: not stage.has_fault(BILL, code))
        await stage.bill(500)
        await stage.buys("B2")
        assert stage.spent == 390

    play(scenario, link)


def test_bills_that_no_record_explains_are_flagged_not_credited(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        stage.breaks(BILL, "stacker_error", 2)
        await stage.bill(500)
        await stage.passes(5.0)
        assert stage.credit == 500
        stage.mends(BILL, "stacker_error")
        await stage.buys("B2")
        assert stage.spent == 240

    play(scenario, link)


def test_a_bill_that_was_taken_out_of_a_jam_is_not_called_stuck_later(link: Link) -> None:
    """No result of its stacking will ever come, and nobody waits for one."""

    async def scenario(stage: Stage) -> None:
        stage.breaks(BILL, "jam_on_stack")
        await offer(stage, 1000)
        await stage.until(lambda: stage.claimed == 1000, within_s=60.0)
        assert stage.world.bill is not None
        stage.world.bill.clear_jam()
        await stage.until(lambda: stage.state.escrow is None, within_s=30.0)
        await stage.passes(60.0)
        assert not stage.has_fault(BILL, FaultCode.BILL_STUCK_IN_ESCROW)
        assert not stage.has_fault(BILL, FaultCode.BILL_JAM)

    play(scenario, link, judged=False)
