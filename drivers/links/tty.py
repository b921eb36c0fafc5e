"""Ports on a tty: pyserial opens and locks it, the event loop reads and writes its descriptor.

`open_byte_port` serves 8-bit talk (adapters); `open_ninth_bit_port` the bare UART of a native MDB
line. Nothing here knows a protocol.

Source: termios(3), tty_ioctl(2) (TIOCSBRK); the Pi's UARTs: Raspberry Pi documentation,
"Configure UARTs".
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import select
import stat
import termios
from collections.abc import Callable
from pathlib import Path
from typing import Final

import serial

from controller.faults import LinkError
from drivers.links.parity import ParitySwitch

READ_BYTES: Final = 4096
"""One read; more than any peer sends between two turns of the loop."""

UNSENT_LIMIT: Final = 4096
"""Bytes that may wait for a port that takes none. Beyond it the far side is dead, and what waited
would arrive as nonsense minutes later."""

MDB_BAUD: Final = 9600

# How long a busy computer lets a process wait for its turn: some time slices of several others.
PROCESS_SLACK_S: Final = 0.05

_TIOCSBRK: Final = 0x5427
_TIOCCBRK: Final = 0x5428
"""Break on and off; Linux's numbers, which Python's `termios` does not export."""

_AUX_UART: Final = b"brcm,bcm2835-aux-uart"


class TtyPort:
    """`BytePort` on an open tty.

    Args:
        device: An opened, exclusive pyserial port; closed with this one.
    """

    def __init__(self, device: serial.Serial) -> None:
        self._device = device
        self._name = str(device.port)
        self._fd: int = device.fileno()
        os.set_blocking(self._fd, False)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._on_bytes: Callable[[bytes], None] | None = None
        self._on_lost: Callable[[Exception], None] | None = None
        self._unsent = bytearray()
        self._closed = False

    def start(
        self, on_bytes: Callable[[bytes], None], on_lost: Callable[[Exception], None]
    ) -> None:
        """Begin to deliver; see `BytePort.start`."""
        self._on_bytes, self._on_lost = on_bytes, on_lost
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._fd, self._readable)

    def write(self, data: bytes) -> None:
        """Send in order, now as far as the kernel takes it. Raises LinkError."""
        if self._closed:
            raise LinkError(f"{self._name} is closed")
        if self._unsent:
            self._keep(data)
            return
        try:
            sent = os.write(self._fd, data)
        except BlockingIOError:
            sent = 0
        except OSError as cause:
            raise LinkError(f"{self._name}: {os.strerror(cause.errno or 0)}") from cause
        if sent < len(data):
            self._keep(data[sent:])

    def close(self) -> None:
        """Give the port back; idempotent."""
        if self._closed:
            return
        self._closed = True
        if self._loop is not None and not self._loop.is_closed():
            self._loop.remove_reader(self._fd)
            self._loop.remove_writer(self._fd)
        self._on_bytes = self._on_lost = None
        self._device.close()

    # ------------------------------------------------------------------------------ the loop's

    def _readable(self) -> None:
        try:
            data = os.read(self._fd, READ_BYTES)
        except BlockingIOError:
            return
        except OSError as cause:
            self._lose(cause)
            return
        if not data:
            # With VMIN 0 a tty that has nothing to give reads empty as well as a hung-up one.
            if _hung_up(self._fd):
                self._lose(OSError(errno.EIO, "hung up"))
            return
        if self._on_bytes is not None:
            self._on_bytes(data)

    def _keep(self, data: bytes) -> None:
        if len(self._unsent) + len(data) > UNSENT_LIMIT:
            raise LinkError(f"{self._name} takes no bytes: {len(self._unsent)} are waiting")
        if not self._unsent:
            assert self._loop is not None, "written before start"
            self._loop.add_writer(self._fd, self._writable)
        self._unsent += data

    def _writable(self) -> None:
        try:
            sent = os.write(self._fd, self._unsent)
        except BlockingIOError:
            return
        except OSError as cause:
            self._lose(cause)
            return
        del self._unsent[:sent]
        if not self._unsent and self._loop is not None:
            self._loop.remove_writer(self._fd)

    def _lose(self, cause: OSError) -> None:
        on_lost, name = self._on_lost, self._name
        self.close()
        if on_lost is not None:
            on_lost(LinkError(f"{name}: {cause.strerror or cause}"))


class NinthBitTtyPort(TtyPort):
    """`NinthBitPort` on a UART with mark and space parity.

    Args:
        device: An opened, exclusive pyserial port.
        parity: None on a pseudo terminal, which drops parity: its far side takes the first byte
            after a finished block as the address.
    """

    def __init__(self, device: serial.Serial, parity: ParitySwitch | None) -> None:
        super().__init__(device)
        self._parity = parity

    def write_block(self, block: bytes) -> None:
        """Send a master block; what was received before it is dropped. Raises LinkError."""
        if self._closed:
            raise LinkError(f"{self._name} is closed")
        try:
            termios.tcflush(self._fd, termios.TCIFLUSH)
            if self._parity is None:
                self.write(block)
                return
            self._parity.mark()
            self.write(block[:1])
            self._parity.space()
        except termios.error as cause:
            raise LinkError(f"{self._name}: {cause.args[-1]}") from cause
        self.write(block[1:])

    async def send_break(self, seconds: float) -> None:
        """Hold the line active. Raises LinkError."""
        try:
            fcntl.ioctl(self._fd, _TIOCSBRK)
            try:
                await asyncio.sleep(seconds)
            finally:
                fcntl.ioctl(self._fd, _TIOCCBRK)
        except OSError as cause:
            raise LinkError(f"{self._name}: {cause.strerror}") from cause


def open_byte_port(path: str, baud: int) -> TtyPort:
    """Open a tty for 8-bit bytes, raw and locked.

    Raises:
        LinkError: It does not exist, may not be opened, or somebody else has it.
    """
    return TtyPort(_open(path, baud))


def open_ninth_bit_port(path: str, system_root: Path = Path("/")) -> NinthBitTtyPort:
    """Open a UART for native MDB.

    Args:
        path: Such as ``/dev/ttyAMA0``, or a pseudo terminal of a simulator.
        system_root: Where ``/sys`` is found.

    Raises:
        LinkError: It can't be opened, or it has no parity and so no ninth bit; the message says
            what to change.
    """
    refuse_mini_uart(path, system_root)
    device = _open(path, MDB_BAUD)
    try:
        if is_pseudo_terminal(device.fileno()):
            # Its far side writes what a UART's driver would: PARMRK bytes. With PARMRK set here as
            # well the kernel would escape them once more.
            return NinthBitTtyPort(device, None)
        parity = ParitySwitch(device.fileno())
        if not parity.effective:
            raise LinkError(
                f"{path} can't send mark and space parity, so it has no ninth bit for MDB: use a "
                "PL011 UART of the Pi (ttyAMA*), an FTDI converter, or an MDB adapter"
            )
        return NinthBitTtyPort(device, parity)
    except termios.error as cause:
        device.close()
        raise LinkError(f"{path}: {cause.args[-1]}") from cause
    except LinkError:
        device.close()
        raise


def slack_of(path: str) -> float:
    """Return what a port adds to receive times, in seconds: 0 for a UART of this computer.

    The far side of a pseudo terminal is a process like us, which is held up while others have the
    cores; a byte that it owes is late then and not lost.
    """
    return PROCESS_SLACK_S if Path(path).resolve().is_relative_to("/dev/pts") else 0.0


def refuse_mini_uart(path: str, system_root: Path) -> None:
    """Refuse the Pi's mini-UART, which has no parity at all.

    Raises:
        LinkError: With what to change.
    """
    name = Path(path).resolve().name
    node = system_root / "sys/class/tty" / name / "device/of_node/compatible"
    try:
        compatible = node.read_bytes()
    except OSError:
        return  # no device tree, so no Pi
    if _AUX_UART in compatible.split(b"\0"):
        raise LinkError(
            f"{path} is the Pi's mini-UART, which has no parity and so no ninth bit for MDB. Add "
            "'dtoverlay=disable-bt' to /boot/firmware/config.txt, run 'systemctl disable --now "
            "hciuart', reboot, and configure /dev/ttyAMA0; or use an MDB adapter"
        )


def is_pseudo_terminal(fd: int) -> bool:
    """Whether a descriptor is the slave side of a pseudo terminal (Linux majors 136-143)."""
    return 136 <= os.major(os.fstat(fd).st_rdev) <= 143


def _open(path: str, baud: int) -> serial.Serial:
    try:
        if not stat.S_ISCHR(Path(path).stat().st_mode):
            raise LinkError(f"{path} is no serial port")
        return serial.Serial(path, baud, timeout=0, write_timeout=0, exclusive=True)
    except (OSError, serial.SerialException, ValueError, termios.error) as cause:
        raise LinkError(f"{path} can't be opened: {cause}") from cause


def _hung_up(fd: int) -> bool:
    """Whether the other end of a pseudo terminal, or the device, is gone."""
    poller = select.poll()
    poller.register(fd, select.POLLIN)
    return any(event & (select.POLLHUP | select.POLLERR) for _, event in poller.poll(0))
