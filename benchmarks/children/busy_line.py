"""The native link while the machine sells as fast as it can: four devices, vends, a journal.

Each answer of each device is data that wants its ACK; when a customer has a coin, the changer's
next answer carries it, and its ACK waits for the journal.
"""

from __future__ import annotations

import asyncio
import gc
from pathlib import Path
from typing import Any, Final

from benchmarks.children.given import given, hand_back
from benchmarks.children.round_trips import Nobody
from benchmarks.children.terminals import terminal
from benchmarks.children.till import Till
from drivers.mdb.assembly import native_link
from drivers.mdb.scheduler import BusCounters, MdbBus
from drivers.mdb.slots import Slot

ADDRESSES: Final = (0x0B, 0x33, 0x12, 0x62)  # POLL of changer, validator and two readers
BEAT_S: Final = 0.010  # each device's polls, start to start: 15 times the real rhythm


class EveryLateness(BusCounters):
    """Counters that keep each poll's lateness, in milliseconds, in place of the worst."""

    __slots__ = ("late_ms",)

    def __init__(self) -> None:
        self.late_ms: list[float] = []
        super().__init__()

    @property
    def worst_late_s(self) -> float:
        """Return less than any poll's lateness: the bus takes the larger and sets it."""
        return float("-inf")

    @worst_late_s.setter
    def worst_late_s(self, late_s: float) -> None:
        self.late_ms.append(late_s * 1000)


class Quick:
    """A device whose every answer is acknowledged at once."""

    def __init__(self, bus: MdbBus, address: int) -> None:
        self.slot: Slot = bus.attach(bytes((address,)), self, 5.0)

    def on_quiet(self) -> None:
        """Nothing was said."""
        self.slot.poll_soon(BEAT_S)

    def on_items(self, data: bytes) -> asyncio.Future[None] | None:
        """Take it."""
        del data
        self.slot.poll_soon(BEAT_S)
        return None

    def on_told(self, *, acked: bool) -> None:
        """Nothing to tell."""

    def on_lost(self) -> None:
        """Complain."""
        raise RuntimeError("the far side is silent")


class Coins(Quick):
    """A changer whose next answer carries the customer's coin."""

    def __init__(self, bus: MdbBus, address: int, till: Till) -> None:
        super().__init__(bus, address)
        self._till = till
        self._waiting: tuple[int, asyncio.Future[None]] | None = None
        self._durable: asyncio.Future[None] | None = None  # of an answer not yet acknowledged

    def insert(self, value: int) -> asyncio.Future[None]:
        """A customer has a coin; done when it is acknowledged."""
        taken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting = (value, taken)
        return taken

    def on_items(self, data: bytes) -> asyncio.Future[None] | None:
        """Book the coin once, however often the answer is repeated."""
        super().on_items(data)
        if self._durable is None and self._waiting is not None:
            self._durable = self._till.shop.hardware.changer.insert(self._waiting[0])
        return self._durable

    def on_told(self, *, acked: bool) -> None:
        """It is the machine's now, or comes again."""
        if acked:
            self._durable = None
            assert self._waiting is not None, "an answer without a coin wants no record"
            self._waiting[1].set_result(None)
            self._waiting = None


async def measure(folder: Path, count: int) -> dict[str, Any]:
    """Sell until ``count`` polls have been acknowledged."""
    till = await Till.open(folder)
    with terminal("busy") as far:
        bus = MdbBus(native_link(far.path), Nobody())
        late = EveryLateness()
        bus.counters = late
        changer = Coins(bus, ADDRESSES[0], till)
        devices = [changer, *(Quick(bus, address) for address in ADDRESSES[1:])]
        task = asyncio.get_running_loop().create_task(bus.run())
        gc.collect()
        gc.freeze()  # as vendd does when it is up
        for device in devices:
            device.slot.start_polling()
        vends = 0
        first = till.shop.journal.next_seq
        while late.polls - late.withheld < count:
            await till.sell(coin=changer.insert)
            vends += 1
        records = till.shop.journal.next_seq - first
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    till.shop.books_agree()
    await till.shop.stop()
    return {
        "late_ms": late.late_ms,
        "polls": late.polls,
        "withheld": late.withheld,
        "vends": vends,
        "records": records,
        "acks_ms": far.seen["acks_ms"],
        "unacknowledged": far.seen["withheld"],
    }


def main() -> None:
    """Measure ``--count`` acknowledged polls beside a journal in ``--folder``."""
    options = given(__doc__, folder=Path, count=int)
    hand_back(asyncio.run(measure(options.folder, options.count)))


if __name__ == "__main__":
    main()
