"""Records of a journal as one message: as many as one batch may hold."""

from __future__ import annotations

from typing import Protocol

import structlog

from cloud.contract import batch
from cloud.link import window as win
from cloud.link.transport import LinkLostError
from controller.journal.reader import StoredRow

log = structlog.get_logger("link")


class Rows(Protocol):
    """What packing reads of the journal."""

    @property
    def journal_id(self) -> bytes:
        """Return the journal's id."""
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

    Raises:
        LinkLostError: They are being pruned at this moment: begin again.
    """
    rows = await books.chunk(first, most)
    size = 0
    for index, row in enumerate(rows):
        size += len(row[2]) + 1
        if index and size > win.BATCH_BYTES:
            rows = rows[:index]
            break
    assert rows, "only durable records are sent"
    before = await books.hash_at(rows[0][0] - 1)
    if before is None:
        raise LinkLostError(f"records before {rows[0][0]} are being pruned")
    trace = batch.traceparent(books.journal_id, rows[0][0], nonce)
    log.debug("batch", first=rows[0][0], records=len(rows), trace=trace)
    return batch.pack(books.journal_id, rows, before, nonce=nonce, trace=trace), rows[-1][0]
