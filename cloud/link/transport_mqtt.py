"""The link over MQTT, 5 or 3.1.1, with the machine's certificate."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from functools import partial
from typing import Final

import aiomqtt
import structlog

from cloud.contract import topics
from cloud.contract.messages import Presence
from cloud.contract.topics import DOWN, Address, Topic, TopicError
from cloud.link.transport import Connection, Heard, LinkLostError
from cloud.link.trust import Dates
from cloud.mqtt import Broker, MqttError, StrictClient

log = structlog.get_logger("link")

_GONE: Final = Presence(online=False).to_bytes()

FAREWELL_S: Final = 1.0  # of a stop; a broker that answers later learns it from its keep-alive


class MqttConnection:
    """One connection."""

    def __init__(self, client: StrictClient, address: Address) -> None:
        self._client = client
        self._address = address

    async def say(self, topic: Topic, payload: bytes, *, retain: bool = False) -> None:
        """Publish under this machine's name."""
        qos = 0 if topic is Topic.TELEMETRY else 1
        try:
            await self._client.say(self._address.topic(topic), payload, qos=qos, retain=retain)
        except MqttError as error:
            raise LinkLostError(str(error)) from error

    def descriptor(self) -> int | None:
        """Return the connection's file descriptor; None once it is gone."""
        return self._client.descriptor()

    async def heard(self) -> AsyncIterator[Heard]:
        """Yield what comes under this machine's name."""
        try:
            async for message in self._client.messages:
                done: Callable[[], None] = partial(self._client.done_with, message)
                try:
                    _, topic = topics.parse(message.topic.value)
                except TopicError as error:
                    log.warning("topic.unknown", error=str(error))
                    done()
                    continue
                assert isinstance(message.payload, bytes), "as the client receives it"
                yield Heard(topic, message.payload, done)
        except MqttError as error:
            raise LinkLostError(str(error)) from error


async def _shown(tls: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
    try:
        return await asyncio.to_thread(tls)
    except OSError as error:
        raise LinkLostError(f"certificate: {error}") from error


class MqttTransport:
    """Makes connections to one broker.

    Args:
        broker: Where it is.
        address: This machine.
        trusted: Asked after each handshake; raises LinkLostError when the broker's certificate
            is not valid at the time we know (TLS itself checks no dates: a Pi may wake up in 1970).
        tls: Asked before each handshake for the certificates of now, which are renewed at times.
    """

    def __init__(
        self,
        broker: Broker,
        address: Address,
        trusted: Dates = lambda _certificate: None,
        tls: Callable[[], ssl.SSLContext] | None = None,
    ) -> None:
        self._broker = broker
        self._address = address
        self._trusted = trusted
        self._tls = tls
        self.name = "mqtt"

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[Connection]:
        """Connect, with a last will that says that the machine is gone."""
        will = aiomqtt.Will(self._address.topic(Topic.PRESENCE), _GONE, qos=1, retain=True)
        broker = self._broker
        if self._tls is not None:  # it reads files: in a thread
            broker = replace(broker, tls=await _shown(self._tls))
        client = StrictClient(broker, will=will)
        try:
            await client.__aenter__()
        except MqttError as error:
            raise LinkLostError(f"{self._broker.host}:{self._broker.port}: {error}") from error
        try:
            self._trusted(client.peer_certificate())
            try:
                await client.listen(*(self._address.topic(topic) for topic in DOWN))
            except MqttError as error:
                raise LinkLostError(str(error)) from error
            yield MqttConnection(client, self._address)
        finally:
            # A farewell in order takes the last will back: say it ourselves, if anybody hears it.
            with suppress(MqttError, TimeoutError):
                async with asyncio.timeout(FAREWELL_S):
                    topic = self._address.topic(Topic.PRESENCE)
                    await client.say(topic, _GONE, retain=True)
            try:
                await client.__aexit__(None, None, None)
            except MqttError as error:
                log.info("link.left", error=str(error))
