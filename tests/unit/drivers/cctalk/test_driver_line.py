"""One line for all: what is lost, broken, late or silent on it costs nobody a coin."""

import asyncio
from random import Random

import pytest

from controller.ports import (
    DeviceLost,
    DeviceReady,
)
from simulator.peripherals.cctalk_hopper import HopperSettings, SimHopper
from simulator.truth import CASHBOX
from tests.cctalk_kit import rig, taking, until, virtual


@virtual
async def test_an_adapter_without_echo_serves_as_well() -> None:
    it = await taking(rig(echo=False))
    await it.insert(50)
    await until(lambda: it.sink.coins == [50], 5)
    await it.die()


@pytest.mark.parametrize("fault", ["lost_answers", "silent_commands", "bad_checksums", "busies"])
@virtual
async def test_a_lost_or_broken_answer_loses_no_coin(fault: str) -> None:
    it = await taking(rig())
    for _ in range(5):
        setattr(it.acceptor.faults, fault, 2)
        await it.insert(10)
        await asyncio.sleep(1)
    await asyncio.sleep(1)
    assert sum(it.sink.coins) == it.truth.value(CASHBOX) > 0
    assert it.suspects == 0
    assert it.sink.told(DeviceLost) == []
    await it.die()


@virtual
async def test_a_noisy_line_counts_every_coin_once() -> None:
    it = await taking(rig())
    it.wire.line.flip, it.wire.line.loss, it.wire.line.chop = 0.002, 0.001, True
    inserted = 0
    for _ in range(40):
        before = it.truth.value(CASHBOX)
        await it.insert(10)
        inserted += it.truth.value(CASHBOX) - before
    it.wire.line.heal()
    await asyncio.sleep(30)
    assert inserted > 200
    assert sum(it.sink.coins) == inserted
    await it.die()


@virtual
async def test_a_collision_is_heard_and_the_question_repeated() -> None:
    it = await taking(rig())
    assert it.parts is not None
    it.wire.collisions = 2
    await it.insert(10)
    await until(lambda: it.sink.coins == [10], 10)
    assert it.parts.bus.counters.collisions == 2
    await it.die()


@virtual
async def test_a_silent_acceptor_is_a_fault_and_comes_back() -> None:
    it = await taking(rig())
    it.acceptor.power_off()
    await until(lambda: ("acceptor", "device.silent") in it.sink.faults, 10)
    assert it.sink.told(DeviceLost) == []  # the hoppers still pay
    it.acceptor.power_on()
    await until(lambda: ("acceptor", "device.silent") not in it.sink.faults, 20)
    await until(lambda: it.acceptor.accepted, 5)
    await it.insert(50)
    await until(lambda: it.sink.coins == [50], 5)
    await it.die()


@pytest.mark.parametrize("seed", range(5))
@virtual
async def test_an_acceptor_takes_coins_though_answers_of_others_are_lost(seed: int) -> None:
    it = await taking(rig())
    draw = Random(seed)

    def lose(hopper: SimHopper) -> None:
        hopper.faults.lost_answers = int(draw.random() < 0.05)

    for hopper in it.hoppers:
        hopper.on_command = lambda _, hopper=hopper: lose(hopper)
    await it.insert(*[10] * 100)
    await until(lambda: len(it.sink.coins) >= 98, 2, "almost always it is read in time")
    assert ("hopper 3", "device.silent") not in it.sink.faults
    await it.die()


@virtual
async def test_an_acceptor_takes_coins_whoever_else_is_silent() -> None:
    hoppers = tuple(HopperSettings(value) for value in (200, 100, 50, 20))
    it = await taking(rig(hoppers=hoppers, with_bill=True))
    for device in (*it.hoppers, it.validator):
        device.power_off()
    silent = [("bill", "device.silent"), *((f"hopper {n}", "device.silent") for n in range(3, 7))]
    await until(lambda: all(fault in it.sink.faults for fault in silent), 30)
    await asyncio.sleep(1)
    await it.insert(*[10] * 50)
    await until(lambda: len(it.sink.coins) == 50, 2, "it was read in time, every second")
    for device in (*it.hoppers, it.validator):
        device.power_on()
    await until(lambda: it.sink.faults == {}, 30)
    await it.die()


@virtual
async def test_everything_silent_is_a_lost_changer_and_comes_back() -> None:
    it = await taking(rig())
    it.cut_power()
    await until(lambda: it.sink.told(DeviceLost), 20)
    it.restore_power()
    await until(lambda: len(it.sink.told(DeviceReady)) == 2, 30)
    await until(lambda: it.acceptor.accepted, 5)
    assert it.sink.faults == {}
    await it.die()


@virtual
async def test_a_pulled_port_is_opened_again() -> None:
    it = await taking(rig())
    it.unplug()
    await until(lambda: ("cctalk", "device.silent") in it.sink.faults, 5)
    it.plugged = True
    await until(lambda: len(it.sink.told(DeviceReady)) == 2, 30)
    assert it.sink.faults == {}
    await it.insert(50)
    await until(lambda: it.sink.coins == [50], 10)
    await it.die()
