"""Everything that breaks between machines and their fleet, and their books after it."""

import asyncio
import random
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, closing, suppress
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest
from sqlalchemy import event, select

from cloud.contract import batch
from cloud.contract.topics import Address, Topic
from cloud.fleet import alerts, registry
from cloud.fleet import schema as t
from cloud.fleet.broker import Broker as BrokerPort
from cloud.fleet.broker import Connection, Incoming
from cloud.fleet.broker_mqtt import MqttBroker
from cloud.fleet.database import FleetDatabase
from cloud.fleet.ingest.ingest import Ingest
from cloud.fleet.migrate import upgrade
from cloud.fleet.worker import Worker
from cloud.link.link import Link, Phase
from cloud.link.transport_mqtt import MqttTransport
from cloud.mqtt import Broker, StrictClient
from controller.clock import SystemClock
from controller.journal.store import Journal
from controller.state.state import State
from tests.fleet.books import known, open_books, sell, sell_many
from tests.fleet.machines import START
from tests.fleet.proxy import Proxy
from tests.fleet.servers import Mosquitto, Postgres, running
from tests.fleet.site import Site

_NAMES = count(1)
PLENTY_S = 90.0
LATE_S = 0.1


class Unruly:
    """A broker whose messages come late, twice and in another order."""

    def __init__(self, broker: BrokerPort, chance: random.Random) -> None:
        self._broker = broker
        self._chance = chance

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[Connection]:
        async with self._broker.connect() as connection:
            yield _UnrulyConnection(connection, self._chance)


class _UnrulyConnection:
    def __init__(self, connection: Connection, chance: random.Random) -> None:
        self._connection = connection
        self._chance = chance

    async def incoming(self) -> AsyncIterator[Incoming]:
        """Late, but never later than what follows them: silence ends every wait."""
        held: list[Incoming] = []
        source = self._connection.incoming()
        following: asyncio.Future[Incoming] | None = None
        try:
            while True:
                following = following or asyncio.ensure_future(anext(source))
                most = self._chance.choice([0, 0, 1, 2])
                done, _ = await asyncio.wait([following], timeout=LATE_S if held else None)
                if done:
                    incoming, following = following.result(), None
                    held.append(incoming)
                    if self._chance.random() < 0.3:
                        held.append(replace(incoming, done=lambda: None))
                    self._chance.shuffle(held)
                while len(held) > (most if done else 0):
                    yield held.pop()
        except StopAsyncIteration:
            return
        finally:
            if following is not None:
                following.cancel()

    async def tell(
        self, address: Address, topic: Topic, payload: bytes, *, retain: bool = False
    ) -> None:
        await self._connection.tell(address, topic, payload, retain=retain)


class Machine:
    """One machine: its journal on the disk, its link, and the line in between."""

    def __init__(
        self, name: str, folder: Path, broker: Mosquitto | Site, identifier: str = ""
    ) -> None:
        self.address = Address("acme", name)
        self.folder = folder
        self.proxy = Proxy(broker.port)
        self.identifier = identifier or name
        self.books: Journal[State] | None = None
        self.link: Link | None = None
        self._task: asyncio.Task[None] | None = None
        self._starts = count(1)

    def broker(self) -> Broker:
        return Broker("127.0.0.1", self.proxy.port, self.identifier)

    async def start(self) -> None:
        self.books = await open_books(self.folder, seed=crc32(self.folder.name.encode()))
        nonces, start = count(1), next(self._starts)
        broker = self.broker()
        self.link = Link(
            self.books,
            MqttTransport(broker, self.address),
            SystemClock(),
            lambda: f"{self.address.machine}-{start}-{next(nonces)}",
        )
        self._task = asyncio.create_task(self.link.run())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        assert self.books is not None
        await self.books.close()

    async def sell(self, price: int) -> None:
        assert self.books is not None
        assert self.link is not None
        sell(self.books, price)
        await self.books.commit()
        self.link.grown()

    async def in_sync(self) -> None:
        assert self.link is not None
        changed = asyncio.Event()
        self.link.watch(changed.set)
        self.link.sync_now()
        async with asyncio.timeout(PLENTY_S):
            while self.link.status.phase is not Phase.IN_SYNC or self.link.status.backlog:
                changed.clear()
                await changed.wait()

    async def equal(self, database: FleetDatabase) -> None:
        """Every record is in the cloud once, and its accounts are the machine's."""
        assert self.books is not None
        async with database.reading() as connection:
            found = await connection.execute(
                select(t.record.c.seq, t.record.c.hash)
                .join(t.journal, t.journal.c.id == t.record.c.journal_id)
                .where(t.journal.c.uid == self.books.journal_id)
                .order_by(t.record.c.seq)
            )
            stored = [(seq, bytes(digest)) for seq, digest in found]
            accounts = await connection.execute(
                select(t.balance.c.account, t.balance.c.amount)
                .join(t.machine, t.machine.c.id == t.balance.c.machine_id)
                .where(t.machine.c.name == self.address.machine, t.balance.c.amount != 0)
            )
            theirs = {row.account: row.amount for row in accounts}
        rows = self.books.state.ledger.trial_balance()
        assert stored == [(row[0], row[3]) async for row in self.books.rows()]
        assert theirs == {
            row.account: row.debit - row.credit for row in rows if row.debit != row.credit
        }


class Fleet:
    """Workers on one broker and one database; each may die at any moment."""

    def __init__(self, broker: Mosquitto, database: FleetDatabase, *, shared: bool) -> None:
        self.broker = broker
        self.database = database
        self.shared = shared
        self.unruly: random.Random | None = None
        self.workers: list[tuple[Worker, asyncio.Task[None]]] = []

    async def hire(self) -> Worker:
        name = f"worker{next(_NAMES)}" if self.shared else "serve"
        reached: BrokerPort = MqttBroker(
            Broker("127.0.0.1", self.broker.port, name), shared=self.shared
        )
        if self.unruly is not None:
            reached = Unruly(reached, self.unruly)
        worker = Worker(Ingest(self.database), reached, lambda: START)
        self.workers.append((worker, asyncio.create_task(worker.run())))
        return worker

    async def lose(self, place: int = 0) -> None:
        """One of them dies with whatever it held."""
        _, task = self.workers.pop(place)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    async def connected(self) -> None:
        async with asyncio.timeout(PLENTY_S):
            for worker, _ in self.workers:
                await worker.connected.wait()

    async def end(self) -> None:
        while self.workers:
            await self.lose()


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as made:
        yield made


@pytest.fixture
def broker(tmp_path: Path, stack: AsyncExitStack) -> Mosquitto:
    made = Mosquitto(tmp_path / "broker")
    stack.enter_context(running(made))
    return made


async def machine_of(
    stack: AsyncExitStack, fleet: Fleet, folder: Path, name: str, identifier: str = ""
) -> Machine:
    made = Machine(name, folder, fleet.broker, identifier)
    await known(fleet.database, made.address)
    await stack.enter_async_context(made.proxy)
    await made.start()
    stack.push_async_callback(made.stop)
    return made


async def fleet_of(
    stack: AsyncExitStack, broker: Mosquitto, database: FleetDatabase, *, shared: bool = False
) -> Fleet:
    made = Fleet(broker, database, shared=shared)
    stack.push_async_callback(made.end)
    return made


async def causes(database: FleetDatabase) -> set[str]:
    async with database.reading() as connection:
        found = await connection.execute(
            select(t.alert.c.cause).where(t.alert.c.closed_ms.is_(None))
        )
        return set(found.scalars())


async def until(holds: Callable[[], Any], limit_s: float = PLENTY_S) -> None:
    async with asyncio.timeout(limit_s):
        while not holds():  # noqa: ASYNC110 - there is no event for the far side's end
            await asyncio.sleep(0.01)


# ------------------------------------------------------------------------------ all together


async def test_two_workers_and_three_machines_end_with_equal_books_whatever_dies_in_any_order(
    database: FleetDatabase,
    database_url: str,
    broker: Mosquitto,
    tmp_path: Path,
    stack: AsyncExitStack,
    request: pytest.FixtureRequest,
) -> None:
    """Over a broker whose messages come late, twice and in another order."""
    chance = random.Random(1)
    fleet = await fleet_of(stack, broker, database, shared=True)
    fleet.unruly = chance
    machines = [
        await machine_of(stack, fleet, tmp_path / f"m{number}", f"m{number}") for number in range(3)
    ]
    for _ in range(2):
        await fleet.hire()

    async def cut_a_line() -> None:
        proxy = chance.choice(machines).proxy
        proxy.cut()
        await asyncio.sleep(0)
        proxy.mend()

    async def slow_a_line() -> None:
        proxy = chance.choice(machines).proxy
        proxy.delay_s = chance.choice([0.0, 0.05, 0.2])

    async def lose_a_worker() -> None:
        await fleet.lose(chance.randrange(len(fleet.workers)))
        await fleet.hire()

    async def kill_the_broker() -> None:
        broker.kill()
        broker.start()

    async def kill_a_machine() -> None:
        machine = chance.choice(machines)
        await machine.stop()
        await machine.start()

    async def restart_the_database() -> None:
        if not database.is_sqlite:  # which is a file, and has no server to restart
            server: Postgres = request.getfixturevalue("postgres")
            await asyncio.to_thread(server.stop)
            await asyncio.to_thread(server.start)

    faults = [cut_a_line, slow_a_line, lose_a_worker, kill_the_broker, kill_a_machine]
    order = [*faults, *faults, restart_the_database]
    chance.shuffle(order)
    for fault in order:
        for machine in machines:
            for _ in range(chance.randrange(1, 12)):
                await machine.sell(chance.choice([100, 150, 250]))
        await fault()
    for machine in machines:
        machine.proxy.delay_s = 0.0
        await machine.in_sync()

    for machine in machines:
        await machine.equal(database)
    assert {worker.counts.refused for worker, _ in fleet.workers} == {0}
    assert not await causes(database) - {alerts.OFFLINE}


# ------------------------------------------------------------------------------- one by one


async def test_a_broker_took_the_messages_and_the_database_lost_them(
    tmp_path: Path, broker: Mosquitto, stack: AsyncExitStack
) -> None:
    """The server is brought back from last night's copy: the machines send what it lacks."""
    path = tmp_path / "fleet.db"
    database = FleetDatabase(f"sqlite+aiosqlite:///{path}")
    stack.push_async_callback(database.close)
    await upgrade(database)
    fleet = await fleet_of(stack, broker, database)
    machine = await machine_of(stack, fleet, tmp_path / "m", "m")
    await fleet.hire()
    for _ in range(20):
        await machine.sell(150)
    await machine.in_sync()
    with (
        closing(sqlite3.connect(path)) as source,
        closing(sqlite3.connect(tmp_path / "copy.db")) as target,
    ):
        source.backup(target)
    for _ in range(20):
        await machine.sell(150)
    await machine.in_sync()
    acked = machine.books.acked_seq if machine.books else 0
    await fleet.end()
    await database.close()
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    (tmp_path / "copy.db").replace(path)

    await fleet.hire()
    await fleet.connected()
    await machine.sell(150)
    await machine.in_sync()

    assert machine.books is not None
    assert machine.books.acked_seq > acked
    await machine.equal(database)


async def test_a_full_disk_of_the_server_acknowledges_nothing_and_loses_nothing(
    tmp_path: Path, broker: Mosquitto, stack: AsyncExitStack
) -> None:
    database = FleetDatabase(f"sqlite+aiosqlite:///{tmp_path / 'fleet.db'}")
    stack.push_async_callback(database.close)
    await upgrade(database)
    pages = 0

    def limited(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA max_page_count={pages}" if pages else "PRAGMA user_version")
        cursor.close()

    event.listen(database.engine.sync_engine, "connect", limited)
    fleet = await fleet_of(stack, broker, database)
    machine = await machine_of(stack, fleet, tmp_path / "m", "m")
    async with database.reading() as connection:
        answer = await connection.exec_driver_sql("PRAGMA page_count")
        pages = int(answer.scalar_one()) + 6
    await database.close()
    await fleet.hire()
    assert machine.books is not None
    await sell_many(machine.books, 400)
    assert machine.link is not None
    machine.link.grown()
    worker = fleet.workers[0][0]
    await until(lambda: worker.counts.reconnects >= 2)
    held = machine.books.acked_seq
    pages = 0
    await fleet.end()
    await database.close()
    await fleet.hire()
    await machine.in_sync()

    assert held < machine.books.durable_seq, "what did not fit was not acknowledged"
    await machine.equal(database)


async def test_two_machines_with_one_identity_harm_no_books(
    database: FleetDatabase, broker: Mosquitto, tmp_path: Path, stack: AsyncExitStack
) -> None:
    """Certificate and name were copied: each connection ends the other's, both keep trying."""
    fleet = await fleet_of(stack, broker, database)
    first = await machine_of(stack, fleet, tmp_path / "first", "m", "twin")
    await fleet.hire()
    await first.sell(100)
    await first.in_sync()
    second = Machine("m", tmp_path / "second", broker, "twin")
    await stack.enter_async_context(second.proxy)
    await second.start()
    stack.push_async_callback(second.stop)
    for _ in range(10):
        await first.sell(100)
        await second.sell(250)
    await second.in_sync()
    await first.in_sync()

    assert first.books is not None
    assert second.books is not None
    await first.equal(database)
    assert alerts.UNADOPTED in await causes(database), "somebody must look which of them counts"
    async with database.reading() as connection:
        journals = {
            bytes(row.uid): row.adopted for row in await connection.execute(select(t.journal))
        }
    assert journals == {first.books.journal_id: True, second.books.journal_id: False}


@pytest.mark.parametrize(
    ("make", "why"),
    [
        pytest.param(lambda good: b"\x00" * 10_000_000, "10000000 bytes", id="ten megabytes"),
        pytest.param(
            lambda good: good.replace(b'"v":1', b'"v":9', 1),
            "v: Input should be 1",
            id="a newer version",
        ),
        pytest.param(
            lambda good: good[:-20] + bytes([good[-20] ^ 1]) + good[-19:],
            "record",
            id="one byte changed",
        ),
        pytest.param(lambda good: b"{}\n", "journal: Field required", id="no batch"),
    ],
)
async def test_a_batch_that_is_wrong_is_told_and_the_next_good_one_is_taken(
    database: FleetDatabase,
    broker: Mosquitto,
    tmp_path: Path,
    stack: AsyncExitStack,
    make: Callable[[bytes], bytes],
    why: str,
) -> None:
    from tests.fleet.machines import Machine as Chain

    fleet = await fleet_of(stack, broker, database)
    machine = await machine_of(stack, fleet, tmp_path / "m", "m")
    worker = await fleet.hire()
    await machine.sell(100)
    await machine.in_sync()
    chain = Chain("m", number=9)
    chain.begin()
    bad = make(chain.batch(1))
    async with StrictClient(Broker("127.0.0.1", broker.port, "forger")) as client:
        before = worker.counts.batches
        await client.say(machine.address.topic(Topic.EVENTS), bad)
        await until(lambda: worker.counts.batches > before)
    await machine.sell(150)
    await machine.in_sync()

    await machine.equal(database)
    async with database.reading() as connection:
        letters = [row.reason for row in await connection.execute(select(t.dead_letter))]
    assert letters
    assert all(why in letter for letter in letters), "the broker may have given it twice"
    assert not await causes(database), "once is nothing that somebody must look at"


def newer_of(pack: Callable[..., bytes], *words: Any, **more: Any) -> bytes:
    return pack(*words, **more).replace(b'"v":1', b'"v":9', 1)


async def test_a_machine_that_is_newer_than_its_fleet_waits_in_quarantine_for_the_upgrade(
    database: FleetDatabase,
    broker: Mosquitto,
    tmp_path: Path,
    stack: AsyncExitStack,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fleet = await fleet_of(stack, broker, database)
    machine = await machine_of(stack, fleet, tmp_path / "m", "m")
    await fleet.hire()
    await machine.sell(100)
    await machine.in_sync()
    assert machine.books is not None
    assert machine.link is not None
    acked, link = machine.books.acked_seq, machine.link

    with monkeypatch.context() as upgraded:
        upgraded.setattr(batch, "pack", partial(newer_of, batch.pack))
        for _ in range(3):
            await machine.sell(150)
        await until(lambda: link.status.phase is Phase.QUARANTINED)
        assert "3 unreadable batches: v: Input should be 1" in link.status.why_quarantined
        assert await causes(database) == {alerts.QUARANTINED}
        async with database.reading() as connection:
            letters = [row.reason for row in await connection.execute(select(t.dead_letter))]
        assert len(letters) >= 3
        assert all("v: Input should be 1" in letter for letter in letters)
        assert machine.books.acked_seq == acked, "nothing is acknowledged, and nothing lost"

    # The fleet is brought up to date, and an operator ends the quarantine.
    await registry.release(database, machine.books.journal_id, START)
    await machine.in_sync()
    assert not await causes(database)
    await machine.equal(database)


async def test_a_machine_that_is_stopped_in_order_says_that_it_goes(
    database: FleetDatabase, broker: Mosquitto, tmp_path: Path, stack: AsyncExitStack
) -> None:
    fleet = await fleet_of(stack, broker, database)
    machine = Machine("m", tmp_path / "m", broker)
    await known(database, machine.address)
    await stack.enter_async_context(machine.proxy)
    await machine.start()
    await fleet.hire()
    await machine.sell(100)
    await machine.in_sync()

    async def online() -> bool:
        async with database.reading() as connection:
            return bool((await connection.execute(select(t.machine.c.online))).scalar_one())

    assert await online()
    await machine.stop()
    async with asyncio.timeout(PLENTY_S):
        while await online():  # noqa: ASYNC110 - what a database holds has no event
            await asyncio.sleep(0.01)

    assert await causes(database) == {alerts.OFFLINE}
