"""A machine whose cash devices speak ccTalk: whole, in virtual time, under kills and cuts."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from config.machine import MachineSettings
from config.models import CcTalk, CcTalkAcceptor, CcTalkBill, CcTalkHopper, Tokens
from controller.api import views
from controller.domain import accounts as acc
from controller.domain import commands as cmd
from controller.faults import FaultCode
from controller.machine.inputs import CommandRefused
from drivers.cctalk.headers import Header
from simulator.oracles import check
from simulator.truth import CASHBOX, STACKER, tube
from tests.scenarios.stage import SETTINGS, Stage, play

LINE = CcTalk(
    port=Path("/nonexistent/cctalk"),
    acceptor=CcTalkAcceptor(accept=(10, 20, 50, 100, 200)),
    hoppers=(
        CcTalkHopper(address=3, value=100, content=300, path=1),
        CcTalkHopper(address=4, value=20, content=60),
        CcTalkHopper(address=5, value=10, content=60),
    ),
    bill=CcTalkBill(max_value=2_000),
)


def machine(**changes: object) -> MachineSettings:
    """The demo machine, its changer and validator replaced; the card reader stays on the MDB."""
    mdb = SETTINGS.mdb
    off = {
        "changer": mdb.changer.model_copy(update={"enabled": False}),
        "bill": mdb.bill.model_copy(update={"enabled": False}),
    }
    return SETTINGS.model_copy(
        update={
            "mdb": mdb.model_copy(update=off),
            "cctalk": LINE.model_copy(update=changes),
        }
    )


MACHINE = machine()


def paying(stage: Stage) -> bool:
    line = stage.world.cctalk
    assert line is not None
    return any(hopper.remaining for hopper in line.hoppers)


def right(stage: Stage, *, spent: int = 150) -> None:
    """The customer has water, paid its price, and the books are the cash."""
    assert stage.products == ["water"]
    assert (stage.spent, stage.credit, stage.claimed) == (spent, 0, 0)
    assert check(stage) == []
    assert stage.flags == []


def test_coins_buy_and_change_falls_from_hoppers() -> None:
    async def scenario(stage: Stage) -> None:
        await stage.coins(200, 100)
        await stage.buys("A1")
        right(stage)
        assert stage.last.paid_back == 150
        truth = stage.world.truth
        assert truth.value(CASHBOX) == 200
        assert truth.count(tube(15)) == 300  # one in by the sorter, one out
        assert stage.records("payout.finished")[0].proof == "both"

    play(scenario, settings=MACHINE)


def test_a_bill_buys_and_is_changed_from_hoppers() -> None:
    async def scenario(stage: Stage) -> None:
        await stage.bill(1_000)
        await stage.buys("A1")
        right(stage)
        assert stage.world.truth.value(STACKER) == 1_000
        assert stage.last.paid_back == 850

    play(scenario, settings=MACHINE)


def test_a_bill_that_waits_for_its_vend_is_held_on_for_minutes() -> None:
    policy = MACHINE.policy.model_copy(update={"escrow": "hold"})

    async def scenario(stage: Stage) -> None:
        line = stage.world.cctalk
        assert line is not None
        assert line.bill is not None
        await stage.until(lambda: stage.world.insert_bill(500))
        await stage.passes(120.0)
        assert stage.world.truth.count(STACKER) == 0
        assert "5.00" in stage.screen
        await stage.buys("A1")
        right(stage)
        assert stage.world.truth.count(STACKER) == 1

    play(scenario, settings=MACHINE.model_copy(update={"policy": policy}))


@pytest.mark.parametrize("killed", [False, True])
def test_a_bill_that_jammed_on_its_way_and_is_owed_goes_there_when_the_jam_is_mended(
    killed: bool,
) -> None:
    """It would stay in escrow for good otherwise, and no other could come."""

    async def scenario(stage: Stage) -> None:
        line = stage.world.cctalk
        assert line is not None
        assert line.bill is not None
        await stage.until(lambda: stage.world.insert_bill(500))
        await stage.until(lambda: stage.state.escrow is not None)
        line.bill.faults.jam = True
        stage.press("A1")
        await stage.until(lambda: stage.claimed == 500, within_s=120.0)
        assert stage.world.truth.count(STACKER) == 0
        if killed:
            await stage.kill()
            await stage.boot()
        line.bill.faults.jam = False
        await stage.until(lambda: stage.state.escrow is None, within_s=60.0)
        await stage.quiet()
        assert stage.world.truth.count(STACKER) == 1
        assert (stage.credit, stage.claimed, stage.flags, stage.products) == (0, 500, [], [])
        await stage.bill(1_000)  # and the next one is taken

    play(scenario, settings=MACHINE)


@pytest.mark.parametrize("counts", [True, False])
def test_a_power_cut_with_a_bill_in_escrow_loses_nobody_a_bill(counts: bool) -> None:
    """With accept counters it is known to be out; without them nobody knows, and a person looks."""

    async def scenario(stage: Stage) -> None:
        line = stage.world.cctalk
        assert line is not None
        assert line.bill is not None
        line.bill.settings = replace(line.bill.settings, counts=counts)
        await stage.until(lambda: stage.world.insert_bill(500))
        await stage.until(lambda: stage.state.escrow is not None)
        await stage.cut_power()
        await stage.passes_without(5)
        await stage.restore_power()
        await stage.opens()
        await stage.quiet()
        assert stage.state.escrow is None
        assert stage.spent == 0
        if counts:
            assert (stage.credit, stage.claimed, stage.flags) == (0, 0, [])
        else:
            assert stage.claimed == 500
            assert stage.flags == ["bill in escrow unknown"]
        await stage.bill(1_000)  # and the next one is taken
        await stage.buys("A1")
        assert stage.products == ["water"]

    play(scenario, settings=MACHINE, ends=False)


@pytest.mark.parametrize("lost", [1, 4])
def test_a_bill_whose_order_was_heard_and_not_answered_is_credit_and_no_claim(lost: int) -> None:
    """While it moves the validator says that its escrow is empty; it tells of it when it is in."""

    async def scenario(stage: Stage) -> None:
        line = stage.world.cctalk
        assert line is not None
        assert line.bill is not None
        bill, left = line.bill, lost
        bill.settings = replace(bill.settings, stack_s=4.0, empty_in_motion=True)
        before = bill.on_command

        def look(command: bytes) -> None:
            nonlocal left
            if before is not None:
                before(command)
            if command[0] == Header.ROUTE_BILL and left:
                left -= 1
                bill.faults.lost_answers = 1

        bill.on_command = look
        await stage.until(lambda: stage.world.insert_bill(500))
        await stage.until(lambda: stage.world.truth.count(STACKER) == 1, within_s=20.0)
        await stage.passes(60.0)
        assert (stage.credit, stage.claimed, stage.flags) == (500, 0, [])
        await stage.buys("A1")

    play(scenario, settings=MACHINE)


def test_a_bill_that_is_told_long_after_it_was_owed_is_not_paid_twice() -> None:
    async def scenario(stage: Stage) -> None:
        line = stage.world.cctalk
        assert line is not None
        assert line.bill is not None
        line.bill.settings = replace(line.bill.settings, stack_s=60.0, empty_in_motion=True)
        await stage.until(lambda: stage.world.insert_bill(500))
        await stage.until(lambda: stage.claimed == 500, within_s=50.0)
        assert stage.world.truth.count(STACKER) == 0
        await stage.until(lambda: stage.world.truth.count(STACKER) == 1, within_s=50.0)
        await stage.passes(5.0)
        assert (stage.credit, stage.claimed) == (0, 500)
        assert stage.flags == ["bill in escrow unknown"]

    play(scenario, settings=MACHINE, judged=False)


def test_who_pulls_a_bill_out_again_has_the_bill_and_no_claim() -> None:
    async def scenario(stage: Stage) -> None:
        await stage.passes(2.0)
        stage.breaks("billcc", "pulled", 1)
        assert stage.world.insert_bill(500)
        await stage.until(lambda: "bill.returned" in {record.type for record in stage.told})
        await stage.quiet()
        assert (stage.account.returned, stage.claimed, stage.credit) == (500, 0, 0)
        assert check(stage) == []
        assert stage.has_fault("bill", FaultCode.BILL_REMOVED)
        await stage.bill(500)
        assert stage.credit == 500

    play(scenario, settings=MACHINE, ends=False)


def test_a_card_on_the_mdb_sells_beside_them() -> None:
    async def scenario(stage: Stage) -> None:
        await stage.pays_by_card("A1")
        right(stage)

    play(scenario, settings=MACHINE)


def test_the_coin_return_gives_coins_back() -> None:
    async def scenario(stage: Stage) -> None:
        await stage.coins(50, 20, 10)
        before = len(stage.state.closed)
        stage.world.pull_lever()
        await stage.until(lambda: len(stage.state.closed) > before)
        await stage.quiet()
        assert (stage.spent, stage.credit, stage.claimed) == (0, 0, 0)

    play(scenario, settings=MACHINE)


def test_a_kill_after_the_coin_counts_it_once() -> None:
    async def scenario(stage: Stage) -> None:
        for _ in range(3):
            stage.world.insert_coin(50)
            await stage.passes(0.35)  # past the sensor; perhaps read, perhaps journaled
            await stage.kill()
            await stage.opens()
        await stage.quiet()
        assert stage.credit == 150
        await stage.buys("A1")
        right(stage)

    play(scenario, settings=MACHINE)


@pytest.mark.parametrize("fallen", range(9))
def test_a_kill_in_mid_payout_pays_each_coin_once(fallen: int) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.bill(1_000)
        stage.press("A1")
        await stage.until(lambda: paying(stage))
        await stage.until(lambda: stage.account.returned >= 100 * fallen)
        await stage.kill()
        await stage.opens()
        await stage.quiet()
        right(stage)

    play(scenario, settings=MACHINE)


@pytest.mark.parametrize("fallen", [0, 1, 4, 7])
def test_a_power_cut_in_mid_payout_pays_each_coin_once(fallen: int) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.bill(1_000)
        stage.press("A1")
        await stage.until(lambda: paying(stage) and stage.account.returned >= 100 * fallen)
        await stage.cut_power()
        await stage.passes_without(5)
        await stage.restore_power()
        await stage.opens()
        await stage.quiet()
        right(stage)

    play(scenario, settings=MACHINE)


def test_a_hopper_that_runs_out_is_paid_on_from_others() -> None:
    async def scenario(stage: Stage) -> None:
        await stage.coins(200)
        stage.world.truth.empty(tube(15), "technician")  # somebody helped himself
        stage.press("B4")
        await stage.closes()
        await stage.quiet()
        assert stage.products == ["gum"]
        assert (stage.spent, stage.claimed) == (50, 0)
        assert stage.has_fault("hopper 3", FaultCode.CHANGER_TUBE_SENSOR)

    play(scenario, settings=MACHINE, ends=False)


def test_a_hopper_that_resets_itself_in_mid_payout_is_found_out() -> None:
    async def scenario(stage: Stage) -> None:
        await stage.coins(200, 200)
        stage.breaks("hopper3", "reset_after", 1)
        await stage.buys("A1")
        right(stage)

    play(scenario, settings=MACHINE)


def test_what_a_hopper_paid_that_lost_its_count_is_promised_and_looked_at() -> None:
    async def scenario(stage: Stage) -> None:
        line = stage.world.cctalk
        assert line is not None
        hopper = line.hoppers[0]
        await stage.coins(200, 200)
        stage.press("A1")
        await stage.until(lambda: stage.account.returned == 100)
        hopper.power_off()
        hopper.dispensed = 0
        await stage.passes(1.0)
        hopper.power_on()
        await stage.closes()
        await stage.quiet()
        assert stage.products == ["water"]
        assert (stage.account.returned, stage.claimed, stage.credit) == (150, 200, 0)
        assert [claim.flagged for claim in stage.state.claims.values()] == [True]
        assert stage.flags == ["payout unknown"]
        assert all(data.amount <= 250 for data in stage.records("payout.finished"))

    play(scenario, settings=MACHINE, judged=False)


def test_a_hopper_that_was_away_and_is_back_at_the_next_start_ends_its_own_incident() -> None:
    async def scenario(stage: Stage) -> None:
        stage.world.unplug("hopper3")
        await stage.until(lambda: stage.has_fault("hopper 3", FaultCode.DEVICE_SILENT))
        told = [(one["part"], one["code"]) for one in views.faults(stage.state)]
        assert told == [("hopper 3", "device.silent")]
        await stage.kill()
        stage.world.plug("hopper3")
        await stage.opens()
        await stage.until(lambda: not stage.state.faults)
        (raised,), (cleared,) = stage.records("fault.raised"), stage.records("fault.cleared")
        assert (cleared.part, cleared.code) == (raised.part, raised.code)

    play(scenario, settings=MACHINE)


def test_an_acceptor_without_power_stops_coins_and_nothing_else() -> None:
    async def scenario(stage: Stage) -> None:
        stage.world.unplug("acceptor")
        await stage.until(lambda: stage.has_fault("acceptor", FaultCode.DEVICE_SILENT))
        await stage.pays_by_card("A1")
        stage.world.plug("acceptor")
        await stage.until(lambda: not stage.has_fault("acceptor", FaultCode.DEVICE_SILENT))
        await stage.passes(1.0)  # it learns again what it may take
        await stage.coins(100, 50)
        await stage.buys("A2")
        assert stage.products == ["water", "water"]

    play(scenario, settings=MACHINE)


def test_a_machine_without_mdb_sells() -> None:
    async def scenario(stage: Stage) -> None:
        await stage.coins(100, 50)
        await stage.buys("A1")
        right(stage)
        assert stage.state.faults == {}

    alone = MACHINE.model_copy(
        update={
            "mdb": MACHINE.mdb.model_copy(
                update={"cashless1": MACHINE.mdb.cashless1.model_copy(update={"enabled": False})}
            )
        }
    )
    play(scenario, settings=alone)


def test_nothing_is_taken_after_an_orderly_end() -> None:
    async def scenario(stage: Stage) -> None:
        assert await stage.stop() == "test"
        stage.world.insert_coin(50)
        assert not stage.world.insert_bill(500), "it is not even pulled in"
        await stage.passes_without(5.0)
        assert stage.account.returned == 50

    play(scenario, settings=MACHINE, ends=False)


def test_coins_poured_into_a_hopper_are_the_operators() -> None:
    async def scenario(stage: Stage) -> None:
        before = stage.state.ledger.balance(acc.OPERATOR)
        with pytest.raises(CommandRefused, match="only in service mode"):
            await stage.act(cmd.PourCoins(20, 50))
        await stage.act(cmd.EnterService())
        with pytest.raises(CommandRefused, match=r"no hopper for 5 coins of 0\.50 EUR"):
            await stage.act(cmd.PourCoins(50, 5))
        with pytest.raises(CommandRefused, match="0 to 500 fit"):
            await stage.act(cmd.PourCoins(20, 2_000))
        stage.world.fill_tube(20, 50)
        answer = await stage.act(cmd.PourCoins(20, 50))
        assert {"type": 14, "value": 20, "count": 110} in answer["tubes"]
        stage.world.empty_tube(10, 50)
        await stage.act(cmd.PourCoins(10, -10))
        assert stage.state.ledger.balance(acc.OPERATOR) == before - 50 * 20 + 10 * 10
        assert [data.cause for data in stage.records("tubes.counted")][1:] == ["fill", "fill"]
        await stage.act(cmd.LeaveService())
        await stage.quiet()

    play(scenario, settings=MACHINE)


@pytest.mark.parametrize("moment", ["operator.acted", "device.noted", "tubes.counted"])
def test_a_kill_while_poured_coins_are_noted_loses_none_of_them(moment: str) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.act(cmd.EnterService())
        known = len(stage.records(moment))
        stage.world.fill_tube(20, 50)
        act = asyncio.get_running_loop().create_task(stage.act(cmd.PourCoins(20, 50)))
        await stage.until(lambda: len(stage.records(moment)) > known)
        await stage.kill()
        await asyncio.gather(act, return_exceptions=True)
        await stage.boot()
        await stage.until(lambda: stage.state.recovered)
        await stage.passes(3.0)
        tubes = {value: count for _, value, count in stage.state.tube_coins()}
        unclaimed = -stage.state.ledger.balance(acc.UNCLAIMED)
        noted = moment != "operator.acted"
        assert tubes[20] == (110 if noted else 60)
        assert unclaimed in ((0, 1_000) if moment == "device.noted" else (0,))
        if not noted:  # the order was refused by the end: it is given again
            await stage.act(cmd.PourCoins(20, 50))
        await stage.act(cmd.LeaveService())
        await stage.quiet()

    play(scenario, settings=MACHINE)


def test_tubes_that_count_themselves_refuse_to_be_told() -> None:
    async def scenario(stage: Stage) -> None:
        await stage.act(cmd.EnterService())
        with pytest.raises(CommandRefused, match="coins count"):
            await stage.act(cmd.PourCoins(20, 50))
        await stage.act(cmd.LeaveService())

    play(scenario)


def test_a_token_of_the_acceptor_buys_its_product() -> None:
    settings = MACHINE.model_copy(update={"tokens": Tokens(products=("water",))})

    async def scenario(stage: Stage) -> None:
        stage.world.insert_coin(0, name="token")
        await stage.until(lambda: bool(stage.records("token.inserted")), within_s=10.0)
        await stage.buys("A1")
        assert stage.products == ["water"]
        assert stage.spent == 0

    play(scenario, settings=settings)
