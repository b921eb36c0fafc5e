"""The light barrier under the columns, with the flip-flop that remembers a broken beam.

The flip-flop stands outside of the computer: it outlives any process and is lost with the power.
A dark receiver sets it and outranks the clear line. The test line switches the emitter off, which
a working receiver sees as a broken beam.
"""

from __future__ import annotations

from dataclasses import dataclass

from config.models import DropSensor as DropSensorPlan
from simulator.peripherals.faults import switch
from simulator.pins.board import PinBoard


@dataclass(slots=True)
class SensorFaults:
    """What can go wrong with the light barrier."""

    blind: bool = switch("the receiver sees light whatever happens")
    blocked: bool = switch("something lies in the beam")
    latch_stuck: bool = switch("the flip-flop is set and can't be cleared")


class DropSensor:
    """The barrier of one machine.

    Args:
        board: The pins it is wired to.
        plan: Its pins; one that is not fitted sees nothing and drives nothing.
    """

    def __init__(self, board: PinBoard, plan: DropSensorPlan) -> None:
        self._board = board
        self._plan = plan
        self._in_beam = 0
        self.faults = SensorFaults()
        self.powered = True
        self.latched = False
        for pin in (plan.latch, plan.clear, plan.test):
            if pin is not None:
                board.wire(pin.number, active_low=pin.active_low)
        for pin in (plan.clear, plan.test):
            if pin is not None:
                board.watch(pin.number, self._line_changed)
        self._settle()

    def enter(self) -> None:
        """Something enters the beam."""
        self._in_beam += 1
        self._settle()

    def leave(self) -> None:
        """It leaves the beam."""
        self._in_beam -= 1
        self._settle()

    def faults_changed(self) -> None:
        """Look at ``faults`` again."""
        self._settle()

    def power(self, on: bool) -> None:
        """Cut the power or give it back; the flip-flop comes up cleared, whatever had fallen."""
        self.powered = on
        self.latched = False
        self._settle()

    def restore(self, *, latched: bool) -> None:
        """Set the flip-flop to what it held when the simulator's process ended."""
        self.latched = latched
        self._settle()

    @property
    def dark(self) -> bool:
        """Tell whether the receiver sees a broken beam."""
        if self.faults.blind:
            return False
        return self.faults.blocked or self._in_beam > 0 or self._is_on("test")

    def _is_on(self, line: str) -> bool:
        pin = getattr(self._plan, line)
        return pin is not None and self._board.is_on(pin.number)

    def _line_changed(self, level: bool) -> None:
        del level
        self._settle()

    def _settle(self) -> None:
        if not self._plan.fitted:
            return
        if self.powered:
            if self.dark or self.faults.latch_stuck:
                self.latched = True
            elif self._is_on("clear"):
                self.latched = False
        if self._plan.latch is not None:
            self._board.switch(self._plan.latch.number, self.latched)
