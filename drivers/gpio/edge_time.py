"""When an edge was, on the loop's clock: as the kernel says, not when somebody got to hear of it.

A pin library stamps edges with ticks of its own: lgpio with the kernel's monotonic nanoseconds,
pigpio with microseconds that wrap after 72 minutes, others with the moment in which their thread
woke up. Only the library can compare two of them, so an edge's age is asked of it, and taken off
the time of hearing. What can't be an age (a clock of another kind, ticks that are none) tells
nothing: such an edge came when it was heard.
"""

from __future__ import annotations

from typing import Any, Final

OLDEST_S: Final = 30.0
"""No edge waits for longer to be heard: the guard has ended a vendd that stands still long before
that, and a kernel's queue holds few edges."""


class EdgeTimes:
    """Reads the ticks of one pin factory.

    Args:
        factory: An open gpiozero pin factory.
    """

    def __init__(self, factory: Any) -> None:
        self._factory = factory

    def of(self, ticks: Any, heard_s: float) -> float:
        """Return when an edge was.

        Args:
            ticks: What came with it.
            heard_s: The loop's time now.
        """
        factory = self._factory
        try:
            age_s = float(factory.ticks_diff(factory.ticks(), ticks))
        except Exception:  # noqa: BLE001 - each pin library has errors of its own
            return heard_s
        return heard_s - age_s if 0.0 <= age_s <= OLDEST_S else heard_s
