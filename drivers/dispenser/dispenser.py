"""All columns of the cabinet behind the controller's ``Dispenser`` port.

One motor at a time: the motors share their supply, their current sense and the drop sensor.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Final

from controller.clock import Clock
from controller.faults import InvariantError
from controller.ports import DispenseEvidence, DispenseOutcome, DispenseResult, SensorCheck
from drivers.dispenser.column_motor import ColumnMotor
from drivers.dispenser.current_sense import CurrentSense
from drivers.dispenser.drop_sensor import DropSensor
from drivers.dispenser.turn import START_PART_OF_TURN, Turn, TurnEnd, TurnInputs, TurnTimes
from drivers.gpio.debounce import Debounced, stands
from drivers.gpio.lines import InputLine, Lines
from drivers.waiting import Stir

# Cam switches bounce for some milliseconds.
HOME_DEBOUNCE_S: Final = 0.01

DOOR_DEBOUNCE_S: Final = 0.01
"""A motor's start is heard on every long cable; a door that opens stays open for longer."""

EMPTY_STANDS_S: Final = 0.1
"""A sold-out switch counts when it stands still: it rattles when somebody knocks at the machine,
and a column that is taken for empty sells no more until it is filled."""

SENSE_STUCK: Final = "current sense on before the start"

LATE_S: Final = 3.0
"""How long after its turn a product that was not seen may still fall. One that falls while the
next vend's motor turns would be taken for that vend's own."""

AFTER_DROP_S: Final = 1.0
"""How long a product goes on to darken the beam: a large one lingers, one bounces on the flap, a
second one comes behind it. The next of a basket would be told blind, or dropped for nothing."""

_OUTCOMES: Final[Mapping[TurnEnd, DispenseOutcome]] = {
    TurnEnd.NO_START: DispenseOutcome.NO_START,
    TurnEnd.JAMMED: DispenseOutcome.JAMMED,
    TurnEnd.NO_HOME: DispenseOutcome.NO_HOME,
    TurnEnd.DOOR: DispenseOutcome.DOOR_OPENED,
    TurnEnd.CUT: DispenseOutcome.NO_HOME,
}


@dataclass(frozen=True, slots=True)
class ColumnHardware:
    """One column's wires and times."""

    name: str  # the selection, e.g. "A1"
    motor: ColumnMotor
    times: TurnTimes
    home: InputLine | None = None  # on at home
    home_is_shared: bool = False  # other columns' cams stand on the same wire
    empty: InputLine | None = None  # on when the column is empty


@dataclass(frozen=True, slots=True)
class _Run:
    """What one motor run did."""

    end: TurnEnd
    run_s: float
    detail: str
    only_home: bool  # it began off home and soon ended there: what was left of an earlier turn


class GpioDispenser:
    """Motors, switches and the drop sensor on GPIO.

    Args:
        lines: The pins, for ``all_off``.
        clock: Time.
        columns: Every column.
        sensor: The drop sensor, if fitted.
        current: The current sense, if fitted.
        door: The service door's switch (on: open), if fitted. A door that opens in mid turn stops
            the motor; one that stood open before does not (a technician tests motors).
        settle_s: How long after the motor a product may still fall.
    """

    def __init__(
        self,
        lines: Lines,
        clock: Clock,
        columns: Mapping[str, ColumnHardware],
        *,
        sensor: DropSensor | None = None,
        current: CurrentSense | None = None,
        door: InputLine | None = None,
        settle_s: float = 0.4,
    ) -> None:
        self._lines = lines
        self._clock = clock
        self._columns = columns
        self._sensor = sensor
        self._current = current
        self._door = door
        self._settle_s = settle_s
        self._one_at_a_time = asyncio.Lock()
        self._fallen_by = float("-inf")  # by then a product that was not seen has fallen, or hangs
        self._quiet_by = float("-inf")  # by then one that was seen lies still
        self._was_open = False  # the door, when this vend's sensor was looked at

    async def check_sensor(self, column: str, *, again: bool = False) -> SensorCheck:
        """Self-test the drop sensor, clear its latch and read it back; see the port."""
        self._hardware(column)
        if not again:
            self._was_open = self._door is not None and self._door.active
        if self._sensor is None:
            return SensorCheck.NOT_FITTED
        async with self._one_at_a_time:
            ready_s = self._quiet_by if again else max(self._quiet_by, self._fallen_by)
            left_s = ready_s - self._clock.monotonic_s()
            if left_s > 0:
                await self._clock.sleep(left_s)
            return await self._sensor.check()

    async def turn(self, column: str, *, extra: bool = False) -> DispenseResult:
        """Run one column's motor one turn; its outputs are off on every way out.

        A latch that is on before the first turn proves nothing about it (an earlier vend's second
        product, a hand in the bin): it is cleared once more, and if it stays on: BLIND, not turned.
        So it is where another column's product may still fall for this vend. On before the extra
        turn, the product fell late: DROPPED, not turned.

        A spiral that stands off home is brought home by the first half turn at most, which delivers
        what an earlier turn owed, or nothing: then its own turn follows.
        """
        hardware = self._hardware(column)
        async with self._one_at_a_time:
            sensor = self._sensor
            is_empty = hardware.empty is not None and await stands(hardware.empty, EMPTY_STANDS_S)
            if extra and sensor is not None:
                if await self._fell_late(sensor, no_turn=is_empty):
                    return DispenseResult(DispenseOutcome.DROPPED, drops=1, detail="fell late")
            elif sensor is not None and sensor.latched and not is_empty:
                late = self._clock.monotonic_s() < self._fallen_by
                if late or await sensor.check() is SensorCheck.BLIND or sensor.latched:
                    return DispenseResult(DispenseOutcome.BLIND, detail="latched before the turn")
            if is_empty:
                return DispenseResult(DispenseOutcome.EMPTY)
            if await self._opened():
                return DispenseResult(DispenseOutcome.DOOR_OPENED)
            run = await self._run(hardware)
            result = await self._judge(run)
            if not run.only_home or result.outcome is not DispenseOutcome.NOT_SEEN:
                return result
            if await self._opened():
                return replace(result, outcome=DispenseOutcome.DOOR_OPENED)
            result = await self._judge(await self._run(hardware))
            return replace(result, run_s=run.run_s + result.run_s)

    async def evidence(self, column: str) -> DispenseEvidence:
        """Read latch and home switch; nothing moves.

        A column that is in the configuration no more has no switch; the latch is every column's.
        """
        hardware = self._columns.get(column)
        home = None if hardware is None or hardware.home_is_shared else hardware.home
        async with self._one_at_a_time:
            return DispenseEvidence(
                latched=None if self._sensor is None else await self._sensor.evidence(),
                at_home=None if home is None else home.active,
            )

    def all_off(self) -> None:
        """Drive every output to its safe level, now."""
        self._lines.all_off()

    def _hardware(self, column: str) -> ColumnHardware:
        try:
            return self._columns[column]
        except KeyError:
            raise InvariantError(f"there is no column {column!r}") from None

    async def _run(self, hardware: ColumnHardware) -> _Run:
        changed = Stir()
        door_opened = False
        turn: Turn | None = None

        def on_home(at_home: bool) -> None:
            if turn is not None:
                turn.note_home(at_home=at_home)
            changed.set()

        def on_door(is_open: bool) -> None:
            nonlocal door_opened
            door_opened = door_opened or is_open
            changed.set()

        with ExitStack() as stack:
            if self._door is not None:
                door = Debounced(self._door, DOOR_DEBOUNCE_S, on_door)
                door.start()
                stack.callback(door.stop)
            current, detail = self._current, ""
            if current is not None and await current.stuck():
                current, detail = None, SENSE_STUCK
            home = None
            if hardware.home is not None:
                home = Debounced(hardware.home, HOME_DEBOUNCE_S, on_home)
                stack.callback(home.stop)
            if current is not None:
                stack.callback(current.listen(lambda *_: changed.set()))
            sensor = self._sensor
            if sensor is not None:
                stack.callback(sensor.listen(lambda *_: changed.set()))
            motor = hardware.motor
            stack.callback(motor.off)  # last in, first out: the motor stops before anything else
            started = self._clock.monotonic_s()
            if home is not None and not hardware.home_is_shared:
                home.start()
            motor.on(on_cut=changed.set)
            if home is not None and hardware.home_is_shared:
                # A cam on a shared wire is seen while its own motor is selected, and not at once:
                # taken for off home, the motor would be stopped when its cam is heard.
                await self._clock.sleep(HOME_DEBOUNCE_S)
                home.start()
            at_home = None if home is None else home.active
            turn = Turn(hardware.times, started, at_home=at_home, sensed=current is not None)
            while True:
                now = self._clock.monotonic_s()
                inputs = TurnInputs(
                    home=None if home is None else home.active,
                    stalled=None if current is None else current.stalled,
                    door_open=door_opened,
                    cut=motor.cut_why is not None,
                    seen=sensor is not None and sensor.latched,
                )
                end = turn.look(now, inputs)
                if end is not None:
                    break
                await _wait(changed, turn.look_by() - now)
            motor.off()
            run_s = self._clock.monotonic_s() - started
            soon = run_s < START_PART_OF_TURN * hardware.times.turn_s
            only_home = end is TurnEnd.TURNED and at_home is False and soon
            return _Run(end, run_s, motor.cut_why or detail, only_home)

    async def _judge(self, run: _Run) -> DispenseResult:
        sensor = self._sensor
        turned = run.end is TurnEnd.TURNED
        if sensor is None:
            outcome = DispenseOutcome.UNKNOWN if turned else _OUTCOMES[run.end]
            return DispenseResult(outcome, run.run_s, detail=run.detail)
        if await self._drops_within(sensor, self._settle_s):
            # A product that fell has been delivered, whatever else went wrong.
            self._quiet_by = self._clock.monotonic_s() + AFTER_DROP_S
            trouble = None if turned else _OUTCOMES[run.end]
            detail = run.detail or ("" if trouble is None else trouble.value)
            return DispenseResult(DispenseOutcome.DROPPED, run.run_s, 1, detail, trouble)
        if run.end is not TurnEnd.NO_START:  # a spiral that was stopped lets go of its product, too
            self._fallen_by = self._clock.monotonic_s() + LATE_S
        if not turned:
            return DispenseResult(_OUTCOMES[run.end], run.run_s, detail=run.detail)
        blind = sensor.last_check is SensorCheck.BLIND or await sensor.still_sees() is False
        self._fallen_by = self._clock.monotonic_s() + LATE_S
        outcome = DispenseOutcome.BLIND if blind else DispenseOutcome.NOT_SEEN
        return DispenseResult(outcome, run.run_s)

    async def _opened(self) -> bool:
        """Tell whether the door was opened since the sensor was looked at for this vend.

        A record is written in between, and a slow disk takes its time. Who tests a motor behind an
        open door had it open before.
        """
        if self._door is None or self._was_open:
            return False
        return await stands(self._door, DOOR_DEBOUNCE_S)

    async def _fell_late(self, sensor: DropSensor, *, no_turn: bool) -> bool:
        """Tell whether what the first turn let go of has fallen before the extra one.

        Where no turn follows, as the column is empty by now, it gets its time.
        """
        left_s = self._fallen_by - self._clock.monotonic_s() if no_turn else 0.0
        if not (sensor.latched or (left_s > 0 and await self._drops_within(sensor, left_s))):
            return False
        self._fallen_by = self._clock.monotonic_s()
        self._quiet_by = self._fallen_by + AFTER_DROP_S  # as behind any drop
        return True

    async def _drops_within(self, sensor: DropSensor, seconds: float) -> bool:
        fallen = Stir()
        forget: Callable[[], None] = sensor.listen(lambda *_: fallen.set())
        try:
            if not sensor.latched:
                await _wait(fallen, seconds)
            return sensor.latched
        finally:
            forget()


async def _wait(stir: Stir, seconds: float) -> None:
    """Wait for ``stir``, then forget it; or until ``seconds`` are over."""
    if await stir.wait(seconds):
        stir.clear()
