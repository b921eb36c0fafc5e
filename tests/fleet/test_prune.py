"""Dropping what the fleet has, while the link and the sales go on; and through a kill."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from cloud.contract.topics import Address
from cloud.fleet.database import FleetDatabase
from cloud.link.packing import packed
from cloud.link.transport import LinkLostError
from controller.clock import SystemClock
from controller.journal import pruning
from controller.journal.store import Journal
from controller.state.state import State
from tests.fleet.books import known, open_books, sell, sell_many
from tests.fleet.links import equal_books, in_sync, linked
from tests.fleet.servers import Mosquitto, running
from tests.fleet.test_forks import pay, promise
from tests.fleet.test_life import NOW
from tests.fleet.test_link import OverMqtt, copied, fleet, new_link
from tests.unit.cloud.contract.kit import JOURNAL, chain

MACHINE = Address("acme", "lobby-1")
OLD = timedelta(days=-1)  # whatever is there is older than tomorrow


@pytest.fixture(autouse=True)
def little_is_worth_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruning, "MIN_STEP", 10)


@pytest.fixture
async def books(tmp_path: Path) -> AsyncIterator[Journal[State]]:
    made = await open_books(tmp_path / "journal")
    made.label.confirm(NOW, int(SystemClock().monotonic_s() * 1000))
    yield made
    await made.close()


async def stored(database: FleetDatabase) -> list[int]:
    from sqlalchemy import select

    from cloud.fleet import schema as t

    async with database.reading() as connection:
        found = await connection.execute(select(t.record.c.seq).order_by(t.record.c.seq))
        return list(found.scalars())


async def test_what_the_fleet_has_goes_while_it_sells_and_sends(
    database: FleetDatabase, tmp_path: Path, books: Journal[State]
) -> None:
    await known(database, MACHINE)
    server = Mosquitto(tmp_path / "broker")
    with running(server):
        side = OverMqtt(server)
        async with fleet(database, side), linked(new_link(books, side)) as link:
            for _ in range(4):
                await sell_many(books, 40)
                link.grown()
                await in_sync(link)
                pruning_now = asyncio.create_task(books.prune(OLD))
                for _ in range(10):
                    sell(books)
                    await books.commit()
                    link.grown()
                assert await pruning_now > 0
            await in_sync(link)

    assert books.base_seq > 800
    assert await stored(database) == list(range(1, books.durable_seq + 1))
    assert await equal_books(database, books)
    assert (await books.verify()).ok


async def test_what_nobody_acknowledged_or_somebody_is_owed_stays(books: Journal[State]) -> None:
    await sell_many(books, 20)
    acked = books.durable_seq
    assert await books.acknowledge(acked, books.head)
    await sell_many(books, 20)
    assert await books.prune(OLD) == acked, "without a network it keeps everything"

    claim = promise(books, 70)
    await sell_many(books, 20)
    assert await books.acknowledge(books.durable_seq, books.head)
    await books.prune(OLD)
    assert books.base_seq == claim - 1
    pay(books, 70)
    await sell_many(books, 5)
    assert await books.acknowledge(books.durable_seq, books.head)
    await books.prune(OLD)
    assert books.base_seq > claim


async def test_a_kill_in_the_middle_of_dropping_loses_nothing(
    database: FleetDatabase,
    tmp_path: Path,
    books: Journal[State],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await known(database, MACHINE)
    monkeypatch.setattr(pruning, "_DROP", 50)
    server = Mosquitto(tmp_path / "broker")
    with running(server):
        side = OverMqtt(server)
        async with fleet(database, side):
            async with linked(new_link(books, side)) as link:
                await sell_many(books, 60)
                link.grown()
                await in_sync(link)
            sell(books)
            await books.commit()
            gone = asyncio.create_task(books.prune(OLD))
            while not books.base_seq:  # noqa: ASYNC110 - the base is there, some rows still are
                await asyncio.sleep(0)
            again = await copied(books, tmp_path / "killed")
            await gone
            assert again.base_seq == books.base_seq
            assert (await again.verify()).ok
            again.label.confirm(NOW, int(SystemClock().monotonic_s() * 1000))
            async with linked(new_link(again, side)) as link:
                await sell_many(again, 10)
                link.grown()
                await in_sync(link)
            await again.prune(OLD)
            assert [row async for row in again.rows(1, again.base_seq)] == []

    assert await stored(database) == list(range(1, again.durable_seq + 1))
    assert await equal_books(database, again)
    await again.close()


async def test_closing_ends_it_between_two_steps(tmp_path: Path) -> None:
    books = await open_books(tmp_path / "other")
    books.label.confirm(NOW, int(SystemClock().monotonic_s() * 1000))
    await sell_many(books, 200)
    assert await books.acknowledge(books.durable_seq, books.head)
    working = asyncio.create_task(books.prune(OLD))
    await asyncio.sleep(0)
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)

    await books.close()

    assert books.failed is None
    again = await open_books(tmp_path / "other")
    assert (await again.verify()).ok
    await again.close()


class Gone:
    """A journal of which records go while it is read."""

    journal_id = JOURNAL

    def __init__(self, first: int, *, hash_there: bool) -> None:
        self.base_seq = first - 1
        self.rows, self.before = chain(20, first=first)
        self.hash_there = hash_there

    async def chunk(self, first: int, limit: int) -> list[tuple[int, int, bytes, bytes]]:
        return [row for row in self.rows if row[0] >= first][:limit]

    async def hash_at(self, seq: int) -> bytes | None:
        assert seq == self.base_seq, "of the one before the first that is left"
        return self.before if self.hash_there else None


async def test_a_batch_begins_with_what_is_left_or_the_link_begins_again() -> None:
    message, last = await packed(Gone(20, hash_there=True), 5, "n", most=10)
    assert last == 29
    assert b'"first":20' in message
    with pytest.raises(LinkLostError, match="being pruned"):
        await packed(Gone(20, hash_there=False), 5, "n", most=10)
