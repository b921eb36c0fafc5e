"""Records of a journal as one message: as many as one batch may hold."""

from __future__ import annotations

from typing import Protocol

import structlog

from cloud.contract import batch
from cloud.contract.journal import link
from cloud.link import window as win
from cloud.link.transport import LinkLostError
from controller.journal.errors import JournalBrokenError
from controller.journal.reader import StoredRow

log = structlog.get_logger("link")


class Rows(Protocol):
    """What packing reads of the journal."""

    @property
    def journal_id(self) -> bytes:
        """Return the journal's id."""
        ...

    @property
    def base_seq(self) -> int:
        """Return the record up to which they were pruned."""
        ...

    async def chunk(self, first: int, limit: int) -> list[StoredRow]:
        """Return up to ``limit`` rows from ``first`` on."""
        ...

    async def hash_at(self, seq: int) -> bytes | None:
        """Return a record's hash; None when it is not there (any more)."""
        ...


async def packed(
    books: Rows, first: int, nonce: str, *, most: int = win.BATCH_RECORDS
) -> tuple[bytes, int]:
    """Return a batch that begins with ``first``, and its last record.

    Where records from ``first`` on have just been pruned it begins with the first that is left.
    It ends before one that is not what was written.

    Raises:
        LinkLostError: They are being pruned at this moment: begin again.
        JournalError: The first of them can't be read, or is not what was written.
    """
    rows = await books.chunk(first, most)
    size = 0
    for index, row in enumerate(rows):
        size += len(row[2]) + 1
        if index and size > win.BATCH_BYTES:
            rows = rows[:index]
            break
    there = rows[0][0] if rows else 0
    if there != first > books.base_seq:
        raise JournalBrokenError("is missing", seq=first, last_good=first - 1)
    before = await books.hash_at(there - 1)
    if before is None and there > books.base_seq + 1:
        raise JournalBrokenError("is missing", seq=there - 1, last_good=there - 2)
    if before is None:
        raise LinkLostError(f"records before {there} are being pruned")
    rows = rows[: _whole(books.journal_id, rows, before)]
    trace = batch.traceparent(books.journal_id, rows[0][0], nonce)
    log.debug("batch", first=rows[0][0], records=len(rows), trace=trace)
    return batch.pack(books.journal_id, rows, before, nonce=nonce, trace=trace), rows[-1][0]


def _whole(journal: bytes, rows: list[StoredRow], digest: bytes) -> int:
    """Return how many rows are what was written: a fleet would doubt every record of the batch.

    Raises:
        JournalBrokenError: Not even the first.
    """
    for index, (seq, boot, body, stored) in enumerate(rows):
        due = rows[0][0] + index
        if seq != due or link(digest, journal, seq, boot, body) != stored:
            if index:
                return index
            raise JournalBrokenError("fails its hash", seq=seq, last_good=seq - 1)
        digest = stored
    return len(rows)
