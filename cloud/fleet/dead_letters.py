"""Dead letters: what was stored and not understood is projected after an upgrade, or set aside.

A record that was not understood is stored and acknowledged all the same, so a replay takes nothing
in. It folds its machine's records again, in their order: a price that was set since then stands.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select, update

from cloud.fleet import schema as t
from cloud.fleet.database import FleetDatabase
from cloud.fleet.ingest import unreadable
from cloud.fleet.projections.rebuild import rebuild_machine


class DeadLetterError(Exception):
    """No such letter, or nothing that could be done with it. Says why."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay did."""

    understood: tuple[int, ...]  # letters that are none any more
    still: tuple[int, ...]  # letters that are not understood by this software either
    records: int  # that were folded


async def replay(database: FleetDatabase, number: int | None, now_ms: int) -> Replayed:
    """Have one letter's machine, or that of every letter, folded again.

    Raises:
        DeadLetterError: There is no such letter, it was replayed or discarded, or it is a message
            that could not be read, which its machine has sent again.
    """
    letter = t.dead_letter
    asked = select(letter).where(letter.c.seq.is_not(None))
    if number is not None:
        await _check(database, number)
        asked = asked.where(letter.c.id == number)
    open_ones = asked.where(letter.c.replayed_ms.is_(None), letter.c.discarded_ms.is_(None))
    async with database.reading() as connection:
        rows = (await connection.execute(open_ones)).all()
    understood: list[int] = []
    still: list[int] = []
    records = 0
    for machine_id in sorted({row.machine_id for row in rows}):
        ids = [row.id for row in rows if row.machine_id == machine_id]
        async with database.writing() as connection:
            records += await rebuild_machine(database, connection, machine_id, now_ms)
            left = await connection.execute(
                select(letter.c.id).where(letter.c.id.in_(ids), letter.c.replayed_ms.is_(None))
            )
            dead = set(left.scalars())
        still += [id_ for id_ in ids if id_ in dead]
        understood += [id_ for id_ in ids if id_ not in dead]
    return Replayed(tuple(understood), tuple(still), records)


async def discard(database: FleetDatabase, number: int, now_ms: int) -> None:
    """Set a letter aside for good; its record, if it is one, stays stored.

    Raises:
        DeadLetterError: There is no such letter.
    """
    async with database.writing() as connection:
        done = await connection.execute(
            update(t.dead_letter)
            .where(t.dead_letter.c.id == number, t.dead_letter.c.discarded_ms.is_(None))
            .values(discarded_ms=now_ms)
            .returning(t.dead_letter.c.machine_id)
        )
        row = done.one_or_none()
        if row is not None:
            if row.machine_id is not None:
                await unreadable.discarded(connection, row.machine_id, now_ms)
            return
        there = await connection.execute(
            select(t.dead_letter.c.id).where(t.dead_letter.c.id == number)
        )
        if there.scalar_one_or_none() is None:
            raise DeadLetterError(f"no dead letter {number}")


async def _check(database: FleetDatabase, number: int) -> None:
    async with database.reading() as connection:
        found = await connection.execute(select(t.dead_letter).where(t.dead_letter.c.id == number))
        row = found.one_or_none()
    if row is None:
        raise DeadLetterError(f"no dead letter {number}")
    if row.seq is None:
        raise DeadLetterError(
            f"letter {number} is a message that could not be read: its machine has sent it again "
            "since, or said something newer; `vendcloud dlq discard` sets it aside"
        )
    if row.discarded_ms is not None:
        raise DeadLetterError(f"letter {number} was discarded")
