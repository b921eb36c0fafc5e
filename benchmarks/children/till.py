"""A till over instant hardware: the real brain, saga and journal, and three customers in turn.

Each puts two coins in and gets a coin back; after three of them the tubes hold what they held.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from controller.clock import SystemClock
from controller.domain.planogram import Column, Planogram, Product
from controller.journal.envelope import Record
from controller.journal.records import VendClosed
from controller.journal.sqlite_aio import DirectoryStorage
from controller.ports import DispenseResult, KeyPressed
from simulator.instant import InstantDispenser, InstantHardware
from simulator.shop import Shop

CUSTOMERS: Final = (((100, 100), "A1"), ((200, 50), "A1"), ((200, 200), "B1"))
_STOCK: Final = 1_000_000  # no bench sells out
_SELLS: Final = Planogram(
    [Product("cola", "Cola"), Product("nuts", "Nuts")],
    [Column("A1", "cola", 150, _STOCK, 1), Column("B1", "nuts", 300, _STOCK, 2)],
)


class TimedDispenser(InstantDispenser):
    """Notes when its motor is asked to turn."""

    on_turn: Callable[[], None] | None = None
    turned_at = 0.0

    async def turn(self, column: str, *, extra: bool = False) -> DispenseResult:
        """Turn, as ``InstantDispenser``."""
        self.turned_at = time.perf_counter()
        if self.on_turn is not None:
            self.on_turn()
        return await super().turn(column, extra=extra)


@dataclass(frozen=True, slots=True)
class Sold:
    """One vend's times, in seconds."""

    whole_s: float  # first coin to the closing record
    key_to_motor_s: float


class Till:
    """A shop whose customers come one after the other."""

    def __init__(self, shop: Shop, dispenser: TimedDispenser) -> None:
        self.shop = shop
        self.dispenser = dispenser
        self._customers: Iterator[tuple[tuple[int, ...], str]] = itertools.cycle(CUSTOMERS)
        self._closed: asyncio.Future[str] | None = None
        shop.machine.on_commit.append(self._committed)

    @classmethod
    async def open(cls, folder: Path) -> Till:
        """Open the journal in ``folder`` and wait until the machine sells."""
        dispenser = TimedDispenser()
        hardware = InstantHardware(dispenser=dispenser)
        shop = await Shop.open(DirectoryStorage(folder), SystemClock(), hardware, sells=_SELLS)
        return cls(shop, dispenser)

    def _committed(self, records: list[Record]) -> None:
        closed = self._closed
        if closed is None or closed.done():
            return
        for record in records:
            if isinstance(record.data, VendClosed):
                closed.set_result(record.data.result)

    async def sell(
        self,
        *,
        coin: Callable[[int], asyncio.Future[None]] | None = None,
        at_key: Callable[[], None] | None = None,
    ) -> Sold:
        """Serve the next customer, from the first coin to the closing record.

        Args:
            coin: How a coin arrives; by default at once.
            at_key: Called right before the last key.

        Raises:
            RuntimeError: The product was not sold.
        """
        coins, keys = next(self._customers)
        self._closed = asyncio.get_running_loop().create_future()
        insert = coin or self.shop.hardware.changer.insert
        begun = time.perf_counter()
        for value in coins:
            await insert(value)
        for pressed in keys[:-1]:
            self.shop.machine.inbox.notify(KeyPressed(pressed))
        if at_key is not None:
            at_key()
        pressed_at = time.perf_counter()
        self.shop.machine.inbox.notify(KeyPressed(keys[-1]))
        result = await self._closed
        if result != "sold":
            raise RuntimeError(f"a vend ended as {result!r}")
        return Sold(time.perf_counter() - begun, self.dispenser.turned_at - pressed_at)
