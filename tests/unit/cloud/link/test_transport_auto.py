"""MQTT first, HTTPS while it can't be reached, and back: the written rule, in virtual time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from cloud.contract.topics import Topic
from cloud.link import transport_auto as auto
from cloud.link.transport import Heard, LinkLostError
from cloud.link.transport_auto import AutoTransport, Choice, Way
from simulator.clock import VirtualClock, run_virtual


class Line:
    """A way that is there or not, and a connection over it."""

    name = "a line"

    def __init__(self, *, there: bool) -> None:
        self.there = there
        self.tried = 0
        self.open = 0
        self._lost: asyncio.Future[LinkLostError] | None = None

    @asynccontextmanager
    async def connect(self) -> AsyncIterator["Line"]:
        self.tried += 1
        if not self.there:
            raise LinkLostError("no way")
        self._lost = asyncio.get_running_loop().create_future()
        self.open += 1
        try:
            yield self
        finally:
            self.open -= 1

    async def say(self, topic: Topic, payload: bytes, *, retain: bool = False) -> None:
        raise AssertionError("nobody speaks here")

    async def heard(self) -> AsyncIterator[Heard]:
        assert self._lost is not None
        raise await self._lost
        yield Heard(Topic.ACK, b"", lambda: None)  # type: ignore[unreachable]  # makes it a generator

    def lose(self, error: LinkLostError) -> None:
        assert self._lost is not None
        self._lost.set_result(error)


class Life:
    """The link's loop over both ways."""

    def __init__(self, *, mqtt: bool, https: bool) -> None:
        self.clock = VirtualClock(asyncio.get_running_loop())
        self.mqtt, self.https = Line(there=mqtt), Line(there=https)
        self.made = 0
        self.transport = AutoTransport(self.mqtt, self._second, self.clock)

    async def _second(self) -> Line:
        self.made += 1
        return self.https

    async def run(self) -> None:
        while True:
            try:
                async with self.transport.connect() as connection:
                    async for _ in connection.heard():
                        raise AssertionError("nothing is said here")
            except LinkLostError:
                await asyncio.sleep(5.0)


def test_a_machine_that_reaches_mqtt_never_loads_the_other_way() -> None:
    async def story() -> None:
        life = Life(mqtt=True, https=True)
        task = asyncio.ensure_future(life.run())
        await asyncio.sleep(3_600)
        assert (life.mqtt.open, life.https.tried, life.made) == (1, 0, 0)
        life.mqtt.lose(LinkLostError("a restart"))
        await asyncio.sleep(10)
        assert (life.mqtt.open, life.https.tried) == (1, 0)
        task.cancel()

    run_virtual(story())


def test_https_has_its_turn_after_a_minute_and_mqtt_when_it_answers_again() -> None:
    async def story() -> None:
        life = Life(mqtt=False, https=True)
        task = asyncio.ensure_future(life.run())
        await asyncio.sleep(auto.PATIENCE_S - 10)
        assert life.https.tried == 0
        await asyncio.sleep(20)
        assert life.https.open == 1

        tried = life.mqtt.tried
        await asyncio.sleep(2 * auto.BACK_S)
        assert (life.mqtt.tried, life.https.open) == (tried + 2, 1)

        life.mqtt.there = True
        await asyncio.sleep(auto.BACK_S + 10)
        assert (life.mqtt.open, life.https.open) == (1, 0)
        task.cancel()

    run_virtual(story())


def test_both_are_tried_in_turn_while_neither_answers() -> None:
    async def story() -> None:
        life = Life(mqtt=False, https=False)
        task = asyncio.ensure_future(life.run())
        await asyncio.sleep(auto.PATIENCE_S + 200)
        assert life.https.tried > 10
        assert life.mqtt.tried > 20
        task.cancel()

    run_virtual(story())


def test_a_network_that_lets_mqtt_in_for_moments_does_not_make_the_link_swing() -> None:
    choice = Choice()
    now = 0.0
    for _ in range(20):  # connects each time, and is cut after five seconds
        choice.lost(Way.MQTT, now, now + 5)
        now += 6
    ways = [choice.way]
    waits = []
    for _ in range(8):
        waits.append(choice.back_s)
        choice.answers()
        ways.append(choice.way)
        choice.lost(Way.MQTT, now, now + 100)
    assert ways == [Way.HTTPS, *[Way.MQTT] * 8]
    assert waits[:3] == [auto.BACK_S, 2 * auto.BACK_S, 4 * auto.BACK_S]
    assert waits[-1] == auto.LONGEST_BACK_S

    choice.answers()
    choice.lost(Way.MQTT, now, now + auto.STABLE_S)
    assert choice.back_s == auto.BACK_S
