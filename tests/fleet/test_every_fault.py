"""Two workers, three machines, a broker over TLS, PostgreSQL, and every fault: equal books."""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import select

from cloud.fleet import reports
from cloud.fleet import schema as t
from cloud.fleet.database import FleetDatabase
from controller.domain import accounts as acc
from simulator.fleet import books
from simulator.instant import COINS
from tests.fleet.calamities import Calamities, Store
from tests.fleet.crew import Crew
from tests.fleet.disks import SmallDisk, SmallFiles, small_disk
from tests.fleet.fallible import Machine, Rows, journals_on
from tests.fleet.little import PRICE
from tests.fleet.servers import PATIENCE_S, Postgres, select_pause

pytestmark = pytest.mark.timeout(2_400)  # beside others on a slow machine
TUBES = 20 * (10 + 20 + 50 + 100)  # what a machine begins with
COPY = "copy"
SEEDS = range(1, 1 + int(os.environ.get("VENDD_FAULT_SEEDS", "1")))  # more of them in a soak


class InAFile:
    """SQLite, of one server: what happens to files is shown one by one in test_faults."""

    serves = False

    def __init__(self, path: Path) -> None:
        self.path = path

    def copy(self) -> None:
        for suffix in ("", "-wal", "-shm"):
            path = self.path.with_name(self.path.name + suffix)
            if path.exists():
                shutil.copyfile(path, self.path.with_name(COPY + suffix))

    def put_back(self) -> None:
        for suffix in ("", "-wal", "-shm"):
            path = self.path.with_name(self.path.name + suffix)
            path.unlink(missing_ok=True)
            kept = self.path.with_name(COPY + suffix)
            if kept.exists():
                kept.replace(path)

    def stop(self) -> None:
        raise AssertionError("it is a file")

    start = fill = free = stop  # none of them is played

    def is_full(self) -> bool:
        raise AssertionError("none is filled")


class OnPostgres:
    """PostgreSQL on a small disk."""

    serves = True

    def __init__(self, disk: SmallDisk | SmallFiles) -> None:
        self.disk = disk
        self.server = Postgres(disk.folder, wal_mib=1)
        self._keeping: int | None = None

    def stop(self) -> None:
        self.server.stop()

    def start(self) -> None:
        self.server.start_again()

    def copy(self) -> None:
        end = time.monotonic() + PATIENCE_S
        while True:  # who was killed is connected for a moment
            try:
                self.server.make_database(COPY, "fleet")
            except psycopg.errors.ObjectInUse:
                assert time.monotonic() < end
                select_pause()
            else:
                return

    def put_back(self) -> None:
        self.server.drop_database("fleet")
        self.server.make_database("fleet", COPY)
        self.server.drop_database(COPY)

    def fill(self) -> None:
        self._keeping = self.server.pid()
        self.disk.fill(self._keeping)

    def is_full(self) -> bool:
        return self.disk.why in self.server.said()

    def free(self) -> None:
        assert self._keeping is not None
        with suppress(AssertionError):  # it may have ended by itself
            self.disk.free(self._keeping)
        self.server.start_again()

    def remove(self) -> None:
        with suppress(AssertionError):
            self.server.stop()
        self.server.remove()
        self.disk.remove()


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as made:
        yield made


async def machines_of(stack: AsyncExitStack, crew: Crew, folder: Path) -> list[Machine]:
    made = []
    for number in range(3):
        address = await asyncio.to_thread(crew.add, f"m{number}")
        one = Machine(crew, address, folder / f"m{number}", number, five=number != 1)
        await stack.enter_async_context(one.proxy)
        stack.push_async_callback(one.kill)
        await one.start()
        made.append(one)
    return made


async def played(
    crew: Crew,
    store: Store,
    database: FleetDatabase,
    machines: list[Machine],
    seed: int,
    share: int,
) -> Calamities:
    """Every fault once, in an order of its own, with sales around it; or a share of them."""
    chance = random.Random(seed)
    played = Calamities(crew, store, database, machines, chance)
    await played.everybody_sells()
    await played.in_sync()
    order = played.all()
    chance.shuffle(order)
    for fault in order[::share]:
        await played.everybody_sells()
        before = dict(played.struck)
        await fault()
        assert played.struck != before, f"{fault} has shown no sign"
    await played.everything_again()
    await played.everybody_sells()
    await played.in_sync()
    return played


async def stored(database: FleetDatabase) -> dict[bytes, Rows]:
    """Every journal in the cloud."""
    found: dict[bytes, Rows] = {}
    async with database.reading() as connection:
        rows = await connection.execute(
            select(
                t.journal.c.uid, t.record.c.seq, t.record.c.boot, t.record.c.body, t.record.c.hash
            )
            .join(t.record, t.record.c.journal_id == t.journal.c.id)
            .order_by(t.journal.c.uid, t.record.c.seq)
        )
        for uid, seq, boot, body, digest in rows:
            found.setdefault(bytes(uid), []).append((seq, boot, bytes(body), bytes(digest)))
    return found


def of_type(rows: Rows, type_: str) -> list[dict[str, Any]]:
    read = [json.loads(body) for _, _, body, _ in rows]
    return [record["data"] for record in read if record["type"] == type_]


def previous_of(journals: dict[bytes, Rows]) -> set[bytes]:
    """The journals that others on the same disk have followed: what they told is told again."""
    begun = (of_type(rows[:1], "journal.begun")[0] for rows in journals.values())
    return {bytes.fromhex(data["previous"][0]) for data in begun if data.get("previous")}


async def equal(played: Calamities) -> None:
    """What is in the cloud beside every disk that ever was, and beside what is physically there."""
    cloud = await stored(played.database)
    for uid, rows in cloud.items():
        assert [row[0] for row in rows] == list(range(1, len(rows) + 1)), uid.hex()
    seen: set[bytes] = set()
    for machine in (*played.machines, *played.twins):
        own = bytes.fromhex(machine.told["journal"])
        assert cloud[own] == machine.rows(), f"{machine.name}: every record, once, and no other"
        for disk in (*machine.lost, machine.disk):
            for uid, rows in journals_on(disk).items():
                seen.add(uid)
                same = min(len(rows), len(cloud[uid]))
                followed = uid in previous_of(journals_on(disk))
                assert followed or cloud[uid][:same] == rows[:same], f"{machine.name}: {disk}"
    assert set(cloud) == seen, "journals that no disk holds"

    for machine in played.machines:
        told, world = machine.told, machine.told["world"]
        assert await reports.balances(played.database, machine.address) == told["ledger"]
        sums = await books.sums(played.database, machine.address)
        assert sums.sold == world["dropped"], machine.name
        assert (sums.claims, told["credit"]) == (0, 0)
        tubes = sum(n * COINS[type_] for type_, n in enumerate(world["tubes"]) if n)
        assert told["ledger"][acc.CASH_TUBES] == tubes
        gained = tubes + world["cashbox"] - TUBES
        assert gained == world["taken"] - world["paid"] == PRICE * world["dropped"]
    last = played.machines[-1]  # whose disk was never lost
    assert last.told["ledger"][acc.CASH_CASHBOX] == last.told["world"]["cashbox"]
    for twin in played.twins:
        rows = cloud[bytes.fromhex(twin.told["journal"])]
        sold = [data for data in of_type(rows, "vend.closed") if data["result"] == "sold"]
        assert len(sold) == twin.told["world"]["dropped"]

    ran: dict[str, list[str]] = {}
    for uid, rows in cloud.items():
        for data in of_type(rows, "command.started"):
            ran.setdefault(data["id"], []).append(uid.hex()[:8])
    assert bool(ran) == bool(played.commands)
    twice = {id_: where for id_, where in ran.items() if len(where) > 1}
    now = {one.told["journal"][:8]: one.name for one in (*played.machines, *played.twins)}
    assert not twice, f"each command ran once at most: {twice}; {now}; {list(played.struck)}"


@pytest.mark.parametrize("seed", SEEDS)
async def test_two_workers_and_three_machines_with_every_fault_end_with_equal_books(
    tmp_path: Path, stack: AsyncExitStack, seed: int
) -> None:
    store = OnPostgres(small_disk())
    stack.callback(store.remove)
    await asyncio.to_thread(store.server.start)
    crew = Crew(tmp_path / "home", store.server.make_database("fleet"))
    stack.callback(crew.end)
    database = FleetDatabase(store.server.url("fleet"))
    stack.push_async_callback(database.close)
    crew.broker.start()
    for name in ("w1", "w2"):
        crew.hire(name)
    await crew.ready()
    machines = await machines_of(stack, crew, tmp_path)

    done = await played(crew, store, database, machines, seed, 1)

    assert len(done.struck) >= len(done.all()), done.struck
    assert all(worker.runs for worker in done.workers)
    await equal(done)


@pytest.mark.parametrize("seed", SEEDS)
async def test_one_server_on_sqlite_and_three_machines_end_with_equal_books(
    tmp_path: Path, stack: AsyncExitStack, seed: int
) -> None:
    """A third of the faults in a run, drawn; the soak plays them all."""
    crew = Crew(tmp_path / "home", "sqlite+aiosqlite:///fleet.db")
    stack.callback(crew.end)
    store = InAFile(crew.home / "fleet.db")
    database = FleetDatabase(f"sqlite+aiosqlite:///{store.path}")
    stack.push_async_callback(database.close)
    crew.broker.start()
    crew.hire("serve", how="serve")
    await crew.ready()
    machines = await machines_of(stack, crew, tmp_path)

    done = await played(crew, store, database, machines, seed, 3)

    assert done.workers[0].runs
    await equal(done)
