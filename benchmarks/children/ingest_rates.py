"""From the broker to committed rows: everything on, rows alone, and one statement an event."""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any, Final

from sqlalchemy import func, insert, select, text

from benchmarks.children.fleet_material import BATCH, Source, sources
from benchmarks.children.given import hand_back, say_as_much_as_a_service
from cloud.contract.batch import read_head, unpacked
from cloud.contract.topics import Address, Topic
from cloud.fleet import schema as t
from cloud.fleet.broker import Connection, Incoming
from cloud.fleet.broker_mqtt import MqttBroker
from cloud.fleet.database import FleetDatabase
from cloud.fleet.ingest.ingest import Ingest
from cloud.fleet.migrate import upgrade
from cloud.fleet.service import COLLECT_EVERY
from cloud.fleet.worker import AT_ONCE, Worker
from cloud.mqtt import Broker, StrictClient
from tests.fleet.servers import Mosquitto, Postgres, running

NOW_MS: Final = 1_790_000_000_000
LIMIT_S: Final = 300.0
_NAMES: Final = count(1)
_PUBLISHED_AT_ONCE: Final = 50
_OTHERS: Final = 1_000_000  # journals of the records that lie there already are numbered from here


class Bench:
    """A broker and a database, for one measurement after the other."""

    def __init__(self, folder: Path, broker: Mosquitto, postgres: Postgres | None) -> None:
        self.folder = folder
        self.broker = broker
        self.postgres = postgres

    @asynccontextmanager
    async def database(self) -> AsyncIterator[FleetDatabase]:
        """Make an empty database with all tables."""
        name = f"bench{next(_NAMES)}"
        if self.postgres is not None:
            url = self.postgres.make_database(name)
        else:
            url = f"sqlite+aiosqlite:///{self.folder / name}.db"
        made = FleetDatabase(url)
        await upgrade(made)
        try:
            yield made
        finally:
            await made.close()

    def reach(self, name: str) -> Broker:
        """Return how to connect under a name."""
        return Broker("127.0.0.1", self.broker.port, name)

    async def publish(self, name: str, messages: Sequence[tuple[Address, bytes]]) -> MqttBroker:
        """Let the broker hold messages for a client that is away; returns how it comes back."""
        waiting = MqttBroker(self.reach(name))
        async with waiting.connect():
            pass  # its session stays, with its subscriptions
        async with StrictClient(self.reach(f"{name}-source")) as client:
            for start in range(0, len(messages), _PUBLISHED_AT_ONCE):
                some = messages[start : start + _PUBLISHED_AT_ONCE]
                await asyncio.gather(
                    *(client.say(address.topic(Topic.EVENTS), each) for address, each in some)
                )
        return waiting


async def register(database: FleetDatabase, machines: Sequence[Source]) -> None:
    """Make the machines known."""
    rows = [
        {"tenant": source.address.tenant, "name": source.address.machine, "created_ms": NOW_MS}
        for source in machines
    ]
    async with database.writing() as connection:
        await connection.execute(insert(t.machine), rows)


async def ours(
    bench: Bench, database: FleetDatabase, machines: Sequence[Source], *, again: bool = False
) -> dict[str, float]:
    """Take all batches in; returns records a second, and what duplicates cost."""
    messages = [(source.address, each) for source in machines for each in source.batches()]
    total = sum(len(source.rows) for source in machines)
    worker_broker = await bench.publish(f"ours{next(_NAMES)}", messages)
    worker = Worker(Ingest(database), worker_broker, lambda: NOW_MS)
    took = await _until(worker, lambda: worker.counts.records >= total)
    found = {"per_s": total / took}
    if again:
        worker.counts.batches = worker.counts.without_query = 0
        async with StrictClient(bench.reach(f"again{next(_NAMES)}")) as client:
            task = asyncio.create_task(worker.run())
            for address, each in messages:
                await client.say(address.topic(Topic.EVENTS), each)
            async with asyncio.timeout(LIMIT_S):
                while worker.counts.batches < len(messages):  # noqa: ASYNC110 - a peer's counter
                    await asyncio.sleep(0.005)
            await _end(task)
        found["without_query"] = worker.counts.without_query / worker.counts.batches
    journals = [source.journal for source in machines]
    async with database.reading() as connection:
        stored = await connection.execute(
            select(func.count())
            .select_from(t.record.join(t.journal, t.journal.c.id == t.record.c.journal_id))
            .where(t.journal.c.uid.in_(journals))
        )
        assert stored.scalar_one() == total, "each record once"
    return found


async def _until(worker: Worker, done: Callable[[], bool]) -> float:
    begun = time.perf_counter()
    task = asyncio.create_task(worker.run())
    async with asyncio.timeout(LIMIT_S):
        while not done():  # noqa: ASYNC110 - the worker tells nobody but its counters
            await asyncio.sleep(0.002)
    took = time.perf_counter() - begun
    await _end(task)
    return took


async def _end(task: asyncio.Task[Any]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def _taken(
    broker: MqttBroker, total: int, take: Callable[[Incoming], Awaitable[None]]
) -> float:
    """Let ``take`` have every message, as many at once as a worker; returns seconds."""
    room = asyncio.Semaphore(AT_ONCE)
    begun = time.perf_counter()

    async def one(incoming: Incoming) -> None:
        await take(incoming)
        incoming.done()
        room.release()

    async def all_of(connection: Connection, group: asyncio.TaskGroup) -> None:
        left = total
        async for incoming in connection.incoming():
            await room.acquire()
            group.create_task(one(incoming))
            left -= 1
            if not left:
                return

    async with asyncio.timeout(LIMIT_S), broker.connect() as connection:
        async with asyncio.TaskGroup() as group:
            await all_of(connection, group)
        return time.perf_counter() - begun


async def rows_only(bench: Bench, database: FleetDatabase, machines: Sequence[Source]) -> float:
    """Unpack batches and commit their rows, nothing else; returns records a second."""
    messages = [(source.address, each) for source in machines for each in source.batches()]
    broker = await bench.publish(f"rows{next(_NAMES)}", messages)
    nothing = bytes(32)

    async def take(incoming: Incoming) -> None:
        head, packed = read_head(incoming.payload)
        bodies = unpacked(head, packed).split(b"\n")
        rows = [
            (1, seq, 1, 0, "record.stored", None, body, nothing, 1, NOW_MS)
            for seq, body in enumerate(bodies, head.first)
        ]
        async with database.writing() as connection:
            await database.insert_many(connection, t.record, rows)

    took = await _taken(broker, len(messages), take)
    return sum(len(source.rows) for source in machines) / took


async def naive(bench: Bench, database: FleetDatabase, source: Source, events: int) -> float:
    """Commit a statement for each event, a message each; returns events a second."""
    messages = [(source.address, each) for each in source.events()[:events]]
    broker = await bench.publish(f"naive{next(_NAMES)}", messages)

    async def take(incoming: Incoming) -> None:
        event = json.loads(incoming.payload)
        row = {
            "journal_id": 1,
            "seq": event["metadata"]["seq"],
            "boot": event["metadata"]["boot"],
            "at_ms": NOW_MS,
            "type": event["type"],
            "vend": None,
            "body": incoming.payload,
            "hash": bytes(32),
        }
        async with database.writing() as connection:
            await connection.execute(insert(t.record), [row])

    return len(messages) / await _taken(broker, len(messages), take)


async def fill(database: FleetDatabase, records: int, source: Source) -> None:
    """Load records of other machines, by the database's own means."""
    body = max((row[2] for row in source.rows[:200]), key=len)[:300]
    each = 100_000  # records of one journal
    query = (
        "WITH RECURSIVE n(i) AS (SELECT :first UNION ALL SELECT i + 1 FROM n WHERE i + 1 < :last) "
        if database.is_sqlite
        else ""
    )
    made = "n" if database.is_sqlite else "generate_series(:first, :last - 1) AS n(i)"
    statement = text(
        f"INSERT INTO record (journal_id, seq, boot, at_ms, type, vend, body, hash) {query}"
        f"SELECT {_OTHERS} + i / {each}, i % {each} + 1, 1, {NOW_MS}, 'vend.closed', NULL, "
        f":body, :hash FROM {made}"
    )
    for start in range(0, records, each):
        last = min(records, start + each)
        values = {"first": start, "last": last, "body": body, "hash": bytes(32)}
        async with database.writing() as connection:
            await connection.execute(statement, values)
    async with database.writing() as connection:
        await connection.execute(text("ANALYZE"))


async def measure(bench: Bench, given: argparse.Namespace) -> dict[str, Any]:
    """Measure one database."""
    machines = given.machines
    found: dict[str, Any] = {"rounds": [], "records": sum(len(each.rows) for each in machines)}
    longest = max(machines, key=lambda source: len(source.rows))
    for number in range(given.rounds):
        one: dict[str, float] = {}
        async with bench.database() as database:
            one["rows"] = await rows_only(bench, database, machines)
        async with bench.database() as database:
            await register(database, machines)
            measured = await ours(bench, database, machines, again=number == 0)
            one["ours"] = measured["per_s"]
            found.setdefault("without_query", measured.get("without_query"))
        async with bench.database() as database:
            one["naive"] = await naive(bench, database, longest, given.naive)
        found["rounds"].append(one)
    found["beside"] = {records: [] for records in given.stored}
    async with AsyncExitStack() as open_ones:
        beside = {
            records: await open_ones.enter_async_context(bench.database())
            for records in given.stored
        }
        for records, database in beside.items():
            await fill(database, records, longest)
        for number in range(1, given.rounds + 1):
            others = [source.copy(number * len(machines)) for source in machines]
            for records, database in beside.items():
                await register(database, others)
                found["beside"][records].append((await ours(bench, database, others))["per_s"])
    return found


def main() -> None:
    """Measure, and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--parent", type=Path, required=True, help="where PostgreSQL may live")
    parser.add_argument("--database", choices=("sqlite", "postgresql"), required=True)
    parser.add_argument("--records", type=int, required=True)
    parser.add_argument("--naive", type=int, required=True, help="events of the usual way")
    parser.add_argument("--rounds", type=int, required=True)
    parser.add_argument("--stored", type=int, nargs="*", default=[])
    say_as_much_as_a_service()
    given = parser.parse_args()
    given.machines = sources(given.records)
    broker = Mosquitto(given.folder / "broker", persistence=False)
    postgres = Postgres(given.parent, safe=True) if given.database == "postgresql" else None
    gc.collect()
    gc.freeze()  # as the server does
    gc.set_threshold(COLLECT_EVERY, 20, 20)
    with running(broker):
        try:
            if postgres is not None:
                postgres.start()
            found = asyncio.run(measure(Bench(given.folder, broker, postgres), given))
        finally:
            if postgres is not None:
                postgres.stop()
                postgres.remove()
    hand_back({**found, "batch": BATCH})


if __name__ == "__main__":
    main()
