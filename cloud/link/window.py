"""What is on its way to the fleet: which records go next, and from where to begin again.

Pure. Records go in order, some batches at once. Only the fleet's own acknowledgement moves the
place behind which nothing is sent again; a broker's word does not.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

BATCHES: Final = 8  # on their way at once: fills a slow link with a long round trip
BATCH_RECORDS: Final = 500  # some 17 KB; on 256 kbit/s half a second
BATCH_BYTES: Final = 512 * 1024  # of bodies, unpacked: long before the contract's bound
# Without progress for so long, everything is sent again from the last ack on; each time that it
# did not help doubles it: a fleet that is away is found soon after it is back, and not flooded.
PATIENCE_S: Final = 5.0
LONGEST_S: Final = 120.0
HURRY_S: Final = 2.0  # somebody in a hurry has no patience with what is on its way for longer


@dataclass(frozen=True, slots=True)
class Sent:
    """One batch that is on its way."""

    first: int
    last: int
    at_s: float


class Window:
    """The outbox's cursor.

    Args:
        acked: All records up to here are in the fleet's database.
    """

    def __init__(self, acked: int) -> None:
        self.acked = acked
        self._sent = acked
        self._flight: deque[Sent] = deque()
        self._patience_s = PATIENCE_S

    @property
    def in_flight(self) -> int:
        """Return how many batches are on their way."""
        return len(self._flight)

    @property
    def next_seq(self) -> int:
        """Return the first record that was not sent yet."""
        return self._sent + 1

    def wanted(self, durable: int) -> int | None:
        """Return the first record of the next batch, or None: nothing to send, or no room."""
        if self._sent >= durable or len(self._flight) >= BATCHES:
            return None
        return self._sent + 1

    def sent(self, first: int, last: int, now_s: float) -> None:
        """Note a batch that leaves."""
        self._flight.append(Sent(first, last, now_s))
        self._sent = max(self._sent, last)

    def acknowledged(self, seq: int, now_s: float) -> bool:
        """Take the fleet's word; True when it moved."""
        if seq <= self.acked:
            return False
        self.acked = seq
        self._sent = max(self._sent, seq)
        while self._flight and self._flight[0].last <= seq:
            self._flight.popleft()
        self._patience_s = PATIENCE_S
        # Progress gives the rest its time anew: a slow link is no lost one.
        self._flight = deque(Sent(s.first, s.last, now_s) for s in self._flight)
        return True

    def again(self, first: int) -> None:
        """Send from ``first`` on again; records behind the fleet's place only if it asks."""
        self._flight.clear()
        self._sent = max(0, first - 1)

    def hurry(self, now_s: float) -> None:
        """Somebody waits: forget how patient we were, and send again what may be lost."""
        self._patience_s = PATIENCE_S
        if self._flight and now_s - self._flight[0].at_s > HURRY_S:
            self.again(self.acked + 1)

    def overdue(self, now_s: float) -> bool:
        """Tell whether what is on its way has been there for too long."""
        return bool(self._flight) and now_s - self._flight[0].at_s > self._patience_s

    def due_in(self, now_s: float) -> float:
        """Return seconds until ``overdue`` may become true."""
        if not self._flight:
            return LONGEST_S
        return max(0.0, self._flight[0].at_s + self._patience_s - now_s)

    def give_up(self) -> None:
        """Send everything behind the last ack again, and wait longer for its answer."""
        self._patience_s = min(2 * self._patience_s, LONGEST_S)
        self.again(self.acked + 1)
