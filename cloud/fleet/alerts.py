"""Alerts: one row for a cause, raised once, closed when it has healed. Channels come later."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from sqlalchemy import bindparam, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.fleet import schema as t
from cloud.fleet.database import FleetDatabase, Write
from cloud.fleet.projections.fold import Raised, Revision

FORKED: Final = "journal.forked"
QUARANTINED: Final = "journal.quarantined"
UNADOPTED: Final = "journal.unadopted"
SUPERSEDED: Final = "journal.superseded"
FOREIGN: Final = "journal.foreign"
COPY_DIFFERS: Final = "urgent.differs"
BOOKS_DIFFER: Final = "checkpoint.differs"
UNSIGNED: Final = "checkpoint.unsigned"
KEY_CHANGED: Final = "machine.key_changed"
CONFIG: Final = "config.not_taken"
OFFLINE: Final = "machine.offline"
CERTIFICATE: Final = "certificate.ends"

_NOT_TAKEN: Final = frozenset({"refused", "rolled_back"})
_CAUSE_LENGTH: Final = 128  # of its column


def of_fault(part: str, code: str) -> str:
    """Return the cause of a machine's fault."""
    return f"fault {part} {code}".replace("\0", "")[:_CAUSE_LENGTH]


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


def _row(machine_id: int, cause: str, detail: str, now_ms: int) -> dict[str, object]:
    return {
        "machine_id": machine_id,
        "cause": cause,
        "detail": detail.replace("\0", ""),
        "raised_ms": now_ms,
    }


_CLOSE: Final = (
    update(t.alert)
    .where(
        t.alert.c.machine_id == bindparam("of_machine"),
        t.alert.c.cause == bindparam("of_cause"),
        t.alert.c.closed_ms.is_(None),
    )
    .values(closed_ms=bindparam("at"))
)


async def follow_faults(
    database: FleetDatabase,
    connection: AsyncConnection,
    machine_id: int,
    faults: Mapping[tuple[str, str], Raised | None],
    now_ms: int,
) -> None:
    """Raise an alert for each fault that is open, and close those that have healed."""
    healed = [of_fault(*key) for key, fault in faults.items() if fault is None]
    closing = [{"of_machine": machine_id, "of_cause": cause, "at": now_ms} for cause in healed]
    raised = [
        _row(machine_id, of_fault(*key), fault.detail, now_ms)
        for key, fault in faults.items()
        if fault is not None
    ]
    if closing or raised:
        opening = database.insert_new(t.alert)
        await database.write(connection, [Write(_CLOSE, closing), Write(opening, raised)])


async def follow_revisions(
    database: FleetDatabase,
    connection: AsyncConnection,
    machine_id: int,
    revisions: Sequence[Revision],
    now_ms: int,
) -> None:
    """Raise an alert when a machine does not take a configuration; close it when it takes one."""
    if not revisions:
        return
    last = revisions[-1]
    if last.outcome in _NOT_TAKEN:
        detail = f"revision {last.revision} {last.outcome.replace('_', ' ')}: {last.detail}"
        await raise_alert(database, connection, machine_id, CONFIG, detail, now_ms)
    else:
        await close_alert(connection, machine_id, CONFIG, now_ms)


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
