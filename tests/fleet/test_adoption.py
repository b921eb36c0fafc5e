"""A journal is adopted while its machine talks, and in whatever order: the books are right."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import text

from cloud.fleet import alerts, registry, reports
from cloud.fleet.database import FleetDatabase
from cloud.fleet.ingest.ingest import Ingest
from cloud.fleet.ingest.verdict import Fate
from cloud.fleet.projections.rebuild import project_journal, rebuild
from tests.fleet.machines import START, Machine, one_that_sold

_WAITING = text(
    "SELECT count(*) FROM pg_stat_activity "
    "WHERE datname = current_database() AND wait_event_type = 'Lock'"
)


@pytest.fixture
async def machine(database: FleetDatabase) -> Machine:
    return await one_that_sold(database, 3)


def follower(machine: Machine, number: int, price: int) -> Machine:
    """The same machine on another disk, which has sold once."""
    made = Machine(number=number)
    cash = machine.balances()["cash.cashbox"]
    made.begin(
        previous=(machine.journal.hex(), machine.seq),
        inherited=(("cash.cashbox", cash), ("operator", -cash)),
    )
    made.sell(price)
    return made


async def until_it_waits(database: FleetDatabase, task: "asyncio.Task[Any]") -> None:
    """Return when a batch waits for a lock; SQLite's one writer lets it wait at once."""
    await asyncio.sleep(0)
    async with asyncio.timeout(60):
        while not database.is_sqlite and not task.done():
            async with database.reading() as connection:  # anew: a transaction sees one moment
                if (await connection.execute(_WAITING)).scalar_one():
                    return
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("whose", ["the new disk", "the old disk"])
async def test_what_comes_while_a_journal_is_adopted_counts_in_the_one_that_is_in_use_then(
    database: FleetDatabase, machine: Machine, monkeypatch: pytest.MonkeyPatch, whose: str
) -> None:
    ingest = Ingest(database)
    await ingest.take(machine.address, machine.batch(1), START)
    second = follower(machine, 2, 200)
    await ingest.take(machine.address, second.batch(1), START)
    speaks = second if whose == "the new disk" else machine
    told = speaks.seq
    speaks.sell(300)
    late: list[asyncio.Task[Any]] = []

    async def meanwhile(*args: Any) -> int:
        count = await project_journal(*args)
        taking = ingest.take(machine.address, speaks.batch(told + 1), START)
        late.append(asyncio.create_task(taking))
        await until_it_waits(database, late[0])
        return count

    monkeypatch.setattr("cloud.fleet.registry.project_journal", meanwhile)
    await registry.adopt_journal(database, machine.address, second.journal, START)
    verdict = await late[0]

    assert verdict.fate is Fate.APPLIED
    assert verdict.ack is not None
    assert verdict.ack.in_use is (speaks is second)
    assert await reports.balances(database, machine.address) == second.balances()
    open_ones = {line["cause"] for line in await reports.alerts(database)}
    assert open_ones == (set() if speaks is second else {alerts.SUPERSEDED})


async def test_the_books_are_those_of_the_journal_in_use_though_a_newer_one_was_adopted_before(
    database: FleetDatabase, machine: Machine
) -> None:
    ingest = Ingest(database)
    await ingest.take(machine.address, machine.batch(1), START)
    second, third = follower(machine, 2, 200), follower(machine, 3, 250)
    for disk in (second, third):
        await ingest.take(machine.address, disk.batch(1), START)
    for disk in (third, second):
        await registry.adopt_journal(database, machine.address, disk.journal, START)
    told = await reports.balances(database, machine.address)

    await rebuild(database, START)

    assert told == second.balances() == await reports.balances(database, machine.address)
