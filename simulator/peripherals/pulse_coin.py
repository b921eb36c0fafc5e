"""A coin acceptor that tells its coins by pulses on a pin, edge for edge.

It has a clock of its own: an edge is stamped with the instant for which it was set, as a kernel
would, when this process comes to play it later.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from config.models import Pulse
from simulator.peripherals.base import Timeline
from simulator.peripherals.faults import (
    PeripheralFaults,
    counter,
    faults_from_state,
    faults_to_state,
    switch,
)
from simulator.pins.board import PinBoard
from simulator.truth import CASHBOX, CUSTOMER, SLOT, TRAY, Kind, Thing, Truth

TRANSPORT_S: Final = 0.3  # from the slot to the sensor
SPIKE_S: Final = 0.001  # what a relay nearby puts on a long cable
LEVER_S: Final = 0.2  # a thumb on the coin return
BETWEEN_S: Final = 0.1  # beyond the gap that ends a group, before the next coin is told


@dataclass(slots=True)
class PulseFaults(PeripheralFaults):
    """What can go wrong with a pulse acceptor, or with its cable."""

    spikes: int = counter("the next N coins come with spikes on the line, before and between")
    lost_pulses: int = counter("the last pulse of the next N coins is lost")
    bounces: int = counter("the contact bounces at each edge of the next N coins")
    long_pulse: int = counter("the first pulse of the next N coins is far too long")
    swallowed: int = counter("the next N coins fall into the cash box without a pulse")
    stuck_on: bool = switch("the line is on, and stays so")


class SimPulseAcceptor:
    """One acceptor, wired as the machine's file says.

    Args:
        timeline: Physical time; pulses keep real time, as all signals do.
        truth: Where coins are.
        board: The pins.
        plan: The file's ``pulse`` section.
    """

    def __init__(self, timeline: Timeline, truth: Truth, board: PinBoard, plan: Pulse) -> None:
        self.name = "pulse"
        self.faults = PulseFaults()
        self.powered = True
        self.plan = plan
        self.on_coin: Callable[[int], None] | None = None  # told of each coin that is ours
        self._timeline = timeline
        self._truth = truth
        self._board = board
        self._pulses_of = {value: pulses for pulses, value in plan.coins.items()}
        longest = min(plan.pulse_max_ms, 3 * plan.pulse_min_ms)
        self._width_s = (plan.pulse_min_ms + longest) / 2000
        self._pause_s = min(plan.gap_ms / 3, 100.0) / 1000
        self._rolling: set[asyncio.TimerHandle] = set()
        self._edges: deque[tuple[float, bool]] = deque()  # (after seconds, level)
        self._timer: asyncio.TimerHandle | None = None
        self._due_s = 0.0  # when the next edge is, or the last one was
        self._pulsing = False
        board.wire(plan.pin.number, active_low=plan.pin.active_low)
        for pin in (plan.enable, plan.return_lever):
            if pin is not None:
                board.wire(pin.number, active_low=pin.active_low)
        self._show(on=False)
        if plan.return_lever is not None:
            board.switch(plan.return_lever.number, False)

    @property
    def taking(self) -> bool:
        """Tell whether a coin would be taken now."""
        enable = self.plan.enable
        return self.powered and (enable is None or self._board.is_on(enable.number))

    @property
    def quiet(self) -> bool:
        """Tell whether no coin rolls and no pulse is to be sent."""
        return not self._rolling and self._timer is None

    # -- the customer ------------------------------------------------------------------------

    def insert_coin(self, value: int, *, name: str = "") -> None:
        """Put a coin into the slot."""
        thing = Thing(Kind.COIN, value, name)
        self._truth.move(thing, CUSTOMER, SLOT)
        handle: asyncio.TimerHandle

        def arrives() -> None:
            self._rolling.discard(handle)
            self._arrives(thing)

        handle = self._timeline.after(TRANSPORT_S, arrives)
        self._rolling.add(handle)

    def press_lever(self) -> None:
        """Press the coin return for a moment."""
        lever = self.plan.return_lever
        if lever is None:
            return
        self._board.switch(lever.number, True)
        self._timeline.loop.call_later(LEVER_S, self._board.switch, lever.number, False)

    def _arrives(self, thing: Thing) -> None:
        pulses = self._pulses_of.get(thing.value)
        if not self.taking or thing.name or pulses is None:
            self._truth.move(thing, SLOT, TRAY, why="refused")
            return
        self._truth.move(thing, SLOT, CASHBOX)
        if self.on_coin is not None:
            self.on_coin(thing.value)
        if self.faults.swallowed > 0:
            self.faults.swallowed -= 1
            return
        self._say(pulses)

    # -- the line ----------------------------------------------------------------------------

    def _say(self, pulses: int) -> None:
        faults = self.faults
        width_s, first_s = self._width_s, self._width_s
        if faults.lost_pulses > 0:
            faults.lost_pulses -= 1
            pulses -= 1
        if faults.long_pulse > 0:
            faults.long_pulse -= 1
            first_s = 3 * self.plan.pulse_max_ms / 1000
        spiked = faults.spikes > 0
        faults.spikes -= spiked
        bouncing = faults.bounces > 0
        faults.bounces -= bouncing
        pause_s = 0.0
        if spiked:
            self._edges.extend(((0.01, True), (SPIKE_S, False)))
            pause_s = 0.01
        for number in range(pulses):
            lasts_s = first_s if number == 0 else width_s
            self._pulse(pause_s, lasts_s, bouncing=bouncing)
            pause_s = self._pause_s
            if spiked and number < pulses - 1:
                self._edges.extend(((pause_s / 2, True), (SPIKE_S, False)))
                pause_s /= 2
        self._edges.append((self.plan.gap_ms / 1000 + BETWEEN_S, False))
        if self._timer is None:
            self._due_s = self._timeline.now()
            self._next()

    def _pulse(self, pause_s: float, lasts_s: float, *, bouncing: bool) -> None:
        if not bouncing:
            self._edges.extend(((pause_s, True), (lasts_s, False)))
            return
        bounce_s = self.plan.bounce_ms / 4000
        self._edges.extend(
            (
                (pause_s, True), (bounce_s, False), (bounce_s, True),
                (lasts_s, False), (bounce_s, True), (bounce_s, False),
            )
        )  # fmt: skip

    def _next(self) -> None:
        self._timer = None
        if not self._edges:
            return
        seconds, level = self._edges.popleft()
        self._due_s += seconds
        self._timer = self._timeline.loop.call_at(self._due_s, self._step, level)

    def _step(self, level: bool) -> None:
        self._show(on=level, at_s=self._due_s)
        self._next()

    def _show(self, *, on: bool, at_s: float | None = None) -> None:
        self._pulsing = on
        self._board.switch(self.plan.pin.number, on or self.faults.stuck_on, at_s)

    def faults_changed(self) -> None:
        """Show on the line what is broken now."""
        self._show(on=self._pulsing)

    # -- power -------------------------------------------------------------------------------

    def power_off(self) -> None:
        """Lose the supply: what rolls falls through to the tray, what was not told is lost."""
        if not self.powered:
            return
        self.powered = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._edges.clear()
        self._show(on=False)

    def power_on(self) -> None:
        """Get the supply back."""
        self.powered = True

    def to_state(self) -> dict[str, Any]:
        """Return what outlives a loss of power, as JSON values."""
        return {"faults": faults_to_state(self.faults)}

    def from_state(self, state: Mapping[str, Any]) -> None:
        """Become what `to_state` returned."""
        faults_from_state(self.faults, state["faults"])
