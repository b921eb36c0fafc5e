"""What the fleet makes of real journals: what the machine itself knows, and the same again."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import select

from cloud.fleet import alerts
from cloud.fleet import schema as t
from cloud.fleet.alerts import open_causes
from cloud.fleet.database import FleetDatabase
from cloud.fleet.ingest.ingest import Ingest
from cloud.fleet.projections.rebuild import rebuild
from cloud.fleet.registry import adopt_journal
from simulator.swarm.lived import Lived, live
from tests.fleet.machines import START, Machine, register

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
    machine, state = Machine.lived(lived), lived.state
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


async def test_an_old_disk_that_comes_back_changes_no_books_of_its_successor(
    database: FleetDatabase,
) -> None:
    ingest = Ingest(database)
    old, new = Machine(), Machine(number=2)
    await register(database, old)
    old.begin()
    old.sell(150)
    await ingest.take(old.address, old.batch(1), START)
    new.begin(
        previous=(old.journal.hex(), old.seq),
        inherited=(("cash.cashbox", 150), ("revenue.cash", -150)),
    )
    new.sell(200)
    await ingest.take(new.address, new.batch(1), START)
    await adopt_journal(database, new.address, new.journal, START)
    before = await projected(database)

    kept = old.seq
    old.sell(90)
    verdict = await ingest.take(old.address, old.batch(kept + 1), START)

    assert verdict.ack is not None
    assert verdict.ack.seq == old.seq, "it is stored like any other"
    assert await projected(database) == before
    async with database.reading() as connection:
        assert alerts.SUPERSEDED in await open_causes(connection, 1)
    await rebuild(database, START)
    assert await projected(database) == before


async def test_two_workers_that_hear_of_two_first_journals_adopt_one_of_them(
    database: FleetDatabase,
) -> None:
    one, other = Machine(), Machine(number=2)
    await register(database, one)
    one.begin()
    other.begin()

    await asyncio.gather(
        *(
            Ingest(database).take(machine.address, machine.batch(1), START)
            for machine in (one, other)
        )
    )

    async with database.reading() as connection:
        adopted = list((await connection.execute(select(t.journal.c.adopted))).scalars())
    assert sorted(adopted) == [False, True]
