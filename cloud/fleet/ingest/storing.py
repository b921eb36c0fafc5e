"""Storing what follows a journal's cursor, and projecting it; inside the cursor's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import bindparam, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.contract.batch import Batch, BatchHead, Row, read_head, unpack_bodies
from cloud.contract.journal import Record
from cloud.contract.journal import records as rec
from cloud.fleet import alerts
from cloud.fleet import schema as t
from cloud.fleet.database import FleetDatabase, Write
from cloud.fleet.ingest import checkpoints, copies, forks
from cloud.fleet.ingest.cursor import Cursor, hash_at
from cloud.fleet.ingest.folds import Folds
from cloud.fleet.ingest.reading import columns_of, records_of
from cloud.fleet.projections import tables
from cloud.fleet.projections.carried import counted_already
from cloud.fleet.projections.fold import Fold

# Batches kept ahead of a gap: the machine sends from the gap on, so more would come again anyway.
MAX_WAITING: Final = 32
# Records read at a time. A run's thousands all at once would leave the processor's caches, and
# cost a third more.
_READ_AT_ONCE: Final = 64

# Made once: to put a statement together takes longer than to execute it.
_MOVE: Final = (
    update(t.journal)
    .where(t.journal.c.id == bindparam("of_journal"))
    .values(
        {
            name: bindparam(name)
            for name in (
                "next_seq",
                "last_hash",
                "projected_seq",
                "folded",
                "has_waiting",
                "has_copies",
                "bad_batches",
                "updated_ms",
            )
        }
    )
)


class Storing:
    """Writes what a batch brought.

    Args:
        database: Where to.
        folds: What this process wrote last.
    """

    def __init__(self, database: FleetDatabase, folds: Folds) -> None:
        self._database = database
        self._folds = folds

    async def store(
        self, connection: AsyncConnection, cursor: Cursor, rows: Sequence[Row], now_ms: int
    ) -> None:
        """Store records that follow the cursor; project them when the journal is adopted."""
        projected = cursor.adopted and cursor.active
        fold = await self._fold(connection, cursor) if projected else None
        stored: list[tuple[Any, ...]] = []
        came = cursor.tenant_id, now_ms
        for start in range(0, len(rows), _READ_AT_ONCE):
            records = records_of(rows[start : start + _READ_AT_ONCE])
            stored += [
                (cursor.id, r.seq, r.boot, *columns_of(r), r.body, r.hash, *came) for r in records
            ]
            if records[0].seq == 1:
                await self._note_beginning(connection, cursor, records[0], now_ms)
            if fold is not None:
                fold.known = await counted_already(connection, records)
                for record in records:
                    fold.take(record)
        await self._database.insert_many(connection, t.record, stored)
        if fold is not None:
            await self._save(connection, cursor, fold, now_ms)
            cursor.projected_seq = rows[-1].seq
        elif cursor.adopted:
            detail = (
                f"journal {cursor.uid.hex()} goes on, and another one has followed it: its old disk"
            )
            await alerts.raise_alert(
                self._database, connection, cursor.machine_id, alerts.SUPERSEDED, detail, now_ms
            )
        if cursor.has_copies:
            await copies.confirm(self._database, connection, cursor, rows, now_ms)
        cursor.next_seq = rows[-1].seq + 1
        cursor.last_hash = rows[-1].hash

    async def _fold(self, connection: AsyncConnection, cursor: Cursor) -> Fold:
        fold = self._folds.pick(cursor.id, cursor.folded)
        if fold is None:
            fold = await tables.load(self._database, connection, cursor.machine_id, cursor.id)
        fold.head = cursor.next_seq - 1, cursor.last_hash
        fold.journal = cursor.uid.hex()
        return fold

    async def _save(
        self, connection: AsyncConnection, cursor: Cursor, fold: Fold, now_ms: int
    ) -> None:
        database, machine_id, changed = self._database, cursor.machine_id, fold.changed
        await tables.save(database, connection, fold, machine_id, cursor.id, kept=True)
        await alerts.follow(database, connection, machine_id, changed.episodes.told, now_ms)
        problem = await checkpoints.compare(
            database, connection, machine_id, cursor.id, cursor.uid, changed.stated, now_ms
        )
        cursor.quarantine = problem or cursor.quarantine
        cursor.stated = cursor.stated or bool(changed.stated)
        cursor.folded = self._folds.keep(cursor.id, fold)

    async def _note_beginning(
        self, connection: AsyncConnection, cursor: Cursor, first: Record, now_ms: int
    ) -> None:
        data = first.data
        if isinstance(data, rec.JournalBegun) and data.previous is not None:
            await connection.execute(
                update(t.journal)
                .where(t.journal.c.id == cursor.id)
                .values(previous_uid=bytes.fromhex(data.previous[0]), previous_seq=data.previous[1])
            )
            await forks.note_behind(
                self._database, connection, cursor.machine_id, *data.previous, now_ms
            )

    async def move(self, connection: AsyncConnection, cursor: Cursor, now_ms: int) -> None:
        """Write where the journal stands now."""
        moved = {
            "of_journal": cursor.id,
            "next_seq": cursor.next_seq,
            "last_hash": cursor.last_hash,
            "projected_seq": cursor.projected_seq,
            "folded": cursor.folded,
            "has_waiting": cursor.has_waiting,
            "has_copies": cursor.has_copies,
            "bad_batches": 0,
            "updated_ms": now_ms,
        }
        await self._database.write(connection, [Write(_MOVE, [moved])])

    async def wait(
        self,
        connection: AsyncConnection,
        cursor: Cursor,
        head: BatchHead,
        message: bytes,
        now_ms: int,
    ) -> None:
        """Keep a batch that came ahead of a gap."""
        held = (
            await connection.execute(
                select(func.count())
                .select_from(t.waiting_batch)
                .where(t.waiting_batch.c.journal_id == cursor.id)
            )
        ).scalar_one()
        if held < MAX_WAITING:
            values = {
                "journal_id": cursor.id,
                "first_seq": head.first,
                "message": message,
                "received_ms": now_ms,
            }
            await connection.execute(self._database.insert_new(t.waiting_batch), [values])
            await connection.execute(
                update(t.journal).where(t.journal.c.id == cursor.id).values(has_waiting=True)
            )

    async def drain(self, connection: AsyncConnection, cursor: Cursor, now_ms: int) -> None:
        """Apply what waited for the gap that has just closed."""
        waiting = (
            await connection.execute(
                select(t.waiting_batch.c.first_seq, t.waiting_batch.c.message)
                .where(t.waiting_batch.c.journal_id == cursor.id)
                .order_by(t.waiting_batch.c.first_seq)
            )
        ).all()
        cursor.has_waiting = False
        for first, message in waiting:
            if first > cursor.next_seq:
                cursor.has_waiting = True
                break
            await connection.execute(
                delete(t.waiting_batch).where(
                    t.waiting_batch.c.journal_id == cursor.id,
                    t.waiting_batch.c.first_seq == first,
                )
            )
            batch = unpack_bodies(*read_head(message))
            overlap = cursor.next_seq - first
            rows = batch.rows[overlap:]
            # One that does not fit is dropped: the machine sends from the ack on, and that decides.
            if rows and await continues(connection, cursor, batch, overlap):
                await self.store(connection, cursor, rows, now_ms)


async def continues(
    connection: AsyncConnection, cursor: Cursor, batch: Batch, overlap: int
) -> bool:
    """Tell whether a batch that begins at or below the cursor is of the stored chain."""
    if overlap == 0:
        return bytes.fromhex(batch.head.prev) == cursor.last_hash
    if overlap <= len(batch.rows) and batch.rows[overlap - 1].hash == cursor.last_hash:
        return True
    if overlap <= len(batch.rows):
        return False
    stored = await hash_at(connection, cursor.id, batch.head.end)
    return stored == bytes.fromhex(batch.head.last)
