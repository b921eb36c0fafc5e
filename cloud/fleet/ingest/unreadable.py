"""Batches that can't be read: kept for somebody to look at, asked for again, and counted.

They count for the journal that they name. One that names none counts for a machine's only journal;
where we know of another disk of that machine nobody knows whose it was, and a chain that said
nothing wrong stays out of quarantine: the machine has an alert.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import func, insert, select, update
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.contract.batch import BatchError, journal_named
from cloud.contract.messages import Ack, Range
from cloud.fleet import alerts
from cloud.fleet import schema as t
from cloud.fleet.database import FleetDatabase
from cloud.fleet.ingest.presence import has_one_disk
from cloud.fleet.ingest.verdict import Fate, Verdict

# Unreadable batches in a row for one journal: the first may be the line's, the third is the disk's.
MAX_BAD: Final = 3
# What counts for no journal has no row to be in: as many within a day.
DAY_MS: Final = 86_400_000
_TOPIC: Final = "events"
_KEPT_OF_BAD: Final = 4_096  # bytes of a message that could not be read
_KEPT_OF_REASON: Final = 500


async def keep(
    connection: AsyncConnection,
    machine_id: int | None,
    topic: str,
    message: bytes,
    reason: str,
    now_ms: int,
    *,
    journal_id: int | None = None,
) -> None:
    """Keep what could not be read as a dead letter."""
    await connection.execute(
        insert(t.dead_letter).values(
            machine_id=machine_id,
            journal_id=journal_id,
            topic=topic,
            message=message[:_KEPT_OF_BAD],
            reason=_kept(reason),
            at_ms=now_ms,
        )
    )


def _kept(reason: str) -> str:
    return reason.replace("\0", "")[:_KEPT_OF_REASON]


async def take(
    database: FleetDatabase, machine_id: int, message: bytes, error: BatchError, now_ms: int
) -> Verdict:
    """Ask for a batch again; the third in a row quarantines its journal."""
    problem = _kept(str(error))
    async with database.writing() as connection:
        row = await _journal_of(connection, machine_id, message)
        await keep(
            connection, machine_id, _TOPIC, message, problem, now_ms,
            journal_id=None if row is None else row.id,
        )  # fmt: skip
        if row is None:
            await _tell(database, connection, machine_id, problem, now_ms)
            return Verdict(Fate.ASKED_AGAIN, problem=problem)
        bad = row.bad_batches + 1
        why = row.quarantine or (f"{bad} unreadable batches: {problem}" if bad >= MAX_BAD else "")
        await connection.execute(
            update(t.journal)
            .where(t.journal.c.id == row.id)
            .values(bad_batches=bad, quarantine=why)
        )
        if why:
            await alerts.raise_alert(
                database, connection, machine_id, alerts.QUARANTINED, why, now_ms
            )
    ack = Ack(
        journal=row.uid.hex(),
        seq=row.next_seq - 1,
        hash=row.last_hash.hex(),
        want=None if why else Range(first=row.next_seq),
        time=now_ms,
        quarantined=why,
    )
    return Verdict(Fate.QUARANTINED if why else Fate.ASKED_AGAIN, ack, problem=problem)


async def _journal_of(
    connection: AsyncConnection, machine_id: int, message: bytes
) -> Row[Any] | None:
    """Return the journal that a message counts for, locked; None: nobody knows which."""
    query = select(t.journal.c.uid).where(t.journal.c.machine_id == machine_id)
    named = journal_named(message)
    if named is not None:
        query = query.where(t.journal.c.uid == bytes.fromhex(named))
    # Two are enough to know that there is more than one.
    uids = (await connection.execute(query.limit(2))).scalars().all()
    if len(uids) != 1 or not (named or await has_one_disk(connection, machine_id, uids[0])):
        return None
    row = select(t.journal).where(t.journal.c.uid == uids[0]).with_for_update()
    return (await connection.execute(row)).one()


async def _tell(
    database: FleetDatabase,
    connection: AsyncConnection,
    machine_id: int,
    problem: str,
    now_ms: int,
) -> None:
    """Raise the machine's alert when there are too many that count for no journal."""
    letters = _of_no_journal(machine_id).where(t.dead_letter.c.at_ms > now_ms - DAY_MS)
    bad = (await connection.execute(letters)).scalar_one()
    if bad >= MAX_BAD:
        why = f"{bad} unreadable batches of no journal that we know: {problem}"
        await alerts.raise_alert(database, connection, machine_id, alerts.UNREADABLE, why, now_ms)


async def discarded(connection: AsyncConnection, machine_id: int, now_ms: int) -> None:
    """Close a machine's alert when the last of its letters was set aside."""
    if not (await connection.execute(_of_no_journal(machine_id))).scalar_one():
        await alerts.close_alert(connection, machine_id, alerts.UNREADABLE, now_ms)


def _of_no_journal(machine_id: int) -> Any:
    letter = t.dead_letter.c
    return select(func.count()).where(
        letter.machine_id == machine_id,
        letter.journal_id.is_(None),
        letter.topic == _TOPIC,
        letter.discarded_ms.is_(None),
    )
