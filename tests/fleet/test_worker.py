"""Machines, a real broker, both databases: what is acknowledged is stored, whatever is killed."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from itertools import count
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from cloud.contract.journal import records as rec
from cloud.contract.messages import Ack, Position, Presence, Urgent, read
from cloud.contract.topics import Address, Topic
from cloud.fleet.broker import Connection
from cloud.fleet.broker_mqtt import MqttBroker
from cloud.fleet.database import FleetDatabase
from cloud.fleet.ingest.ingest import Ingest
from cloud.fleet.orders import publish_open
from cloud.fleet.worker import Worker
from cloud.mqtt import Broker, StrictClient
from tests.fleet.machines import START, Machine, one_that_sold, register
from tests.fleet.servers import Mosquitto
from tests.fleet.test_ingest import stored, whole
from tests.fleet.workers import working

_NAMES = count(1)


@pytest.fixture
async def machine(database: FleetDatabase) -> Machine:
    return await one_that_sold(database, 30)


def reach(server: Mosquitto, name: str = "") -> Broker:
    return Broker("127.0.0.1", server.port, name or f"c{next(_NAMES)}")


async def acks(client: StrictClient, until: Callable[[Ack], bool], within_s: float = 60) -> Ack:
    async with asyncio.timeout(within_s):
        async for message in client.messages:
            client.done_with(message)
            assert isinstance(message.payload, bytes)
            ack = read(Ack, message.payload)
            if until(ack):
                return ack
    raise AssertionError("the connection ended")


async def test_a_journal_travels_through_a_real_broker(
    database: FleetDatabase, server: Mosquitto, machine: Machine
) -> None:
    async with (
        working(database, reach(server, "w1")) as worker,
        StrictClient(reach(server)) as client,
    ):
        await client.listen(machine.address.topic(Topic.ACK))
        for message in machine.batches(20):
            await client.say(machine.address.topic(Topic.EVENTS), message)
        last = await acks(client, lambda ack: ack.seq == machine.seq)

    assert (last.hash, last.time) == (machine.hash.hex(), START)
    assert await stored(database, machine) == whole(machine)
    assert worker.counts.records == machine.seq


async def test_presence_is_answered_with_the_nonce_and_the_place(
    database: FleetDatabase, server: Mosquitto, machine: Machine
) -> None:
    async with working(database, reach(server, "w1")), StrictClient(reach(server)) as client:
        await client.listen(machine.address.topic(Topic.ACK))
        await client.say(machine.address.topic(Topic.EVENTS), machine.batch(1))
        await acks(client, lambda ack: ack.seq == machine.seq)
        old = machine.fork(50)
        await client.say(machine.address.topic(Topic.PRESENCE), old.presence().to_bytes())
        ack = await acks(client, lambda ack: ack.echo == "p")

    assert ack.fork == Position(journal=machine.journal.hex(), seq=50, hash=old.hash.hex())


async def test_of_two_workers_one_dies_and_nothing_is_lost_or_doubled(
    database: FleetDatabase, server: Mosquitto, machine: Machine
) -> None:
    async with StrictClient(reach(server)) as client:
        await client.listen(machine.address.topic(Topic.ACK))
        async with working(database, reach(server, "w1"), shared=True):
            async with working(database, reach(server, "w2"), shared=True):
                for message in machine.batches(7):
                    await client.say(machine.address.topic(Topic.EVENTS), message)
            # w2 is gone with whatever it held; the machine sends from the last ack on.
            last = await resend(client, machine)

    assert last.seq == machine.seq
    assert await stored(database, machine) == whole(machine)


async def resend(client: StrictClient, machine: Machine) -> Ack:
    """Send from the last acknowledged record on until all are, as the machine's side does."""
    first = 1
    for _ in range(20):
        await client.say(machine.address.topic(Topic.EVENTS), machine.batch(first, nonce="again"))
        try:
            ack = await acks(client, lambda ack: ack.echo == "again", within_s=15)
        except TimeoutError:
            continue  # the broker gave it to a worker that was just leaving
        if ack.seq == machine.seq:
            return ack
        first = ack.seq + 1
    raise AssertionError("no progress")


async def test_a_worker_that_is_stopped_ends_though_its_query_ends_with_an_error(
    database: FleetDatabase, server: Mosquitto, machine: Machine
) -> None:
    asked = asyncio.Event()

    class Broken(Ingest):
        async def heard(self, *args: Any, **more: Any) -> Ack | None:
            asked.set()
            try:
                return await asyncio.Future[Ack | None]()
            except asyncio.CancelledError:
                raise OperationalError("ROLLBACK", None, OSError("in progress")) from None

    worker = Worker(Broken(database), MqttBroker(reach(server, "w1")), lambda: START)
    task = asyncio.create_task(worker.run())
    async with asyncio.timeout(60):
        await worker.connected.wait()
    async with StrictClient(reach(server)) as client:
        await client.say(machine.address.topic(Topic.PRESENCE), machine.presence().to_bytes())
        async with asyncio.timeout(60):
            await asked.wait()
    task.cancel()
    await asyncio.wait([task], timeout=30)
    assert task.cancelled()


async def test_a_broker_that_is_killed_is_found_again(
    database: FleetDatabase, server: Mosquitto, machine: Machine
) -> None:
    async with working(database, reach(server, "w1")) as worker:
        async with StrictClient(reach(server)) as client:
            await client.say(machine.address.topic(Topic.EVENTS), machine.batch(1, 30))
        server.kill()
        await until(lambda: not worker.connected.is_set())
        server.start()
        async with asyncio.timeout(60):
            await worker.connected.wait()
        async with StrictClient(reach(server)) as client:
            await client.listen(machine.address.topic(Topic.ACK))
            await resend(client, machine)

    assert await stored(database, machine) == whole(machine)
    assert worker.counts.reconnects == 1


async def until(holds: Callable[[], bool], limit_s: float = 60.0) -> None:
    async with asyncio.timeout(limit_s):
        while not holds():  # noqa: ASYNC110 - there is no event for the far side's end
            await asyncio.sleep(0.01)


async def test_a_database_that_fails_stops_the_acknowledging(
    database: FleetDatabase,
    server: Mosquitto,
    machine: Machine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    works: Callable[..., Awaitable[None]] = database.insert_many
    failures = count(1)

    async def full_at_first(*arguments: object) -> None:
        if next(failures) <= 2:
            raise OSError(28, "No space left on device")
        await works(*arguments)

    monkeypatch.setattr(database, "insert_many", full_at_first)
    async with working(database, reach(server, "w1")), StrictClient(reach(server)) as client:
        await client.listen(machine.address.topic(Topic.ACK))
        for message in machine.batches(40):
            await client.say(machine.address.topic(Topic.EVENTS), message)
        # The broker gives the worker again what it did not acknowledge.
        last = await acks(client, lambda ack: ack.seq == machine.seq)

    assert last.hash == machine.hash.hex()
    assert await stored(database, machine) == whole(machine)


async def test_garbage_on_any_topic_harms_nobody(
    database: FleetDatabase, server: Mosquitto, machine: Machine
) -> None:
    async with (
        working(database, reach(server, "w1")) as worker,
        StrictClient(reach(server)) as client,
    ):
        await client.listen(machine.address.topic(Topic.ACK))
        for topic in (Topic.PRESENCE, Topic.STATE, Topic.URGENT, Topic.TELEMETRY):
            await client.say(machine.address.topic(topic), b"\xff garbage")
        await client.say("vend/v1/ACME/x/events", b"garbage")
        await client.say(machine.address.topic(Topic.EVENTS), b"garbage")
        await client.say(machine.address.topic(Topic.EVENTS), machine.batch(1))
        await acks(client, lambda ack: ack.seq == machine.seq)

    assert worker.counts.refused == 4
    assert await stored(database, machine) == whole(machine)


async def test_what_no_database_takes_is_set_aside_and_stops_no_other_machine(
    database: FleetDatabase, server: Mosquitto, machine: Machine
) -> None:
    bad = Machine("lobby-2", number=2)
    bad.begin()
    await register(database, bad)
    huge = 2**70
    bad.write(rec.CreditGranted(amount=huge, reason="", by=""))
    async with (
        working(database, reach(server, "w1")) as worker,
        StrictClient(reach(server)) as client,
    ):
        await client.listen(bad.address.topic(Topic.ACK), machine.address.topic(Topic.ACK))
        head = Presence(online=True, software="nul \0")
        await client.say(bad.address.topic(Topic.PRESENCE), head.to_bytes())
        copy = Urgent(journal="02" * 16, seq=9, boot=7, body=bad.rows[0][2]).to_bytes()
        too_much = copy.replace(b'"boot":7', b'"boot":%d' % huge)
        assert too_much != copy
        await client.say(bad.address.topic(Topic.URGENT), too_much)
        for _ in range(3):
            await client.say(bad.address.topic(Topic.EVENTS), bad.batch(1))
            last = await acks(client, lambda ack: True)
        await client.say(machine.address.topic(Topic.EVENTS), machine.batch(1))
        await acks(client, lambda ack: ack.seq == machine.seq)

    assert (worker.counts.reconnects, worker.counts.refused) == (0, 1)
    assert (last.seq, last.quarantined) == (bad.seq, "")
    assert await stored(database, machine) == whole(machine)


async def test_a_slow_database_does_not_set_a_machine_s_clock_back(
    database: FleetDatabase, server: Mosquitto, machine: Machine
) -> None:
    """The machine takes the time for that in the middle of its question and the answer."""
    now = START

    class Slow(Ingest):
        async def heard(self, *args: Any, **more: Any) -> Ack | None:
            nonlocal now
            ack = await super().heard(*args, **more)
            now += 4_000
            return ack

    worker = Worker(Slow(database), MqttBroker(reach(server, "w1")), lambda: now)
    task = asyncio.create_task(worker.run())
    async with asyncio.timeout(60):
        await worker.connected.wait()
    async with StrictClient(reach(server)) as client:
        await client.listen(machine.address.topic(Topic.ACK))
        await client.say(machine.address.topic(Topic.PRESENCE), machine.presence().to_bytes())
        ack = await acks(client, lambda ack: ack.echo == "p")
    assert ack.time == START + 2_000
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_a_machine_that_nobody_knows_stops_no_worker(
    database: FleetDatabase, server: Mosquitto, machine: Machine
) -> None:
    stranger = Machine("nobody", number=7)
    stranger.begin()

    async def appeared(address: Address, connection: Connection) -> None:
        await publish_open(database, connection, address, START)

    broker = MqttBroker(reach(server, "w1"))
    worker = Worker(Ingest(database), broker, lambda: START, appeared)
    task = asyncio.create_task(worker.run())
    async with asyncio.timeout(60):
        await worker.connected.wait()
    async with StrictClient(reach(server)) as client:
        await client.listen(machine.address.topic(Topic.ACK))
        await client.say(stranger.address.topic(Topic.PRESENCE), stranger.presence().to_bytes())
        await client.say(machine.address.topic(Topic.EVENTS), machine.batch(1))
        await acks(client, lambda ack: ack.seq == machine.seq)
    assert not task.done()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_words_that_are_longer_than_a_column_are_kept_shorter_in_the_projections(
    database: FleetDatabase, server: Mosquitto, machine: Machine
) -> None:
    machine.write(rec.ColumnDisabled(column="A1", reason="long " * 40))
    machine.write(rec.FaultRaised(part="p" * 60, code="c\0" * 60, detail="\0"))
    machine.write(rec.VendClosed(result="sold"), vend=None)  # of no saga
    async with working(database, reach(server, "w1")), StrictClient(reach(server)) as client:
        await client.listen(machine.address.topic(Topic.ACK))
        await client.say(machine.address.topic(Topic.EVENTS), machine.batch(1))
        last = await acks(client, lambda ack: True)

    assert (last.seq, last.quarantined) == (machine.seq, "")
    assert await stored(database, machine) == whole(machine)
