"""Reading records back, each checked against the chain before anyone looks at it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from controller.journal import chain
from controller.journal.database import Database
from controller.journal.errors import DiskCorruptError, JournalBrokenError

# Rows per query: a few milliseconds of the database's thread, so that commits get in between.
CHUNK: Final = 512

StoredRow = tuple[int, int, bytes, bytes]  # seq, boot, body, hash


@dataclass(frozen=True, slots=True)
class Position:
    """A place in the chain: everything up to and with ``seq``."""

    seq: int
    boot: int
    hash: bytes
    confirmed_ms: int | None  # the last confirmed time up to here


_LARGEST: Final = 2**63 - 1  # SQLite knows no larger number, people may ask for one
START: Final = Position(0, 0, chain.GENESIS, None)


async def rows_after(database: Database, seq: int, limit: int = CHUNK) -> list[StoredRow]:
    """Return up to ``limit`` rows behind ``seq`` as they stand in the file, their chain unchecked.

    Less where one of them is none that was ever written: the next call finds it first.

    Raises:
        DiskCorruptError: The first of them is damaged. SQLite takes a changed byte of a row's head
            for another type of the value behind it.
    """
    if seq > _LARGEST:
        return []
    rows: list[StoredRow] = await database.query(
        "SELECT seq, boot, body, hash FROM record WHERE seq > ? ORDER BY seq LIMIT ?", (seq, limit)
    )
    for index, (number, boot, body, digest) in enumerate(rows):
        if type(body) is bytes and type(digest) is bytes and type(boot) is int and boot >= 0:
            continue
        if index:
            return rows[:index]
        found = ", ".join(type(value).__name__ for value in (boot, body, digest))
        if found == "int, bytes, bytes":
            raise DiskCorruptError(f"record {number} is of start {boot}")
        raise DiskCorruptError(f"record {number} holds {found}, not int, bytes, bytes")
    return rows


async def row_at(database: Database, seq: int) -> StoredRow | None:
    """Return one row, unchecked, or None."""
    rows = await rows_after(database, seq - 1, 1)
    return rows[0] if rows and rows[0][0] == seq else None


async def last_seq(database: Database) -> int:
    """Return the highest seq in the file; 0 when there is none."""
    return int((await database.query("SELECT coalesce(max(seq), 0) FROM record"))[0][0])


async def walk(
    database: Database, journal: bytes, after: Position | tuple[int, bytes]
) -> AsyncIterator[list[StoredRow]]:
    """Yield the rows behind a place in chunks, each dense and chained to the one before.

    Raises:
        JournalBrokenError: Naming the first wrong record; what was yielded before it is right.
        DiskIoError: The disk could not read.
    """
    seq, digest = (after.seq, after.hash) if isinstance(after, Position) else after
    link = chain.link
    while True:
        try:
            rows = await rows_after(database, seq)
        except DiskCorruptError as error:
            # Perhaps only the end of this chunk is on the damaged page: go on one by one.
            rows = await _salvage(database, seq)
            if not rows:
                raise JournalBrokenError(str(error), seq=seq + 1, last_good=seq) from error
        if not rows:
            return
        for index, (number, boot, body, stored) in enumerate(rows):
            if number != seq + 1:
                problem = f"is missing; the next one is {number}"
            elif link(digest, journal, number, boot, body) != stored:
                problem = "fails its hash"
            else:
                seq, digest = number, stored
                continue
            if index:
                yield rows[:index]
            raise JournalBrokenError(problem, seq=seq + 1, last_good=seq)
        yield rows


async def _salvage(database: Database, seq: int) -> list[StoredRow]:
    """Return the rows that can be read between ``seq`` and a damaged page."""
    rows: list[StoredRow] = []
    while len(rows) < CHUNK:
        try:
            more = await rows_after(database, seq + len(rows), 1)
        except DiskCorruptError:
            break
        if not more:
            break
        rows += more
    return rows
