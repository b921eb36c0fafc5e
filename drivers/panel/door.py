"""The service door's switch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from controller.ports import DeviceEvent, DoorChanged
from drivers.gpio.debounce import Debounced
from drivers.gpio.lines import InputLine

# A door swings; nobody opens and closes it faster than this.
DEBOUNCE_S: Final = 0.05


class Door:
    """Tells when the door is opened or closed.

    Args:
        line: On when it is open.
        notify: Takes ``DoorChanged``; once at the start, too, if it stands open then.
    """

    def __init__(self, line: InputLine, notify: Callable[[DeviceEvent], None]) -> None:
        self._notify = notify
        self._switch = Debounced(line, DEBOUNCE_S, lambda level: notify(DoorChanged(level)))

    def start(self) -> None:
        """Begin to listen, on the running loop."""
        self._switch.start()
        if self._switch.active:
            self._notify(DoorChanged(open=True))

    def stop(self) -> None:
        """Listen no more."""
        self._switch.stop()
