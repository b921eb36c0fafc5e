"""MQTT for both sides: aiomqtt, made to say no when the broker does.

aiomqtt takes a refused QoS 1 publish for a success and acknowledges messages when they arrive.
``StrictClient`` raises on the first, and leaves the second to whoever has made what it received
durable. A PUBACK means that the broker has a message, and nothing more.
"""

from __future__ import annotations

import asyncio
import logging
import math
import ssl
from dataclasses import dataclass
from typing import Any, Final

import aiomqtt
from aiomqtt import MqttError
from paho.mqtt import client as paho
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

SESSION_EXPIRY_S: Final = 7 * 24 * 3_600  # the broker keeps commands for a machine that is away
KEEPALIVE_S: Final = 30
TIMEOUT_S: Final = 20.0  # of one call: a slow link carries a whole window meanwhile
_FAILURE: Final = 0x80  # MQTT 5, 2.4: reason codes from here on are failures

__all__ = ["Broker", "MqttError", "PublishRefusedError", "StrictClient", "SubscribeRefusedError"]


class PublishRefusedError(MqttError):
    """The broker took the packet and refused the message (access, quota)."""


class SubscribeRefusedError(MqttError):
    """The broker refused a subscription."""


@dataclass(frozen=True, slots=True)
class Broker:
    """How a broker is reached.

    Args:
        host: Its name or address.
        port: Its port.
        identifier: This client's id; the broker keeps its session under it.
        five: MQTT 5; else 3.1.1.
        username: For brokers that want one; certificates bring theirs.
        password: For that name.
        tls: Certificates, or None for a plain connection (a broker on this computer).
        keep_session: The broker keeps subscriptions and messages while the client is away.
    """

    host: str
    port: int
    identifier: str
    five: bool = True
    username: str | None = None
    password: str | None = None
    tls: ssl.SSLContext | None = None
    keep_session: bool = True


class StrictClient(aiomqtt.Client):
    """A client that raises what the broker refuses, and acknowledges when it is told to."""

    def __init__(self, broker: Broker, *, will: aiomqtt.Will | None = None) -> None:
        """Prepare the connection; ``async with`` makes it.

        Args:
            broker: Where to.
            will: What the broker publishes when the connection is lost.
        """
        expiry: Properties | None = None
        if broker.five and broker.keep_session:
            expiry = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho has none
            expiry.SessionExpiryInterval = SESSION_EXPIRY_S
        super().__init__(
            broker.host,
            broker.port,
            identifier=broker.identifier,
            protocol=aiomqtt.ProtocolVersion.V5 if broker.five else aiomqtt.ProtocolVersion.V311,
            username=broker.username,
            password=broker.password,
            tls_context=broker.tls,
            clean_session=None if broker.five else not broker.keep_session,
            clean_start=not broker.keep_session
            if broker.five
            else paho.MQTT_CLEAN_START_FIRST_ONLY,
            properties=expiry,
            will=will,
            keepalive=KEEPALIVE_S,
            timeout=TIMEOUT_S,
            # paho's own line says what a time-out hides: which certificate, which reason.
            logger=logging.getLogger("vendd.mqtt"),
        )
        self._client.manual_ack_set(True)
        self._refused: dict[int, ReasonCode] = {}
        self.pending_calls_threshold = 1_000  # our windows bound them; no warning in between

    def _on_publish(
        self,
        client: paho.Client,
        userdata: Any,
        mid: int,
        reason_code: ReasonCode,
        properties: Properties,
    ) -> None:
        if reason_code.value >= _FAILURE:
            self._refused[mid] = reason_code
        super()._on_publish(client, userdata, mid, reason_code, properties)

    def _on_disconnect(
        self,
        client: paho.Client,
        userdata: Any,
        flags: paho.DisconnectFlags,
        reason_code: ReasonCode,
        properties: Properties | None = None,
    ) -> None:
        if not self._connected.done():
            # aiomqtt would wait out its time-out for an answer that can't come any more.
            self._connected.set_exception(MqttError(f"closed while connecting: {reason_code}"))
            return
        super()._on_disconnect(client, userdata, flags, reason_code, properties)

    async def say(self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False) -> None:
        """Publish, and return when the broker has it.

        Raises:
            PublishRefusedError: The broker answered that it does not take it.
            MqttError: The connection is gone, or no answer came in time; it may have arrived.
        """
        info = self._client.publish(topic, payload, qos, retain)
        if info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise MqttError(f"{topic}: {paho.error_string(info.rc)}")
        if not info.is_published():
            confirmed = asyncio.Event()
            with self._pending_call(info.mid, confirmed, self._pending_publishes):
                await self._unless_lost(topic, confirmed)
        refused = self._refused.pop(info.mid, None)
        if refused is not None:
            raise PublishRefusedError(f"{topic}: the broker refused it: {refused}")

    async def _unless_lost(self, topic: str, confirmed: asyncio.Event) -> None:
        """Wait for the broker's word or the end of the connection, which aiomqtt sleeps over."""
        waiting = asyncio.ensure_future(confirmed.wait())
        ends: set[asyncio.Future[Any]] = {waiting, self._disconnected}
        try:
            await asyncio.wait(ends, timeout=TIMEOUT_S, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
        if not confirmed.is_set():
            lost = self._disconnected.done()
            raise MqttError(f"{topic}: {'the connection was lost' if lost else 'no answer'}")

    async def listen(self, *topics: str, qos: int = 1) -> None:
        """Subscribe.

        Raises:
            SubscribeRefusedError: The broker refused one of them.
            MqttError: The connection is gone, or no answer came in time.
        """
        codes = await self.subscribe([(topic, qos) for topic in topics])
        for topic, code in zip(topics, codes, strict=True):
            value = code.value if isinstance(code, ReasonCode) else int(str(code))
            if value >= _FAILURE:
                raise SubscribeRefusedError(f"{topic}: the broker refused the subscription: {code}")

    def peer_certificate(self) -> dict[str, Any] | None:
        """Return the broker's certificate; None on a plain connection."""
        socket = self._client.socket()
        return socket.getpeercert() if isinstance(socket, ssl.SSLSocket) else None

    def descriptor(self) -> int | None:
        """Return the connection's file descriptor; None while there is none."""
        socket = self._client.socket()
        return None if socket is None else int(socket.fileno())

    def done_with(self, message: aiomqtt.Message) -> None:
        """Tell the broker that ``message`` is durable here, and need not come again."""
        if message.qos:
            self._client.ack(message.mid, message.qos)

    async def forever(self) -> None:
        """Return when the connection is lost."""
        await self._wait_for(self._disconnected, timeout=math.inf)
