"""Files that are read in a thread, and relays under their watch."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from config.climate import Thermometer
from controller.ports import ClimateOutputs, ClimatePart, OutputCut, TemperatureRead
from drivers.climate.assembly import build_relays, build_thermometers
from drivers.gpio.lines import Lines
from drivers.gpio.on_time import LoopWatch
from drivers.gpio.pin_shape import Line
from simulator.clock import run_virtual
from simulator.pins.board import PinBoard
from simulator.pins.factory import SimulatorFactory
from simulator.thermal import w1_slave

EVERY_S = 1.0


async def test_the_kernels_files_are_read_and_a_missing_one_is_told(tmp_path: Path) -> None:
    there, gone = tmp_path / "there", tmp_path / "gone"
    there.write_text(w1_slave(4.25))
    heard: asyncio.Queue[Any] = asyncio.Queue()
    shapes = [
        Thermometer(name="cabin", path=there, every_s=EVERY_S),
        Thermometer(name="frost", path=gone, every_s=EVERY_S),
    ]
    thermometers = build_thermometers(shapes, heard.put_nowait)
    thermometers.start()
    try:
        events = [await heard.get(), await heard.get()]
        found = {event.sensor: (event.celsius, event.why) for event in events}
    finally:
        thermometers.stop()
    assert found == {
        "cabin": (4.25, ""),
        "frost": (None, "No such file or directory"),
    }


def test_a_read_that_hangs_holds_up_no_other_and_is_not_repeated() -> None:
    async def story() -> None:
        heard: list[TemperatureRead] = []
        asked: list[str] = []

        async def read(path: Path) -> str:
            asked.append(path.name)
            if path.name == "hangs":
                await asyncio.Event().wait()
            return w1_slave(4.0)

        shapes = [
            Thermometer(name="cabin", path=Path("well"), every_s=EVERY_S),
            Thermometer(name="frost", path=Path("hangs"), every_s=EVERY_S),
        ]
        thermometers = build_thermometers(shapes, heard.append, read)  # type: ignore[arg-type]  # hears one kind only
        thermometers.start()
        await asyncio.sleep(5.5)
        thermometers.stop()
        assert asked.count("hangs") == 1
        assert [event.sensor for event in heard] == ["cabin"] * 6
        await asyncio.sleep(2.0)
        assert len(heard) == 6

    run_virtual(story())


def test_relays_switch_off_before_on_and_a_cut_is_told() -> None:
    async def story() -> None:
        loop = asyncio.get_running_loop()
        board = PinBoard(loop.time)
        lines = Lines(SimulatorFactory(board=board), LoopWatch())
        heard: list[Any] = []
        relays = build_relays(
            lines,
            {
                ClimatePart.COMPRESSOR: (Line(4), 20.0),
                ClimatePart.DEFROST: (Line(5), 10.0),
                ClimatePart.LIGHT: (Line(6), None),
            },
            heard.append,
        )
        relays.switch(ClimateOutputs(defrost=True))
        relays.switch(ClimateOutputs(compressor=True, light=True, heater=True))
        assert [(edge.pin, edge.level) for edge in board.edges] == [
            (5, True), (5, False), (4, True), (6, True),
        ]  # fmt: skip
        await asyncio.sleep(24.9)
        assert board.is_on(4)
        await asyncio.sleep(0.2)
        assert not board.is_on(4)
        assert board.is_on(6)
        await asyncio.sleep(0)
        assert heard == [OutputCut(ClimatePart.COMPRESSOR, "on for 25 s")]
        lines.close()
        assert not board.is_on(6)

    run_virtual(story())
