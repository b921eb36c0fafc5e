"""What `./run bench kills` says of both ends: nothing where they are equal, else what differs."""

from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import delete, insert, select, update

from benchmarks.children import killed_fleet
from benchmarks.children.killed_books import Compared
from cloud.contract.topics import Address
from cloud.fleet import schema as t
from cloud.fleet.database import FleetDatabase
from cloud.fleet.ingest.ingest import Ingest
from tests.fleet.books import known, open_books, sell_many
from tests.fleet.fallible import batches_of
from tests.fleet.links import balances
from tests.fleet.machines import START

ADDRESS = Address("acme", "lobby-1")


@dataclass
class Sold:
    """A machine that has sold, and whose fleet has all of it."""

    database: FleetDatabase
    folder: Path
    records: int
    told: list[tuple[int, str]]
    accounts: dict[str, int]

    async def found(self) -> tuple[int, int, int]:
        whole = await Compared(
            self.database, ADDRESS, self.folder, self.told, self.accounts
        ).compare()
        assert whole["records"] == self.records
        return whole["lost"], whole["doubled"], whole["differ"]


@pytest.fixture
async def sold(database: FleetDatabase, tmp_path: Path) -> Sold:
    books = await open_books(tmp_path / "journal")
    await sell_many(books, 3)
    await known(database, ADDRESS)
    rows = [row async for row in books.rows()]
    ingest = Ingest(database)
    for message in batches_of(books.journal_id, rows, 0, 10):
        await ingest.take(ADDRESS, message, START)
    await books.close()
    told = [(rows[-1][0], rows[-1][3].hex())]
    return Sold(database, tmp_path / "journal", len(rows), told, balances(books))


async def test_equal_ends_differ_in_nothing(sold: Sold) -> None:
    assert await sold.found() == (0, 0, 0)


async def test_each_record_that_is_missing_changed_or_twice_is_counted(sold: Sold) -> None:
    table = t.record
    async with sold.database.writing() as connection:
        await connection.execute(delete(table).where(table.c.seq == 4))
    assert await sold.found() == (1, 0, 0)
    async with sold.database.writing() as connection:
        again = select(table).where(table.c.seq == 9)
        await connection.execute(insert(table).from_select([*table.columns], again))
    assert await sold.found() == (1, 1, 0)
    async with sold.database.writing() as connection:
        await connection.execute(update(table).where(table.c.seq == 5).values(body=b"{}"))
    assert await sold.found() == (2, 2, 0), "no other is as good"
    async with sold.database.writing() as connection:
        await connection.execute(update(table).where(table.c.seq == 6).values(seq=1_000))
    assert await sold.found() == (3, 3, 0), "nor in another place"


async def test_books_that_differ_and_a_disk_that_lost_what_was_durable_are_told(
    sold: Sold,
) -> None:
    async with sold.database.writing() as connection:
        await connection.execute(update(t.saga).values(result="failed"))
    assert await sold.found() == (0, 0, 1)
    sold.told.append((1_000, "ab"))
    sold.accounts["cash.cashbox"] += 5
    assert await sold.found() == (1, 0, 3), "the account, as either end has it"


@pytest.mark.timeout(900)  # beside others on a slow machine
async def test_two_of_bridge_broker_server_and_machine_are_killed_and_both_ends_are_equal(
    tmp_path: Path,
) -> None:
    found = await killed_fleet.measure("two", tmp_path, kills=1, seconds=60, seed=3)

    assert (found["lost"], found["doubled"], found["differ"]) == (0, 0, 0)
    assert found["kills"] == 1
    assert found["waiting"] > 0, "records were on their way"
