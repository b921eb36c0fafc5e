"""The cabinet: columns that turn and drop, the light barrier, the door, wired to the pins.

Built from the same settings that the controller reads, for a cabinet is wired as its file says.
Products are counted by ``Truth``; everything here happens on timers of the loop that is given.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from typing import Any, Final

from config.machine import MachineSettings
from config.models import Column, MatrixMotor
from config.pins import Pin
from simulator.drop_sensor import DropSensor, SensorFaults
from simulator.peripherals.base import Timeline
from simulator.pins.board import PinBoard
from simulator.spiral import ColumnFaults, Release, Spiral
from simulator.truth import BIN, CUSTOMER, TECHNICIAN, Kind, Thing, Truth
from simulator.truth import column as column_place

FALL_S: Final = 0.25  # from the edge to the beam
IN_BEAM_S: Final = 0.03  # a tin of 15 cm at 5 m/s
SENSED_S: Final = 0.002  # a matrix's cams are heard behind an opto-coupler and a filter
BETWEEN_DROPS_S: Final = 0.12  # two products that fall in one turn are seen one after the other

# The cam's switch is on for this part of a turn.
_DWELL: Final = 0.12
_LONGEST_DWELL: Final = 0.4


class UnknownPartError(LookupError):
    """No such column, sensor or door."""


class Cabinet:
    """All that moves in a machine apart from money.

    Args:
        timeline: Physical time.
        board: The pins that everything is wired to.
        settings: The machine's own file.
        truth: Counts the products.
        brake_s: A cam's switch stays on for at least this long on the wall, however fast the world
            runs, so that a controller can stop a motor at home.
    """

    def __init__(
        self,
        timeline: Timeline,
        board: PinBoard,
        settings: MachineSettings,
        truth: Truth,
        *,
        brake_s: float = 0.0,
    ) -> None:
        self._timeline = timeline
        self._board = board
        self._truth = truth
        self.powered = True
        self.door_open = False
        self.on_door: Callable[[bool], None] | None = None
        self._plans = {plan.selection: plan for plan in settings.columns}
        self._door = settings.door
        self._current = settings.current_sense
        self._matrix = (settings.gpio.rows, settings.gpio.columns)
        self.sensor = DropSensor(board, settings.drop_sensor)
        self.spirals: dict[str, Spiral] = {}
        self._homes: dict[int, list[Spiral]] = {}
        self._home_pins: dict[int, Pin] = {}
        self._falling: set[asyncio.TimerHandle] = set()
        for plan in settings.columns:
            self._build(plan, brake_s)
        if self._current is not None:
            board.wire(self._current.pin.number, active_low=self._current.pin.active_low)
        self._show_current()
        for number in self._homes:
            self._show_home(number)
        for name in self._plans:
            self._show_empty(name)
        self.set_door(False)

    # ---------------------------------------------------------------------------- what is asked

    def product(self, column: str) -> Thing:
        """Return what a column holds. Raises UnknownPartError."""
        return Thing(Kind.PRODUCT, 0, self._plan(column).product)

    def stock(self, column: str) -> int:
        """Return how many products are in a column. Raises UnknownPartError."""
        return self._truth.count(column_place(self._plan(column).selection))

    def busy(self) -> bool:
        """Tell whether a motor runs or a product falls."""
        return bool(self._falling) or any(s.running and not s.stalled for s in self._all())

    # ----------------------------------------------------------------------------- what is done

    def load(self, column: str, count: int | None = None) -> int:
        """Put products into a column, as many as fit by default; return how many are in it."""
        plan = self._plan(column)
        count = plan.capacity - self.stock(column) if count is None else count
        if count > 0:
            place = column_place(plan.selection)
            self._truth.move(self.product(column), TECHNICIAN, place, count, why="filled")
        self._show_empty(column)
        return self.stock(column)

    def empty(self, column: str) -> int:
        """Take all products out of a column by hand; return how many there were."""
        count = self.stock(column)
        self._truth.empty(column_place(column), TECHNICIAN, why="emptied")
        self._show_empty(column)
        return count

    def take_products(self) -> tuple[str, ...]:
        """Take what lies in the bin; return the products' names."""
        there = self._truth.things(BIN)
        self._truth.empty(BIN, CUSTOMER, why="taken")
        return tuple(
            thing.name
            for thing, count in sorted(there.items(), key=lambda item: item[0].name)
            for _ in range(count)
        )

    def set_door(self, is_open: bool) -> None:
        """Open or close the service door."""
        self.door_open = is_open
        if self._door is not None:
            self._board.wire(self._door.pin.number, active_low=self._door.pin.active_low)
            self._board.switch(self._door.pin.number, is_open)
        if self.on_door is not None:
            self.on_door(is_open)

    def power(self, on: bool) -> None:
        """Cut or restore the power of motors and light barrier."""
        self.powered = on
        self.sensor.power(on)
        for spiral in self._all():
            spiral.power(on)

    # -------------------------------------------------------------------------------- its state

    def to_state(self) -> dict[str, Any]:
        """Return what outlives the simulator's process; products are in the truth."""
        return {
            "door_open": self.door_open,
            "latched": self.sensor.latched,
            "sensor_faults": asdict(self.sensor.faults),
            "columns": {
                name: {
                    "phase": spiral.phase,
                    "turns": spiral.turns,
                    "faults": asdict(spiral.faults),
                }
                for name, spiral in self.spirals.items()
            },
        }

    def from_state(self, state: Mapping[str, Any]) -> None:
        """Become what ``to_state`` returned; columns that are no longer there are left out."""
        self.set_door(bool(state["door_open"]))
        self.sensor.restore(latched=bool(state["latched"]))
        self.sensor.faults = SensorFaults(**state["sensor_faults"])
        self.sensor.faults_changed()
        for name, data in state["columns"].items():
            spiral = self.spirals.get(name)
            if spiral is not None:
                spiral.turns = int(data["turns"])
                spiral.put(float(data["phase"]))
                spiral.faults = ColumnFaults(**data["faults"])
                spiral.faults_changed()
        for name in self._plans:
            self._show_empty(name)

    # ---------------------------------------------------------------------------------- inside

    def _all(self) -> Iterable[Spiral]:
        return self.spirals.values()

    def _plan(self, column: str) -> Column:
        plan = self._plans.get(column)
        if plan is None:
            raise UnknownPartError(f"no column {column}; there are: {', '.join(self._plans)}")
        return plan

    def _build(self, plan: Column, brake_s: float) -> None:
        name = plan.selection
        spiral = Spiral(
            self._timeline,
            name,
            turn_s=plan.turn_s,
            dwell=min(max(_DWELL, brake_s * self._timeline.speed / plan.turn_s), _LONGEST_DWELL),
            stock=lambda: self.stock(name),
            on_home=lambda: self._home_changed(plan),
            on_release=self._fall,
            on_current=self._show_current,
        )
        self.spirals[name] = spiral
        if isinstance(plan.motor, MatrixMotor):
            rows, columns = self._matrix
            pins: tuple[Pin, ...] = (rows[plan.motor.row], columns[plan.motor.column])
        else:
            pins = (plan.motor.pin,)
        numbers = tuple(pin.number for pin in pins)

        def commanded(level: bool) -> None:
            del level
            spiral.command(all(self._board.is_on(number) for number in numbers))
            self._home_changed(plan)

        for pin in pins:
            self._board.wire(pin.number, active_low=pin.active_low)
            self._board.watch(pin.number, commanded)
        if plan.home is not None:
            self._board.wire(plan.home.number, active_low=plan.home.active_low)
            self._homes.setdefault(plan.home.number, []).append(spiral)
            self._home_pins[plan.home.number] = plan.home
        if plan.empty is not None:
            self._board.wire(plan.empty.number, active_low=plan.empty.active_low)

    def _home_changed(self, plan: Column) -> None:
        if plan.home is None:
            return
        if len(self._homes[plan.home.number]) > 1:
            self._timeline.after(SENSED_S, self._show_home, plan.home.number)
        else:
            self._show_home(plan.home.number)

    def _show_home(self, number: int) -> None:
        """Put a cam's switch on its pin.

        Several motors of a matrix share a line: the one that has current is heard alone, and at
        rest nothing is, for the switches get their current from the motors' lines.
        """
        spirals = self._homes[number]
        heard = [s for s in spirals if s.running] if len(spirals) > 1 else spirals
        self._board.switch(number, bool(heard) and all(spiral.at_home for spiral in heard))

    def _show_empty(self, column: str) -> None:
        plan = self._plans[column]
        if plan.empty is not None:
            self._board.switch(plan.empty.number, self.stock(column) == 0)

    def _show_current(self) -> None:
        if self._current is not None:
            heavy = any(spiral.heavy_current for spiral in self._all())
            self._board.switch(self._current.pin.number, heavy)

    def _later(self, delay_s: float, what: Any, *arguments: Any) -> None:
        """Run something of a fall after a delay, and remember that it is under way."""

        def run() -> None:
            self._falling.discard(handle)
            what(*arguments)

        handle = self._timeline.after(delay_s, run)
        self._falling.add(handle)

    def _fall(self, release: Release) -> None:
        for number in range(release.count):
            delay_s = release.delay_s + FALL_S + number * BETWEEN_DROPS_S
            self._later(delay_s, self._at_beam, release)

    def _at_beam(self, release: Release) -> None:
        thing = self.product(release.column)
        place = column_place(release.column)
        if self._truth.count(place, thing) == 0:
            return  # taken out by hand while it leaned over the edge
        if release.seen:
            self.sensor.enter()
            self._later(IN_BEAM_S, self.sensor.leave)
        self._truth.move(thing, place, BIN, why="fell" if release.seen else "fell unseen")
        self._show_empty(release.column)
