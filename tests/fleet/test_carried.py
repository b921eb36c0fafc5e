"""A journal that broke with records that nobody had acknowledged: they go up, and count once."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import select

from cloud.contract.batch import MAX_RECORDS, pack
from cloud.contract.journal import GENESIS
from cloud.contract.topics import Address
from cloud.fleet import registry, reports
from cloud.fleet import schema as t
from cloud.fleet.audit import audit
from cloud.fleet.database import FleetDatabase
from cloud.fleet.ingest.ingest import Ingest
from cloud.fleet.projections.rebuild import rebuild
from controller.clock import SystemClock
from controller.journal.beginning import BootInfo, begin_new
from controller.journal.errors import JournalBrokenError
from controller.journal.records import REGISTRY
from controller.journal.sqlite_aio import DirectoryStorage
from controller.journal.store import Journal
from controller.state.fold import StateFold
from controller.state.state import State
from tests.fleet.books import known, open_books, sell, sell_many
from tests.fleet.machines import START
from tests.fleet.test_forks import pay, promise
from tests.journal_kit import BUILT

LOBBY = Address("acme", "lobby-1")


class Site:
    """A fleet's database, and a machine whose journal breaks."""

    def __init__(self, database: FleetDatabase, folder: Path) -> None:
        self.database = database
        self.ingest = Ingest(database)
        self.folder = folder

    async def open(self) -> Journal[State]:
        return await open_books(self.folder)

    async def send(self, books: Journal[State], last: int | None = None) -> None:
        rows = [row async for row in books.rows(last=last)]
        for start in range(0, len(rows), MAX_RECORDS):
            before = rows[start - 1][3] if start else GENESIS
            part = rows[start : start + MAX_RECORDS]
            verdict = await self.ingest.take(LOBBY, pack(books.journal_id, part, before), START)
            assert verdict.ack is not None
            assert verdict.ack.seq == part[-1][0]

    async def breaks(self, books: Journal[State], seq: int, seed: int) -> Journal[State]:
        """Damage a record and begin anew, as a technician does; returns the next journal."""
        await books.close()
        path = self.folder / f"journal-{books.journal_id.hex()}.db"
        with closing(sqlite3.connect(path)) as database, database:
            database.execute("UPDATE record SET boot = 99 WHERE seq = ?", (seq,))
            database.execute("DELETE FROM snapshot")
        return await self.anew(seed)

    async def hurt(self, books: Journal[State], damage: str, seq: int) -> None:
        """Damage a record that no start reads: a snapshot stands behind it."""
        await books.close()
        path = self.folder / f"journal-{books.journal_id.hex()}.db"
        with closing(sqlite3.connect(path)) as database, database:
            database.execute(damage, (seq,))

    async def anew(self, seed: int, *, whole: bool = False) -> Journal[State]:
        """Begin a new journal."""
        await begin_new(
            DirectoryStorage(self.folder),
            fold=StateFold(),
            registry=REGISTRY,
            clock=SystemClock(),
            entropy=random.Random(seed).randbytes,
            boot=BootInfo("lobby-1", "EUR", "0.1.0", "", BUILT),
            reason="a test",
            whole=whole,
        )
        return await self.open()

    async def told(self, books: Journal[State]) -> dict[str, object]:
        """What the fleet says, once it has all of a journal and counts it; also when made again."""
        await self.send(books)
        await registry.adopt_journal(self.database, LOBBY, books.journal_id, START)
        first = await self.shown()
        await rebuild(self.database, START)
        assert await self.shown() == first
        report = await audit(self.database, LOBBY, bytes(32))
        assert report is not None
        assert report.problem == ""
        life = await books.verify_life()
        assert life.ok, life.problem
        return first

    async def shown(self) -> dict[str, object]:
        (total,) = await reports.totals(self.database, LOBBY)
        stock = await reports.stock(self.database, LOBBY)
        async with self.database.reading() as connection:
            dead = (await connection.execute(select(t.dead_letter.c.reason))).scalars().all()
        return {
            "sold": total["sold"],
            "cash": total["cash"],
            "open": total["open"],
            "left": {line["column"]: line["left"] for line in stock},
            "claims": [line["amount"] for line in await reports.claims(self.database, LOBBY)],
            "balances": {
                account: amount
                for account, amount in (await reports.balances(self.database, LOBBY)).items()
                if amount
            },
            "dead": sorted(dead),
        }


@pytest.fixture
async def site(database: FleetDatabase, tmp_path: Path) -> Site:
    await known(database, LOBBY)
    return Site(database, tmp_path / "journal")


def ledger(books: Journal[State]) -> dict[str, int]:
    return dict(StateFold().balances(books.state))


Heard = Callable[[int], int]


@pytest.mark.parametrize(
    "heard",
    [lambda last: 0, lambda last: 3, lambda last: last // 2, lambda last: last - 1],
    ids=["nothing", "its beginning", "half of it, in mid vend", "all but the last"],
)
@pytest.mark.parametrize("acked", [True, False], ids=["acknowledged", "the ack was lost"])
async def test_each_sale_counts_once_whatever_the_fleet_had(
    site: Site, heard: Heard, acked: bool
) -> None:
    books = await site.open()
    await sell_many(books, 5)
    there = heard(books.durable_seq)
    if there:
        await site.send(books, there)
        if acked:
            digest = await books.hash_at(there)
            assert digest is not None
            await books.acknowledge(there, digest)
    sell(books)
    await books.commit()
    broken = books.durable_seq - 2

    after = await site.breaks(books, broken, 2)
    sell(after, 200)
    await after.commit()
    told = await site.told(after)

    # The sixth was in its middle: what it held is credit again, and no sale.
    assert (told["sold"], told["cash"]) == (6, 5 * 150 + 200)
    assert told["balances"] == ledger(after)
    assert told["open"] == 0
    behind = [f"record {seq} of" for seq in range(broken, broken + 3)]
    assert all(any(word in line for line in told["dead"]) for word in behind)  # type: ignore[attr-defined]
    assert len(told["dead"]) == 3  # type: ignore[arg-type]


@pytest.mark.parametrize("heard", [False, True])
async def test_a_claim_of_the_broken_journal_is_one_claim(site: Site, heard: bool) -> None:
    books = await site.open()
    await sell_many(books, 1)
    first = books.durable_seq
    digest = books.head
    promise(books, 70)
    promise(books, 90)
    pay(books, 90)
    await books.commit()
    await site.send(books, books.durable_seq if heard else first)
    await books.acknowledge(first, digest)
    sell(books)
    await books.commit()

    after = await site.breaks(books, books.durable_seq, 2)
    assert (await site.told(after))["claims"] == [70]
    pay(after, 70)
    await after.commit()
    told = await site.told(after)

    assert told["claims"] == []
    assert told["balances"] == ledger(after)
    closed = await reports.claims(site.database, LOBBY, closed=True)
    assert sorted(line["amount"] for line in closed if line["how"] == "staff") == [70, 90]


async def test_a_journal_that_breaks_before_anybody_heard_of_the_last_one(site: Site) -> None:
    books = await site.open()
    await sell_many(books, 2)
    await site.send(books)
    await sell_many(books, 2)
    second = await site.breaks(books, books.durable_seq, 2)
    await sell_many(second, 1)

    third = await site.breaks(second, second.durable_seq, 3)
    told = await site.told(third)

    # The last record of each was damaged: two vends had not ended.
    assert told["sold"] == 2 + 1
    assert told["balances"] == ledger(third)


async def test_what_is_told_again_goes_up_once_however_often_it_is_sent(site: Site) -> None:
    books = await site.open()
    await sell_many(books, 3)
    after = await site.breaks(books, books.durable_seq, 2)
    first = await site.told(after)

    site.ingest = Ingest(site.database)  # another worker, which remembers nothing
    await site.send(after)

    assert await site.shown() == first
    async with site.database.reading() as connection:
        rows = (await connection.execute(select(t.record.c.journal_id, t.record.c.seq))).all()
    assert len(rows) == len(set(rows)) == after.durable_seq


DAMAGE = {
    "another body": "UPDATE record SET body = CAST(body || ' ' AS BLOB) WHERE seq = ?",
    "another hash": "UPDATE record SET hash = zeroblob(32) WHERE seq = ?",
    "gone": "DELETE FROM record WHERE seq = ?",
}


@pytest.mark.parametrize("damage", DAMAGE)
async def test_a_record_that_no_start_reads_is_left_behind_and_nothing_else(
    site: Site, damage: str
) -> None:
    books = await site.open()
    await sell_many(books, 3)
    there = books.durable_seq
    await site.send(books, there)
    await books.acknowledge(there, books.head)
    await sell_many(books, 2)
    promise(books, 70)
    await books.commit()
    await site.hurt(books, DAMAGE[damage], there + 1)  # a coin of the fourth vend

    again = await site.open()
    assert again.journal_id == books.journal_id, "a start does not see it"
    sell(again, 200)
    await again.commit()
    await again.close()
    after = await site.anew(2, whole=True)
    await site.send(after)
    await registry.adopt_journal(site.database, LOBBY, after.journal_id, START)
    told = await site.shown()

    assert (told["sold"], told["open"], told["claims"]) == (6, 0, [70])
    assert told["balances"] == ledger(after)
    assert [f"record {there + 1} of" in line for line in told["dead"]] == [True]  # type: ignore[attr-defined]
    pay(after, 70)
    await after.commit()
    await site.send(after)
    assert (await site.shown())["claims"] == []
    report = await audit(site.database, LOBBY, bytes(32))
    assert report is not None
    assert report.problem == ""
    life = await after.verify_life()
    assert (life.ok, life.journal, life.wrong_seq) == (False, books.journal_id.hex(), there + 1)


async def test_of_a_journal_whose_end_cannot_be_had_none_is_begun_by_itself(site: Site) -> None:
    books = await site.open()
    await sell_many(books, 3)
    await site.hurt(books, "UPDATE record SET boot = 99 WHERE seq = ?", 9)
    path = site.folder / f"journal-{books.journal_id.hex()}.db"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("DELETE FROM snapshot")
    names = sorted(one.name for one in site.folder.glob("journal-*.db"))

    with pytest.raises(JournalBrokenError, match="record 9: fails its hash"):
        await site.anew(2, whole=True)

    assert sorted(one.name for one in site.folder.glob("journal-*.db")) == names
