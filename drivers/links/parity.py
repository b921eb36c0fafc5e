"""Switching a UART's parity between MARK and SPACE, so that it carries MDB's mode bit.

`CS8 | PARENB | CMSPAR` is "stick" parity: with PARODD set the parity bit is always 1 (MARK),
without it always 0 (SPACE). The address byte of a master block goes out under MARK, the rest under
SPACE. Changing the setting changes bytes that still wait in the UART, so each switch drains first.

Written against the three termios calls it needs, so that a test can record them: a pseudo terminal
has no parity.

Source: termios(3), termios-const(2type) for CMSPAR; MDB/ICP 4.2, section 2.
"""

from __future__ import annotations

import termios
from typing import Any, Final, Protocol

CMSPAR: Final = 0o10000000000
"""Stick parity; Linux has it, Python's `termios` does not export it."""

_IFLAG, _OFLAG, _CFLAG, _LFLAG, _ISPEED, _OSPEED, _CC = range(7)


class Termios(Protocol):
    """What `ParitySwitch` asks of the operating system; the `termios` module fits."""

    def tcgetattr(self, fd: int, /) -> list[Any]:
        """Return the seven attributes of a terminal."""
        ...

    def tcsetattr(self, fd: int, when: int, attributes: list[Any], /) -> None:
        """Set them; `when` says what to wait for."""
        ...


class ParitySwitch:
    """MARK and SPACE on one descriptor. It sets everything else a raw 9600 baud line needs.

    Args:
        fd: An open tty.
        port: The `termios` module, or a recording of it.
    """

    def __init__(self, fd: int, port: Termios = termios) -> None:
        self._fd = fd
        self._port = port
        space = _raw(port.tcgetattr(fd))
        mark = [*space]
        mark[_CFLAG] = space[_CFLAG] | termios.PARODD
        self._space, self._mark = space, mark
        port.tcsetattr(fd, termios.TCSAFLUSH, space)

    @property
    def effective(self) -> bool:
        """Whether the driver kept the parity. A port without parity hardware drops PARENB."""
        kept: int = self._port.tcgetattr(self._fd)[_CFLAG]
        wanted = termios.PARENB | CMSPAR
        return kept & wanted == wanted

    def mark(self) -> None:
        """Let what was written leave, then send with the ninth bit set."""
        self._port.tcsetattr(self._fd, termios.TCSADRAIN, self._mark)

    def space(self) -> None:
        """Let what was written leave, then send with the ninth bit clear.

        Blocks for one byte time (1.15 ms) after an address byte: an event loop's timer would be
        0.5-0.8 ms late and open a gap in the block that older peripherals take for its end.
        """
        self._port.tcsetattr(self._fd, termios.TCSADRAIN, self._space)


def _raw(current: list[Any]) -> list[Any]:
    """Nine-bit receive and transmit, nothing translated, reads that never wait."""
    control = list(current[_CC])
    control[termios.VMIN] = 0
    control[termios.VTIME] = 0
    return [
        # a marked byte is a "parity error", reported as FF 00 xx; a break is dropped, since it
        # would read FF 00 00, the same as an ACK
        termios.INPCK | termios.PARMRK | termios.IGNBRK,
        0,
        termios.CS8 | termios.CREAD | termios.CLOCAL | termios.PARENB | CMSPAR,
        0,
        termios.B9600,
        termios.B9600,
        control,
    ]
