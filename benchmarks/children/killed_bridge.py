"""A Mosquitto bridge whose queue is on its disk: what is left of it when it is killed."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

from benchmarks.children.fleet_material import sources
from benchmarks.children.given import given, hand_back
from benchmarks.children.link_wire import joined
from cloud.mqtt import Broker, MqttError, StrictClient
from tests.fleet.links import in_background
from tests.fleet.proxy import Proxy
from tests.fleet.servers import Mosquitto, running

LIMIT_S: Final = 300.0
QUIET_S: Final = 2.0  # behind the last one: nothing more comes
AT_ONCE: Final = 50
SPREAD_S: Final = 1.0  # between two kills of one that is online, at most
OFTEN: Final = "autosave_interval 1"  # else every half an hour, as Mosquitto has it
FIRST: Final = b"first"
LAST: Final = b"last"
_TOPIC: Final = "vend/v1/bench/m1/events"


class Bridge:
    """A bridge beside a machine, its line, and who listens at the far end and stays there.

    Args:
        edge: The bridge.
        line: Between it and the far broker.
    """

    def __init__(self, edge: Mosquitto, line: Proxy) -> None:
        self.edge = edge
        self.line = line
        self.acked: set[bytes] = set()
        self.heard: Counter[bytes] = Counter()
        self._last = time.monotonic()

    async def listen(self, client: StrictClient) -> None:
        """Count what comes."""
        async for message in client.messages:
            client.done_with(message)
            assert isinstance(message.payload, bytes)
            self.heard[message.payload] += 1
            self._last = time.monotonic()

    async def say(self, messages: Sequence[bytes]) -> None:
        """Have the bridge acknowledge each; what it did not is said again."""
        left = list(messages)
        async with asyncio.timeout(LIMIT_S):
            while left:
                with suppress(MqttError):
                    async with StrictClient(Broker("127.0.0.1", self.edge.port, "m1")) as machine:
                        while left:
                            await asyncio.gather(
                                *(self._one(machine, each) for each in left[:AT_ONCE])
                            )
                            left = left[AT_ONCE:]
                left = [each for each in left if each not in self.acked]
                if left:
                    await asyncio.sleep(0.05)

    async def _one(self, machine: StrictClient, message: bytes) -> None:
        await machine.say(_TOPIC, message)
        self.acked.add(message)

    async def arrives(self, message: bytes) -> None:
        """Say one, and return when it has come, and all before it, and nothing behind it."""
        await self.say([message])
        async with asyncio.timeout(LIMIT_S):
            while message not in self.heard or time.monotonic() - self._last < QUIET_S:  # noqa: ASYNC110
                await asyncio.sleep(0.1)

    def found(self) -> dict[str, int]:
        """Return what was acknowledged, and what is missing or came more than once."""
        return {
            "acked": len(self.acked) - 2,  # the first and the last one
            "lost": len(self.acked - set(self.heard)),
            "doubled": self.heard.total() - len(self.heard),
        }


@asynccontextmanager
async def bridged(folder: Path, far: Mosquitto, *more: str) -> AsyncIterator[Bridge]:
    """Start a bridge as its manual has it: persistence, and a queue without an end."""
    lines = [
        "allow_anonymous true",
        "persistence true",
        f"persistence_location {folder}/",
        *more,
        "max_queued_messages 0",
        f"connection {folder.name}",
    ]
    async with Proxy(far.port) as line:
        lines += [
            f"address 127.0.0.1:{line.port}",
            "bridge_protocol_version mqttv50",
            "notifications false",
            "cleansession false",
            "restart_timeout 1",
            f"topic {_TOPIC} out 1",
        ]
        edge = Mosquitto(folder, persistence=False, extra="\n".join(lines))
        with running(edge):
            made = Bridge(edge, line)
            async with StrictClient(Broker("127.0.0.1", far.port, f"sink-{folder.name}")) as sink:
                await sink.listen(_TOPIC)
                async with in_background(made.listen(sink)):
                    await made.arrives(FIRST)
                    yield made


async def offline(made: Bridge, events: Sequence[bytes], *, kill: bool) -> dict[str, int]:
    """End it as it holds events that it has acknowledged, and nobody else has."""
    made.line.cut()
    await made.say(events)
    await asyncio.to_thread(made.edge.kill if kill else made.edge.stop)
    await asyncio.to_thread(made.edge.start)
    made.line.mend()
    await made.arrives(LAST)
    return made.found()


async def online(
    made: Bridge, events: Sequence[bytes], kills: int, chance: random.Random
) -> dict[str, int]:
    """Kill it again and again as events go through it."""
    share = len(events) // kills
    for number in range(kills):
        part = events[number * share : (number + 1) * share]
        async with in_background(made.say(part)):
            await asyncio.sleep(chance.uniform(0, SPREAD_S))
            await asyncio.to_thread(made.edge.kill)
            await asyncio.to_thread(made.edge.start)
        await made.say([each for each in part if each not in made.acked])
    await made.arrives(LAST)
    return {**made.found(), "kills": kills}


async def measure(
    folder: Path, events: Sequence[bytes], kills: int, seed: int
) -> dict[str, dict[str, int]]:
    """Measure all; the usual case with all events, the others with a tenth of them."""
    far = Mosquitto(folder / "far", persistence=False)
    few = events[: len(events) // 10]
    found: dict[str, dict[str, int]] = {}
    with running(far):
        async with bridged(folder / "stopped", far) as made:
            found["stopped"] = await offline(made, few, kill=False)
        async with bridged(folder / "killed", far) as made:
            found["killed"] = await offline(made, events, kill=True)
        async with bridged(folder / "saving", far, OFTEN) as made:
            found["saving"] = await offline(made, few, kill=True)
        async with bridged(folder / "online", far) as made:
            found["online"] = await online(made, few, kills, random.Random(seed))
    return found


def main() -> None:
    """Measure, and print what was found."""
    options: Any = given(__doc__, folder=Path, events=int, kills=int, seed=int)
    source = joined(sources(options.events), options.events)
    events = list(dict.fromkeys(source.events()))
    hand_back(asyncio.run(measure(options.folder, events, options.kills, options.seed)))


if __name__ == "__main__":
    main()
