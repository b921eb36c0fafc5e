"""Who is there: what a broker forgets or remembers for too long makes nobody be heard."""

import asyncio
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import select

from cloud.contract.messages import Presence, State
from cloud.contract.topics import Topic
from cloud.fleet import registry, reports, service
from cloud.fleet import schema as t
from cloud.fleet.database import FleetDatabase
from cloud.fleet.home import Home
from cloud.fleet.ingest import presence
from cloud.fleet.ingest.ingest import Ingest
from cloud.fleet.ingest.presence import SLACK_S
from cloud.mqtt import Broker, StrictClient
from config.fleet import FleetBroker, FleetSettings
from config.fleet import FleetDatabase as DatabaseOf
from tests.fleet.machines import START, Machine, one_that_sold
from tests.fleet.servers import Mosquitto, running
from tests.fleet.workers import working

EVERY_S = 600
PATIENCE_MS = (2 * EVERY_S + SLACK_S) * 1000
_NAMES = count(1)


@pytest.fixture
async def machine(database: FleetDatabase) -> Machine:
    return await one_that_sold(database, 0)


async def line(database: FleetDatabase) -> tuple[bool, int, list[str]]:
    """Whether it is online, when it was seen, and what its open alerts say."""
    (found,) = await reports.machines(database)
    async with database.reading() as connection:
        query = select(t.alert.c.detail).where(t.alert.c.closed_ms.is_(None))
        open_ = list((await connection.execute(query)).scalars())
    return found["online"], found["seen_ms"], open_


def said(at: int = START) -> State:
    return State(at=at, mode="idle", every_s=EVERY_S)


async def test_who_is_silent_for_longer_than_two_words_is_offline_until_it_speaks(
    database: FleetDatabase, machine: Machine
) -> None:
    ingest = Ingest(database)
    await ingest.heard(machine.address, machine.presence(), START)
    await ingest.told(machine.address, said(), START)
    assert await presence.sweep(database, 0, START + PATIENCE_MS) == []
    assert await presence.sweep(database, START + 2, START + PATIENCE_MS + 1) == []
    assert (await line(database))[0]

    assert len(await presence.sweep(database, 0, START + PATIENCE_MS + 1)) == 1
    online, seen, (why,) = await line(database)
    assert (online, seen) == (False, START)
    assert "not heard for 25 minutes" in why
    assert await presence.sweep(database, 0, START + 10 * PATIENCE_MS) == [], "once for a cause"

    back = START + 20 * PATIENCE_MS
    await ingest.told(machine.address, said(back), back)
    assert await line(database) == (True, back, [])


async def test_a_running_server_looks_for_silence_while_it_hears_the_broker(
    database: FleetDatabase,
    database_url: str,
    machine: Machine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(service, "SILENCE_S", 0.01)
    ingest = Ingest(database)
    await ingest.heard(machine.address, machine.presence(), START)
    settings = FleetSettings(broker=FleetBroker(tls=False), database=DatabaseOf(url=database_url))
    serving = service.Service(settings, Home(tmp_path))
    looking = asyncio.create_task(serving.duties[1].run())
    worker = serving.ways["broker"]
    async with serving.database_closed():
        worker.connected_ms = START
        worker.connected.set()
        async with asyncio.timeout(60):
            while (await line(database))[0]:  # noqa: ASYNC110 - its other end is a database away
                await asyncio.sleep(0.02)
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)


async def test_a_greeting_is_told_whether_it_comes_from_the_machines_first_disk(
    database: FleetDatabase, machine: Machine
) -> None:
    """A command may have run on a disk of which nothing came but its key."""
    ingest = Ingest(database)

    async def is_first(disk: Machine, key: str) -> bool:
        greeting = disk.presence().model_copy(update={"public_key": key * 32})
        ack = await ingest.heard(machine.address, greeting, START)
        assert ack is not None
        return ack.first

    assert await is_first(machine, "aa")
    assert await is_first(machine, "aa"), "itself, once more"
    other = Machine(number=2)
    other.begin()
    assert not await is_first(other, "bb"), "no record of the first one is here yet"
    await ingest.take(machine.address, machine.batch(1), START)
    assert not await is_first(other, "aa"), "its key was copied, its journal was not"


async def test_of_two_disks_with_one_name_one_takes_commands_until_an_operator_says_otherwise(
    database: FleetDatabase, machine: Machine
) -> None:
    ingest = Ingest(database)
    other = Machine(number=2)
    other.begin()

    async def is_in_use(disk: Machine, key: str) -> bool | None:
        greeting = disk.presence().model_copy(update={"public_key": key * 32})
        ack = await ingest.heard(machine.address, greeting, START)
        assert ack is not None
        return ack.in_use

    assert await is_in_use(machine, "aa"), "its first start"
    assert not await is_in_use(other, "bb"), "another key, though no journal is here yet"
    await ingest.take(machine.address, machine.batch(1), START)
    answer = (await ingest.take(machine.address, other.batch(1), START)).ack
    assert answer is not None
    assert answer.in_use is False
    assert await is_in_use(machine, "aa")
    assert not await is_in_use(other, "aa"), "nor with the same key"

    await registry.adopt_journal(database, machine.address, other.journal, START)

    assert await is_in_use(other, "bb")
    assert not await is_in_use(machine, "aa")


async def test_who_sends_batches_is_not_silent(database: FleetDatabase, machine: Machine) -> None:
    ingest = Ingest(database)
    await ingest.heard(machine.address, machine.presence(), START)
    await ingest.told(machine.address, said(), START)
    later = START + 10 * PATIENCE_MS
    await ingest.take(machine.address, machine.batch(1), later)
    assert await presence.sweep(database, 0, later + PATIENCE_MS) == []


async def test_a_greeting_with_letters_that_no_table_takes_is_answered_all_the_same(
    database: FleetDatabase, machine: Machine
) -> None:
    odd = machine.presence().model_copy(update={"nonce": "p\0", "software": "vendd \0" * 20})
    ack = await Ingest(database).heard(machine.address, odd, START)
    assert ack is not None
    assert ack.echo == "p\0"
    assert (await line(database))[0]


async def test_a_last_word_behind_the_farewell_brings_nobody_back(
    database: FleetDatabase, machine: Machine
) -> None:
    ingest = Ingest(database)
    await ingest.heard(machine.address, machine.presence(), START)
    await ingest.heard(machine.address, Presence(online=False), START + 1)
    await ingest.told(machine.address, said(), START + 2)
    online, _, alerts = await line(database)
    assert (online, alerts) == (False, [""])


async def test_a_farewell_that_a_broker_kept_says_nothing_of_who_comes_to_the_door(
    database: FleetDatabase, machine: Machine
) -> None:
    ingest = Ingest(database)
    await ingest.heard(machine.address, machine.presence(), START)
    async with database.writing() as connection:
        await connection.execute(t.machine.update().values(polled_ms=START))
    gone = Presence(online=False)
    await ingest.heard(machine.address, gone, START + 1, retained=True)
    assert (await line(database))[0]
    await ingest.heard(machine.address, gone, START + 2)
    assert not (await line(database))[0]


async def test_a_machine_that_dies_while_the_broker_is_down_does_not_stay_online(
    database: FleetDatabase, machine: Machine, tmp_path: Path
) -> None:
    broker = Mosquitto(tmp_path / "broker")
    greeting = machine.address.topic(Topic.PRESENCE)

    def reach() -> Broker:
        return Broker("127.0.0.1", broker.port, f"p{next(_NAMES)}")

    with running(broker):
        async with working(database, reach()), StrictClient(reach()) as client:
            await client.say(greeting, machine.presence().to_bytes(), retain=True)
            state = machine.address.topic(Topic.STATE)
            await client.say(state, said().to_bytes(), retain=True)
            async with asyncio.timeout(60):
                while (await reports.machines(database))[0]["state"] is None:  # noqa: ASYNC110 - as below
                    await asyncio.sleep(0.02)
    assert await line(database) == (True, START, [])
    later = START + PATIENCE_MS + 1
    with running(broker):
        assert len(await presence.sweep(database, 0, later)) == 1
        async with (
            working(database, reach(), now_ms=later) as worker,
            StrictClient(reach()) as client,
        ):
            await client.listen(greeting)
            kept = await anext(aiter(client.messages))
            assert kept.retain, "else nothing is tried here"
            # Behind what the broker kept: when this is in, that is.
            await client.say(machine.address.topic(Topic.EVENTS), machine.batch(1))
            async with asyncio.timeout(60):
                while not worker.counts.batches:  # noqa: ASYNC110 - its other end is a broker away
                    await asyncio.sleep(0.02)
    online, seen, (why,) = await line(database)
    assert (online, seen) == (False, START)
    assert "no farewell" in why
