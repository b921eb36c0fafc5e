"""The urgent lane: copies of records that overtake the backlog.

They raise the alert that their record will raise, at once, and the record itself raises no other
one; nothing is paid outward until the chain brings it. A copy that differs from the chain's
quarantines the journal.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.contract.batch import Row
from cloud.contract.journal import EnvelopeError, read_head
from cloud.contract.journal import records as rec
from cloud.contract.messages import MessageError, Urgent
from cloud.fleet import alerts
from cloud.fleet import schema as t
from cloud.fleet.database import FleetDatabase
from cloud.fleet.ingest.cursor import Cursor
from cloud.fleet.ingest.reading import record_of
from cloud.fleet.projections import questions
from cloud.fleet.projections.episodes import Episode, begun_by


async def take_copy(database: FleetDatabase, machine_id: int, copy: Urgent, now_ms: int) -> None:
    """Keep a copy, or compare it when the chain has brought the record already.

    Raises:
        MessageError: Its body is no record.
    """
    try:
        kind = read_head(copy.body).type
    except EnvelopeError as error:
        raise MessageError(f"urgent: body: {error}") from error
    uid = bytes.fromhex(copy.journal)
    async with database.writing() as connection:
        query = select(t.journal).where(t.journal.c.uid == uid).with_for_update()
        journal = (await connection.execute(query)).one_or_none()
        if journal is None:
            # Its first batch may be under way, and would not see this copy: wait for it.
            await database.alone(connection, machine_id)
            journal = (await connection.execute(query)).one_or_none()
        if journal is not None and journal.machine_id != machine_id:
            detail = f"it sends copies of journal {copy.journal}, which is another machine's"
            await alerts.raise_alert(
                database, connection, machine_id, alerts.FOREIGN, detail, now_ms
            )
            return
        if journal is not None and copy.seq < journal.next_seq:
            await _compare_with_chain(database, connection, journal.id, machine_id, copy, now_ms)
            return
        values = {
            "journal_uid": uid,
            "seq": copy.seq,
            "machine_id": machine_id,
            "type": kind.replace("\0", "")[:64],
            "boot": copy.boot,
            "body": copy.body,
            "received_ms": now_ms,
        }
        await connection.execute(database.insert_new(t.urgent_copy), [values])
        if journal is not None:
            await connection.execute(
                update(t.journal).where(t.journal.c.id == journal.id).values(has_copies=True)
            )
        held = (
            await connection.execute(
                select(t.urgent_copy.c.body).where(
                    t.urgent_copy.c.journal_uid == uid, t.urgent_copy.c.seq == copy.seq
                )
            )
        ).scalar_one()
        if bytes(held) != copy.body:
            if journal is not None:
                await _quarantine(database, connection, journal.id, machine_id, copy.seq, now_ms)
            return
        row = Row(copy.seq, copy.boot, copy.body, b"")
        episode = _episode_of(row, uid)
        if kind == rec.ClaimAsked.type and await _counts(connection, machine_id, journal):
            await questions.keep(database, connection, machine_id, uid, record_of(row))
        if episode is not None and await _counts(connection, machine_id, journal):
            await alerts.follow(database, connection, machine_id, [episode], now_ms)


async def _counts(connection: AsyncConnection, machine_id: int, journal: Any) -> bool:
    """Tell whether a journal's records will be folded as they come."""
    query = select(t.machine.c.active_journal).where(t.machine.c.id == machine_id)
    active = (await connection.execute(query)).scalar_one()
    return active is None if journal is None else bool(active == journal.id)


def _episode_of(row: Row, uid: bytes) -> Episode | None:
    place = uid.hex(), row.seq
    found = begun_by(record_of(row).data, place)
    return None if found is None else Episode(*found, place)


async def confirm(
    database: FleetDatabase,
    connection: AsyncConnection,
    cursor: Cursor,
    rows: Sequence[Row],
    now_ms: int,
) -> None:
    """Compare the copies that came ahead with what the chain says now."""
    of_journal = t.urgent_copy.c.journal_uid == cursor.uid
    copies = (
        await connection.execute(
            select(t.urgent_copy.c.seq, t.urgent_copy.c.boot, t.urgent_copy.c.body)
            .where(
                of_journal,
                t.urgent_copy.c.seq >= rows[0].seq,
                t.urgent_copy.c.confirmed.is_(False),
            )
            .order_by(t.urgent_copy.c.seq)
        )
    ).all()
    cursor.has_copies = False
    for seq, boot, body in copies:
        if seq > rows[-1].seq:
            cursor.has_copies = True
            break
        row = rows[seq - rows[0].seq]
        if (row.boot, row.body) == (boot, bytes(body)):
            await connection.execute(
                update(t.urgent_copy)
                .where(of_journal, t.urgent_copy.c.seq == seq)
                .values(confirmed=True)
            )
        else:
            cursor.quarantine = await _quarantine(
                database, connection, cursor.id, cursor.machine_id, seq, now_ms
            )
            wrong = _episode_of(Row(seq, boot, bytes(body), b""), cursor.uid)
            right = _episode_of(row, cursor.uid)
            if wrong is not None and (right is None or right.cause != wrong.cause):
                wrong.healed = cursor.uid.hex(), seq + 1
                await alerts.follow(database, connection, cursor.machine_id, [wrong], now_ms)


async def _compare_with_chain(
    database: FleetDatabase,
    connection: AsyncConnection,
    journal_id: int,
    machine_id: int,
    copy: Urgent,
    now_ms: int,
) -> None:
    stored = (
        await connection.execute(
            select(t.record.c.boot, t.record.c.body).where(
                t.record.c.journal_id == journal_id, t.record.c.seq == copy.seq
            )
        )
    ).one()
    if (stored.boot, bytes(stored.body)) != (copy.boot, copy.body):
        await _quarantine(database, connection, journal_id, machine_id, copy.seq, now_ms)


async def _quarantine(
    database: FleetDatabase,
    connection: AsyncConnection,
    journal_id: int,
    machine_id: int,
    seq: int,
    now_ms: int,
) -> str:
    why = f"the urgent copy of record {seq} differs from the chain's"
    await connection.execute(
        update(t.journal).where(t.journal.c.id == journal_id).values(quarantine=why)
    )
    await alerts.raise_alert(database, connection, machine_id, alerts.COPY_DIFFERS, why, now_ms)
    return why
