"""A level that counts only when it has stood still for a while; ours, on the loop's own time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from drivers.gpio.lines import InputLine
from drivers.waiting import Stir


class Debounced:
    """An input whose contact bounces.

    Args:
        line: The raw input.
        hold_s: How long a level must stand still to count.
        changed: Called on the loop with the new level each time it settles on another one.

    Use ``start`` and ``stop`` around the time in which it matters; ``active`` is the settled level.
    A level that stood still and was over before anybody heard of it is told all the same: the edges
    say themselves when they were, however late a busy process hears them.
    """

    def __init__(self, line: InputLine, hold_s: float, changed: Callable[[bool], None]) -> None:
        self._line = line
        self._hold_s = hold_s
        self._changed = changed
        self._timer: asyncio.TimerHandle | None = None
        self._level = False  # as the last edge said
        self._since_s = float("-inf")  # when that was
        self._forget: Callable[[], None] | None = None
        self.active = False

    def start(self) -> None:
        """Take the present level as settled and listen from now on."""
        if self._forget is None:
            self._forget = self._line.listen(self._edge)
            self.active = self._level = self._line.active

    def stop(self) -> None:
        """Listen no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._forget is not None:
            self._forget()
            self._forget = None

    def _edge(self, active: bool, at_s: float) -> None:
        stood_s, before = at_s - self._since_s, self._level
        self._level, self._since_s = active, at_s
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if before not in (self.active, active) and stood_s >= self._hold_s:
            self.active = before
            self._changed(before)
        if active != self.active:
            # Counted from the hearing: behind an edge that was heard late others may be on their
            # way.
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._hold_s, self._settle)

    def _settle(self) -> None:
        self._timer = None
        # Read again: an edge that was lost on the way must not leave a wrong level behind.
        level = self._line.active
        if level != self.active:
            self.active = level
            self._changed(level)


async def stands(line: InputLine, seconds: float) -> bool:
    """Tell whether a line is on, and stays on without an edge for so long."""
    if not line.active:
        return False
    moved = Stir()
    forget = line.listen(lambda *_: moved.set())
    try:
        return not await moved.wait(seconds)
    finally:
        forget()
