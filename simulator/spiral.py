"""One column: a spiral that a motor turns, its home cam, and the products in it.

Positions are parts of one turn. The cam's switch is on from 0 to the end of its dwell; a product
tips over the edge shortly before the turn ends. A motor without current stands still at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from simulator.peripherals.base import Timeline
from simulator.peripherals.faults import counter, switch

RELEASE_AT: Final = 0.9  # where in the turn a product tips over the edge
JAM_AT: Final = 0.3
LATE_FALL_S: Final = 3.0  # a product that leans on its neighbour for a while
SLOW_FACTOR: Final = 1.8
# Every start draws the current of a motor that stands still, until it turns.
INRUSH_S: Final = 0.04


@dataclass(slots=True)
class ColumnFaults:
    """What can go wrong with a column."""

    jam: bool = switch("the motor starts, then stands still off home")
    no_start: bool = switch("no current and no movement, as with a broken wire")
    seized: bool = switch("the motor draws its stall current and does not move")
    no_home: bool = switch("the motor turns, and the cam's switch never closes again")
    home_stuck: bool = switch("the motor turns, and the cam's switch stays closed")
    stuck_on: bool = switch("the motor has current whatever the pin says")
    slow: bool = switch("a turn takes nearly twice its time")
    hang: int = counter("the next N turns leave the product in the spiral")
    double_drop: int = counter("the next N turns let two products fall")
    late_drop: int = counter("the next N products fall seconds after the turn")
    unseen_drop: int = counter("the next N products fall past the light barrier")


@dataclass(frozen=True, slots=True)
class Release:
    """Products that tip over the edge at one instant."""

    column: str
    count: int
    delay_s: float  # before they fall
    seen: bool  # they cross the beam


class Spiral:
    """The mechanics of one column.

    Args:
        timeline: Physical time.
        name: The selection, e.g. "A1".
        turn_s: One turn at nominal speed, in seconds.
        dwell: The part of a turn for which the cam's switch is on.
        stock: Returns how many products it holds.
        on_home: Called with each new state of the cam's switch.
        on_release: Called when products tip over the edge.
        on_current: Called when the current of a motor that stands still begins and ends.
    """

    def __init__(
        self,
        timeline: Timeline,
        name: str,
        *,
        turn_s: float,
        dwell: float,
        stock: Callable[[], int],
        on_home: Callable[[], None],
        on_release: Callable[[Release], None],
        on_current: Callable[[], None],
    ) -> None:
        self._timeline = timeline
        self.name = name
        self._turn_s = turn_s
        self._dwell = dwell
        self._stock = stock
        self._on_home = on_home
        self._on_release = on_release
        self._on_current = on_current
        self.faults = ColumnFaults()
        self.turns = 0  # whole turns ever made
        self.running = False
        self.stalled = False  # stands still although it has current
        self.heavy_current = False  # what a comparator on the supply sees
        self._commanded = False
        self._powered = True
        self._phase = 0.0
        self._since_s = 0.0
        self._rate = 0.0  # parts of a turn per second of the loop
        self._switch = True
        self._arrival: asyncio.TimerHandle | None = None
        self._inrush: asyncio.TimerHandle | None = None

    # --------------------------------------------------------------------------- from outside

    def command(self, on: bool) -> None:
        """Put the pins' current on the motor, or take it away."""
        self._commanded = on
        self._settle()

    def power(self, on: bool) -> None:
        """Cut or restore the supply of the motor."""
        self._powered = on
        self._settle()

    def faults_changed(self) -> None:
        """Look at ``faults`` again; what stands off home stays there when it is mended."""
        self._hold()
        self._read_cam()
        self._settle(again=True)

    def put(self, phase: float) -> None:
        """Turn the spiral by hand to a position from 0 (home) to 1."""
        self._hold()
        self._phase = phase % 1.0
        self._read_cam()
        self._settle(again=True)

    @property
    def phase(self) -> float:
        """Return the position now, from 0 to 1."""
        return self._phase + self._moved() if self._arrival is not None else self._phase

    @property
    def at_home(self) -> bool:
        """Return what the cam's switch says, which is not always the truth."""
        return self._switch

    # -------------------------------------------------------------------------------- inside

    def _settle(self, *, again: bool = False) -> None:
        """Start or stop after what was asked, powered or broken."""
        wanted = self._powered and (self._commanded or self.faults.stuck_on)
        if wanted == self.running and not again:
            return
        self._hold()
        started = wanted and not self.running
        self.running = wanted
        if wanted:
            self._go_on()
            if started and not self.stalled and not self.faults.no_start:
                self._inrush = self._timeline.after(INRUSH_S, self._inrush_over)
        self._read_current()

    def _inrush_over(self) -> None:
        self._inrush = None
        self._read_current()

    def _moved(self) -> float:
        """Return the part of a turn made since ``_since_s``."""
        return (self._timeline.now() - self._since_s) * self._rate

    def _hold(self) -> None:
        """Freeze the position at where it is now."""
        if self._inrush is not None:
            self._inrush.cancel()
            self._inrush = None
        if self._arrival is not None:
            self._phase = min(self._phase + self._moved(), 1.0) % 1.0
            self._arrival.cancel()
            self._arrival = None
        self.stalled = False

    def _go_on(self) -> None:
        """Set the timer for the next thing that happens on the way, or stand still."""
        stops = [stop for stop in (self._dwell, RELEASE_AT, 1.0) if stop > self._phase]
        target = stops[0]
        if self.faults.seized or self.faults.no_start:
            target = self._phase
        elif self.faults.jam and self._phase <= JAM_AT:
            target = min(target, JAM_AT)
        if target == self._phase:
            self.stalled = True
            return
        turn_s = self._turn_s * (SLOW_FACTOR if self.faults.slow else 1.0)
        self._rate = self._timeline.speed / turn_s
        self._since_s = self._timeline.now()
        delay_s = (target - self._phase) * turn_s
        self._arrival = self._timeline.after(delay_s, self._arrive, target)

    def _arrive(self, where: float) -> None:
        self._arrival = None
        self._phase = where % 1.0
        if where == 1.0:
            self.turns += 1
        # On first, since what the switch says may make somebody take the current away.
        self._go_on()
        if self.stalled:
            self._read_current()
        self._read_cam()
        if where == RELEASE_AT:
            self._release()

    def _read_current(self) -> None:
        """See whether a comparator on the supply would see this motor stand still."""
        stands = self.stalled and not self.faults.no_start
        heavy = self.running and (stands or self._inrush is not None)
        if heavy != self.heavy_current:
            self.heavy_current = heavy
            self._on_current()

    def _read_cam(self) -> None:
        on = self._phase < self._dwell
        if self.faults.home_stuck:
            on = True
        elif self.faults.no_home and not self._switch:
            on = False
        if on != self._switch:
            self._switch = on
            self._on_home()

    def _suffers(self, fault: str) -> bool:
        """Tell whether this product meets a fault that counts down."""
        left: int = getattr(self.faults, fault)
        if left > 0:
            setattr(self.faults, fault, left - 1)
        return left > 0

    def _release(self) -> None:
        stock = self._stock()
        if stock == 0 or self._suffers("hang"):
            return
        count = min(2 if self._suffers("double_drop") else 1, stock)
        late = self._suffers("late_drop")
        unseen = self._suffers("unseen_drop")
        self._on_release(Release(self.name, count, LATE_FALL_S if late else 0.0, not unseen))
