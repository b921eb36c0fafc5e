"""Bills that were in the stacker at the first start: counted, of unknown value, and no loss."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from controller.api import views
from controller.domain import accounts as acc
from controller.domain import commands as cmd
from controller.faults import FaultCode
from controller.machine.service import RunningService
from simulator.clock import run_virtual
from simulator.plan import WorldPlan, plan_for
from simulator.truth import STACKER
from simulator.world import Link
from tests.scenarios.stage import SETTINGS, Stage, play

UNCOUNTED = f"bill {FaultCode.BILL_UNCOUNTED.value}"


def plan(before: int = 3) -> WorldPlan:
    """A validator that stood elsewhere before, and nobody emptied it."""
    made = plan_for(SETTINGS)
    assert made.bill is not None
    return replace(made, bill=replace(made.bill, stacked_before=before))


async def empties(stage: Stage) -> int:
    """A technician takes the stacker's bills out; returns their value."""
    bill = stage.world.bill
    assert bill is not None
    taken = bill.remove_cashbox()
    bill.insert_cashbox()
    return taken


def balance(stage: Stage, account: str) -> int:
    return stage.state.ledger.balance(account)


@pytest.mark.parametrize("end", ["none", "kill", "power cut"])
def test_they_are_an_opening_balance_once_a_collection_has_counted_them(
    end: str, link: Link
) -> None:
    async def scenario(stage: Stage) -> None:
        old = stage.world.truth.value(STACKER)
        assert old > 0
        assert stage.state.faults.keys() == {UNCOUNTED}
        assert stage.state.faults[UNCOUNTED].startswith("3 in the stacker at the first start")
        await stage.bill(500)
        await stage.buys("B2")
        match end:
            case "kill":
                await stage.kill()
                await stage.opens()
            case "power cut":
                await stage.cut_power()
                await stage.restore_power()
                await stage.opens()
        assert UNCOUNTED in stage.state.faults
        assert stage.running is not None
        status = views.status(RunningService(stage.running.machine, "vendd 0"))
        assert (status["cash"]["bills"], status["cash"]["bills_unknown"]) == (4, 3)
        operator = balance(stage, acc.OPERATOR)
        await stage.act(cmd.EnterService())
        taken = await empties(stage)
        assert taken == old + 500
        said = await stage.act(cmd.Collect(cashbox=0, stacker=taken, bills=4))
        assert said["difference"] == 0
        assert said["stacker"] == {"counted": taken, "expected": 500, "opening": old}
        await stage.act(cmd.LeaveService())
        await stage.quiet()
        assert UNCOUNTED not in stage.state.faults
        assert (balance(stage, acc.UNCLAIMED), balance(stage, acc.MISSING)) == (0, 0)
        assert balance(stage, acc.OPERATOR) == operator + 500, "he took the old ones he had put in"
        assert stage.flags == []

    play(scenario, link, plan=plan())


def test_they_are_no_less_counted_when_their_validator_has_told_that_they_are_gone(
    link: Link,
) -> None:
    """Whoever took them counts them later, in an office."""

    async def scenario(stage: Stage) -> None:
        await stage.bill(500)
        await stage.buys("B2")
        await stage.act(cmd.EnterService())
        taken = await empties(stage)
        await stage.act(cmd.LeaveService())
        await stage.kill()
        await stage.opens()
        assert (stage.state.stacker, stage.state.stacker_unknown) == (0, 3)
        said = await stage.act(cmd.Collect(cashbox=0, stacker=taken, bills=4))
        assert said["difference"] == 0
        assert UNCOUNTED not in stage.state.faults
        assert (stage.state.stacker, stage.state.stacker_unknown) == (0, 0)
        await stage.bill(500)
        await stage.buys("B2")
        await stage.kill()
        await stage.opens()
        assert stage.state.stacker == 1
        assert stage.flags == []

    play(scenario, link, plan=plan())


def test_a_collection_without_bills_leaves_them_uncounted(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.act(cmd.Collect(cashbox=0, stacker=0, bills=0))
        assert UNCOUNTED in stage.state.faults
        said = await stage.act(cmd.Collect(cashbox=0, stacker=500, bills=1))
        assert said["stacker"]["opening"] == 500
        assert UNCOUNTED in stage.state.faults
        assert stage.state.stacker_unknown == 2

    play(scenario, link, plan=plan(), judged=False)


def test_less_than_booked_is_missing_all_the_same(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.bill(500)
        await stage.buys("B2")
        said = await stage.act(cmd.Collect(cashbox=0, stacker=400, bills=4))
        assert said["difference"] == -100
        assert balance(stage, acc.MISSING) == 100

    play(scenario, link, plan=plan(), judged=False)


def test_what_comes_later_is_a_surplus_as_ever(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        assert stage.state.faults == {}
        await stage.act(cmd.Collect(cashbox=0, stacker=500, bills=1))
        assert balance(stage, acc.UNCLAIMED) == -500

    play(scenario, link, plan=plan(0), judged=False)


@pytest.mark.parametrize("before", [1, 3])
def test_a_bill_that_is_found_in_escrow_at_the_first_start_is_none_of_the_stacker(
    before: int, link: Link
) -> None:
    """The validator came from elsewhere, one bill in its stacker and another one in escrow."""

    async def found() -> None:
        stage = Stage(SETTINGS, link=link, plan=plan(before))
        bill = stage.world.bill
        assert bill is not None
        await asyncio.sleep(2.0)
        bill.accepted = bill.escrowed = 0x0F
        assert bill.insert_bill(500)
        await asyncio.sleep(2.0)
        await stage.opens()
        await stage.quiet()
        assert stage.account.returned == 500
        assert (stage.credit, stage.state.stacker) == (0, before)
        assert [record.proof for record in stage.records("bill.returned")] == ["counted"]
        await stage.stop()

    run_virtual(found())
