"""MQTT, and HTTPS while MQTT can't be reached: which one when is a rule, and it is written here.

- MQTT comes first. When it could not be held for ``PATIENCE_S``, HTTPS has its turn.
- While HTTPS holds, MQTT is tried beside it every ``BACK_S``. When it answers, the link goes back.
- When HTTPS fails as well, both are tried in turn.
- A connection over MQTT that was lost within ``SHORT_S`` was none. One that was lost within
  ``STABLE_S`` of going back doubles the time until the next try, up to ``LONGEST_BACK_S``: a
  network that lets MQTT in now and then does not make the link swing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from enum import StrEnum
from typing import Final, Protocol

import structlog

from cloud.link.transport import Connection, LinkLostError, Transport
from controller.clock import Clock

log = structlog.get_logger("link")

PATIENCE_S: Final = 60.0
SHORT_S: Final = 30.0
BACK_S: Final = 900.0
STABLE_S: Final = 600.0
LONGEST_BACK_S: Final = 4 * 3_600.0


class Way(StrEnum):
    """How a machine reaches its fleet."""

    MQTT = "mqtt"
    HTTPS = "https"


class Choice:
    """Which way is next. Pure; times are monotonic seconds."""

    def __init__(self) -> None:
        self.way = Way.MQTT
        self.back_s = BACK_S
        self._failing_since: float | None = None
        self._went_back = False

    def failed(self, way: Way, now_s: float) -> None:
        """Note that a way could not be had."""
        if way is Way.HTTPS:
            self.way = Way.MQTT
            return
        if self._failing_since is None:
            self._failing_since = now_s
        elif now_s - self._failing_since >= PATIENCE_S:
            self.way = Way.HTTPS

    def lost(self, way: Way, since_s: float, now_s: float) -> None:
        """Note that a way was lost which had been had since ``since_s``."""
        held = now_s - since_s
        if way is Way.HTTPS:
            return  # to be tried again
        if self._went_back:
            self._went_back = False
            self.back_s = min(2 * self.back_s, LONGEST_BACK_S) if held < STABLE_S else BACK_S
        if held < SHORT_S:
            self.failed(way, now_s)
        else:
            self._failing_since = None

    def answers(self) -> None:
        """Note that MQTT answers, while HTTPS holds: go back."""
        self.way = Way.MQTT
        self._went_back = True


class Losable(Connection, Protocol):
    """A connection that can be ended with a reason."""

    def lose(self, error: LinkLostError) -> None:
        """End it."""
        ...


class Https(Protocol):
    """Makes such connections."""

    def connect(self) -> AbstractAsyncContextManager[Losable]:
        """Connect. Raises LinkLostError."""
        ...


class AutoTransport:
    """Makes connections the way that can be had.

    Args:
        mqtt: The first choice.
        https: Makes the second one, when it is needed first: its library takes memory.
        clock: Measures.
    """

    def __init__(
        self, mqtt: Transport, https: Callable[[], Awaitable[Https]], clock: Clock
    ) -> None:
        self._mqtt = mqtt
        self._make_https = https
        self._https: Https | None = None
        self._clock = clock
        self.choice = Choice()

    @property
    def name(self) -> str:
        """Return the way that the last connection took."""
        return self.choice.way.value

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[Connection]:
        """Connect."""
        way = self.choice.way
        since_s: float | None = None
        try:
            if way is Way.MQTT:
                async with self._mqtt.connect() as connection:
                    since_s = self._clock.monotonic_s()
                    yield connection
            else:
                async with (await self._second()).connect() as losable:
                    since_s = self._clock.monotonic_s()
                    log.info("link.https")
                    trying = asyncio.ensure_future(self._try_mqtt(losable))
                    try:
                        yield losable
                    finally:
                        trying.cancel()
                        await asyncio.gather(trying, return_exceptions=True)
        except LinkLostError:
            now_s = self._clock.monotonic_s()
            if since_s is None:
                self.choice.failed(way, now_s)
            else:
                self.choice.lost(way, since_s, now_s)
            raise

    async def _second(self) -> Https:
        if self._https is None:
            self._https = await self._make_https()
        return self._https

    async def _try_mqtt(self, connection: Losable) -> None:
        while True:
            await self._clock.sleep(self.choice.back_s)
            try:
                async with self._mqtt.connect():
                    pass
            except LinkLostError as error:
                log.info("link.no_mqtt", error=str(error))
            else:
                self.choice.answers()
                connection.lose(LinkLostError("MQTT answers again"))
                return
