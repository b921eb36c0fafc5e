"""A machine that holds another chain than ours: a disk that went back, or a copy of one.

The fleet names the last record that both chains share; the machine begins a new journal behind it.
When the batch does not reach back that far, earlier records are asked for until it does.
"""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.contract.batch import Batch
from cloud.contract.journal import GENESIS
from cloud.contract.messages import Position, Range
from cloud.fleet import alerts
from cloud.fleet import schema as t
from cloud.fleet.database import FleetDatabase
from cloud.fleet.ingest.cursor import Cursor, ack_of, hash_at
from cloud.fleet.ingest.verdict import Fate, Verdict


async def forked(
    database: FleetDatabase, connection: AsyncConnection, cursor: Cursor, batch: Batch, now_ms: int
) -> Verdict:
    """Answer a batch of a chain that left ours."""
    detail = (
        f"journal {cursor.uid.hex()}: the machine's chain is not ours, which ends at record "
        f"{cursor.next_seq - 1}: a disk that went back, or a copy"
    )
    await alerts.raise_alert(database, connection, cursor.machine_id, alerts.FORKED, detail, now_ms)
    return await _answer(connection, cursor, batch, now_ms)


async def note_behind(
    database: FleetDatabase,
    connection: AsyncConnection,
    machine_id: int,
    journal: str,
    seq: int,
    now_ms: int,
) -> None:
    """Raise the alert for a journal that follows another one before its last record here."""
    query = select(t.journal.c.next_seq).where(
        t.journal.c.uid == bytes.fromhex(journal), t.journal.c.machine_id == machine_id
    )
    following = (await connection.execute(query)).scalar_one_or_none()
    if following is not None and seq < following - 1:
        detail = f"journal {journal} went back from record {following - 1} to {seq}"
        await alerts.raise_alert(database, connection, machine_id, alerts.FORKED, detail, now_ms)


async def foreign(
    database: FleetDatabase,
    connection: AsyncConnection,
    machine_id: int,
    cursor: Cursor,
    batch: Batch,
    now_ms: int,
) -> Verdict:
    """Answer a batch of a journal that belongs to another machine: a copied disk."""
    detail = f"it sends journal {cursor.uid.hex()}, which is another machine's: a copied disk"
    await alerts.raise_alert(database, connection, machine_id, alerts.FOREIGN, detail, now_ms)
    return await _answer(connection, cursor, batch, now_ms)


async def _answer(
    connection: AsyncConnection, cursor: Cursor, batch: Batch, now_ms: int
) -> Verdict:
    head = batch.head
    agreed = await _agreed(connection, cursor, batch)
    if agreed is None:
        back = max(1, head.first - 2 * head.count)
        want = Range(first=back, last=head.first - 1)
        return Verdict(Fate.FORKED, ack_of(cursor, now_ms, head.nonce, want=want))
    return Verdict(Fate.FORKED, ack_of(cursor, now_ms, head.nonce, fork=agreed))


async def _agreed(connection: AsyncConnection, cursor: Cursor, batch: Batch) -> Position | None:
    """Return the last record that both chains share, or None when the batch begins behind it."""
    uid, first = cursor.uid.hex(), batch.head.first
    before = await hash_at(connection, cursor.id, first - 1)
    if before is None or before.hex() != batch.head.prev:
        return Position(journal=uid, seq=0, hash=GENESIS.hex()) if first == 1 else None
    query = select(t.record.c.seq, t.record.c.hash).where(
        t.record.c.journal_id == cursor.id, t.record.c.seq.between(first, batch.head.end)
    )
    ours = {row.seq: bytes(row.hash) for row in await connection.execute(query)}
    agreed = Position(journal=uid, seq=first - 1, hash=before.hex())
    for row in batch.rows:
        if ours.get(row.seq) != row.hash:
            break
        agreed = Position(journal=uid, seq=row.seq, hash=row.hash.hex())
    return agreed
