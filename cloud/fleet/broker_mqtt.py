"""The broker port over MQTT: a shared subscription, so that any number of workers may take part."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Final

import structlog

from cloud.contract import topics
from cloud.contract.topics import UP, Address, Topic, TopicError
from cloud.fleet.broker import BrokerLostError, Connection, Incoming
from cloud.mqtt import Broker, MqttError, StrictClient

log = structlog.get_logger("vendcloud.broker")

_QOS: Final = {Topic.TELEMETRY: 0}


class MqttConnection:
    """One connection."""

    def __init__(self, client: StrictClient) -> None:
        self._client = client

    async def incoming(self) -> AsyncIterator[Incoming]:
        """Yield what machines say; what is none of ours is dropped with a line in the log."""
        try:
            async for message in self._client.messages:
                try:
                    address, topic = topics.parse(message.topic.value)
                except TopicError as error:
                    log.warning("topic.unknown", error=str(error))
                    self._client.done_with(message)
                    continue
                assert isinstance(message.payload, bytes), "as the client receives it"
                done = partial(self._client.done_with, message)
                yield Incoming(address, topic, message.payload, done, retained=message.retain)
        except MqttError as error:
            raise BrokerLostError(str(error)) from error

    async def tell(
        self, address: Address, topic: Topic, payload: bytes, *, retain: bool = False
    ) -> None:
        """Say something to one machine."""
        try:
            await self._client.say(address.topic(topic), payload, retain=retain)
        except MqttError as error:
            raise BrokerLostError(str(error)) from error


class MqttBroker:
    """Makes connections to one MQTT broker.

    Args:
        broker: Where it is; each worker has an identifier of its own.
        shared: Share the messages with other workers. The broker then keeps nothing for a worker
            that is away (others go on, and machines send again what nobody acknowledged); a
            single worker finds what came meanwhile.
        tls: Asked before each connection for our certificate of now, which is renewed at times;
            it may raise OSError.
    """

    def __init__(
        self,
        broker: Broker,
        *,
        shared: bool = False,
        tls: Callable[[], ssl.SSLContext] | None = None,
    ) -> None:
        self._broker = replace(broker, keep_session=not shared)
        self._shared = shared
        self._tls = tls

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[Connection]:
        """Connect and subscribe to every machine's topics. Raises OSError as ``tls`` does."""
        broker = self._broker
        if self._tls is not None:  # it reads files
            broker = replace(broker, tls=await asyncio.to_thread(self._tls))
        client = StrictClient(broker)
        try:
            await client.__aenter__()
        except MqttError as error:
            raise BrokerLostError(str(error)) from error
        try:
            try:
                for topic in UP:
                    await client.listen(
                        topics.filter_of(topic, shared=self._shared), qos=_QOS.get(topic, 1)
                    )
            except MqttError as error:
                raise BrokerLostError(str(error)) from error
            yield MqttConnection(client)
        finally:
            try:
                await client.__aexit__(None, None, None)
            except MqttError as error:
                log.info("broker.left", error=str(error))
