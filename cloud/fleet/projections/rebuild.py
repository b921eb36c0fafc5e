"""Making projections again from the records: of one journal, of one machine, of all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from sqlalchemy import case, select
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.contract.batch import Row
from cloud.contract.journal import GENESIS
from cloud.fleet import alerts
from cloud.fleet import schema as t
from cloud.fleet.database import FleetDatabase
from cloud.fleet.ingest import checkpoints
from cloud.fleet.ingest.reading import records_of
from cloud.fleet.projections import tables
from cloud.fleet.projections.carried import counted_already

CHUNK: Final = 2_000
_ALL: Final = 2**63 - 1


async def project_journal(
    database: FleetDatabase,
    connection: AsyncConnection,
    machine_id: int,
    journal_id: int,
    uid: bytes,
    now_ms: int,
    last: int = _ALL,
    *,
    again: bool = False,
) -> int:
    """Fold a journal's records to ``last`` into its machine's projections; returns how many.

    ``again``: they were folded before. Their alerts were raised then, and the checkpoints compared:
    what came of that (a quarantine that an operator has ended, perhaps) is no projection.
    """
    seq = count = 0
    head = 0, GENESIS
    while True:
        found = (
            await connection.execute(
                select(t.record.c.seq, t.record.c.boot, t.record.c.body, t.record.c.hash)
                .where(
                    t.record.c.journal_id == journal_id,
                    t.record.c.seq > seq,
                    t.record.c.seq <= last,
                )
                .order_by(t.record.c.seq)
                .limit(CHUNK)
            )
        ).all()
        if not found:
            return count
        fold = await tables.load(database, connection, machine_id, journal_id)
        records = records_of(
            [Row(row.seq, row.boot, bytes(row.body), bytes(row.hash)) for row in found]
        )
        fold.head = head
        fold.journal = uid.hex()
        fold.known = await counted_already(connection, records)
        for record in records:
            fold.take(record)
        await tables.save(database, connection, fold, machine_id, journal_id)
        if not again:
            await alerts.follow(
                database, connection, machine_id, fold.changed.episodes.told, now_ms
            )
            await checkpoints.compare(
                database, connection, machine_id, journal_id, uid, fold.changed.stated, now_ms
            )
        seq = found[-1].seq
        head = seq, bytes(found[-1].hash)
        count += len(found)


async def rebuild_machine(
    database: FleetDatabase, connection: AsyncConnection, machine_id: int, now_ms: int
) -> int:
    """Make a machine's projections again; returns how many records were folded.

    Dead letters of records that are understood by now are marked as replayed.
    """
    await database.alone(connection, machine_id)  # no journal is adopted meanwhile
    in_use = t.machine.c.active_journal == t.journal.c.id
    journals = (
        await connection.execute(
            select(t.journal.c.id, t.journal.c.uid, t.journal.c.projected_seq)
            .join(t.machine, t.machine.c.id == t.journal.c.machine_id)
            .where(t.journal.c.machine_id == machine_id, t.journal.c.adopted)
            # An older one may have been adopted last: the books are those of the one in use.
            .order_by(case((in_use, 1), else_=0), t.journal.c.id)
            .with_for_update(of=t.journal)
        )
    ).all()
    await tables.forget(connection, machine_id, now_ms)
    count = 0
    for journal_id, uid, last in journals:
        # What an old disk wrote after its successor was adopted counts in neither.
        count += await project_journal(
            database, connection, machine_id, journal_id, bytes(uid), now_ms, last, again=True
        )
    await alerts.settle(database, connection, machine_id, now_ms)
    return count


async def rebuild(
    database: FleetDatabase,
    now_ms: int,
    told: Callable[[str, int], None] = lambda _machine, _records: None,
) -> int:
    """Make every projection again, a machine at a time; returns how many records were folded."""
    async with database.reading() as connection:
        machines = (
            await connection.execute(select(t.machine.c.id, t.machine.c.tenant, t.machine.c.name))
        ).all()
    total = 0
    for machine in machines:
        async with database.writing() as connection:
            count = await rebuild_machine(database, connection, machine.id, now_ms)
        total += count
        told(f"{machine.tenant}/{machine.name}", count)
    return total
