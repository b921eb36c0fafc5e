"""A comparator on the motors' supply: on while a motor draws the current of one that stands still.

One for all motors, since one runs at a time. It is on for a moment at each start (inrush), which
the judgement of a turn allows for.
"""

from __future__ import annotations

from collections.abc import Callable

from drivers.gpio.lines import EdgeListener, InputLine


class CurrentSense:
    """The comparator's output."""

    def __init__(self, line: InputLine) -> None:
        self._line = line

    @property
    def stalled(self) -> bool:
        """Read it."""
        return self._line.active

    def listen(self, changed: EdgeListener) -> Callable[[], None]:
        """Call ``changed`` at each edge; returns what ends it."""
        return self._line.listen(changed)
