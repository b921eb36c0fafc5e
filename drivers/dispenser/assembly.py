"""Build the dispenser from a machine's configuration; the settings' models fit as they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final, Literal, Protocol

from controller.clock import Clock
from controller.faults import ConfigError
from drivers.dispenser.column_motor import ColumnMotor, DirectMotor
from drivers.dispenser.current_sense import CurrentSense
from drivers.dispenser.dispenser import ColumnHardware, GpioDispenser
from drivers.dispenser.drop_sensor import CONTROL_MAX_ON_S, DropLines, DropSensor
from drivers.dispenser.matrix import Matrix
from drivers.dispenser.turn import TurnTimes
from drivers.gpio.lines import InputLine, Lines, OutputLine
from drivers.gpio.pin_shape import PinShape

# The turn's own limit comes first, the on-time watch is for a turn that forgot it.
WATCH_MARGIN_S: Final = 0.25


class DirectShape(Protocol):
    """A motor with a pin of its own."""

    @property
    def type(self) -> Literal["direct"]:
        """Return the word that tells the shapes apart."""
        ...

    @property
    def pin(self) -> PinShape:
        """Return the motor's pin."""
        ...


class CrossingShape(Protocol):
    """A motor at a crossing of the matrix, each line counted from 0."""

    @property
    def type(self) -> Literal["matrix"]:
        """Return the word that tells the shapes apart."""
        ...

    @property
    def row(self) -> int:
        """Return the row line's index."""
        ...

    @property
    def column(self) -> int:
        """Return the column line's index."""
        ...


class ColumnShape(Protocol):
    """One column."""

    @property
    def selection(self) -> str:
        """Return its name."""
        ...

    @property
    def motor(self) -> DirectShape | CrossingShape:
        """Return what turns it."""
        ...

    @property
    def home(self) -> PinShape | None:
        """Return the cam's switch."""
        ...

    @property
    def empty(self) -> PinShape | None:
        """Return the switch that says that it is empty."""
        ...

    @property
    def turn_s(self) -> float:
        """Return the length of one turn, as measured."""
        ...

    @property
    def max_on_s(self) -> float:
        """Return the longest turn."""
        ...


class MatrixShape(Protocol):
    """The lines that the motors of a matrix share."""

    @property
    def rows(self) -> Sequence[PinShape]:
        """Return the high sides."""
        ...

    @property
    def columns(self) -> Sequence[PinShape]:
        """Return the low sides."""
        ...


class SensorShape(Protocol):
    """The drop sensor."""

    @property
    def fitted(self) -> bool:
        """Tell whether there is one."""
        ...

    @property
    def latch(self) -> PinShape | None:
        """Return the latch's output."""
        ...

    @property
    def clear(self) -> PinShape | None:
        """Return what holds the latch off."""
        ...

    @property
    def test(self) -> PinShape | None:
        """Return what switches the emitter off."""
        ...

    @property
    def settle_ms(self) -> int:
        """Return how long a product may still fall after the turn."""
        ...


def build_dispenser(
    lines: Lines,
    clock: Clock,
    *,
    columns: Sequence[ColumnShape],
    matrix: MatrixShape,
    drop_sensor: SensorShape,
    current_sense: PinShape | None = None,
    door: PinShape | None = None,
    latch_lost: bool = False,
) -> GpioDispenser:
    """Claim the pins, all outputs off, and put the parts together.

    Args:
        lines: The chip's pins.
        clock: Time.
        columns: Every column.
        matrix: The lines of the motors' matrix; both empty if there is none.
        drop_sensor: The drop sensor, fitted or not.
        current_sense: The current sense's pin.
        door: The service door's pin.
        latch_lost: Power was cut since the sensor was last checked.

    Raises:
        ConfigError: A pin cannot be used.
    """
    longest_s = max((column.max_on_s for column in columns), default=0.0) + WATCH_MARGIN_S
    crossing = Matrix(
        _matrix_lines(lines, matrix.rows, "row", longest_s),
        _matrix_lines(lines, matrix.columns, "column", longest_s),
    )
    homes = Counter(column.home.number for column in columns if column.home is not None)
    hardware = {}
    for column in columns:
        motor: ColumnMotor
        name = f"column {column.selection}"
        if column.motor.type == "matrix":
            motor = crossing.motor(column.motor.row, column.motor.column)
        else:
            limit = column.max_on_s + WATCH_MARGIN_S
            motor = DirectMotor(
                lines.output(column.motor.pin, f"the motor of {name}", max_on_s=limit)
            )
        hardware[column.selection] = ColumnHardware(
            name=column.selection,
            motor=motor,
            times=TurnTimes.of(column.turn_s, column.max_on_s),
            home=_input(lines, column.home, f"the home switch of {name}"),
            home_is_shared=column.home is not None and homes[column.home.number] > 1,
            empty=_input(lines, column.empty, f"the sold-out switch of {name}"),
        )
    sense = _input(lines, current_sense, "the current sense")
    return GpioDispenser(
        lines,
        clock,
        hardware,
        sensor=_sensor(lines, drop_sensor, latch_lost=latch_lost),
        current=None if sense is None else CurrentSense(sense),
        door=_input(lines, door, "the door switch"),
        settle_s=drop_sensor.settle_ms / 1000,
    )


def _matrix_lines(
    lines: Lines, pins: Iterable[PinShape], word: str, max_on_s: float
) -> list[OutputLine]:
    return [
        lines.output(pin, f"motor {word} {index}", max_on_s=max_on_s)
        for index, pin in enumerate(pins)
    ]


def _input(lines: Lines, pin: PinShape | None, owner: str) -> InputLine | None:
    return None if pin is None else lines.input(pin, owner)


def _sensor(lines: Lines, shape: SensorShape, *, latch_lost: bool) -> DropSensor | None:
    if not shape.fitted:
        return None
    if shape.latch is None or shape.clear is None or shape.test is None:
        raise ConfigError("drop_sensor: one that is fitted has the pins latch, clear and test")
    # The emitter's pin first: were it dark from an earlier life, it must be lit before the latch,
    # possibly still held, is released.
    test = lines.output(shape.test, "the drop sensor's test", max_on_s=CONTROL_MAX_ON_S)
    clear = lines.output(shape.clear, "the drop sensor's clear", max_on_s=CONTROL_MAX_ON_S)
    return DropSensor(
        DropLines(lines.input(shape.latch, "the drop sensor's latch"), clear, test),
        latch_lost=latch_lost,
    )
