"""An I2C bus with simulated devices, in this process or over a unix stream socket.

On the socket each write is one message: a length of two bytes (big-endian, counting the bytes that
follow it), one byte with the 7-bit address, then the data (none: a probe). Each message is answered
by one status byte, ``00`` acknowledged or ``01`` no device at this address, in turn; a client may
send several messages before it reads their answers. There are no reads: the display needs none.
"""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

ACKNOWLEDGED: Final = 0x00
NO_DEVICE: Final = 0x01

HEADER_BYTES: Final = 2


def message(address: int, data: bytes) -> bytes:
    """Return the bytes of one write as they travel on the socket."""
    return (1 + len(data)).to_bytes(HEADER_BYTES, "big") + bytes((address,)) + data


class I2cDevice(Protocol):
    """What a bus carries bytes to."""

    def write(self, data: bytes) -> None:
        """Take the data bytes of one write."""
        ...


class I2cBus:
    """The wires; a device that is unplugged acknowledges nothing."""

    def __init__(self) -> None:
        self._devices: dict[int, I2cDevice] = {}

    def attach(self, address: int, device: I2cDevice) -> None:
        """Put a device at an address."""
        self._devices[address] = device

    def detach(self, address: int) -> None:
        """Pull a device off; harmless when there is none."""
        self._devices.pop(address, None)

    def write(self, address: int, data: bytes) -> bool:
        """Send one write; False when nobody acknowledges the address."""
        device = self._devices.get(address)
        if device is None:
            return False
        if data:
            device.write(data)
        return True


class _Connection(asyncio.Protocol):
    """One client of the socket."""

    def __init__(self, bus: I2cBus, open_ones: set[asyncio.BaseTransport]) -> None:
        self._bus = bus
        self._open_ones = open_ones
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._open_ones.add(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        if self._transport is not None:
            self._open_ones.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        answers = bytearray()
        while len(self._buffer) >= HEADER_BYTES:
            end = HEADER_BYTES + int.from_bytes(self._buffer[:HEADER_BYTES], "big")
            if len(self._buffer) < end:
                break
            body, self._buffer = self._buffer[HEADER_BYTES:end], self._buffer[end:]
            found = bool(body) and self._bus.write(body[0], body[1:])
            answers.append(ACKNOWLEDGED if found else NO_DEVICE)
        if answers and self._transport is not None:
            self._transport.write(bytes(answers))


class I2cServer:
    """A bus on a unix socket."""

    def __init__(self, bus: I2cBus) -> None:
        self._bus = bus
        self._server: asyncio.Server | None = None
        self._open_ones: set[asyncio.BaseTransport] = set()

    async def start(self, path: str) -> None:
        """Listen; a stale socket of that name must be gone."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(
            lambda: _Connection(self._bus, self._open_ones), path
        )

    async def close(self) -> None:
        """Hang up on everybody."""
        for transport in tuple(self._open_ones):
            transport.close()
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
