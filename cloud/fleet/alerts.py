"""Alerts: one row for a cause, raised once, closed when it has healed. Channels come later."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import bindparam, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.fleet import schema as t
from cloud.fleet.database import FleetDatabase, Write
from cloud.fleet.projections import episodes
from cloud.fleet.projections.episodes import Episode
from cloud.fleet.projections.fitting import fitted

FORKED: Final = "journal.forked"
QUARANTINED: Final = "journal.quarantined"
UNADOPTED: Final = "journal.unadopted"
SUPERSEDED: Final = "journal.superseded"
FOREIGN: Final = "journal.foreign"
UNREADABLE: Final = "machine.unreadable"
COPY_DIFFERS: Final = "urgent.differs"
BOOKS_DIFFER: Final = "checkpoint.differs"
UNSIGNED: Final = "checkpoint.unsigned"
KEY_CHANGED: Final = "machine.key_changed"
CONFIG: Final = episodes.CONFIG
OFFLINE: Final = "machine.offline"
CERTIFICATE: Final = "certificate.ends"


async def raise_alert(
    database: FleetDatabase,
    connection: AsyncConnection,
    machine_id: int,
    cause: str,
    detail: str,
    now_ms: int,
) -> None:
    """Raise an alert; nothing when it is open already."""
    row = _row(machine_id, cause, detail, now_ms)
    await connection.execute(database.insert_new(t.alert), [row])


async def raise_unadopted(
    database: FleetDatabase, connection: AsyncConnection, machine_id: int, uid: str, now_ms: int
) -> None:
    """Raise the alert of a journal that counts only when an operator has adopted it."""
    detail = f"journal {uid} waits for `vendcloud machine adopt-journal`"
    await raise_alert(database, connection, machine_id, UNADOPTED, detail, now_ms)


def _row(
    machine_id: int,
    cause: str,
    detail: str,
    now_ms: int,
    since: tuple[str, int] = ("", 0),
    closed_ms: int | None = None,
) -> dict[str, object]:
    journal, seq = since
    values = {
        "machine_id": machine_id,
        "cause": cause,
        "detail": detail,
        "raised_ms": now_ms,
        "closed_ms": closed_ms,
        "journal": journal,
        "seq": seq,
    }
    return fitted(t.alert, values)


_CLOSE: Final = (
    update(t.alert)
    .where(
        t.alert.c.machine_id == bindparam("of_machine"),
        t.alert.c.cause == bindparam("of_cause"),
        t.alert.c.closed_ms.is_(None),
    )
    .values(closed_ms=bindparam("at"))
)


# What began in the same journal behind the healing goes on: a copy was ahead of its record.
_HEAL: Final = _CLOSE.where(
    (t.alert.c.journal != bindparam("of_journal")) | (t.alert.c.seq < bindparam("before"))
)


async def follow(
    database: FleetDatabase,
    connection: AsyncConnection,
    machine_id: int,
    told: Sequence[Episode],
    now_ms: int,
) -> None:
    """Raise an alert for each episode, once, and close those that have healed.

    One that has healed when it is first heard of leaves its closed row.
    """
    healing: list[dict[str, object]] = []
    closed: list[dict[str, object]] = []
    opened: list[dict[str, object]] = []
    for one in told:
        if one.healed is not None:
            journal, seq = one.healed
            place = {"of_journal": journal, "before": seq}
            healing.append({"of_machine": machine_id, "of_cause": one.cause, "at": now_ms, **place})
        if one.since[1]:
            ended_ms = None if one.healed is None else now_ms
            row = _row(machine_id, one.cause, one.detail, now_ms, one.since, ended_ms)
            (opened if one.healed is None else closed).append(row)
    if healing or opened:
        new = database.insert_new(t.alert)
        await database.write(connection, [Write(_HEAL, healing), Write(new, closed + opened)])


async def settle(
    database: FleetDatabase, connection: AsyncConnection, machine_id: int, now_ms: int
) -> None:
    """Have the alerts of faults agree with the faults, after those were folded again.

    Nothing is raised or closed but what was not understood when it came.
    """
    faults = {
        episodes.of_fault(fault.part, fault.code): fault
        for fault in await connection.execute(
            select(t.fault).where(t.fault.c.machine_id == machine_id)
        )
    }
    folded = {
        bytes(row.uid).hex(): row.projected_seq
        for row in await connection.execute(
            select(t.journal.c.uid, t.journal.c.projected_seq).where(
                t.journal.c.machine_id == machine_id
            )
        )
    }
    told = await connection.execute(
        select(t.alert.c.cause, t.alert.c.journal, t.alert.c.seq).where(
            t.alert.c.machine_id == machine_id,
            t.alert.c.closed_ms.is_(None),
            t.alert.c.cause.like(f"{episodes.FAULT}%"),
        )
    )
    for row in told.all():
        # A copy may be ahead of what was folded.
        if row.cause not in faults and row.seq <= folded.get(row.journal, row.seq):
            await close_alert(connection, machine_id, row.cause, now_ms)
    rows = [
        _row(machine_id, cause, fault.detail, now_ms, (fault.journal, fault.seq))
        for cause, fault in sorted(faults.items())
    ]
    await database.write(connection, [Write(database.insert_new(t.alert), rows)])


async def close_alert(
    connection: AsyncConnection, machine_id: int, cause: str, now_ms: int
) -> None:
    """Close an alert, if it is open."""
    closing = {"of_machine": machine_id, "of_cause": cause, "at": now_ms}
    await connection.execute(_CLOSE, closing)


async def detail_of(connection: AsyncConnection, machine_id: int, cause: str) -> str:
    """Return what an open alert says; "" where none is open."""
    found = await connection.execute(
        select(t.alert.c.detail).where(
            t.alert.c.machine_id == machine_id,
            t.alert.c.cause == cause,
            t.alert.c.closed_ms.is_(None),
        )
    )
    return found.scalar_one_or_none() or ""


async def open_causes(connection: AsyncConnection, machine_id: int) -> set[str]:
    """Return what is open for a machine."""
    rows = await connection.execute(
        select(t.alert.c.cause).where(
            t.alert.c.machine_id == machine_id, t.alert.c.closed_ms.is_(None)
        )
    )
    return set(rows.scalars())
