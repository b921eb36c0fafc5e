"""A link and a port that somebody listens to, for the flight recorder; bytes pass unchanged."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from controller.ports import LinkCapabilities
from drivers.links.mdb_link import Answer, LinkCounters, MdbLink
from drivers.links.port import BytePort

MdbTap = Callable[[float, bytes, str, bytes], None]
"""Takes when an exchange began, our block, the kind of answer and its data."""

LineTap = Callable[[str, bytes], None]
"""Takes which way (``cctalk>`` sent, ``cctalk<`` heard) and the bytes."""


class TappedLink:
    """An ``MdbLink`` whose exchanges are told to ``tap``."""

    def __init__(self, link: MdbLink, tap: MdbTap) -> None:
        """Pass everything on to ``link``."""
        self._link = link
        self._tap = tap
        self._now = asyncio.get_running_loop().time

    @property
    def capabilities(self) -> LinkCapabilities:
        """Return what the line can do."""
        return self._link.capabilities

    @property
    def counters(self) -> LinkCounters:
        """Return the running counts."""
        return self._link.counters

    @property
    def answered_at(self) -> float:
        """Return when the last answer's last byte was read."""
        return self._link.answered_at

    async def open(self) -> None:
        """Open the port. Raises LinkError."""
        await self._link.open()

    async def exchange(self, payload: bytes) -> Answer:
        """Send a block and bring its answer. Raises LinkError."""
        begun = self._now()
        answer = await self._link.exchange(payload)
        self._tap(begun, payload, answer.kind.value, answer.data)
        return answer

    async def bus_reset(self) -> None:
        """Break. Raises LinkError."""
        self._tap(self._now(), b"", "break", b"")
        await self._link.bus_reset()

    def ack(self) -> None:
        """Acknowledge."""
        self._link.ack()

    def close(self) -> None:
        """Give the port back."""
        self._link.close()


class TappedPort:
    """A ``BytePort`` whose bytes are told to ``tap``."""

    def __init__(self, port: BytePort, tap: LineTap) -> None:
        """Pass everything on to ``port``."""
        self._port = port
        self._tap = tap

    def start(
        self, on_bytes: Callable[[bytes], None], on_lost: Callable[[Exception], None]
    ) -> None:
        """Deliver each chunk."""

        def heard(data: bytes) -> None:
            self._tap("cctalk<", data)
            on_bytes(data)

        self._port.start(heard, on_lost)

    def write(self, data: bytes) -> None:
        """Send bytes. Raises LinkError."""
        self._tap("cctalk>", data)
        self._port.write(data)

    def close(self) -> None:
        """Give the port back."""
        self._port.close()
