"""Disks that go back, are copied or replaced: real journals, links and broker, both databases.

The real machines are in tests/e2e/test_disks.py; here is what each database makes of it.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from itertools import count
from pathlib import Path

import pytest

from cloud.contract.topics import Address
from cloud.fleet import alerts, registry, reports
from cloud.fleet.database import FleetDatabase
from cloud.fleet.projections.rebuild import rebuild
from cloud.link.link import Link, Phase
from cloud.mqtt import Broker
from controller.clock import SystemClock
from controller.journal import records as rec
from controller.journal.beginning import BootInfo, begin_new
from controller.journal.sqlite_aio import DirectoryStorage
from controller.journal.store import Journal
from controller.state.fold import StateFold
from controller.state.state import State
from tests.fleet.books import known, open_books, sell_many
from tests.fleet.links import (
    balances,
    every_record_once,
    link_of,
    linked,
    over_mqtt,
    reaches,
    stored,
    whole,
)
from tests.fleet.machines import START
from tests.fleet.servers import Mosquitto
from tests.fleet.test_forks import promise
from tests.fleet.workers import working
from tests.journal_kit import BUILT

LOBBY = Address("acme", "lobby-1")
PLENTY_S = 120.0
_NAMES = count(1)


class Disk:
    """A folder with a journal, and the link of whatever machine it is in."""

    def __init__(self, folder: Path, broker: Mosquitto, seed: int = 1) -> None:
        self.folder = folder
        self.seed = seed
        self._broker = broker
        self.forks: list[int] = []

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Journal[State]]:
        books = await open_books(self.folder, self.seed)
        try:
            yield books
        finally:
            await books.close()

    def linked(self, books: Journal[State]) -> AbstractAsyncContextManager[Link]:
        way = over_mqtt(self._broker.port, LOBBY)
        return linked(link_of(books, way, on_fork=lambda seq, _: self.forks.append(seq)))

    async def sold_and_sent(self, vends: int) -> int:
        """Sell, have it all acknowledged; returns the last record."""
        async with self.opened() as books:
            await sell_many(books, vends)
            async with self.linked(books) as link:
                await until(link, Phase.IN_SYNC)
            return books.durable_seq

    async def sold_alone_and_told(self, vends: int) -> None:
        """Sell before anybody speaks with it; then it is told where it forked, and begins anew."""
        async with self.opened() as books:
            await sell_many(books, vends)
            async with self.linked(books) as link:
                await until(link, Phase.FORKED)
        (fork,) = self.forks
        await begin_new(
            DirectoryStorage(self.folder),
            fold=StateFold(),
            registry=rec.REGISTRY,
            clock=SystemClock(),
            entropy=random.Random(self.seed + 100).randbytes,
            boot=BootInfo("lobby-1", "EUR", "0.1.0", "", BUILT),
            reason="the fleet holds another journal",
            by="fleet",
            fork=fork,
        )


async def until(link: Link, phase: Phase) -> None:
    link.sync_now()
    await reaches(link, phase)


@pytest.fixture
async def fleet(database: FleetDatabase, server: Mosquitto) -> AsyncIterator[FleetDatabase]:
    await known(database, LOBBY)
    async with working(database, Broker("127.0.0.1", server.port, "serve")):
        yield database


async def sold(database: FleetDatabase) -> int:
    (total,) = await reports.totals(database, LOBBY)
    return int(total["sold"])


async def causes(database: FleetDatabase) -> set[str]:
    return {line["cause"] for line in await reports.alerts(database, LOBBY)}


async def books_agree(database: FleetDatabase, books: Journal[State]) -> None:
    assert await reports.balances(database, LOBBY) == balances(books)
    assert await every_record_once(database, books)


async def test_a_disk_that_went_back_and_sold_before_the_first_contact(
    fleet: FleetDatabase, server: Mosquitto, tmp_path: Path
) -> None:
    disk = Disk(tmp_path / "disk", server)
    shared = await disk.sold_and_sent(3)
    shutil.copytree(disk.folder, tmp_path / "image")
    lost = await disk.sold_and_sent(2)
    shutil.rmtree(disk.folder)
    shutil.copytree(tmp_path / "image", disk.folder)
    await disk.sold_alone_and_told(4)

    assert disk.forks == [shared], "the last record that both have"
    async with disk.opened() as books:
        async with disk.linked(books) as link:
            await until(link, Phase.IN_SYNC)
            await registry.adopt_journal(fleet, LOBBY, books.journal_id, START)
            await sell_many(books, 1)
            link.grown()
            await until(link, Phase.IN_SYNC)
        journals = await reports.journals(fleet, LOBBY)
        first = bytes.fromhex(journals[0]["journal"])
        assert (journals[1]["previous_uid"], journals[1]["previous_seq"]) == (first.hex(), shared)
        assert len(await stored(fleet, first)) == lost, "the fleet keeps what the disk lost"
        for _ in range(2):
            assert await sold(fleet) == 3 + 2 + 4 + 1
            await books_agree(fleet, books)
            await rebuild(fleet, START)


async def test_a_copy_in_a_second_machine_with_the_firsts_name_disturbs_it_in_nothing(
    fleet: FleetDatabase, server: Mosquitto, tmp_path: Path
) -> None:
    """Each connection ends the other's: they have one certificate."""
    first, copy = Disk(tmp_path / "disk", server), Disk(tmp_path / "copy", server, seed=2)
    shared = await first.sold_and_sent(3)
    shutil.copytree(first.folder, copy.folder)
    await first.sold_and_sent(1)
    async with first.opened() as books, first.linked(books) as link:
        await copy.sold_alone_and_told(2)
        assert copy.forks == [shared]
        async with copy.opened() as theirs, copy.linked(theirs) as their_link:
            await until(their_link, Phase.IN_SYNC)
            await sell_many(theirs, 1)
            their_link.grown()
            await sell_many(books, 1)
            link.grown()
            await until(their_link, Phase.IN_SYNC)
            await until(link, Phase.IN_SYNC)
            assert await stored(fleet, theirs.journal_id) == await whole(theirs)
            carried = [
                row.data.seq
                async for row in theirs.records()
                if isinstance(row.data, rec.RecordCarried)
            ]
        await books_agree(fleet, books)
        assert first.forks == []
    assert carried == list(range(shared + 1, carried[-1] + 1)), "each once"
    assert await sold(fleet) == 3 + 1 + 1
    assert alerts.UNADOPTED in await causes(fleet)


async def test_a_new_disk_begins_with_its_own_books_and_the_old_claims_stay_open(
    fleet: FleetDatabase, server: Mosquitto, tmp_path: Path
) -> None:
    old = Disk(tmp_path / "old", server)
    async with old.opened() as books:
        await sell_many(books, 2)
        promise(books, 110)
        await books.commit()
        async with old.linked(books) as link:
            await until(link, Phase.IN_SYNC)
        before = await whole(books)
        first = books.journal_id
    new = Disk(tmp_path / "new", server, seed=9)
    await new.sold_and_sent(1)
    assert await sold(fleet) == 2, "nobody has adopted it"
    assert alerts.UNADOPTED in await causes(fleet)

    async with new.opened() as books:
        await registry.adopt_journal(fleet, LOBBY, books.journal_id, START)
        await sell_many(books, 1)
        async with new.linked(books) as link:
            await until(link, Phase.IN_SYNC)
        for _ in range(2):
            assert await sold(fleet) == 2 + 2
            assert [line["amount"] for line in await reports.claims(fleet, LOBBY)] == [110]
            await books_agree(fleet, books)
            await rebuild(fleet, START)
    assert await stored(fleet, first) == before
