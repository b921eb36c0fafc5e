"""What the fleet makes of real journals: what the machine itself knows, and the same again."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from cloud.fleet import schema as t
from cloud.fleet.database import FleetDatabase
from cloud.fleet.ingest.ingest import Ingest
from cloud.fleet.projections.rebuild import rebuild
from tests.fleet.lives import Lived, live
from tests.fleet.machines import START, register

BATCH = 97  # records: batches end in the middle of sagas


@pytest.fixture(scope="module", params=[4, 9])
def lived(request: pytest.FixtureRequest) -> Lived:
    return live(request.param, 20)


async def projected(database: FleetDatabase) -> dict[str, list[tuple[Any, ...]]]:
    async with database.reading() as connection:
        return {
            table.name: sorted(
                (tuple(row) for row in await connection.execute(select(table))), key=repr
            )
            for table in t.PROJECTIONS
        }


async def test_the_fleet_knows_of_a_machine_what_the_machine_knows(
    database: FleetDatabase, lived: Lived
) -> None:
    machine, state = lived.machine(), lived.state
    await register(database, machine)
    ingest = Ingest(database)
    for message in machine.batches(BATCH):
        await ingest.take(machine.address, message, START)

    async with database.reading() as connection:
        balances = {row.account: row.amount for row in await connection.execute(select(t.balance))}
        count = t.stock.c.count.label("left")  # a row's own count is another one
        shelves = list(
            await connection.execute(select(t.stock.c.column, count, t.stock.c.disabled))
        )
        faults = list(await connection.execute(select(t.fault)))
        claims = list(
            await connection.execute(select(t.claim).where(t.claim.c.closed_ms.is_(None)))
        )
        sagas = list(await connection.execute(select(t.saga).where(t.saga.c.closed_ms.is_(None))))
        letters = list(await connection.execute(select(t.dead_letter)))
    lines = state.ledger.trial_balance()
    assert {a: n for a, n in balances.items() if n} == {
        line.account: line.debit - line.credit for line in lines if line.debit != line.credit
    }
    assert sum(balances.values()) == 0
    assert {shelf.column: (shelf.left, shelf.disabled) for shelf in shelves} == {
        column: (state.stock.of(column).count, state.stock.of(column).disabled)
        for column in {shelf.column for shelf in shelves} | set(state.stock.to_json())
    }
    assert {f"{fault.part} {fault.code}": fault.detail for fault in faults} == state.faults
    assert {claim.seq: (claim.amount, claim.tender) for claim in claims} == {
        claim.seq: (claim.amount, claim.tender) for claim in state.claims.values()
    }
    assert {saga.vend for saga in sagas} == set(state.sagas)
    assert letters == []

    before = await projected(database)
    assert await rebuild(database, START) == machine.seq
    assert await projected(database) == before
