"""The urgent lane: copies of records that somebody should know of before the backlog has gone up.

A copy never counts: its record goes up in its place, however often the copy was sent, or lost. So
none of this is kept on the disk; what another life of this machine left in the backlog is found
again there.
"""

from __future__ import annotations

from typing import Final, Protocol

from cloud.contract.batch import traceparent
from cloud.contract.messages import Urgent
from cloud.contract.topics import Topic
from cloud.link import window as win
from cloud.link.transport import Connection
from controller.faults import JournalError
from controller.journal.envelope import EnvelopeError, read_head
from controller.journal.reader import StoredRow

URGENT: Final = frozenset(
    {
        "claim.asked",
        "claim.opened",
        "command.finished",
        "fault.raised",
        "refund.requested",
        "review.flagged",
    }
)
BACKLOG: Final = win.BATCH_RECORDS  # with less than this the chain is as fast
KEPT: Final = 64  # the newest: what was urgent before so many others is no news any more
# Records behind the end that are looked through after a start: weeks of a busy machine, and some
# tenths of a second on a Pi, in pieces of a few milliseconds.
RECALLED: Final = 20_000
_CHUNK: Final = 512
_SPAN: Final = "urgent"  # there is one such copy of a record, however often it is sent

Copy = tuple[int, int, bytes]  # seq, boot, body


class Reading(Protocol):
    """What the lane reads of the journal."""

    @property
    def journal_id(self) -> bytes:
        """Return the journal's id."""
        ...

    @property
    def durable_seq(self) -> int:
        """Return the last record that is on the disk."""
        ...

    @property
    def acked_seq(self) -> int:
        """Return the last record that the fleet has."""
        ...

    @property
    def base_seq(self) -> int:
        """Return the record up to which they were pruned."""
        ...

    async def chunk(self, first: int, limit: int) -> list[StoredRow]:
        """Return up to ``limit`` rows from ``first`` on."""
        ...


class Lane:
    """What is urgent and did not leave yet.

    Args:
        books: The journal.
    """

    def __init__(self, books: Reading) -> None:
        self._books = books
        self._copies: dict[int, Copy] = {}
        self._recalled = False

    @property
    def _backlog(self) -> int:
        return self._books.durable_seq - self._books.acked_seq

    def add(self, copies: list[Copy]) -> None:
        """Take what has just been written; nothing where the chain is as fast."""
        if self._backlog > BACKLOG:
            self._keep(copies)

    def _keep(self, copies: list[Copy]) -> None:
        kept = {**self._copies, **{copy[0]: copy for copy in copies}}
        self._copies = {seq: kept[seq] for seq in sorted(kept)[-KEPT:]}

    async def recall(self) -> None:
        """Find what was urgent when this life began, once."""
        if self._recalled or self._backlog <= BACKLOG:
            self._recalled = True
            return
        end = self._books.durable_seq
        least = max(self._books.acked_seq, self._books.base_seq, end - RECALLED)
        found: list[Copy] = []
        while end > least and len(found) < KEPT:
            first = max(least + 1, end - _CHUNK + 1)
            try:
                rows = await self._books.chunk(first, end - first + 1)
            except JournalError:  # whoever sends it in its turn finds that and tells
                rows = []
            found += [(row[0], row[1], bytes(row[2])) for row in rows if _is_urgent(row[2])]
            end = first - 1
        self._keep(found)
        self._recalled = True  # not before: a connection that was lost meanwhile ended the search

    async def send(self, connection: Connection) -> None:
        """Send what there is, the oldest first; what did not arrive stays."""
        journal = self._books.journal_id.hex()
        while self._copies:
            seq, boot, body = next(iter(self._copies.values()))
            if seq > self._books.acked_seq:
                trace = traceparent(self._books.journal_id, seq, _SPAN)
                copy = Urgent(journal=journal, seq=seq, boot=boot, body=body, trace=trace)
                await connection.say(Topic.URGENT, copy.to_bytes())
            self._copies.pop(seq, None)


def _is_urgent(body: bytes) -> bool:
    try:
        return read_head(body).type in URGENT
    except EnvelopeError:
        return False
