"""A device file that disappears and comes back, in real time over a pseudo terminal."""

import asyncio
import os
import pty
import tty
from contextlib import suppress
from pathlib import Path

import pytest

from controller.ports import FaultCleared, FaultRaised
from drivers.links.adapter_text import AdapterTextLink
from drivers.links.mdb_link import MdbLink
from drivers.links.ninth_bit import NinthBitLink
from drivers.links.tty import open_byte_port, open_ninth_bit_port
from drivers.mdb.scheduler import MdbBus
from tests.mdb_kit import FakeSink, until

SECONDS = 8.0
POLL = b"\x0b"
ANSWERS = {b"V": b"v,1\n", b"H": b"h,1\n", b"M": b"m,ACK\n", b"F": b"f,ACK\n", b"R": b"p,ACK\n"}


class Plug:
    """One end of a pseudo terminal that plays an adapter or a bus where all is quiet."""

    def __init__(self, path: Path, *, native: bool) -> None:
        self.master, slave = pty.openpty()
        tty.setraw(slave)
        self._slave = slave
        self._native = native
        self._path = path
        path.symlink_to(os.ttyname(slave))
        asyncio.get_running_loop().add_reader(self.master, self._answer)

    def _answer(self) -> None:
        with suppress(OSError):
            data = os.read(self.master, 1000)
            if self._native:
                os.write(self.master, b"\xff\x00\x00" * data.count(POLL * 2))
            else:
                for line in data.split():
                    os.write(self.master, ANSWERS[line[:1]])

    def pull(self) -> None:
        asyncio.get_running_loop().remove_reader(self.master)
        self._path.unlink()
        os.close(self.master)
        os.close(self._slave)


class Quiet:
    """A listener that counts quiet polls."""

    def __init__(self) -> None:
        self.polls = 0
        self.lost = 0
        self.heard = asyncio.Event()

    def on_quiet(self) -> None:
        self.polls += 1
        self.heard.set()

    def on_items(self, data: bytes) -> None:
        raise AssertionError(data)

    def on_told(self, *, acked: bool) -> None:
        raise AssertionError(acked)

    def on_lost(self) -> None:
        self.lost += 1

    async def three(self) -> None:
        want = self.polls + 3
        async with asyncio.timeout(SECONDS):
            while self.polls < want:
                self.heard.clear()
                await self.heard.wait()


@pytest.mark.parametrize("native", [False, True], ids=["adapter", "native"])
async def test_a_port_that_is_pulled_and_put_back_is_used_again(
    native: bool, tmp_path: Path
) -> None:
    path = tmp_path / "ttyMDB"
    plug = Plug(path, native=native)
    tries = 0

    def name() -> str:
        nonlocal tries
        tries += 1
        return str(path)

    link: MdbLink = (
        NinthBitLink(lambda: open_ninth_bit_port(name()))
        if native
        else AdapterTextLink(lambda: open_byte_port(name(), 115200))
    )
    sink, listener = FakeSink(), Quiet()
    bus = MdbBus(link, sink)
    bus.attach(POLL, listener, 2.0).start_polling()
    running = asyncio.create_task(bus.run())
    await listener.three()
    assert sink.events == []
    plug.pull()
    await until(lambda: bus.down, SECONDS)
    tried = tries
    await until(lambda: tries > tried + 1, SECONDS)  # at least one attempt has failed
    assert len(sink.told(FaultRaised)) == 1
    plug = Plug(path, native=native)
    await listener.three()
    assert len(sink.told(FaultRaised)) == len(sink.told(FaultCleared)) == 1
    assert link.counters.reopened == 2
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    plug.pull()
