"""What lies ready for one machine: its newest configuration, its open commands.

Read from the database each time, so that any process may answer and a crash forgets nothing. A
command is open until its result is in the chain; what a machine already has on this connection is
its own to say.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import select

from cloud.contract.https import AT_ONCE, MAX_ANSWER_BYTES, Down
from cloud.contract.topics import Topic
from cloud.fleet import schema as t
from cloud.fleet.database import FleetDatabase

_MAX_PAYLOADS: Final = MAX_ANSWER_BYTES // 2  # base64 makes it a third longer
_LOOK: Final = 64  # open commands that are looked at, beyond those that the machine has


async def lying_ready(
    database: FleetDatabase, machine_id: int, have: frozenset[str], now_ms: int
) -> tuple[Down, ...]:
    """Return what a machine does not have yet, the oldest first, ``AT_ONCE`` commands at most."""
    async with database.reading() as connection:
        newest = (
            await connection.execute(
                select(t.desired.c.revision, t.desired.c.message)
                .where(t.desired.c.machine_id == machine_id)
                .order_by(t.desired.c.revision.desc())
                .limit(1)
            )
        ).one_or_none()
        commands = (
            await connection.execute(
                select(t.command.c.id, t.command.c.message)
                .where(
                    t.command.c.machine_id == machine_id,
                    t.command.c.outcome == "",
                    t.command.c.expires_ms > now_ms,
                )
                .order_by(t.command.c.issued_ms, t.command.c.counter)
                .limit(len(have) + _LOOK)
            )
        ).all()
    found: list[Down] = []
    if newest is not None and (name := f"desired-{newest.revision}") not in have:
        found.append(Down(topic=Topic.DESIRED, id=name, payload=bytes(newest.message)))
    waiting = [row for row in commands if row.id not in have][:AT_ONCE]
    found += [Down(topic=Topic.CMD, id=row.id, payload=bytes(row.message)) for row in waiting]
    size = 0
    for index, message in enumerate(found):
        size += len(message.payload)
        if index and size > _MAX_PAYLOADS:
            return tuple(found[:index])
    return tuple(found)
