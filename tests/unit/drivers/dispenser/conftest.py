"""A bench: a simulated cabinet on simulated pins, in one process and virtual time."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest

from config.machine import MachineSettings
from config.models import (
    Changer,
    Column,
    CurrentSense,
    DirectMotor,
    Door,
    DropSensor,
    Gpio,
    Machine,
    MatrixMotor,
    Mdb,
    Product,
)
from config.pins import Pin
from drivers.dispenser.assembly import build_dispenser
from drivers.dispenser.dispenser import GpioDispenser
from drivers.gpio.lines import Lines
from drivers.gpio.on_time import LoopWatch
from simulator.cabinet import Cabinet
from simulator.clock import VirtualClock, run_virtual
from simulator.peripherals.base import Timeline
from simulator.pins import PinBoard, SimulatorFactory
from simulator.truth import BIN, Truth

T = TypeVar("T")

MOTOR, MOTOR_2, HOME, HOME_2, EMPTY = 5, 6, 16, 17, 18
LATCH, CLEAR, TEST, STALL, DOOR = 20, 21, 22, 23, 24
ROWS, COLUMNS = (30, 31), (40, 41)


def column(selection: str, **other: Any) -> Column:
    return Column(
        selection=selection,
        product="water",
        capacity=5,
        item_number=1,
        turn_s=2.0,
        max_on_s=5.0,
        **other,
    )


@dataclass
class Bench:
    """A cabinet and the dispenser that works in it."""

    columns: tuple[Column, ...]
    fitted: bool = True
    sensed: bool = True
    matrix: bool = False
    latch_lost: bool = False
    settings: MachineSettings = field(init=False)
    board: PinBoard = field(init=False)
    cabinet: Cabinet = field(init=False)
    truth: Truth = field(init=False)
    dispenser: GpioDispenser = field(init=False)
    lines: Lines = field(init=False)
    pins: SimulatorFactory | None = field(init=False, default=None)

    def start(self) -> None:
        loop = asyncio.get_running_loop()
        self.settings = MachineSettings(
            machine=Machine(id="bench", currency="EUR"),
            mdb=Mdb(port=Path("none"), changer=Changer(enabled=True)),
            products=(Product(id="water", name="Water", price=100),),
            columns=self.columns,
            gpio=Gpio(
                rows=tuple(map(Pin, ROWS)) if self.matrix else (),
                columns=tuple(map(Pin, COLUMNS)) if self.matrix else (),
            ),
            drop_sensor=DropSensor(
                fitted=self.fitted, latch=Pin(LATCH), clear=Pin(CLEAR), test=Pin(TEST)
            ),
            current_sense=CurrentSense(pin=Pin(STALL)) if self.sensed else None,
            door=Door(pin=Pin(DOOR)),
        )
        self.board = PinBoard(loop.time)
        self.truth = Truth()
        self.cabinet = Cabinet(Timeline(loop), self.board, self.settings, self.truth)
        for each in self.columns:
            self.cabinet.load(each.selection)
        self.restart()

    def restart(self) -> None:
        """Build the dispenser, as vendd does when it starts; an earlier vendd is dead."""
        settings = self.settings
        if self.pins is not None:
            self.pins.abandon()
        self.pins = SimulatorFactory(board=self.board)
        self.lines = Lines(self.pins, LoopWatch())
        self.dispenser = build_dispenser(
            self.lines,
            VirtualClock(asyncio.get_running_loop()),
            columns=settings.columns,
            matrix=settings.gpio,
            drop_sensor=settings.drop_sensor,
            current_sense=None if settings.current_sense is None else settings.current_sense.pin,
            door=None if settings.door is None else settings.door.pin,
            latch_lost=self.latch_lost,
        )

    def breaks(self, column: str, **faults: Any) -> None:
        """Break a column."""
        spiral = self.cabinet.spirals[column]
        for name, value in faults.items():
            setattr(spiral.faults, name, value)
        spiral.faults_changed()

    def breaks_sensor(self, **faults: bool) -> None:
        """Break, or mend, the light barrier."""
        for name, value in faults.items():
            setattr(self.cabinet.sensor.faults, name, value)
        self.cabinet.sensor.faults_changed()

    def turns(self, column: str = "A1") -> int:
        return self.cabinet.spirals[column].turns

    @property
    def fallen(self) -> int:
        return self.truth.count(BIN)


OnBench = Callable[[Bench], Coroutine[Any, Any, T]]


@pytest.fixture
def direct() -> Bench:
    """Two columns with a pin each."""
    return Bench(
        columns=(
            column("A1", motor=DirectMotor(type="direct", pin=Pin(MOTOR)), home=Pin(HOME)),
            column(
                "A2",
                motor=DirectMotor(type="direct", pin=Pin(MOTOR_2, active_low=True)),
                home=Pin(HOME_2, active_low=True, pull="up"),
                empty=Pin(EMPTY),
            ),
        )
    )


@pytest.fixture
def crossed() -> Bench:
    """Four columns on a matrix, their cams on one wire."""
    return Bench(
        columns=tuple(
            column(
                f"{'AB'[row]}{number + 1}",
                motor=MatrixMotor(type="matrix", row=row, column=number),
                home=Pin(HOME),
            )
            for row in range(2)
            for number in range(2)
        ),
        matrix=True,
    )


def play(bench: Bench, story: OnBench[T]) -> T:
    """Run a story on a bench in virtual time; every output must be off at its end."""

    async def run() -> T:
        bench.start()
        result = await story(bench)
        assert bench.board.outputs_on() == ()
        return result

    return run_virtual(run())


@pytest.fixture(name="play")
def play_fixture() -> Callable[[Bench, OnBench[Any]], Any]:
    return play
