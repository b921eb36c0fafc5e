"""What machines hold beside what their fleet has stored: every record once, and equal books."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import func, select

from cloud.fleet import schema as t
from cloud.fleet.database import FleetDatabase
from simulator.fleet.machine import Light


@dataclass(frozen=True, slots=True)
class _Stored:
    """A journal in the fleet's database."""

    last: int
    digest: bytes
    count: int
    machine_id: int


async def differences(database: FleetDatabase, machines: Sequence[Light]) -> AsyncIterator[str]:
    """Yield every difference in words; ask when all machines are in sync."""
    stored = await _journals(database)
    balances = await _balances(database)
    for machine in machines:
        journal, name = machine.journal, str(machine.address)
        found = stored.get(journal.journal_id)
        durable = journal.durable_seq
        if found is None:
            yield f"{name}: the fleet has nothing of its {durable} records"
            continue
        if found.last != durable:
            yield f"{name}: the fleet is at record {found.last}, the machine at {durable}"
        elif found.digest != await journal.hash_at(durable):
            yield f"{name}: the chains differ at record {durable}"
        if found.count != found.last:
            yield f"{name}: {found.count} records are stored, up to number {found.last}"
        own = journal.state.ledger.to_json()
        theirs = balances.get(found.machine_id, {})
        if own != theirs:
            yield f"{name}: balances {_unequal(own, theirs)}"


async def _journals(database: FleetDatabase) -> dict[bytes, _Stored]:
    counts = (
        select(t.record.c.journal_id, func.count().label("many"))
        .group_by(t.record.c.journal_id)
        .subquery()
    )
    query = select(
        t.journal.c.uid,
        t.journal.c.next_seq,
        t.journal.c.last_hash,
        t.journal.c.machine_id,
        counts.c.many,
    ).outerjoin(counts, counts.c.journal_id == t.journal.c.id)
    async with database.reading() as connection:
        return {
            bytes(row.uid): _Stored(
                row.next_seq - 1, bytes(row.last_hash), row.many or 0, row.machine_id
            )
            for row in await connection.execute(query)
        }


async def _balances(database: FleetDatabase) -> dict[int, dict[str, int]]:
    query = select(t.balance.c.machine_id, t.balance.c.account, t.balance.c.amount)
    found: dict[int, dict[str, int]] = {}
    async with database.reading() as connection:
        for row in await connection.execute(query.where(t.balance.c.amount != 0)):
            found.setdefault(row.machine_id, {})[row.account] = row.amount
    return found


def _unequal(own: Mapping[str, int], theirs: Mapping[str, int]) -> str:
    return ", ".join(
        f"{name} {own.get(name, 0)} here, {theirs.get(name, 0)} there"
        for name in sorted({*own, *theirs})
        if own.get(name, 0) != theirs.get(name, 0)
    )
