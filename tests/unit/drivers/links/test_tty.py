import asyncio
import os
import pty
import termios
import tty
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import serial

from controller.faults import LinkError
from drivers.links.parity import ParitySwitch
from drivers.links.tty import (
    UNSENT_LIMIT,
    NinthBitTtyPort,
    TtyPort,
    open_byte_port,
    open_ninth_bit_port,
    refuse_mini_uart,
    slack_of,
)

SECONDS = 5.0


class Listener:
    def __init__(self) -> None:
        self.data = b""
        self.lost: list[Exception] = []
        self.heard = asyncio.Event()

    def on_bytes(self, data: bytes) -> None:
        self.data += data
        self.heard.set()

    def on_lost(self, cause: Exception) -> None:
        self.lost.append(cause)
        self.heard.set()

    async def until(self, size: int) -> bytes:
        async with asyncio.timeout(SECONDS):
            while len(self.data) < size and not self.lost:
                self.heard.clear()
                await self.heard.wait()
        return self.data


@pytest.fixture
def pair() -> Iterator[tuple[int, str]]:
    master, slave = pty.openpty()
    tty.setraw(slave)
    path = os.ttyname(slave)
    os.close(slave)
    keep = os.open(path, os.O_RDWR | os.O_NOCTTY)  # so that the master lives between openings
    try:
        yield master, path
    finally:
        for fd in (keep, master):
            with suppress(OSError):
                os.close(fd)


async def test_bytes_pass_both_ways_in_order(pair: tuple[int, str]) -> None:
    master, path = pair
    port, listener = open_byte_port(path, 115200), Listener()
    port.start(listener.on_bytes, listener.on_lost)
    port.write(b"R,0B\n")
    assert os.read(master, 100) == b"R,0B\n"
    os.write(master, b"p,ACK\n")
    assert await listener.until(6) == b"p,ACK\n"
    port.close()
    port.close()
    with pytest.raises(LinkError, match="closed"):
        port.write(b"x")


async def test_a_block_over_a_pty_goes_out_without_parity(pair: tuple[int, str]) -> None:
    master, path = pair
    port, listener = open_ninth_bit_port(path), Listener()
    port.start(listener.on_bytes, listener.on_lost)
    port.write_block(b"\x0b\x0b")
    assert os.read(master, 100) == b"\x0b\x0b"
    os.write(master, b"\xff\x00\x00")
    assert await listener.until(3) == b"\xff\x00\x00"
    await port.send_break(0.001)
    port.close()
    with pytest.raises(LinkError):
        port.write_block(b"\x0b\x0b")
    with pytest.raises(LinkError):
        await port.send_break(0.001)


async def test_stale_bytes_are_dropped_before_a_block(pair: tuple[int, str]) -> None:
    master, path = pair
    port, listener = open_ninth_bit_port(path), Listener()
    port.start(listener.on_bytes, listener.on_lost)
    os.write(master, b"\x52\x20")
    port.write_block(b"\x0b\x0b")
    os.write(master, b"\xff\x00\x00")
    assert await listener.until(3) == b"\xff\x00\x00"
    port.close()


async def test_pulling_the_cable_is_told_once(pair: tuple[int, str]) -> None:
    master, path = pair
    port, listener = open_byte_port(path, 115200), Listener()
    port.start(listener.on_bytes, listener.on_lost)
    os.close(master)
    await listener.until(1)
    assert len(listener.lost) == 1
    assert isinstance(listener.lost[0], LinkError)
    assert path in str(listener.lost[0])
    with pytest.raises(LinkError):
        port.write(b"x")


async def test_a_port_that_takes_nothing_keeps_a_bounded_rest(pair: tuple[int, str]) -> None:
    master, path = pair
    port, listener = open_byte_port(path, 115200), Listener()
    port.start(listener.on_bytes, listener.on_lost)
    sent = 0

    def flood() -> None:
        nonlocal sent
        for _ in range(1000):
            port.write(b"x" * 1000)
            sent += 1000

    with pytest.raises(LinkError, match="takes no bytes"):
        flood()
    assert sent > UNSENT_LIMIT
    got = 0
    async with asyncio.timeout(SECONDS):
        while got < sent:
            got += len(
                await asyncio.get_running_loop().run_in_executor(None, os.read, master, 4096)
            )
    assert got == sent
    port.write(b"y")  # it is itself again
    port.close()


async def test_two_hosts_cannot_share_a_port(pair: tuple[int, str]) -> None:
    _, path = pair
    port = open_byte_port(path, 115200)
    with pytest.raises(LinkError, match="can't be opened"):
        open_byte_port(path, 115200)
    port.close()
    open_byte_port(path, 115200).close()


def test_what_does_not_exist_or_is_no_port_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LinkError, match="can't be opened"):
        open_byte_port(str(tmp_path / "ttyACM0"), 115200)
    (tmp_path / "file").touch()
    with pytest.raises(LinkError, match="no serial port"):
        open_byte_port(str(tmp_path / "file"), 115200)
    with pytest.raises(LinkError):
        open_ninth_bit_port("/dev/null", tmp_path)


def test_the_mini_uart_is_refused_with_what_to_change(tmp_path: Path) -> None:
    node = tmp_path / "sys/class/tty/ttyS0/device/of_node"
    node.mkdir(parents=True)
    (node / "compatible").write_bytes(b"brcm,bcm2835-aux-uart\0")
    with pytest.raises(LinkError, match="mini-UART") as refusal:
        open_ninth_bit_port("/dev/ttyS0", tmp_path)
    assert "dtoverlay=disable-bt" in str(refusal.value)
    assert "ttyAMA0" in str(refusal.value)
    (node / "compatible").write_bytes(b"arm,pl011\0arm,primecell\0")
    refuse_mini_uart("/dev/ttyS0", tmp_path)


class FakeDevice:
    """A pyserial port on a pipe: enough for what `TtyPort` asks of it."""

    port = "fake"

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def fileno(self) -> int:
        return self._fd

    def close(self) -> None:
        os.close(self._fd)


class OrderedTermios:
    """Notes when the parity was switched, beside what was written then."""

    def __init__(self, written: list[str], *, has_parity: bool = True) -> None:
        self.log = written
        self.has_parity = has_parity
        self.attributes: list[Any] = [0, 0, 0, 0, 0, 0, [b""] * 32]

    def tcgetattr(self, fd: int, /) -> list[Any]:
        return [*self.attributes]

    def tcsetattr(self, fd: int, when: int, attributes: list[Any], /) -> None:
        self.attributes = attributes
        self.log.append("mark" if attributes[2] & termios.PARODD else "space")


async def test_a_block_goes_out_as_mark_address_space_rest(
    pair: tuple[int, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    master, path = pair
    log: list[str] = []
    device = serial.Serial(path, 9600, timeout=0)
    switch = ParitySwitch(device.fileno(), OrderedTermios(log))

    class Watched(NinthBitTtyPort):
        def write(self, data: bytes) -> None:
            log.append(data.hex())
            super().write(data)

    port = Watched(device, switch)
    port.write_block(bytes.fromhex("0C 00 3F 00 00 4B"))
    assert log == ["space", "mark", "0c", "space", "003f00004b"]
    block = b""
    while len(block) < 6:
        block += os.read(master, 100)
    assert block == bytes.fromhex("0C003F00004B")
    port.close()


def test_a_device_that_cannot_keep_parity_is_refused(
    pair: tuple[int, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _, path = pair
    monkeypatch.setattr("drivers.links.tty.is_pseudo_terminal", lambda fd: False)
    with pytest.raises(LinkError, match="mark and space parity") as refusal:
        open_ninth_bit_port(path, tmp_path)
    assert "MDB adapter" in str(refusal.value)
    open_byte_port(path, 9600).close()  # the refused port was given back


def test_reading_and_writing_a_broken_descriptor_are_link_errors() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    port = TtyPort(FakeDevice(writer))  # type: ignore[arg-type] # the part of pyserial it uses
    with pytest.raises(LinkError, match="fake"):
        port.write(b"x")
    port.close()


def test_the_far_side_of_a_pseudo_terminal_is_given_time(tmp_path: Path) -> None:
    master, slave = os.openpty()
    try:
        link = tmp_path / "mdb"
        link.symlink_to(os.ttyname(slave))
        assert slack_of(str(link)) > 0
    finally:
        os.close(master)
        os.close(slave)
    assert slack_of("/dev/ttyAMA0") == 0
