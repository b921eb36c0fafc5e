"""The wire to the display: a bus of this computer, or the simulator's over a unix socket.

On the socket each write is one message: a length of two bytes (big-endian, of what follows), one
byte with the 7-bit address, the data; it is answered by one status byte, 00 acknowledged or 01
nobody at this address.
"""

from __future__ import annotations

import errno
import socket
from typing import Any, Final, Protocol

from smbus2 import SMBus, i2c_msg

from controller.faults import HardwareError

SOCKET_PREFIX: Final = "socket:"
ANSWER_LIMIT_S: Final = 1.0  # the far side answers at once; a second of silence means that it hangs

_ACKNOWLEDGED: Final = b"\x00"
_NOBODY: Final = frozenset({errno.ENXIO, errno.EREMOTEIO})  # how drivers say: no acknowledge


class I2cBus(Protocol):
    """Writes of bytes to an address; blocking."""

    def write(self, address: int, data: bytes) -> bool:
        """Write ``data`` in one transaction; False if nobody acknowledged. Raises OSError."""
        ...


class OpenedBus(I2cBus, Protocol):
    """A bus that is ours to close."""

    def close(self) -> None:
        """Let go of it."""
        ...


class KernelBus:
    """``/dev/i2c-N``, through smbus2."""

    def __init__(self, path: str) -> None:
        self._bus: Any = SMBus(path)

    def write(self, address: int, data: bytes) -> bool:
        """Write in one transaction, for which the bus of a Raspberry Pi has no length limit."""
        try:
            self._bus.i2c_rdwr(i2c_msg.write(address, data))
        except OSError as error:
            if error.errno in _NOBODY:
                return False
            raise
        return True

    def close(self) -> None:
        """Let go of it."""
        self._bus.close()


class SocketBus:
    """The simulator's bus; connects again at the next write when it was lost."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._socket: socket.socket | None = self._connect()

    def write(self, address: int, data: bytes) -> bool:
        """Send one message and wait for its status."""
        if self._socket is None:
            self._socket = self._connect()
        message = (1 + len(data)).to_bytes(2, "big") + bytes((address,)) + data
        try:
            self._socket.sendall(message)
            status = self._socket.recv(1)
        except OSError:
            self.close()
            raise
        if not status:
            self.close()
            raise ConnectionResetError(f"{self._path} was closed by the other side")
        return status == _ACKNOWLEDGED

    def close(self) -> None:
        """Hang up."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _connect(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(ANSWER_LIMIT_S)
        try:
            connection.connect(self._path)
        except OSError:
            connection.close()
            raise
        return connection


def open_bus(spec: str) -> OpenedBus:
    """Open ``/dev/i2c-N`` or ``socket:PATH``.

    Raises:
        HardwareError: It cannot be opened; a display that does not answer on it is only a fault.
    """
    try:
        if spec.startswith(SOCKET_PREFIX):
            return SocketBus(spec.removeprefix(SOCKET_PREFIX))
        return KernelBus(spec)
    except OSError as error:
        hint = (
            "is the simulated machine running?"
            if spec.startswith(SOCKET_PREFIX)
            else "is I2C enabled, and may this user open it (group i2c)?"
        )
        raise HardwareError(
            f'display.bus = "{spec}": cannot be opened: {error.strerror or error}; {hint}'
        ) from error
