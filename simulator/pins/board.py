"""The pins of a computer's header: who drives each one, what level that makes, what happened when.

One side is the controller (through a session, as a process holds lines of a GPIO chip), the other
the world, which drives inputs, bridges pins (a key that is pressed) and watches outputs. Knows no
gpiozero and no socket. A pin that nobody drives takes its internal pull, else its resistor on the
board, else low.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from enum import IntEnum, StrEnum
from typing import Final, NamedTuple

PIN_COUNT: Final = 64  # the highest pin a machine's configuration may name is 63

# Edges kept for tests: some minutes of keypad scanning, or every motor edge of a month.
EDGE_MEMORY: Final = 20_000


class Pull(IntEnum):
    """An input's internal resistor."""

    FLOATING = 0
    UP = 1
    DOWN = 2


class Edges(IntEnum):
    """Which changes of an input are told; a bit per direction."""

    NONE = 0
    RISING = 1
    FALLING = 2
    BOTH = 3


class OnRelease(StrEnum):
    """What becomes of a process's outputs when it ends."""

    KEEP = "keep"  # as on Raspberry Pi OS: they keep their level
    INPUT = "input"  # the chip makes them inputs


class PinBusyError(Exception):
    """Another living session holds this pin (the kernel answers EBUSY)."""


class PinUseError(Exception):
    """The pin does not exist, was not claimed, or is no output."""


class Edge(NamedTuple):
    """One change of one pin's level; a tuple, since a motor and a buzzer make many."""

    seq: int  # counts from 1
    at_s: float  # on the board's clock
    pin: int
    level: bool
    driven: bool  # the controller drove it (an output); else the world did


Listener = Callable[[int, bool, float], None]
Watcher = Callable[[bool], None]


class Line:
    """One pin's copper."""

    __slots__ = (
        "active_low", "bias", "bridges", "edges", "level", "listener", "longest_on_s", "on_since_s",
        "output", "output_level", "owner", "pull", "traced", "watchers", "world",
    )  # fmt: skip

    def __init__(self) -> None:
        self.output = False
        self.output_level = False
        self.pull = Pull.FLOATING
        self.world: bool | None = None
        self.bias = False
        self.level = False
        self.bridges: set[int] = set()
        self.watchers: tuple[Watcher, ...] = ()
        self.listener: Listener | None = None
        self.edges = Edges.NONE
        self.owner: PinSession | None = None
        self.active_low = False
        self.on_since_s: float | None = None
        self.longest_on_s = 0.0
        self.traced = True

    @property
    def is_on(self) -> bool:
        """Tell whether what the pin stands for is on."""
        return self.level != self.active_low


class PinBoard:
    """All pins of one computer.

    Args:
        now_s: The clock that stamps edges, in seconds.
        on_release: What outputs do when the session that drives them ends.
    """

    def __init__(
        self, now_s: Callable[[], float], *, on_release: OnRelease = OnRelease.KEEP
    ) -> None:
        self.now_s = now_s
        self.on_release = on_release
        self.edges: deque[Edge] = deque(maxlen=EDGE_MEMORY)
        self.on_edge: Callable[[Edge], None] | None = None
        self.edges_seen = 0  # ever
        self.conflicts = 0  # times that two outputs fought over one net
        self.lines = [Line() for _ in range(PIN_COUNT)]

    # ------------------------------------------------------------------ the controller's side

    def session(self) -> PinSession:
        """Open the pins as one process does."""
        return PinSession(self)

    # ----------------------------------------------------------------------- the world's side

    def level(self, pin: int) -> bool:
        """Return a pin's level now."""
        return self.line(pin).level

    def is_on(self, pin: int) -> bool:
        """Tell whether what the pin stands for is on (see ``wire``)."""
        line = self.line(pin)
        return line.level != line.active_low

    def is_output(self, pin: int) -> bool:
        """Tell whether the controller drives the pin."""
        return self.line(pin).output

    def wire(self, pin: int, *, active_low: bool = False, traced: bool = True) -> None:
        """Say how a pin is used, with a resistor on the board that holds it off when undriven."""
        line = self.line(pin)
        line.active_low = active_low
        line.bias = active_low
        line.traced = traced
        self.settle(pin)

    def drive(self, pin: int, level: bool | None, at_s: float | None = None) -> None:
        """Put a level on a pin from outside; None lets go.

        Args:
            pin: Which one.
            level: High or low.
            at_s: When that came about, for what has a clock of its own and is played by a process
                that may be late; None: now.
        """
        line = self.line(pin)
        if line.world is not level:
            line.world = level
            self.settle(pin, at_s)

    def switch(self, pin: int, on: bool, at_s: float | None = None) -> None:
        """Drive a pin to what stands for on or off; see ``drive``."""
        self.drive(pin, on != self.line(pin).active_low, at_s)

    def watch(self, pin: int, watcher: Watcher) -> None:
        """Call ``watcher`` with each new level of a pin."""
        line = self.line(pin)
        line.watchers = (*line.watchers, watcher)

    def bridge(self, one: int, other: int) -> None:
        """Connect two pins, as a pressed key does."""
        self.line(one).bridges.add(other)
        self.line(other).bridges.add(one)
        self.settle(one)

    def unbridge(self, one: int, other: int) -> None:
        """Part two pins again."""
        self.line(one).bridges.discard(other)
        self.line(other).bridges.discard(one)
        self.settle(one)
        self.settle(other)

    def longest_on_s(self, pin: int) -> float:
        """Return the longest time that an output was on without a pause, a running one included."""
        line = self.line(pin)
        if line.on_since_s is None:
            return line.longest_on_s
        return max(line.longest_on_s, self.now_s() - line.on_since_s)

    def outputs_on(self) -> tuple[int, ...]:
        """Return the pins that the controller drives and that are on."""
        return tuple(pin for pin, line in enumerate(self.lines) if line.output and line.is_on)

    def forget(self) -> None:
        """Clear the recorded edges and on-times."""
        self.edges.clear()
        for line in self.lines:
            line.longest_on_s = 0.0

    def power_cut(self) -> None:
        """Take the computer's power away: no pin drives anything, every session is over."""
        for line in self.lines:
            if line.owner is not None:
                line.owner.die()
        for pin, line in enumerate(self.lines):
            line.pull = Pull.FLOATING
            if line.output:
                line.output = False
                self.settle(pin)

    # ---------------------------------------------------------------------------------- inside

    def line(self, pin: int) -> Line:
        """Return one pin's copper. Raises PinUseError."""
        if not 0 <= pin < PIN_COUNT:
            raise PinUseError(f"pin {pin} does not exist; allowed: 0 to {PIN_COUNT - 1}")
        return self.lines[pin]

    def settle(self, pin: int, at_s: float | None = None) -> None:
        """Work out the level of a pin, and of all that are bridged to it, and tell who listens."""
        line = self.lines[pin]
        if not line.bridges:
            if line.output:
                level = line.output_level
            elif line.world is not None:
                level = line.world
            else:
                level = self._weak((line,))
            if level is not line.level:
                self._change(pin, line, level, at_s)
            return
        net = self._net(pin)
        level = self._net_level([self.lines[p] for p in net])
        for member in net:
            line = self.lines[member]
            if level is not line.level:
                self._change(member, line, level, at_s)

    def _net(self, pin: int) -> list[int]:
        found = [pin]
        for member in found:
            found.extend(p for p in self.lines[member].bridges if p not in found)
        return sorted(found)

    def _net_level(self, lines: list[Line]) -> bool:
        driven = {line.output_level for line in lines if line.output}
        if len(driven) == 2:
            # A short through the keys. The level that differs from the pull wins, as behind the
            # diodes of a keypad that is made for it.
            self.conflicts += 1
            return not self._weak(lines)
        if driven:
            return driven.pop()
        worldly = [line.world for line in lines if line.world is not None]
        return worldly[0] if worldly else self._weak(lines)

    @staticmethod
    def _weak(lines: Iterable[Line]) -> bool:
        bias = False
        for line in lines:
            if not line.output and line.pull is not Pull.FLOATING:
                return line.pull is Pull.UP
            bias = bias or line.bias
        return bias

    def _change(self, pin: int, line: Line, level: bool, at_s: float | None) -> None:
        if at_s is None:
            at_s = self.now_s()
        line.level = level
        if line.output and level != line.active_low:
            line.on_since_s = at_s
        elif line.on_since_s is not None:
            line.longest_on_s = max(line.longest_on_s, at_s - line.on_since_s)
            line.on_since_s = None
        if line.traced:
            self.edges_seen += 1
            edge = Edge(self.edges_seen, at_s, pin, level, line.output)
            self.edges.append(edge)
            if self.on_edge is not None:
                self.on_edge(edge)
        for watcher in line.watchers:
            watcher(level)
        if line.listener is not None and not line.output:
            wanted = Edges.RISING if level else Edges.FALLING
            if line.edges & wanted:
                line.listener(pin, level, at_s)


class PinSession:
    """One process's hold on the pins; ends when the process does, however it does.

    After ``die`` every call is ignored: what a dead process would still have done does not happen.
    """

    def __init__(self, board: PinBoard) -> None:
        self.board = board
        self.alive = True

    def claim_input(self, pin: int) -> None:
        """Make a pin this session's input, its pull off. Raises PinBusyError."""
        line = self._claim(pin)
        if line is not None:
            line.output = False
            line.pull = Pull.FLOATING
            self.board.settle(pin)

    def claim_output(self, pin: int, level: bool = False) -> None:
        """Make a pin this session's output. Raises PinBusyError."""
        line = self._claim(pin)
        if line is not None:
            line.output_level = level
            if not line.output:
                line.output = True
                line.listener = None
                if line.level is level and line.is_on and line.on_since_s is None:
                    line.on_since_s = self.board.now_s()
            self.board.settle(pin)

    def is_output(self, pin: int) -> bool:
        """Tell whether a pin is an output."""
        return self.board.is_output(pin)

    def write(self, pin: int, level: bool) -> None:
        """Set an output's level. Raises PinUseError when it is no output of this session."""
        if not self.alive:
            return
        line = self._own(pin)
        if not line.output:
            raise PinUseError(f"pin {pin} is an input")
        if line.output_level is not level:
            line.output_level = level
            self.board.settle(pin)

    def read(self, pin: int) -> bool:
        """Return a pin's level."""
        return self.board.level(pin)

    def pull(self, pin: int, pull: Pull) -> None:
        """Set an input's internal resistor."""
        if self.alive:
            self._own(pin).pull = pull
            self.board.settle(pin)

    def get_pull(self, pin: int) -> Pull:
        """Return a pin's internal resistor."""
        return self.board.line(pin).pull

    def listen(self, pin: int, edges: Edges, listener: Listener | None) -> None:
        """Have ``listener`` called with (pin, level, time in s) at each wanted edge of an input."""
        if self.alive:
            line = self._own(pin)
            line.edges = edges
            line.listener = listener if edges else None

    def die(self) -> None:
        """End as a process does: nothing is put in order; idempotent."""
        if not self.alive:
            return
        self.alive = False
        for pin, line in enumerate(self.board.lines):
            if line.owner is not self:
                continue
            line.owner = None
            line.listener = None
            line.edges = Edges.NONE
            if line.output and self.board.on_release is OnRelease.INPUT:
                line.output = False
                line.pull = Pull.FLOATING
                self.board.settle(pin)

    def _claim(self, pin: int) -> Line | None:
        if not self.alive:
            return None
        line = self.board.line(pin)
        if line.owner not in (None, self):
            raise PinBusyError(f"pin {pin} is held by another process")
        line.owner = self
        return line

    def _own(self, pin: int) -> Line:
        line = self.board.line(pin)
        if line.owner is not self:
            raise PinUseError(f"pin {pin} was not claimed by this process")
        return line
