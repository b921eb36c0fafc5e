"""The host's end of a simulated wire, in one process: what a tty is to a real link.

`MemoryPort` is a `drivers.links.port.BytePort`, `MemoryNinthBitPort` a `NinthBitPort`. A port that
was closed stays closed; a host that starts again gets a new one, as it would open the tty again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from controller.faults import LinkError


class HostSide(Protocol):
    """What a wire offers to the host's end."""

    def host_write(self, data: bytes) -> None:
        """Take bytes whose ninth bit is clear, or text."""

    def attach(self, sink: Callable[[bytes], None]) -> None:
        """Send what the host receives to `sink`, and to nobody else."""

    def detach(self, sink: Callable[[bytes], None]) -> None:
        """Stop sending to `sink`; what arrives with nobody there is lost."""


class NinthBitSide(HostSide, Protocol):
    """A wire with a ninth bit."""

    def host_block(self, block: bytes) -> None:
        """Take a block whose first byte carries the mode bit."""

    def host_break(self, seconds: float) -> None:
        """Take a break of this length, beginning now."""


class MemoryPort:
    """A stream of bytes to a wire in the same process."""

    def __init__(self, wire: HostSide) -> None:
        self._wire = wire
        self._on_bytes: Callable[[bytes], None] | None = None
        self._on_lost: Callable[[Exception], None] | None = None
        self.open = True
        # Told before and after each chunk: which of them, and the bytes.
        self.on_traffic: Callable[[str, bytes], None] | None = None

    def start(
        self, on_bytes: Callable[[bytes], None], on_lost: Callable[[Exception], None]
    ) -> None:
        """Deliver each chunk as it arrives; `on_lost` once, when the port is unplugged."""
        self._check()
        self._on_bytes = on_bytes
        self._on_lost = on_lost
        self._wire.attach(self._receive)

    def write(self, data: bytes) -> None:
        """Send bytes in order.

        Raises:
            LinkError: The port is closed or unplugged.
        """
        if self.on_traffic is not None:
            self.on_traffic("before sending", data)
        self._check()
        self._wire.host_write(data)
        if self.on_traffic is not None:
            self.on_traffic("after sending", data)

    def close(self) -> None:
        """Give the port back; idempotent. What it had already sent still goes out."""
        self.open = False
        self._wire.detach(self._receive)

    def unplug(self) -> None:
        """Pull the cable: the host is told once, and every write fails."""
        if self.open:
            self.close()
            if self._on_lost is not None:
                self._on_lost(LinkError("the port was unplugged"))

    def _receive(self, data: bytes) -> None:
        if self.on_traffic is not None:
            self.on_traffic("before receiving", data)
        if self.open and self._on_bytes is not None:
            self._on_bytes(data)
            if self.on_traffic is not None:
                self.on_traffic("after receiving", data)

    def _check(self) -> None:
        if not self.open:
            raise LinkError("the port is closed")


class MemoryNinthBitPort(MemoryPort):
    """The same with a ninth bit: PARMRK form on receive, blocks and breaks on send."""

    def __init__(self, wire: NinthBitSide) -> None:
        super().__init__(wire)
        self._ninth = wire

    def write_block(self, block: bytes) -> None:
        """Send a master block, the mode bit on its first byte only."""
        if self.on_traffic is not None:
            self.on_traffic("before sending", block)
        self._check()
        self._ninth.host_block(block)
        if self.on_traffic is not None:
            self.on_traffic("after sending", block)

    async def send_break(self, seconds: float) -> None:
        """Hold the line active for `seconds`."""
        self._check()
        self._ninth.host_break(seconds)
        await asyncio.sleep(seconds)
