"""The newest of what was on the lines and pins, in memory: an append of a tuple, and no more.

A poll that brings nothing is the same again and again: it is counted, and told with the next frame
that is not. So is the word of a bill validator that is told to take nothing, maybe for hours.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Final

# Some minutes of selling, some 400 KiB; hours of idling, for idle polls are one entry.
EVENTS_MAX: Final = 4_096
_POLL_BYTES: Final = 1  # a POLL is its address byte alone
_ACK: Final = "ack"
_BILL_POLL: Final = b"\x33"  # MDB/ICP 4.2, section 6
_DISABLED: Final = b"\x09"  # its answer to each poll while it is told to take nothing

Event = tuple[Any, ...]  # (monotonic seconds, kind, ...)


class Ring:
    """Frames and edges.

    Args:
        now: Monotonic seconds.
        most: Entries kept.
    """

    def __init__(self, now: Callable[[], float], most: int = EVENTS_MAX) -> None:
        self._now = now
        self.events: deque[Event] = deque(maxlen=most)
        self._idle = 0  # polls that brought nothing since the last frame
        self._disabled = False  # the bill validator said so at its last poll

    def mdb(self, begun_s: float, payload: bytes, kind: str, data: bytes) -> None:
        """Take an exchange of the MDB: our block, and what came (no checksums)."""
        known = kind == _ACK and len(payload) == _POLL_BYTES
        if payload == _BILL_POLL:
            before, self._disabled = self._disabled, data == _DISABLED
            known = known or (before and self._disabled)
        if known:
            self._idle += 1
            return
        idle, self._idle = self._idle, 0
        self.events.append((begun_s, "mdb", payload, kind, data, idle))

    def line(self, what: str, data: bytes) -> None:
        """Take bytes of another line (``cctalk>`` sent, ``cctalk<`` heard)."""
        self.events.append((self._now(), what, data))

    def edge(self, owner: str, on: bool, at_s: float | None = None) -> None:
        """Take a pin's edge, with its own time where it has one: it may be heard late."""
        self.events.append((self._now() if at_s is None else at_s, "pin", owner, on))

    def since(self, begun_s: float) -> list[Event]:
        """Return what happened since an instant."""
        return [event for event in self.events if event[0] >= begun_s]
