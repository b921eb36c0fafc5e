"""The validator: bills in, held, stacked, returned, and stuck."""

from __future__ import annotations

import asyncio

import pytest

from simulator.bench import BenchSettings, MdbBench
from simulator.conversation import ScriptedMaster, run_story
from simulator.peripherals.bill_settings import AfterPowerUp, BillSettings, BillSpec
from simulator.truth import CUSTOMER, ESCROW, STACKER, TECHNICIAN, TRANSPORT, TRAY

ACCEPT_INTO_ESCROW = "34 00 0F 00 0F"


async def ready(bench: MdbBench, master: ScriptedMaster) -> None:
    """Initialise the validator: every bill accepted into escrow."""
    assert await master.ask("33") == b"\x06\x09"
    assert await master.ask(ACCEPT_INTO_ESCROW) == b""


async def held(bench: MdbBench, master: ScriptedMaster, value: int = 1000) -> None:
    """Bring a bill into escrow and hear of it."""
    await ready(bench, master)
    assert bench.bill.insert_bill(value)
    await asyncio.sleep(1.5)
    assert await master.ask("33") == b"\x91"
    assert bench.truth.value(ESCROW) == value


async def stacker(master: ScriptedMaster) -> int:
    answer = await master.ask("36")
    assert answer is not None
    return int.from_bytes(answer, "big")


def test_a_bill_is_held_then_stacked() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await held(bench, master)
        assert await master.ask("35 01") == b""
        assert await master.ask("33") == b"\x03", "busy"
        await asyncio.sleep(2)
        assert await master.ask("33") == b"\x81"
        assert await master.ask("33") == b""
        assert await stacker(master) == 1
        assert bench.truth.value(STACKER) == 1000

    run_story(story)


def test_a_bill_is_held_then_returned() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        bench.truth.customer = "ann"
        await held(bench, master)
        await master.ask("35 00")
        await asyncio.sleep(2)
        assert await master.ask("33") == b"\xa1"
        assert bench.truth.value(TRAY) == 1000
        assert bench.truth.accounts["ann"].spent == 0
        assert await stacker(master) == 0

    run_story(story)


def test_without_the_escrow_bit_a_bill_is_stacked_at_once() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await master.ask("33")
        await master.ask("34 00 0F 00 00")
        bench.bill.insert_bill(500)
        await asyncio.sleep(3)
        assert await master.ask("33") == b"\x80"
        assert bench.truth.value(STACKER) == 500

    run_story(story)


def test_a_validator_without_escrow_stacks_whatever_it_is_told() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await ready(bench, master)
        setup = await master.ask("31")
        assert setup is not None
        assert setup[10] == 0
        bench.bill.insert_bill(500)
        await asyncio.sleep(3)
        assert await master.ask("33") == b"\x80"

    run_story(story, BenchSettings(bill=BillSettings(has_escrow=False)))


def test_a_disabled_validator_pulls_nothing_in_and_counts_the_attempts() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await master.ask("33")
        for _ in range(3):
            assert not bench.bill.insert_bill(500)
        assert await master.ask("33") == b"\x43\x09"
        assert await master.ask("33") == b"\x09"
        assert bench.truth.totals().inserted == 0

    run_story(story)


def test_bills_that_are_not_wanted_or_not_known_come_back() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await master.ask("33")
        await master.ask("34 00 01 00 01")
        bench.bill.insert_bill(1000)
        await asyncio.sleep(2)
        assert await master.ask("33") == b""
        bench.bill.insert_bill(777)
        await asyncio.sleep(2)
        assert await master.ask("33") == b"\x0b"
        bench.bill.faults.rejects = 1
        bench.bill.insert_bill(500)
        await asyncio.sleep(2)
        assert await master.ask("33") == b"\x0b"
        assert bench.truth.value(TRAY) == 1000 + 777 + 500

    run_story(story)


def test_one_bill_at_a_time() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await ready(bench, master)
        assert bench.bill.insert_bill(500)
        assert not bench.bill.insert_bill(500)
        await asyncio.sleep(2)
        assert not bench.bill.insert_bill(500), "one is in escrow"

    run_story(story)


def test_an_escrow_command_without_a_bill_is_invalid() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await ready(bench, master)
        assert await master.ask("35 01") == b""
        assert await master.ask("33") == b"\x0a"
        bench.bill.insert_bill(500)
        await asyncio.sleep(1.5)
        await master.ask("33")
        await master.ask("35 01")
        await master.ask("35 01")
        assert await master.ask("33") == b"\x0a\x03", "it is being stacked already"

    run_story(story)


def test_the_stacker_counts_and_fills() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await held(bench, master)
        assert await stacker(master) == 2
        await master.ask("35 01")
        await asyncio.sleep(2)
        assert await stacker(master) == 0x8003
        assert not bench.bill.insert_bill(1000), "full"
        bench.bill.faults.stacker_error = 2
        assert await stacker(master) == 0x8005

    run_story(story, BenchSettings(bill=BillSettings(stacker_capacity=3, stacked_before=2)))


def test_taking_the_cash_box_disables_until_it_is_back() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await ready(bench, master)
        assert bench.bill.remove_cashbox() == 5 * 500
        assert await master.ask("33") == b"\x08\x09"
        assert await master.ask("33") == b"\x09"
        assert not bench.bill.insert_bill(500)
        assert bench.truth.value(STACKER) == bench.truth.value(TECHNICIAN) == 0
        bench.bill.insert_cashbox()
        assert await master.ask("33") == b""
        assert await stacker(master) == 0

    run_story(story, BenchSettings(bill=BillSettings(stacked_before=5)))


@pytest.mark.parametrize("how", ["reset", "break", "self", "power"])
@pytest.mark.parametrize("after", list(AfterPowerUp))
def test_a_reset_gives_the_bill_in_escrow_back_and_power_up_may_stack_it(
    how: str, after: AfterPowerUp
) -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await held(bench, master)
        if how == "reset":
            await master.ask("30")
        elif how == "break":
            bench.break_bus()
        elif how == "self":
            bench.bill.self_reset()
        else:
            bench.power_off()
            await asyncio.sleep(5)
            assert bench.truth.value(ESCROW) == 1000
            bench.power_on()
        await asyncio.sleep(3)
        assert await master.ask("33") == b"\x06\x09"
        stacks = how == "power" and after is AfterPowerUp.STACK
        assert bench.truth.value(STACKER if stacks else TRAY) == 1000
        assert await stacker(master) == stacks

    run_story(story, BenchSettings(bill=BillSettings(after_power_up=after)))


def test_a_return_by_reset_may_be_told() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await held(bench, master)
        bench.bill.self_reset()
        await asyncio.sleep(3)
        assert await master.ask("33") == b"\x06\xa1\x09"

    run_story(story, BenchSettings(bill=BillSettings(reports_reset_return=True)))


@pytest.mark.parametrize("moment", ["intake", "stacking", "returning"])
def test_a_reset_in_mid_motion_gives_the_bill_back(moment: str) -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await ready(bench, master)
        bench.bill.insert_bill(1000)
        if moment != "intake":
            await asyncio.sleep(1.5)
            await master.ask("35 01" if moment == "stacking" else "35 00")
        await asyncio.sleep(0.3)
        assert bench.bill.busy
        bench.bill.self_reset()
        await asyncio.sleep(3)
        assert bench.truth.value(TRAY) == 1000
        assert await stacker(master) == 0

    run_story(story)


@pytest.mark.parametrize(("when", "stacked"), [("before", 0), ("after", 1)])
def test_a_self_reset_at_the_end_of_stacking_tells_nothing_of_it(when: str, stacked: int) -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await held(bench, master)
        bench.bill.faults.reset_in_stack = when
        await master.ask("35 01")
        await asyncio.sleep(4)
        assert await master.ask("33") == b"\x06\x09"
        assert await stacker(master) == stacked
        assert bench.truth.value(STACKER) == 1000 * stacked
        assert bench.truth.value(TRAY) == 1000 - 1000 * stacked

    run_story(story)


def test_a_jam_is_told_once_and_disables_until_it_is_cleared() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await held(bench, master)
        bench.bill.faults.jam_on_stack = 1
        await master.ask("35 01")
        await asyncio.sleep(2)
        assert await master.ask("33") == b"\x05\x09"
        assert await master.ask("33") == b"\x09"
        assert not bench.bill.insert_bill(500)
        bench.power_off()
        bench.power_on()
        await asyncio.sleep(3)
        assert bench.truth.value(ESCROW) == 1000, "still stuck"
        assert await master.ask("33") == b"\x06\x05\x09"
        bench.bill.clear_jam()
        assert bench.truth.value(TRAY) == 1000
        await master.ask(ACCEPT_INTO_ESCROW)
        assert bench.bill.insert_bill(500)

    run_story(story)


def test_a_bill_may_stick_on_its_way_back() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await held(bench, master)
        bench.bill.faults.jam_on_return = 1
        await master.ask("35 00")
        await asyncio.sleep(2)
        assert await master.ask("33") == b"\x05\x09"
        bench.bill.clear_jam(CUSTOMER)
        assert bench.truth.value(TRAY) == 0

    run_story(story)


@pytest.mark.parametrize(
    ("kind", "told", "count", "in_stacker"),
    [("lost", b"", 1, 1000), ("uncounted", b"", 0, 1000), ("held", b"", 0, 0)],
)
def test_a_weak_stacker_leaves_the_master_in_the_dark(
    kind: str, told: bytes, count: int, in_stacker: int
) -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await held(bench, master)
        bench.bill.faults.weak_stacker = kind
        await master.ask("35 01")
        await asyncio.sleep(60)
        assert await master.ask("33") == told
        assert await stacker(master) == count
        assert bench.truth.value(STACKER) == in_stacker
        assert bench.truth.value(ESCROW) == 1000 - in_stacker

    run_story(story)


def test_a_weak_stacker_may_report_late_and_a_reset_forgets_the_report() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await held(bench, master)
        bench.bill.faults.weak_stacker = "late"
        await master.ask("35 01")
        await asyncio.sleep(15)
        assert await master.ask("33") == b""
        await asyncio.sleep(10)
        assert await master.ask("33") == b"\x81"
        bench.bill.insert_bill(500)
        await asyncio.sleep(1.5)
        await master.ask("33")
        await master.ask("35 01")
        await asyncio.sleep(2)
        bench.bill.self_reset()
        await asyncio.sleep(30)
        assert await master.ask("33") == b"\x06\x09"
        assert await stacker(master) == 2

    run_story(story)


@pytest.mark.parametrize(
    ("fault", "command", "told", "place"),
    [
        ("stack_when_returning", "35 00", b"\x81", STACKER),
        ("return_when_stacking", "35 01", b"\xa1", TRAY),
    ],
)
def test_a_bill_may_go_the_other_way(fault: str, command: str, told: bytes, place: str) -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await held(bench, master)
        setattr(bench.bill.faults, fault, 1)
        await master.ask(command)
        await asyncio.sleep(4)
        assert await master.ask("33") == told
        assert bench.truth.value(place) == 1000

    run_story(story)


def test_a_bill_pulled_out_by_force_is_told_with_its_return() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await held(bench, master)
        assert bench.bill.pull_from_escrow()
        assert not bench.bill.pull_from_escrow()
        assert await master.ask("33") == b"\x07\xa1"
        assert bench.truth.value(TRAY) == 1000

    run_story(story)


def test_a_bill_pulled_out_of_the_stacker_is_told_as_fraud() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await ready(bench, master)
        bench.bill.steal_credited_bill(500)
        assert await master.ask("33") == b"\x0c"
        assert bench.truth.value(STACKER) == 500

    run_story(story, BenchSettings(bill=BillSettings(stacked_before=2)))


def test_defects_are_told_once_and_disable() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await ready(bench, master)
        for part, told in (("motor", b"\x01\x09"), ("sensor", b"\x02\x09")):
            bench.bill.faults.broken = part
            assert not bench.bill.insert_bill(500)
            assert await master.ask("33") == told
            assert await master.ask("33") == b"\x09"
            bench.bill.faults.broken = ""
            assert await master.ask("33") == b""
        bench.bill.faults.disabled = True
        assert await master.ask("33") == b"\x09"
        bench.bill.faults.rom_error = True
        bench.bill.self_reset()
        await asyncio.sleep(0.3)
        assert await master.ask("33") == b"\x06\x04\x09"

    run_story(story)


def test_some_validators_put_an_undefined_byte_in_front() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await ready(bench, master)
        bench.bill.faults.undefined_byte = 1
        bench.bill.insert_bill(500)
        await asyncio.sleep(1.5)
        assert await master.ask("33") == b"\x14\x90"

    run_story(story)


def test_identification_and_options_follow_the_level() -> None:
    async def level1(bench: MdbBench, master: ScriptedMaster) -> None:
        name = await master.ask("37 00")
        assert name is not None
        assert len(name) == 29
        assert await master.ask("37 02") is None
        assert await master.ask("32 00 03") == b""
        assert bench.bill.high_security == 3

    async def level2(bench: MdbBench, master: ScriptedMaster) -> None:
        name = await master.ask("37 00")
        more = await master.ask("37 02")
        assert name is not None
        assert more is not None
        assert more == name + bytes.fromhex("00 00 00 02")
        assert await master.ask("37 01 00 00 00 03") == b""
        assert bench.bill.options == 2
        assert await master.ask("37 03") is None

    run_story(level1)
    run_story(level2, BenchSettings(bill=BillSettings(level=2, options=2)))


@pytest.mark.parametrize(
    ("scaling", "decimals", "unit"), [(20, 0, 2), (200, 1, 2), (2000, 2, 2), (100, 2, 40)]
)
def test_values_are_told_in_the_validators_own_units(
    scaling: int, decimals: int, unit: int
) -> None:
    settings = BillSettings(scaling=scaling, decimals=decimals, bills=(BillSpec(4000),))
    assert settings.scaled(settings.bills[0]) == unit
    assert settings.scaled(BillSpec(token=True)) == 0xFF


def test_power_loss_in_the_intake_gives_the_bill_back_later() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await ready(bench, master)
        bench.bill.insert_bill(1000)
        await asyncio.sleep(0.5)
        bench.power_off()
        assert bench.truth.value(TRANSPORT) == 1000
        assert not bench.bill.insert_bill(500)
        bench.power_on()
        await asyncio.sleep(2)
        assert bench.truth.value(TRAY) == 1000

    run_story(story)


def test_a_saved_validator_comes_back_as_after_power_up() -> None:
    async def story(bench: MdbBench, master: ScriptedMaster) -> None:
        await held(bench, master)
        bench.bill.faults.stacker_error = 1
        fresh = MdbBench(bench.loop, BenchSettings(bill=BillSettings(stacked_before=9)))
        fresh.from_state(bench.to_state())
        await asyncio.sleep(3)
        other = ScriptedMaster(fresh)
        assert await other.ask("33") == b"\x06\x09"
        assert await stacker(other) == 1
        assert fresh.truth.value(TRAY) == 1000
        assert fresh.truth.value(STACKER) == 0

    run_story(story)
