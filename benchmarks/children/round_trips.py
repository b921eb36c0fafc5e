"""Polls over a pseudo terminal: through the real link and scheduler, and bare."""

from __future__ import annotations

import asyncio
import gc
import os
import time
from typing import Any, Final

from benchmarks.children.given import given, hand_back
from benchmarks.children.terminals import terminal
from controller.ports import DeviceEvent, MoneyReport
from drivers.links.mdb_link import Answer, MdbLink
from drivers.links.tapped import TappedLink
from drivers.links.tty import open_byte_port
from drivers.mdb.assembly import adapter_link, native_link
from drivers.mdb.scheduler import MdbBus

POLL: Final = bytes((0x0B,))
PAUSE_S: Final = 0.001  # between two polls: the loop goes to sleep, as between real ones
_BLOCK: Final = 1_000  # samples in turn, so that what else the machine does meets all alike
_BAUD: Final = 115_200
UNIT_PRIORITY: Final = 10  # of systemd/system/vendd.service


class Nobody:
    """Takes what the bus tells; there is nothing to tell."""

    def money(self, report: MoneyReport) -> asyncio.Future[None]:
        """Refuse."""
        raise RuntimeError(f"money out of nowhere: {report}")

    def notify(self, event: DeviceEvent) -> None:
        """Complain: a fault makes the measurement worthless."""
        raise RuntimeError(f"the line broke: {event}")


class Stamped(TappedLink):
    """A link that notes when each exchange began."""

    def __init__(self, link: MdbLink) -> None:
        super().__init__(link, lambda *_: None)
        self.begun_at = 0.0

    async def exchange(self, payload: bytes) -> Answer:
        self.begun_at = time.perf_counter()
        return await self._link.exchange(payload)


class Polled:
    """One quiet device on a bus of its own, polled when asked for."""

    def __init__(self, link: MdbLink) -> None:
        self._link = Stamped(link)
        self._bus = MdbBus(self._link, Nobody())
        self._slot = self._bus.attach(POLL, self, 2.0)
        self._left = 0
        self._done: asyncio.Future[None] | None = None
        self.took_ms: list[float] = []

    def start(self) -> asyncio.Task[None]:
        """Own the line."""
        return asyncio.get_running_loop().create_task(self._bus.run())

    async def poll(self, count: int) -> None:
        """Take so many samples."""
        self._left = count
        self._done = asyncio.get_running_loop().create_future()
        self._slot.start_polling()
        await self._done
        self._slot.stop_polling()

    def on_quiet(self) -> None:
        """POLL was answered: note how long it took, and poll again soon."""
        self.took_ms.append((time.perf_counter() - self._link.begun_at) * 1000)
        self._left -= 1
        if self._left > 0:
            self._slot.poll_soon(PAUSE_S)
        elif self._done is not None and not self._done.done():
            self._done.set_result(None)

    def on_items(self, data: bytes) -> None:
        """Complain."""
        raise RuntimeError(f"data from a quiet device: {data.hex()}")

    def on_told(self, *, acked: bool) -> None:
        """Nothing was told."""

    def on_lost(self) -> None:
        """Complain."""
        raise RuntimeError("the far side is silent")


async def bare(path: str, count: int) -> list[float]:
    """Echo without us: ``add_reader`` and ``os.read``, nothing else."""
    loop = asyncio.get_running_loop()
    port = open_byte_port(path, _BAUD)  # raw, as everything else here
    port.close()
    fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    took_ms: list[float] = []
    done = loop.create_future()
    begun = 0.0

    def send() -> None:
        nonlocal begun
        begun = time.perf_counter()
        os.write(fd, b"R,0B\n")

    def back() -> None:
        os.read(fd, 64)
        took_ms.append((time.perf_counter() - begun) * 1000)
        if len(took_ms) < count:
            loop.call_later(PAUSE_S, send)
        else:
            done.set_result(None)

    loop.add_reader(fd, back)
    try:
        send()
        await done
    finally:
        loop.remove_reader(fd)
        os.close(fd)
    return took_ms


async def measure(count: int) -> dict[str, Any]:
    """Take ``count`` samples of each, in turns."""
    floor: list[float] = []
    with (
        terminal("echo") as echo,
        terminal("adapter") as box,
        terminal("native") as line,
    ):
        adapter = Polled(adapter_link(box.path))
        native = Polled(native_link(line.path))
        tasks = [adapter.start(), native.start()]
        await asyncio.sleep(0.2)
        gc.collect()
        gc.freeze()  # as vendd does when it is up
        for taken in range(0, count, _BLOCK):
            block = min(_BLOCK, count - taken)
            floor += await bare(echo.path, block)
            await adapter.poll(block)
            await native.poll(block)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return {"floor": floor, "adapter": adapter.took_ms, "native": native.took_ms}


def in_real_time() -> bool:
    """Be scheduled as the unit schedules vendd; the far side as the hardware it stands for.

    False where this user may not.
    """
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(UNIT_PRIORITY))
    except PermissionError:
        return False
    return True


def main() -> None:
    """Measure ``--count`` of each."""
    options = given(__doc__, count=int)
    real_time = in_real_time()
    found = asyncio.run(measure(options.count))
    hand_back({**found, "real_time": real_time})


if __name__ == "__main__":
    main()
