"""A comparator on the motors' supply: on while a motor draws the current of one that stands still.

One for all motors, since one runs at a time. It is on for a moment at each start (inrush), which
the judgement of a turn allows for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from drivers.gpio.debounce import stands
from drivers.gpio.lines import EdgeListener, InputLine

# A filter behind the comparator lets go of the motor before within some hundredths of a second.
LETS_GO_S: Final = 0.1


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

    async def stuck(self) -> bool:
        """Tell whether it is on, and stays on, while no motor of ours runs: it tells of none then.

        Believed, it would make a jam of every column that is tried.
        """
        return await stands(self._line, LETS_GO_S)
