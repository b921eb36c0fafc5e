"""Bills that do not simply go through escrow into the stacker.

Field lessons 4 (temoto/vender#18: weak stacker motor, the note is taken and credit never given), 17
(PyramidTechnologies/Python-RS-232#5: only certain notes, only up to an amount) and 19
(cseg-michigan/chez-betty#260: a small shop with a validator alone).
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.domain import accounts as acc
from controller.domain import commands as cmd
from controller.faults import FaultCode
from controller.ports import DeviceName
from simulator.oracles import Allowance, check
from simulator.peripherals.bill_settings import AfterPowerUp, BillSpec
from simulator.plan import WorldPlan, bill_for, plan_for
from simulator.world import Link
from tests.scenarios.stage import SETTINGS, Stage, play, with_mdb, with_policy

BILL = "bill"


def plan(**bill: object) -> WorldPlan:
    """The demo's devices with another validator."""
    made = replace(bill_for("EUR"), **bill)  # type: ignore[arg-type]
    return replace(plan_for(SETTINGS), bill=made)


async def offer(stage: Stage, value: int) -> None:
    """The customer offers a bill until it is pulled in."""
    await stage.until(lambda: stage.world.insert_bill(value), within_s=10.0)


def offers(stage: Stage, value: int) -> bool:
    """The customer offers a bill; whether it is pulled in."""
    return stage.world.insert_bill(value)


async def right_after(stage: Stage, value: int) -> None:
    """The customer has, in all, what the bill was worth: credit, a claim, or the bill."""
    await stage.quiet()
    assert stage.spent - stage.credit - stage.claimed == 0
    assert stage.account.inserted == value


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


def test_a_bill_that_nobody_tells_and_nobody_counts_is_a_claim(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        stage.breaks(BILL, "weak_stacker", "uncounted")
        await offer(stage, 1000)
        await stage.until(lambda: stage.claimed == 1000, within_s=60.0)
        stage.mends(BILL, "weak_stacker")
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


@pytest.mark.parametrize("why", ["no change", "credit limit"])
def test_a_jam_is_seen_to_be_mended_where_no_bill_would_be_taken(why: str, link: Link) -> None:
    """One that we disabled for another reason could not tell that it is free again."""

    async def scenario(stage: Stage) -> None:
        bill = stage.world.bill
        assert bill is not None
        stage.breaks(BILL, "jam_on_stack")
        await offer(stage, 1000)
        await stage.until(lambda: stage.claimed == 1000, within_s=60.0)
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
        bill = stage.world.bill
        assert bill is not None
        stage.breaks(BILL, "jam_on_stack")
        await offer(stage, 1000)
        await stage.until(lambda: stage.claimed == 1000, within_s=60.0)
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


@pytest.mark.parametrize("takes", [True, False])
@pytest.mark.parametrize("into", ["technician", "stacker"])
def test_a_bill_that_comes_before_the_freed_one_was_asked_after_is_not_taken_for_it(
    into: str, takes: bool, link: Link
) -> None:
    """It is in escrow when the count of the stacker tells where the one before it went."""

    async def scenario(stage: Stage) -> None:
        bill = stage.world.bill
        assert bill is not None
        stage.breaks(BILL, "jam_on_stack")
        await offer(stage, 1000)
        await stage.until(lambda: stage.claimed == 1000, within_s=60.0)
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


# -------------------------------------------------------------------- surprises in escrow


def test_a_bill_that_returns_although_it_was_to_be_stacked_is_no_credit(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        stage.breaks(BILL, "return_when_stacking")
        await offer(stage, 1000)
        await stage.until(lambda: stage.account.returned == 1000)
        await right_after(stage, 1000)
        assert stage.credit == 0

    play(scenario, link)


def test_a_bill_that_is_stacked_although_it_was_to_return_is_credit(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        bill = stage.world.bill
        assert bill is not None
        stage.breaks(BILL, "stack_when_returning")
        await offer(stage, 1000)
        await stage.passes(0.9)
        bill.mute(0.8)  # it is in escrow before anybody hears of it
        await stage.passes(0.2)
        await stage.coins(200)  # together they are too much
        await stage.until(lambda: bool(stage.records("bill.stacked")))
        assert stage.records("bill.return_intended")
        assert stage.credit == 1200
        await stage.buys("A3")
        assert stage.spent - stage.claimed == 200

    play(scenario, link, settings=with_policy(max_credit=1100))


def test_a_bill_pulled_out_by_force_is_no_credit(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        bill = stage.world.bill
        assert bill is not None
        stage.breaks(BILL, "weak_stacker", "held")
        await offer(stage, 1000)
        await stage.until(lambda: bill.in_escrow)
        await stage.passes(3.0)
        assert bill.pull_from_escrow()
        stage.mends(BILL, "weak_stacker")
        await right_after(stage, 1000)
        assert stage.credit == 0

    play(scenario, link)


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_validator_that_resets_itself_while_it_stacks(moment: str, link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        stage.breaks(BILL, "reset_in_stack", moment)
        await offer(stage, 1000)
        await stage.until(
            lambda: bool(stage.records("bill.stacked") or stage.records("bill.returned")),
            within_s=60.0,
        )
        await right_after(stage, 1000)
        assert stage.credit == (1000 if moment == "after" else 0)
        assert stage.claimed == 0

    play(scenario, link)


@pytest.mark.parametrize("after", list(AfterPowerUp))
@pytest.mark.parametrize("late_s", [0.9, 1.05, 1.2, 1.5, 2.0, 2.3, 2.6])
def test_a_power_cut_around_the_stacking_of_a_bill(
    after: AfterPowerUp, late_s: float, link: Link
) -> None:
    """In escrow, half stacked, stacked and not told: the stacker's count decides.

    A bill that no poll had told of, and that the validator stacks by itself when the power is
    back, has no known value: a person is asked to look.
    """

    async def scenario(stage: Stage) -> None:
        await offer(stage, 1000)
        await stage.passes(late_s)
        await stage.cut_power()
        await stage.passes_without(2.0)
        await stage.restore_power()
        await stage.passes_without(3.0)
        await stage.opens()
        await stage.quiet()
        if not stage.records("bill.escrowed") and after is AfterPowerUp.STACK:
            assert stage.flags == ["bills in the stacker that no record explains"]
        else:
            await right_after(stage, 1000)
            assert stage.claimed == 0
            assert check(stage) == []
        await stage.stop()

    play(scenario, link, plan=plan(after_power_up=after), ends=False)


@pytest.mark.parametrize("late_s", [0.5, 0.95, 1.0, 1.05, 1.2, 1.5, 2.0, 2.3, 2.6])
def test_a_kill_around_the_stacking_of_a_bill(late_s: float, link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await offer(stage, 1000)
        await stage.passes(late_s)
        await stage.kill()
        await stage.passes_without(2.0)
        await stage.opens()
        await right_after(stage, 1000)
        assert stage.claimed == 0

    play(
        scenario, link, allowance=Allowance(lost_answer=1000) if link == "adapter" else Allowance()
    )


# --------------------------------------------------------------------------- what is taken


def test_a_bill_that_cannot_be_changed_goes_back(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        for value in (5, 10, 20, 50, 100):
            stage.world.empty_tube(value)
        await stage.act(cmd.CountTubes())
        await stage.passes(2.0)
        assert not offers(stage, 500), "no price fits it: it is not even pulled in"
        assert stage.spent == 0

    play(scenario, link)


def test_a_bill_whose_change_went_while_it_was_pulled_in_goes_back(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.coins(100, 50)
        await offer(stage, 2000)
        stage.press("A1")
        await stage.closes()
        await stage.quiet()
        assert stage.products == ["water"]
        assert stage.spent - stage.credit - stage.claimed == 150

    play(scenario, link)


def test_only_the_notes_that_the_owner_takes_and_only_up_to_his_amount(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.until(lambda: stage.world.insert_bill(5000))
        await stage.passes(4.0)
        assert stage.account.returned == 5000, "the validator knows it, the owner does not take it"
        assert stage.world.insert_bill(2000)
        await stage.passes(4.0)
        assert stage.account.returned == 7000, "more than the largest that is taken"
        await stage.bill(1000)
        await stage.buys("B2")
        assert stage.spent == 240

    play(scenario, link, settings=with_mdb("bill", accept=(500, 1000, 2000), max_value=1000))


def test_bills_beyond_the_largest_credit_stay_out(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.bill(1000)
        await stage.passes(1.0)
        assert stage.world.insert_bill(1000)
        await stage.passes(4.0)
        assert stage.credit == 1000
        assert stage.account.returned == 1000
        await stage.gives_back()
        assert stage.spent - stage.claimed == 0

    play(scenario, link, settings=with_policy(max_credit=1500))


def test_an_unreadable_bill_and_odd_bytes_are_no_credit_and_no_trouble(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        stage.breaks(BILL, "rejects")
        await offer(stage, 1000)
        await stage.until(lambda: stage.account.returned == 1000)
        stage.breaks(BILL, "undefined_byte", 2)
        await stage.bill(500)
        await stage.buys("B2")
        assert stage.spent == 240

    play(scenario, link)


@pytest.mark.parametrize("odd", ["deaf_to_acks", "lost_answers", "repeated_items", "bad_checksums"])
@pytest.mark.parametrize("times", [1, 3])
def test_a_bill_whose_report_or_ack_is_lost_counts_once(odd: str, times: int, link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        stage.breaks(BILL, odd, times)
        await offer(stage, 500)
        await stage.until(lambda: stage.credit == 500, within_s=120.0)
        await stage.passes(3.0)
        assert stage.credit == 500
        await stage.buys("B2")
        assert stage.spent == 240

    play(scenario, link)


def test_a_validator_without_escrow_stacks_at_once(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.bill(500)
        await stage.buys("B2")
        assert stage.spent == 240

    play(scenario, link, plan=plan(has_escrow=False))


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


# ---------------------------------------------------------------- a small shop's profile (19)


def test_a_machine_with_a_validator_alone_takes_only_bills_that_fit_a_price(link: Link) -> None:
    settings = with_mdb("changer", enabled=False)
    settings = settings.model_copy(
        update={
            "mdb": settings.mdb.model_copy(
                update={"cashless1": settings.mdb.cashless1.model_copy(update={"enabled": False})}
            )
        }
    )
    made = replace(bill_for("EUR"), scaling=5, bills=(BillSpec(150), BillSpec(500)))

    async def scenario(stage: Stage) -> None:
        await stage.until(lambda: stage.world.insert_bill(500))
        await stage.passes(4.0)
        assert stage.account.returned == 500, "nothing here costs that, and nobody gives change"
        await stage.bill(150)
        await stage.buys("A1")
        assert stage.products == ["water"]
        assert stage.spent == 150

    play(
        scenario,
        link,
        settings=settings.model_copy(
            update={
                "mdb": settings.mdb.model_copy(
                    update={"bill": settings.mdb.bill.model_copy(update={"accept": None})}
                )
            }
        ),
        plan=WorldPlan(bill=made),
    )


def test_the_stacker_account_follows_the_bills(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.bill(500)
        assert stage.state.ledger.balance(acc.CASH_STACKER) == 500
        assert stage.state.ledger.balance(acc.CASH_ESCROW) == 0
        await stage.gives_back()

    play(scenario, link)


@pytest.mark.parametrize(
    "habit",
    [
        {"level": 2},
        {"reports_disabled": False},
        {"reports_busy": False},
        {"reports_reset_return": True},
        {"setup_values": 16},
        {"scaling": 5, "decimals": 0, "bills": (BillSpec(500), BillSpec(1000))},
        {"scaling": 100},
        {"has_escrow": False, "reports_disabled": False},
        {"intake_s": 0.1, "stack_s": 0.1, "return_s": 0.1},
        {"stack_s": 25.0},
        {"response_s": 0.0048},
        {"boot_s": 3.0},
    ],
    ids="-".join,
)
def test_validators_with_habits_of_their_own_take_and_give_back(
    habit: dict[str, object], link: Link
) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.until(lambda: DeviceName.BILL in ready(stage), within_s=30.0)
        await stage.bill(500)
        await stage.buys("B2")
        assert stage.spent == 240
        stage.breaks(BILL, "resets")
        await stage.passes(10.0)
        await stage.bill(1000)
        await stage.gives_back()
        assert stage.spent - stage.claimed == 240

    play(scenario, link, plan=plan(**habit))


def ready(stage: Stage) -> set[DeviceName]:
    """What devices work."""
    assert stage.running is not None
    return set(stage.running.machine.desk.live.ready)


def test_a_validator_of_another_currency_takes_nothing_and_coins_sell(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.until(lambda: stage.has_fault(BILL, FaultCode.DEVICE_UNSUITABLE))
        assert not offers(stage, 500)
        await stage.coins(50)
        await stage.buys("B4")
        assert stage.spent == 50
        assert stage.faults_raised(BILL) == 1

    play(scenario, link, plan=plan(currency=0x1840))
