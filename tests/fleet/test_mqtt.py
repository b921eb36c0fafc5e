"""The client says what the broker says: refusals are errors, and nothing is acknowledged early."""

import asyncio
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from cloud.mqtt import Broker, MqttError, PublishRefusedError, StrictClient
from tests.fleet.servers import Mosquitto, running

RULES = """user anna
topic readwrite open/#
"""
_NAMES = count(1)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    folder = tmp_path_factory.mktemp("broker")
    (folder / "acl").write_text(RULES, encoding="utf-8")
    (folder / "acl").chmod(0o644)
    made = Mosquitto(folder, extra=f"allow_anonymous true\nacl_file {folder / 'acl'}")
    with running(made):
        yield made


@pytest.fixture(params=[True, False], ids=["mqtt 5", "mqtt 3.1.1"])
def broker(request: pytest.FixtureRequest, server: Mosquitto) -> Broker:
    return Broker("127.0.0.1", server.port, f"t{next(_NAMES)}", five=request.param, username="anna")


async def test_what_is_said_is_heard(broker: Broker) -> None:
    async with StrictClient(broker) as client:
        await client.listen("open/a")
        await client.say("open/a", b"one")
        message = await anext(client.messages)
        client.done_with(message)

    assert (message.topic.value, message.payload) == ("open/a", b"one")


async def test_a_refused_publish_is_an_error(server: Mosquitto) -> None:
    five = Broker("127.0.0.1", server.port, "refused", username="anna")
    async with StrictClient(five) as client:
        with pytest.raises(PublishRefusedError, match="closed/a"):
            await client.say("closed/a", b"one")
        await client.say("open/a", b"two")


async def test_a_message_that_nobody_made_durable_comes_again(broker: Broker) -> None:
    async with StrictClient(broker) as client:
        await client.listen("open/again")
        await client.say("open/again", b"one")
        first = await anext(client.messages)

    async with StrictClient(broker) as client:
        async with asyncio.timeout(60):
            second = await anext(client.messages)
        client.done_with(second)
        await client.say("open/again", b"two")
        third = await anext(client.messages)
        client.done_with(third)

    assert (first.payload, second.payload, third.payload) == (b"one", b"one", b"two")


async def test_a_broker_that_is_not_there_is_an_error(unused_port: int) -> None:
    with pytest.raises(MqttError):
        async with StrictClient(Broker("127.0.0.1", unused_port, "nobody")):
            raise AssertionError("nobody listens there")


async def test_a_killed_broker_ends_the_wait(tmp_path: Path) -> None:
    server = Mosquitto(tmp_path / "broker")
    server.start()
    client = StrictClient(Broker("127.0.0.1", server.port, "left"))
    await client.__aenter__()
    server.kill()

    async with asyncio.timeout(60):
        with pytest.raises(MqttError):
            await client.say("open/a", b"never")
        with pytest.raises(MqttError):
            await anext(client.messages)


@pytest.fixture
def unused_port() -> int:
    from simulator.fleet.site import free_port

    return free_port()
