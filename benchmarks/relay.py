"""A cable that notes when the first poll goes over it: a pseudo terminal in front of another."""

from __future__ import annotations

import os
import select
import threading
import time
import tty
from pathlib import Path
from typing import Final

_READ: Final = 4_096
_POLL: Final = b"R,"  # the adapter's text protocol: a block for the bus


class Relay:
    """Passes bytes both ways, in a thread.

    Args:
        near: The name that vendd opens.
        far: The simulator's terminal.
    """

    def __init__(self, near: Path, far: Path) -> None:
        self._master, self._slave = os.openpty()  # our slave stays open between two vendds
        tty.setraw(self._slave)
        near.unlink(missing_ok=True)
        near.symlink_to(os.ttyname(self._slave))
        self._far = os.open(far, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        tty.setraw(self._far)
        self._first_poll_at: float | None = None
        self._end, self._ended = os.pipe()
        self._thread = threading.Thread(target=self._pass, daemon=True)
        self._thread.start()

    def arm(self) -> None:
        """Wait for the next first poll."""
        self._first_poll_at = None

    def first_poll_at(self, within_s: float) -> float | None:
        """Return when the first poll since ``arm`` went by, monotonic seconds."""
        until = time.monotonic() + within_s
        while self._first_poll_at is None and time.monotonic() < until:
            time.sleep(0.001)
        return self._first_poll_at

    def close(self) -> None:
        """End."""
        os.close(self._ended)
        self._thread.join()
        for descriptor in (self._end, self._master, self._slave, self._far):
            os.close(descriptor)

    def _pass(self) -> None:
        poller = select.poll()
        for descriptor in (self._master, self._far, self._end):
            poller.register(descriptor, select.POLLIN)
        while True:
            for descriptor, _ in poller.poll():
                if descriptor == self._end:
                    return
                data = os.read(descriptor, _READ)
                if descriptor == self._master:
                    if self._first_poll_at is None and _POLL in data:
                        self._first_poll_at = time.monotonic()
                    os.write(self._far, data)
                else:
                    os.write(self._master, data)
