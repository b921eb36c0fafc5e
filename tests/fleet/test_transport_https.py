"""The machine's side of HTTPS: lost answers, cut requests, commands at most once, proxies."""

import asyncio
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta
from importlib.abc import MetaPathFinder
from pathlib import Path

import pytest
from sqlalchemy import insert, update

import cloud.link
from cloud.contract.messages import Telemetry
from cloud.contract.topics import Address, Topic
from cloud.fleet import schema as t
from cloud.fleet.database import FleetDatabase
from cloud.link import transport_auto, transport_https, trust
from cloud.link.assembly import Ways
from cloud.link.transport import Heard, LinkLostError
from cloud.link.transport_https import HttpsTransport
from config.models import Cloud
from controller.clock import SystemClock
from controller.journal.store import Journal
from controller.state.state import State
from tests.fleet.books import known, sell, sell_many
from tests.fleet.doors import NOW, Doors
from tests.fleet.links import equal_books, every_record_once, in_sync, linked
from tests.fleet.machines import START, Machine
from tests.fleet.proxy import Proxy
from tests.fleet.servers import Mosquitto
from tests.fleet.test_link import OverHttps, OverMqtt, new_link

MACHINE = Address("acme", "lobby-1")


@pytest.fixture
async def side(database: FleetDatabase, tmp_path: Path) -> OverHttps:
    await known(database, MACHINE)
    made = OverHttps(Doors(tmp_path / "home"))
    made.certified = await made.doors.machine(database, MACHINE)
    return made


def https_of(side: OverHttps, port: int = 0) -> HttpsTransport:
    made = side.transport(port or side.port)
    assert isinstance(made, HttpsTransport)
    return made


async def issued(database: FleetDatabase, *names: str) -> None:
    async with database.writing() as connection:
        for number, name in enumerate(names):
            await connection.execute(
                insert(t.command).values(
                    id=name,
                    machine_id=1,
                    kind="echo",
                    target="",
                    counter=number,
                    args="{}",
                    message=name.encode(),
                    issuer="anna",
                    issued_ms=START + number,
                    expires_ms=START + 60_000,
                )
            )


async def next_of(heard: AsyncIterator[Heard]) -> Heard:
    async with asyncio.timeout(60):
        return await anext(heard)


async def test_answers_that_are_lost_make_the_machine_send_again_and_nothing_is_doubled(
    database: FleetDatabase, side: OverHttps, books: Journal[State]
) -> None:
    await sell_many(books, 60)
    async with Proxy(side.port) as proxy, side.doors.open(database) as (worker, _):
        committed = asyncio.Event()
        take = worker.ingest.take

        async def cut_behind(*arguments: object) -> object:
            verdict = await take(*arguments)  # type: ignore[arg-type]  # passed on
            if worker.counts.batches < 2:
                proxy.cut()  # committed, and the answer never arrives
                committed.set()
            return verdict

        worker.ingest.take = cut_behind  # type: ignore[assignment,method-assign]
        async with linked(new_link(books, side, proxy.port)) as link:
            for _ in range(2):
                async with asyncio.timeout(60):
                    await committed.wait()
                committed.clear()
                proxy.mend()
                link.sync_now()
            await in_sync(link)
        assert worker.counts.duplicates > 0
    assert await every_record_once(database, books)
    assert await equal_books(database, books)


async def test_requests_that_are_cut_in_the_middle_lose_nothing(
    database: FleetDatabase, side: OverHttps, books: Journal[State]
) -> None:
    await sell_many(books, 300)
    async with Proxy(side.port) as proxy, side.doors.open(database):
        proxy.bytes_per_s = 200_000
        async with linked(new_link(books, side, proxy.port)) as link:
            for _ in range(3):
                before = proxy.up
                async with asyncio.timeout(60):
                    while proxy.up < before + 9_000:  # noqa: ASYNC110 - the proxy counts
                        await asyncio.sleep(0.001)
                proxy.cut()
                proxy.mend()
                link.sync_now()
            proxy.bytes_per_s = None
            await in_sync(link)
    assert await every_record_once(database, books)


async def test_batches_that_wait_for_a_long_way_travel_together(
    database: FleetDatabase, side: OverHttps, books: Journal[State]
) -> None:
    await sell_many(books, 1_200)  # some 17 batches
    async with Proxy(side.port) as proxy, side.doors.open(database) as (worker, _):
        proxy.delay_s = 0.1
        asked = 0
        connection = worker._broker._connection  # type: ignore[attr-defined]  # what the test counts
        take = connection.take

        async def counted(address: Address, topic: Topic, payloads: list[bytes]) -> object:
            nonlocal asked
            asked += topic is Topic.EVENTS
            return await take(address, topic, payloads)

        connection.take = counted
        async with linked(new_link(books, side, proxy.port)) as link:
            await in_sync(link)
        assert worker.counts.batches >= 16
        assert asked <= worker.counts.batches // 2
        assert worker.counts.duplicates == 0


async def test_a_command_comes_until_it_is_done_and_once_on_a_connection(
    database: FleetDatabase, side: OverHttps
) -> None:
    await issued(database, "one", "two")
    async with side.doors.open(database):
        async with https_of(side).connect() as connection:
            heard = connection.heard()
            first, second = await next_of(heard), await next_of(heard)
            assert [first.payload, second.payload] == [b"one", b"two"]
            first.done()
            # Neither comes again here, though both are still open in the fleet.
            await issued(database, "three")
            third = await next_of(heard)
            assert third.payload == b"three"

        # The process died before the others were durable: a new connection brings all that is open.
        async with database.writing() as writing:
            await writing.execute(
                update(t.command).where(t.command.c.id == "one").values(outcome="done")
            )
        async with https_of(side).connect() as connection:
            heard = connection.heard()
            again = [await next_of(heard), await next_of(heard)]
            assert sorted(one.payload for one in again) == [b"three", b"two"]
            for one in again:
                one.done()

            # Who appears is told again what is open, as by a broker.
            await connection.say(Topic.PRESENCE, Machine().presence().to_bytes())
            told = [await next_of(heard) for _ in range(3)]
            assert sorted(one.topic for one in told) == [Topic.ACK, Topic.CMD, Topic.CMD]


async def test_more_commands_than_an_answer_holds_come_in_their_order(
    database: FleetDatabase, side: OverHttps
) -> None:
    names = [f"c{number:02}" for number in range(30)]
    await issued(database, *names)
    async with side.doors.open(database), https_of(side).connect() as connection:
        heard = connection.heard()
        came = []
        for _ in names:
            message = await next_of(heard)
            came.append(message.payload.decode())
            message.done()
    assert came == names


async def test_the_newest_configuration_comes_once_and_a_newer_one_at_once(
    database: FleetDatabase, side: OverHttps
) -> None:
    async def wanted(revision: int) -> None:
        async with database.writing() as connection:
            await connection.execute(
                insert(t.desired).values(
                    machine_id=1,
                    revision=revision,
                    settings="{}",
                    message=b"revision %d" % revision,
                    issuer="anna",
                    issued_ms=START,
                )
            )

    for revision in (1, 2):
        await wanted(revision)
    async with side.doors.open(database), https_of(side).connect() as connection:
        heard = connection.heard()
        first = await next_of(heard)
        assert (first.topic, first.payload) == (Topic.DESIRED, b"revision 2")
        await wanted(3)
        assert (await next_of(heard)).payload == b"revision 3"


async def test_a_certificate_that_is_revoked_ends_the_session_and_the_waiting_question(
    database: FleetDatabase, side: OverHttps
) -> None:
    async with side.doors.open(database), https_of(side).connect() as connection:
        heard = connection.heard()
        async with database.writing() as writing:
            await writing.execute(update(t.certificate).values(revoked_ms=START))
        with pytest.raises(LinkLostError, match="revoked"):
            await connection.say(Topic.TELEMETRY, Telemetry(at=START).to_bytes())
        await issued(database, "secret")
        with pytest.raises(LinkLostError, match="revoked"):
            await next_of(heard)


async def test_a_door_whose_certificate_has_ended_hears_not_a_word(
    database: FleetDatabase, side: OverHttps
) -> None:
    in_ten_years = START + 3_650 * 24 * 3_600_000
    for now, confirmed, why in (
        (in_ten_years, True, "certificate ended"),
        (in_ten_years, False, "certificate ended"),
        (START - 9 * 24 * 3_600_000, True, "certificate begins"),
    ):
        assert side.certified is not None
        transport = HttpsTransport(
            "localhost",
            side.port,
            side.certified.tls,
            trust.dates_checked(lambda now=now, confirmed=confirmed: (now, confirmed)),  # type: ignore[misc]  # bound early
        )
        async with side.doors.open(database) as (worker, _):
            with pytest.raises(LinkLostError, match=why):
                async with transport.connect():
                    raise AssertionError("it was believed")
            assert worker.counts.batches == 0


async def test_a_door_of_another_authority_or_name_is_not_believed(
    database: FleetDatabase, side: OverHttps, tmp_path: Path
) -> None:
    other = Doors(tmp_path / "other")
    other.port = side.port
    async with other.open(database):
        with pytest.raises(LinkLostError, match="verify failed"):
            async with https_of(side).connect():
                raise AssertionError("it was believed")
    side.doors.certified("door", "elsewhere", hosts=("elsewhere.example",))
    async with side.doors.open(database):
        with pytest.raises(LinkLostError, match=r"[Hh]ostname mismatch"):
            async with https_of(side).connect():
                raise AssertionError("it was believed")


async def test_a_gateway_that_answers_for_the_fleet_is_named(side: OverHttps) -> None:
    async def portal(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            page = b"<html>please log in</html>"
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(page), page))
            await writer.drain()
        writer.close()

    from cloud.fleet.door import peers

    context = peers.context(side.doors.home)
    server = await asyncio.start_server(portal, "127.0.0.1", side.port, ssl=context)
    async with server:
        with pytest.raises(LinkLostError, match="is it a gateway's"):
            async with https_of(side).connect():
                raise AssertionError("it was believed")


async def test_the_way_goes_through_a_proxy_that_only_tunnels(
    database: FleetDatabase, side: OverHttps, books: Journal[State]
) -> None:
    seen: list[str] = []
    async with tunnels(seen) as port, side.doors.open(database):
        await sell_many(books, 5)
        assert side.certified is not None
        transport = HttpsTransport(
            "localhost", side.port, side.certified.tls, proxy=f"http://127.0.0.1:{port}"
        )
        side.transport = lambda port: transport  # type: ignore[method-assign]  # the way of this test
        async with linked(new_link(books, side)) as link:
            await in_sync(link)
            sell(books)
            await books.commit()
            link.grown()
            await in_sync(link)
    assert set(seen) == {f"CONNECT localhost:{side.port} HTTP/1.1"}
    assert await every_record_once(database, books)


class tunnels:  # noqa: N801 - reads as what it is
    """An HTTP proxy that knows CONNECT alone."""

    def __init__(self, seen: list[str]) -> None:
        self._seen = seen
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> int:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        line = head.splitlines()[0]
        self._seen.append(line)
        host, _, port = line.split()[1].rpartition(":")
        far_reader, far_writer = await asyncio.open_connection(host, int(port))
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        for source, sink in ((reader, far_writer), (far_reader, writer)):
            task = asyncio.ensure_future(self._pump(source, sink))
            self._tasks.add(task)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            with suppress(OSError):
                while data := await source.read(65_536):
                    sink.write(data)
                    await sink.drain()
        finally:
            sink.transport.abort()


async def test_the_link_goes_back_to_mqtt_when_a_broker_answers_and_books_are_equal(
    database: FleetDatabase, side: OverHttps, books: Journal[State], tmp_path: Path
) -> None:
    class Hasty(SystemClock):
        async def sleep(self, seconds: float) -> None:
            assert seconds == transport_auto.BACK_S
            await asyncio.sleep(0.2)

    broker = Mosquitto(tmp_path / "broker")
    mqtt = OverMqtt(broker)
    way = https_of(side)

    async def second() -> HttpsTransport:
        return way

    auto = transport_auto.AutoTransport(mqtt.transport(broker.port), second, Hasty())
    auto.choice.way = transport_auto.Way.HTTPS  # MQTT was away for a minute
    await sell_many(books, 50)
    side.transport = lambda port: auto  # type: ignore[method-assign]  # the way of this test
    async with side.doors.open(database) as (worker, _), linked(new_link(books, side)) as link:
        await in_sync(link)
        by_https = worker.counts.records
        broker.start()
        try:
            async with mqtt.fleet(database) as over_mqtt:
                async with asyncio.timeout(60):
                    while over_mqtt.counts.records == 0:
                        sell(books)
                        await books.commit()
                        link.grown()
                        await asyncio.sleep(0.2)
                await in_sync(link)
        finally:
            broker.stop()
    assert by_https > 0
    assert auto.choice.way is transport_auto.Way.MQTT
    assert await every_record_once(database, books)
    assert await equal_books(database, books)


async def test_several_processes_share_the_port_and_the_machines(
    database: FleetDatabase, side: OverHttps, books: Journal[State]
) -> None:
    await sell_many(books, 200)
    async with side.doors.open(database):
        async with side.doors.open(database), linked(new_link(books, side)) as link:
            await in_sync(link)
        # One of them is gone: who was with it comes to the other.
        await sell_many(books, 50)
        async with linked(new_link(books, side)) as link:
            await in_sync(link)
    assert await every_record_once(database, books)
    assert await equal_books(database, books)


def test_the_bounds_of_both_sides_fit_each_other() -> None:
    from cloud.contract import https
    from cloud.fleet.door import app, broker_https, peers
    from cloud.link.window import BATCHES

    assert transport_https.KEEP_S < peers.IDLE_S
    assert broker_https.ANSWER_S < transport_https.ANSWER_S
    assert BATCHES <= https.MAX_BATCHES
    assert transport_https.TOGETHER_BYTES < https.MAX_POST_BYTES
    assert app.BODY_S > https.MAX_POST_BYTES / 32_000
    assert NOW + timedelta() == NOW


async def test_the_library_of_the_second_way_is_loaded_beside_the_loop(
    side: OverHttps, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes half a second of a small board, in which nobody would stop a motor."""
    shown = side.certified
    assert shown is not None
    settings = Cloud(
        tenant="acme", host="localhost", https_port=side.port, transport="auto",
        ca=shown.ca, certificate=shown.certificate, key=shown.key, root_key="00" * 32,
    )  # fmt: skip
    way = Ways(settings, MACHINE, tmp_path, SystemClock(), lambda: (START, True)).transport()
    assert isinstance(way, transport_auto.AutoTransport)
    loaded_by: list[threading.Thread] = []

    class Watched(MetaPathFinder):
        def find_spec(self, name: str, *_: object) -> None:
            if name == "cloud.link.transport_https":
                loaded_by.append(threading.current_thread())

    monkeypatch.setattr(cloud.link, "transport_https", transport_https)  # put back afterwards
    monkeypatch.delitem(sys.modules, "cloud.link.transport_https")
    monkeypatch.setattr(sys, "meta_path", [Watched(), *sys.meta_path])
    way.choice.way = transport_auto.Way.HTTPS  # MQTT was away for a minute
    with pytest.raises(LinkLostError):  # nobody opened the door
        async with way.connect():
            raise AssertionError("nobody is there")

    assert len(loaded_by) == 1
    assert loaded_by[0] is not threading.main_thread()
