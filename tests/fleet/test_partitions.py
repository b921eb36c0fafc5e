"""Records in partitions by tenant and time of receipt: the same ingest, made as the page says."""

import random
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from inspect import signature
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import select, text

from cloud.fleet import reports
from cloud.fleet import schema as t
from cloud.fleet.database import FleetDatabase
from cloud.fleet.ingest.ingest import Ingest
from cloud.fleet.ingest.verdict import Fate
from cloud.fleet.projections.rebuild import rebuild
from tests.fleet import test_ingest as on_ingest
from tests.fleet.machines import START, Machine, one_that_sold, register
from tests.fleet.servers import Postgres

PAGE = Path(__file__).parents[2] / "docs" / "decisions" / "0017-records-in-partitions.md"
LATER = 1_790_812_800_000  # where the page cuts
_NUMBERS = count(1)


def statements() -> list[str]:
    (found,) = re.findall(r"```sql\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    plain = re.sub(r"--[^\n]*", "", found)
    return [each.strip() for each in plain.split(";") if each.strip()]


async def cut(database: FleetDatabase) -> None:
    async with database.writing() as connection:
        for statement in statements():
            await connection.execute(text(statement))


@pytest.fixture
async def database(postgres: Postgres) -> AsyncIterator[FleetDatabase]:
    name = f"partitioned{next(_NUMBERS)}"
    made = FleetDatabase(postgres.make_database(name, "migrated"))
    await cut(made)
    yield made
    await made.close()
    postgres.drop_database(name)


@pytest.fixture
async def machine(database: FleetDatabase) -> Machine:
    return await one_that_sold(database, 12)


async def places(database: FleetDatabase) -> dict[str, int]:
    async with database.reading() as connection:
        found = await connection.execute(
            text("SELECT tableoid::regclass::text, count(*) FROM record GROUP BY 1")
        )
        return {row[0]: row[1] for row in found}


def of_ingest() -> list[Callable[[FleetDatabase, Machine], Awaitable[None]]]:
    """The ingest's own tests that want a database and a machine."""
    tests = [each for name, each in vars(on_ingest).items() if name.startswith("test_")]
    return [each for each in tests if set(signature(each).parameters) == {"database", "machine"}]


def test_most_of_the_ingests_tests_are_run_here() -> None:
    assert len(of_ingest()) >= 12


@pytest.mark.parametrize("test", of_ingest(), ids=lambda test: test.__name__)
async def test_the_ingest_holds_on_partitions(
    test: Callable[[FleetDatabase, Machine], Awaitable[None]],
    database: FleetDatabase,
    machine: Machine,
) -> None:
    await test(database, machine)
    assert set(await places(database)) <= {"record_1_until_october", "record_others"}


async def test_a_tenants_records_lie_in_its_own_partitions_by_the_time_they_came(
    database: FleetDatabase, machine: Machine
) -> None:
    other = Machine("hall-1", tenant="other", number=2)
    other.begin()
    other.sell()
    await register(database, other)
    ingest = Ingest(database)
    half = machine.seq // 2
    await ingest.take(machine.address, machine.batch(1, half), START)
    await ingest.take(other.address, other.batch(1), START)
    # The machine's own clock says nothing here: the second half came in another month.
    verdict = await ingest.take(machine.address, machine.batch(half - 3), LATER)

    assert verdict.fate is Fate.APPLIED
    assert await places(database) == {
        "record_1_until_october": half,
        "record_1_later": machine.seq - half,
        "record_others": other.seq,
    }
    assert await on_ingest.stored(database, machine) == on_ingest.whole(machine)
    before = await reports.balances(database, machine.address)
    await rebuild(database, LATER)
    assert await reports.balances(database, machine.address) == before == machine.balances()


async def test_in_any_order_and_by_two_workers_each_record_is_stored_once(
    database: FleetDatabase, machine: Machine
) -> None:
    chance = random.Random(5)
    workers = [Ingest(database), Ingest(database)]
    messages = machine.batches(7) * 3
    chance.shuffle(messages)
    await workers[0].take(machine.address, machine.batch(1, 7), START)
    for message in [*messages, *machine.batches(9)]:
        await chance.choice(workers).take(machine.address, message, LATER)

    assert await on_ingest.stored(database, machine) == on_ingest.whole(machine)
    assert await places(database) == {
        "record_1_until_october": 7, "record_1_later": machine.seq - 7
    }  # fmt: skip


async def test_what_is_there_moves_when_the_table_is_cut(postgres: Postgres) -> None:
    database = FleetDatabase(postgres.make_database("grown", "migrated"))
    machine = Machine()
    machine.begin()
    machine.sell()
    await register(database, machine)
    await Ingest(database).take(machine.address, machine.batch(1), START)
    await cut(database)
    machine.sell()
    await Ingest(database).take(machine.address, machine.batch(5), START)

    assert await on_ingest.stored(database, machine) == on_ingest.whole(machine)
    assert await places(database) == {"record_1_until_october": machine.seq}
    await database.close()
    postgres.drop_database("grown")


async def test_a_tenant_has_one_number_whoever_writes_first(
    database: FleetDatabase, machine: Machine
) -> None:
    second = Machine("lobby-2", number=2)
    second.begin()
    await register(database, second)
    for one in (machine, second):
        await Ingest(database).take(one.address, one.batch(1), START)
    async with database.reading() as connection:
        tenants = (await connection.execute(select(t.tenant))).all()
        numbers = (await connection.execute(select(t.record.c.tenant_id).distinct())).scalars()
    assert [tenant.name for tenant in tenants] == ["acme"]
    assert list(numbers) == [tenants[0].id]
