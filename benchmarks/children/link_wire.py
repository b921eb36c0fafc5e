"""What a backlog costs on the wire, and how long it takes over a slow link: ours and a bridge's."""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from itertools import count
from pathlib import Path
from typing import Any, Final

from benchmarks.children.fleet_material import BATCH, Row, Source, sources
from benchmarks.children.given import hand_back, say_as_much_as_a_service
from benchmarks.children.ingest_rates import NOW_MS, Bench, register
from cloud.contract.topics import Topic
from cloud.fleet.broker_mqtt import MqttBroker
from cloud.fleet.ingest.ingest import Ingest
from cloud.fleet.worker import Worker
from cloud.link import window
from cloud.link.link import Link
from cloud.link.transport_mqtt import MqttTransport
from cloud.mqtt import Broker, StrictClient
from controller.clock import SystemClock
from simulator.fleet.site import free_port
from tests.fleet.proxy import Proxy
from tests.fleet.servers import Mosquitto, running

LIMIT_S: Final = 560.0
DELAY_S: Final = 0.075  # each way: 150 ms for a round trip
BYTES_PER_S: Final = 256_000 / 8  # upwards
_TOPIC: Final = "vend/v1/bench/m1/events"


class Backlog:
    """A journal as the link reads it, in memory: what a swarm wrote, chained anew."""

    def __init__(self, source: Source) -> None:
        """Begin with nothing acknowledged."""
        self._rows: list[Row] = source.rows
        self.journal_id = source.journal
        self.durable_seq = len(source.rows)
        self.acked_seq = 0
        self.base_seq = 0

    async def chunk(self, first: int, limit: int) -> list[Row]:
        """Return rows from ``first`` on."""
        return self._rows[first - 1 : first - 1 + limit]

    async def hash_at(self, seq: int) -> bytes | None:
        """Return a record's hash."""
        return bytes(32) if seq == 0 else self._rows[seq - 1][3]

    async def has(self, seq: int, digest: bytes) -> bool:
        """Tell whether that is a record's hash."""
        return await self.hash_at(seq) == digest

    async def acknowledge(self, seq: int, digest: bytes) -> bool:
        """Note what the fleet has."""
        self.acked_seq = max(self.acked_seq, seq)
        return self._rows[seq - 1][3] == digest


def joined(machines: Sequence[Source], records: int) -> Source:
    """Return one journal of the records of several."""
    bodies = [(row[1], row[2]) for source in machines for row in source.rows]
    return Source(1, bodies[:records])


async def caught_up(bench: Bench, source: Source, port: int, name: str) -> float:
    """Bring a backlog into an empty database; returns seconds until the last ack."""
    books = Backlog(source)
    nonces = count(1)
    link = Link(
        books,
        MqttTransport(Broker("127.0.0.1", port, f"{name}-machine"), source.address),
        SystemClock(),
        lambda: f"{next(nonces):024x}",
    )
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(bench.database())
        await register(database, [source])
        worker = Worker(Ingest(database), MqttBroker(bench.reach(name)), lambda: NOW_MS)
        working = asyncio.create_task(worker.run())
        await worker.connected.wait()
        moved = asyncio.Event()
        link.watch(moved.set)
        begun = time.perf_counter()
        running_link = asyncio.create_task(link.run())
        async with asyncio.timeout(LIMIT_S):
            while books.acked_seq < books.durable_seq:
                moved.clear()
                await moved.wait()
        took = time.perf_counter() - begun
        for task in (running_link, working):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
    return took


async def bridged(bench: Bench, source: Source, events: int, *, slow: bool) -> tuple[float, float]:
    """Send events through a Mosquitto bridge; returns seconds and bytes of one on the wire."""
    async with Proxy(bench.broker.port) as proxy:
        if slow:
            proxy.delay_s, proxy.bytes_per_s = DELAY_S, BYTES_PER_S
        edge = Mosquitto(
            bench.folder / f"edge-{slow}",
            persistence=False,
            extra="\n".join(
                (
                    "allow_anonymous true",
                    f"connection edge{free_port()}",
                    f"address 127.0.0.1:{proxy.port}",
                    "bridge_protocol_version mqttv50",
                    "notifications false",
                    f"topic {_TOPIC} out 1",
                )
            ),
        )
        messages = source.events()[:events]
        with running(edge):
            async with (
                StrictClient(bench.reach(f"sink-{slow}")) as sink,
                StrictClient(Broker("127.0.0.1", edge.port, "machine")) as machine,
            ):
                await sink.listen(_TOPIC)
                await _say(machine, messages[:1])  # the bridge is there when it has arrived
                await _heard(sink, 1)
                before, begun = proxy.up, time.perf_counter()
                async with asyncio.TaskGroup() as group:
                    group.create_task(_say(machine, messages))
                    await _heard(sink, len(messages))
                took = time.perf_counter() - begun
                return took / len(messages), (proxy.up - before) / len(messages)


async def _say(client: StrictClient, messages: Sequence[bytes]) -> None:
    for start in range(0, len(messages), 50):
        await asyncio.gather(*(client.say(_TOPIC, each) for each in messages[start : start + 50]))


async def _heard(client: StrictClient, number: int) -> None:
    async with asyncio.timeout(LIMIT_S):
        async for message in client.messages:
            client.done_with(message)
            number -= 1
            if not number:
                return


async def measure(bench: Bench, given: argparse.Namespace) -> dict[str, Any]:
    """Measure all."""
    source: Source = given.source
    total = len(source.rows)
    found: dict[str, Any] = {"records": total, "events": given.events}
    batches = source.batches(BATCH)
    async with AsyncExitStack() as stack:
        proxy = await stack.enter_async_context(Proxy(bench.broker.port))
        client = StrictClient(Broker("127.0.0.1", proxy.port, "lean"))
        await stack.enter_async_context(client)
        before = proxy.up
        for each in batches:
            await client.say(source.address.topic(Topic.EVENTS), each)
        found["bytes"] = (proxy.up - before) / total
    _, found["bridge_bytes"] = await bridged(bench, source, given.events, slow=False)
    found["fast_s"] = await caught_up(bench, source, bench.broker.port, "fast")
    lean = sum(map(len, source.batches(window.BATCH_RECORDS)))
    found["needs_s"] = lean / BYTES_PER_S
    async with Proxy(bench.broker.port) as proxy:
        proxy.delay_s, proxy.bytes_per_s = DELAY_S, BYTES_PER_S
        # Another machine: the broker keeps the last word to the first one.
        found["slow_s"] = await caught_up(bench, source.copy(1), proxy.port, "slow")
        found["slow_bytes"] = proxy.up / total
    one_s, _ = await bridged(bench, source, given.slow_events, slow=True)
    found["bridge_s"] = one_s * total
    return found


def main() -> None:
    """Measure, and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--records", type=int, required=True)
    parser.add_argument("--events", type=int, required=True, help="through the bridge, fast")
    parser.add_argument("--slow-events", type=int, required=True, help="through it, slow")
    say_as_much_as_a_service()
    given = parser.parse_args()
    given.source = joined(sources(given.records), given.records)
    broker = Mosquitto(given.folder / "broker", persistence=False)
    with running(broker):
        found = asyncio.run(measure(Bench(given.folder, broker, None), given))
    hand_back(found)


if __name__ == "__main__":
    main()
