"""The air in the cabinet, and what its thermometers say."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from config.climate import Climate, Cooling, Defrost, Heating, Thermometer
from config.pins import Pin
from drivers.climate.kernel_file import NoTemperatureError, temperature
from simulator.cabinet import UnknownPartError
from simulator.clock import VirtualClock, run_virtual
from simulator.peripherals.base import Timeline
from simulator.pins.board import PinBoard
from simulator.pins.factory import SimulatorFactory
from simulator.thermal import Cabin, ThermalPlan
from simulator.thermometer_files import ThermometerFiles
from simulator.world import World
from tests.climate_kit import cooled
from tests.scenarios.stage import SETTINGS

CABIN, FROST = Path("cabin"), Path("frost")
CLIMATE = Climate(
    thermometers=(
        Thermometer(name="cabin", path=CABIN),
        Thermometer(name="evaporator", path=FROST),
    ),
    cooling=Cooling(pin=Pin(1), target_c=3.0),
    defrost=Defrost(pin=Pin(2), thermometer="evaporator"),
    heating=Heating(pin=Pin(3), target_c=1.0),
)
PLAN = ThermalPlan(ambient_c=20.0, start_c=4.0, closed_s=1_000.0, open_s=100.0)


class Kitchen:
    """A cabin, and hands on its relays."""

    def __init__(self, plan: ThermalPlan = PLAN, speed: float = 1.0) -> None:
        loop = asyncio.get_running_loop()
        self.board = PinBoard(loop.time)
        self.cabin = Cabin(Timeline(loop, speed), self.board, CLIMATE, plan)
        factory = SimulatorFactory(board=self.board)
        self._pins = {number: factory.pin(number) for number in (1, 2, 3)}
        for pin in self._pins.values():
            pin.output_with_state(False)

    def relay(self, number: int, on: bool) -> None:
        self._pins[number].state = on


def in_time(story: Callable[[], Awaitable[None]]) -> None:
    run_virtual(story())  # type: ignore[arg-type]  # a coroutine function


def test_air_goes_towards_the_room_faster_with_an_open_door() -> None:
    async def story() -> None:
        cabin = Kitchen().cabin
        await asyncio.sleep(1_000.0)
        assert cabin.celsius == pytest.approx(20.0 - 16.0 * math.exp(-1))
        before = cabin.celsius
        cabin.set_door(True)
        await asyncio.sleep(100.0)
        assert cabin.celsius == pytest.approx(20.0 - (20.0 - before) * math.exp(-1))

    in_time(story)


def test_a_fast_world_warms_fast() -> None:
    async def story() -> None:
        cabin = Kitchen(speed=10.0).cabin
        await asyncio.sleep(100.0)
        assert cabin.celsius == pytest.approx(20.0 - 16.0 * math.exp(-1))

    in_time(story)


def test_a_compressor_cools_until_it_is_dead_and_a_heater_heats() -> None:
    async def story() -> None:
        kitchen = Kitchen()
        cabin = kitchen.cabin
        cabin.put(15.0)
        kitchen.relay(1, True)
        await asyncio.sleep(600.0)
        cold = cabin.celsius
        assert cold < 14.0
        cabin.faults.compressor_dead = True
        cabin.faults_changed()
        await asyncio.sleep(100.0)
        assert cabin.celsius > cold
        kitchen.relay(1, False)
        kitchen.relay(3, True)
        await asyncio.sleep(1_000.0)
        assert cabin.celsius > 20.0
        cabin.power(False)
        warm = cabin.celsius
        await asyncio.sleep(100.0)
        assert cabin.celsius < warm
        assert cabin.content(CABIN) is None

    in_time(story)


def test_the_evaporator_is_colder_and_is_thawed() -> None:
    async def story() -> None:
        kitchen = Kitchen()
        kitchen.relay(1, True)
        await asyncio.sleep(600.0)
        frost = temperature(kitchen.cabin.content(FROST) or "")
        assert frost < temperature(kitchen.cabin.content(CABIN) or "") - 8.0
        kitchen.relay(1, False)
        kitchen.relay(2, True)
        await asyncio.sleep(300.0)
        assert temperature(kitchen.cabin.content(FROST) or "") > 8.0

    in_time(story)


def test_the_time_beyond_a_limit_is_known_to_the_second_though_nobody_looked() -> None:
    async def story() -> None:
        cabin = Kitchen().cabin
        cold, hot = cabin.watch(10.0, hot=False), cabin.watch(10.0, hot=True)
        assert (cold.since_s, hot.since_s) == (None, 0.0)
        await asyncio.sleep(2_000.0)
        assert cabin.celsius > 10.0
        assert cold.since_s == pytest.approx(1_000.0 * math.log(16 / 10))
        assert hot.since_s is None
        cabin.put(4.0)
        assert (cold.since_s, cold.ended_s) == (None, 2_000.0)

    in_time(story)


@pytest.mark.parametrize("fault", ["checksum", "open", "shorted", "power_up"])
def test_a_thermometer_in_trouble_tells_no_temperature(fault: str) -> None:
    async def story() -> None:
        cabin = Kitchen().cabin
        cabin.faults.sensor = fault
        cabin.faults_changed()
        with pytest.raises(NoTemperatureError):
            temperature(cabin.content(CABIN) or "")

    in_time(story)


def test_a_thermometer_may_be_gone_stuck_high_or_off() -> None:
    async def story() -> None:
        cabin = Kitchen().cabin
        cabin.faults.sensor = "gone"
        assert cabin.content(CABIN) is None
        cabin.faults.sensor = "high"
        assert temperature(cabin.content(CABIN) or "") == 140.0
        cabin.faults.sensor = "stuck"
        cabin.faults_changed()
        await asyncio.sleep(500.0)
        assert temperature(cabin.content(CABIN) or "") == 4.0
        cabin.faults.sensor = ""
        cabin.faults.off_by_c = 3.0
        cabin.faults_changed()
        assert temperature(cabin.content(CABIN) or "") == pytest.approx(cabin.celsius + 3, abs=0.04)
        assert cabin.content(Path("other")) is None

    in_time(story)


def test_a_cabin_outlives_its_simulator() -> None:
    async def story() -> None:
        one, other = Kitchen().cabin, Kitchen().cabin
        one.put(17.0)
        one.set_ambient(31.0)
        one.faults.heater_dead = True
        other.from_state(one.to_state())
        assert other.to_state() == one.to_state()
        assert other.view() == {"celsius": 17.0, "ambient_c": 31.0, "on": []}

    in_time(story)


def test_files_stand_where_the_kernel_has_them_and_go_with_the_simulator(tmp_path: Path) -> None:
    async def story() -> None:
        loop = asyncio.get_running_loop()
        file = tmp_path / "w1" / "28-00" / "w1_slave"
        climate = Climate(thermometers=(Thermometer(name="cabin", path=file),))
        cabin = Cabin(Timeline(loop), PinBoard(loop.time), climate, PLAN)
        files = ThermometerFiles(cabin, loop)
        files.start()
        assert temperature(file.read_text()) == 4.0
        cabin.put(9.5)
        await asyncio.sleep(0.3)
        assert temperature(file.read_text()) == 9.5
        cabin.faults.sensor = "gone"
        await asyncio.sleep(0.3)
        assert not file.exists()
        cabin.faults.sensor = ""
        await asyncio.sleep(0.3)
        assert file.exists()
        files.stop()
        assert not file.exists()

    in_time(story)


def test_a_world_has_a_climate_only_where_its_file_says_so() -> None:
    async def story() -> None:
        loop = asyncio.get_running_loop()
        plain = World(loop, VirtualClock(loop), SETTINGS)
        with pytest.raises(UnknownPartError, match="no climate section"):
            plain.set_temperature(5.0)
        assert "climate" not in plain.faults.parts
        cold = World(loop, VirtualClock(loop), cooled())
        assert cold.set_temperature(9.0, ambient_c=30.0) == 9.0
        again = World(loop, VirtualClock(loop), cooled())
        again.from_state(cold.to_state())
        assert again.set_temperature(None) == 9.0

    in_time(story)
