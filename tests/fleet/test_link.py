"""A real journal, both ways to the fleet, both databases: the machine's side of the link."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import select

from cloud.contract.topics import Address
from cloud.fleet import alerts, reports
from cloud.fleet import schema as t
from cloud.fleet.database import FleetDatabase
from cloud.fleet.worker import Worker
from cloud.link.link import Link, Phase
from cloud.link.sync import SyncView
from cloud.link.transport import Transport
from cloud.mqtt import Broker
from controller.clock import SystemClock
from controller.journal.store import Journal
from controller.state.state import State
from tests.fleet.books import known, open_books, sell, sell_many
from tests.fleet.doors import Certified, Doors
from tests.fleet.links import equal_books, every_record_once, in_sync, link_of, linked, over_mqtt
from tests.fleet.machines import START
from tests.fleet.proxy import Proxy
from tests.fleet.servers import Mosquitto, bridge, running
from tests.fleet.workers import working

MACHINE = Address("acme", "lobby-1")
_NAMES = count(1)


class OverMqtt:
    """The way over a broker."""

    def __init__(self, broker: Mosquitto, *, five: bool = True) -> None:
        self.broker = broker
        self.port = broker.port
        self.five = five

    def transport(self, port: int) -> Transport:
        return over_mqtt(port, MACHINE, five=self.five)

    def fleet(self, database: FleetDatabase) -> AbstractAsyncContextManager[Worker]:
        return working(database, Broker("127.0.0.1", self.port, f"worker{next(_NAMES)}"))


class OverHttps:
    """The way through the door."""

    def __init__(self, doors: Doors) -> None:
        self.doors = doors
        self.port = doors.port
        self.certified: Certified | None = None

    def transport(self, port: int) -> Transport:
        assert self.certified is not None, "the fixture `registered` sees to it"
        return self.doors.transport(self.certified, port)

    @asynccontextmanager
    async def fleet(self, database: FleetDatabase) -> AsyncIterator[Worker]:
        async with self.doors.open(database) as (worker, _):
            yield worker


Side = OverMqtt | OverHttps


@pytest.fixture(params=["mqtt 5", "mqtt 3.1.1", "https"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Side]:
    if request.param == "https":
        yield OverHttps(Doors(tmp_path / "home"))
        return
    made = Mosquitto(tmp_path / "broker")
    with running(made):
        yield OverMqtt(made, five=request.param == "mqtt 5")


@pytest.fixture(autouse=True)
async def registered(database: FleetDatabase, request: pytest.FixtureRequest) -> None:
    await known(database, MACHINE)
    if "server" in request.fixturenames:
        side: Side = request.getfixturevalue("server")
        if isinstance(side, OverHttps):
            side.certified = await side.doors.machine(database, MACHINE)


def new_link(books: Journal[State], side: Side, port: int = 0, **told: Callable[..., None]) -> Link:
    return link_of(books, side.transport(port or side.port), software="0.1.0", **told)


def fleet(database: FleetDatabase, side: Side) -> AbstractAsyncContextManager[Worker]:
    return side.fleet(database)


async def test_a_journal_is_in_the_cloud_and_its_books_are_equal(
    database: FleetDatabase, server: Side, books: Journal[State]
) -> None:
    await sell_many(books, 300)
    async with fleet(database, server), linked(new_link(books, server)) as link:
        await in_sync(link)
        sell(books)
        await books.commit()
        link.grown()
        await in_sync(link)

    assert books.acked_seq == books.durable_seq == link.status.acked
    assert await every_record_once(database, books)
    assert await equal_books(database, books)


async def test_a_machine_starts_without_a_network_and_is_in_sync_when_it_comes(
    database: FleetDatabase, server: Side, books: Journal[State]
) -> None:
    await sell_many(books, 20)
    if isinstance(server, OverMqtt):
        server.broker.kill()
    async with linked(new_link(books, server)) as link:
        changed = asyncio.Event()
        link.watch(changed.set)
        async with asyncio.timeout(60):
            await changed.wait()
        assert link.status.phase is Phase.OFFLINE
        assert link.status.last_error

        if isinstance(server, OverMqtt):
            server.broker.start()
        async with fleet(database, server):
            link.sync_now()
            await in_sync(link)

    assert await every_record_once(database, books)


async def test_the_line_is_cut_again_and_again_while_it_sells(
    database: FleetDatabase, server: Side, books: Journal[State]
) -> None:
    await sell_many(books, 200)
    async with (
        Proxy(server.port) as proxy,
        fleet(database, server),
        linked(new_link(books, server, proxy.port)) as link,
    ):
        for _ in range(5):
            sell(books)
            await books.commit()
            link.grown()
            proxy.cut()
            await asyncio.sleep(0)
            proxy.mend()
            link.sync_now()
        await in_sync(link)

    assert await every_record_once(database, books)
    assert await equal_books(database, books)


@pytest.mark.parametrize("five", [True, False], ids=["mqtt 5", "mqtt 3.1.1"])
@pytest.mark.parametrize("memory", [True, False], ids=["with its memory", "without its memory"])
async def test_the_broker_is_killed_in_the_middle(
    database: FleetDatabase, tmp_path: Path, books: Journal[State], memory: bool, five: bool
) -> None:
    await sell_many(books, 400)
    broker = Mosquitto(tmp_path / "mortal", persistence=memory)
    with running(broker):
        side = OverMqtt(broker, five=five)
        async with fleet(database, side), linked(new_link(books, side)) as link:
            await half_way(link)
            broker.kill()
            broker.start()
            link.sync_now()
            await in_sync(link)

    assert await every_record_once(database, books)
    assert await equal_books(database, books)


@pytest.mark.parametrize("memory", [True, False], ids=["with its memory", "without its memory"])
async def test_a_bridge_beside_the_machine_is_killed_in_the_middle(
    database: FleetDatabase, tmp_path: Path, books: Journal[State], memory: bool
) -> None:
    """Its word for a batch moves nothing: what it held and lost is sent again."""
    await sell_many(books, 400)
    broker = Mosquitto(tmp_path / "broker")
    side = OverMqtt(broker)
    local = bridge(tmp_path / "local", broker.port, MACHINE, memory=memory)
    with running(broker), running(local):
        async with fleet(database, side), linked(new_link(books, side, local.port)) as link:
            for _ in range(3):
                await half_way(link, link.status.acked)
                local.kill()
                await sell_many(books, 200)
                link.grown()
                local.start()
                link.sync_now()
            await in_sync(link)

    assert await every_record_once(database, books)
    assert await equal_books(database, books)


@pytest.mark.parametrize("five", [True, False], ids=["mqtt 5", "mqtt 3.1.1"])
async def test_a_machine_whose_line_dies_is_told_of_by_the_broker_until_it_is_back(
    database: FleetDatabase, tmp_path: Path, books: Journal[State], five: bool
) -> None:
    broker = Mosquitto(tmp_path / "broker")
    with running(broker):
        side = OverMqtt(broker, five=five)
        async with (
            Proxy(side.port) as proxy,
            fleet(database, side),
            linked(new_link(books, side, proxy.port)) as link,
        ):
            await in_sync(link)
            assert await presence(database) == (True, [])

            proxy.cut()  # without a farewell: only the broker can tell
            await until_presence(database, (False, [alerts.OFFLINE]))

            proxy.mend()
            link.sync_now()
            await until_presence(database, (True, []))
            await in_sync(link)
    assert await every_record_once(database, books)


async def presence(database: FleetDatabase) -> tuple[bool, list[str]]:
    """Whether the machine is online, and the causes of its open alerts."""
    (line,) = await reports.machines(database)
    async with database.reading() as connection:
        query = select(t.alert.c.cause).where(t.alert.c.closed_ms.is_(None))
        return line["online"], list((await connection.execute(query)).scalars())


async def until_presence(database: FleetDatabase, wanted: tuple[bool, list[str]]) -> None:
    async with asyncio.timeout(90):
        while await presence(database) != wanted:  # noqa: ASYNC110 - its other end is a broker away
            await asyncio.sleep(0.05)


async def half_way(link: Link, behind: int = 0) -> None:
    changed = asyncio.Event()
    link.watch(changed.set)
    async with asyncio.timeout(60):
        while link.status.acked <= behind:
            changed.clear()
            await changed.wait()


async def test_the_machine_is_killed_in_mid_upload_and_goes_on_where_the_fleet_is(
    database: FleetDatabase, server: Side, books: Journal[State], tmp_path: Path
) -> None:
    await sell_many(books, 400)
    async with fleet(database, server):
        async with linked(new_link(books, server)) as link:
            await half_way(link)
        # Its own note of the ack may be lost with it: the fleet's word counts.
        again = new_link(books, server)
        async with linked(again):
            await in_sync(again)

    assert await every_record_once(database, books)


async def test_a_server_that_is_away_gets_everything_when_it_is_back(
    database: FleetDatabase, server: Side, books: Journal[State]
) -> None:
    await sell_many(books, 100)
    async with linked(new_link(books, server)) as link:
        async with fleet(database, server):
            await in_sync(link)
        await sell_many(books, 100)
        link.grown()
        async with fleet(database, server):
            link.sync_now()
            await in_sync(link)

    assert await every_record_once(database, books)


async def test_a_disk_that_went_back_is_told_where_both_agree(
    database: FleetDatabase, server: Side, books: Journal[State], tmp_path: Path
) -> None:
    await sell_many(books, 5)
    old = await copied(books, tmp_path / "old")
    await sell_many(books, 5)
    async with fleet(database, server):
        async with linked(new_link(books, server)) as link:
            await in_sync(link)
        agreed = old.durable_seq - 1  # the start of the copy wrote a record of its own
        sell(old)
        await old.commit()
        told: list[tuple[int, bytes]] = []
        forked = new_link(old, server, on_fork=lambda seq, digest: told.append((seq, digest)))
        async with asyncio.timeout(60):
            await forked.run()

    assert told == [(agreed, await books.hash_at(agreed))]
    assert forked.status.phase is Phase.FORKED
    await old.close()


async def copied(books: Journal[State], folder: Path) -> Journal[State]:
    """Return what an image of the disk of now becomes when a machine starts from it."""
    folder.mkdir()
    source = folder.parent / "journal"
    for path in source.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return await open_books(folder)


async def test_the_fleets_time_is_known_from_an_answer_to_our_own_word_alone(
    database: FleetDatabase, server: Side, books: Journal[State]
) -> None:
    times: list[int] = []
    async with fleet(database, server):
        async with linked(new_link(books, server)) as link:
            await in_sync(link)
        heard = asyncio.Event()

        def told(ms: int, _at_s: float, _first: bool | None) -> None:
            times.append(ms)
            heard.set()

        # A retained ack waits for this connection, too; nobody knows how old it is.
        async with linked(new_link(books, server, on_time=told)), asyncio.timeout(60):
            await heard.wait()

    assert set(times) == {START}


async def test_what_sync_shows_without_a_network_and_with_one(
    database: FleetDatabase, server: Side, books: Journal[State]
) -> None:
    await sell_many(books, 50)
    if isinstance(server, OverMqtt):
        server.broker.kill()
    link = new_link(books, server)
    view = SyncView(link, books, SystemClock())
    async with linked(link):
        changed = asyncio.Event()
        link.watch(changed.set)
        async with asyncio.timeout(60):
            await changed.wait()
        for _ in range(3):
            await asyncio.sleep(0)
        shown = await view.show()
        assert (shown["phase"], shown["connected"]) == ("offline", False)
        assert (shown["records"], shown["acked"]) == (books.durable_seq, 0)
        assert 100 * shown["records"] < shown["bytes"] < 500 * shown["records"]
        assert shown["oldest_s"] is not None
        assert not shown["oldest_certain"]
        assert shown["error"]
        assert shown["retry_in_s"] is not None
        assert (shown["heard"], shown["offset_ms"]) == (None, None)

        if isinstance(server, OverMqtt):
            server.broker.start()
        async with fleet(database, server):
            view.hurry()
            await in_sync(link)
            shown = await view.show()

    assert (shown["phase"], shown["connected"], shown["error"]) == ("in sync", True, "")
    assert (shown["records"], shown["bytes"], shown["oldest_s"]) == (0, 0, None)
    assert shown["transport"] == ("mqtt" if isinstance(server, OverMqtt) else "https")
    assert shown["heard"] == "2026-09-21T14:13:20.000Z"
    assert shown["offset_ms"] is not None
    assert shown["retry_in_s"] is None
