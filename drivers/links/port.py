"""The edge between links and whatever carries their bytes: a tty, or a wire in one process.

Links are written against these protocols; ``drivers.links.tty`` implements them over a real or
pseudo terminal, the simulator over an in-memory wire in virtual time. Nothing here blocks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class BytePort(Protocol):
    """A full-duplex stream of 8-bit bytes."""

    def start(
        self, on_bytes: Callable[[bytes], None], on_lost: Callable[[Exception], None]
    ) -> None:
        """Deliver each chunk on the loop's thread; ``on_lost`` once, when the port dies."""
        ...

    def write(self, data: bytes) -> None:
        """Send bytes in order. Raises ``controller.faults.LinkError`` when the port is gone."""
        ...

    def close(self) -> None:
        """Give the port back; idempotent."""
        ...


class NinthBitPort(BytePort, Protocol):
    """A UART whose parity bit carries MDB's mode bit.

    Received bytes come in PARMRK form (a byte with the ninth bit set as ``FF 00 xx``, a plain
    FF as ``FF FF``), because that is what the kernel's tty layer delivers.
    """

    def write_block(self, block: bytes) -> None:
        """Send a master block: first byte with the mode bit set, the rest without, no gaps.

        A lone ACK/NAK/RET (mode bit clear) goes out by plain ``write``.
        """
        ...

    async def send_break(self, seconds: float) -> None:
        """Hold the line active (bus reset); MDB/ICP wants at least 0.1 s, we use 0.2 s."""
        ...
