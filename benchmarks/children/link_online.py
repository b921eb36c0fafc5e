"""A machine that is online, and one that comes back: a real journal, TLS and server."""

from __future__ import annotations

import argparse
import asyncio
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from benchmarks.children.given import given, hand_back
from benchmarks.children.long_journal import opened, write
from benchmarks.report import median
from cloud.contract.topics import Address
from cloud.link.link import Link
from cloud.link.transport_mqtt import MqttTransport
from controller.clock import SystemClock
from controller.journal import records as rec
from controller.journal.store import Journal
from controller.state.state import State
from tests.fleet.site import Site, asked

LIMIT_S: Final = 500.0
_SALES_APART_S: Final = 0.15


class Online:
    """A journal in touch with a server."""

    def __init__(self, site: Site, name: str, journal: Journal[State]) -> None:
        """Make the machine known; ``start`` connects."""
        asked(site.home, "machine", "add", f"acme/{name}")
        address = Address("acme", name)
        self.journal = journal
        self.link = Link(
            journal,
            MqttTransport(site.broker(address), address),
            SystemClock(),
            lambda: os.urandom(12).hex(),
        )
        self._moved = asyncio.Event()
        self.link.watch(self._moved.set)
        self._running: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Keep in touch."""
        self._running = asyncio.get_running_loop().create_task(self.link.run())

    async def acknowledged(self, seq: int) -> None:
        """Return when the fleet has committed a record and said so."""
        async with asyncio.timeout(LIMIT_S):
            while self.link.status.acked < seq:
                self._moved.clear()
                await self._moved.wait()

    async def end(self) -> None:
        """Break off."""
        if self._running is not None:
            self._running.cancel()
            with suppress(asyncio.CancelledError):
                await self._running
        await self.journal.close()

    async def sell(self) -> float:
        """Sell; returns the seconds from the drop to the server's word that it is committed."""
        journal = self.journal
        first = journal.next_seq
        coin = ((5, 150, "cashbox", 0),)
        journal.stage(rec.CoinsDeposited(device="changer", answer="", coins=coin))
        await self._commit()
        lots = ((first, 150),)
        vend = journal.next_seq
        opening = rec.VendOpened(selection="A1", column="A1", product="cola", price=150, item=1)
        journal.stage(opening, vend=vend)
        journal.stage(rec.CreditAuthorised(coins=150, bills=0, lots=lots), vend=vend)
        journal.stage(rec.DispenseIntended(column="A1", attempt=1, sensor="ready"), vend=vend)
        await self._commit()
        dropped = time.perf_counter()
        for data in (
            rec.DispenseFinished(
                column="A1", outcome="dropped", drops=1, run_ms=1_000, proof="watched"
            ),
            rec.VendSettled(cash=150, lots=lots),
            rec.VendClosed(result="sold"),
        ):
            journal.stage(data, vend=vend)
            await self._commit()
        await self.acknowledged(journal.durable_seq)
        return time.perf_counter() - dropped

    async def _commit(self) -> None:
        await self.journal.commit()
        self.link.grown()


async def measure(site: Site, given: argparse.Namespace) -> dict[str, Any]:
    """Measure both."""
    online = Online(site, "online", await opened(given.folder / "online"))
    online.start()
    sales: list[float] = []
    await online.sell()  # the first one waits for the connection
    for _ in range(given.sales):
        await asyncio.sleep(_SALES_APART_S)
        sales.append(await online.sell())
    await online.end()
    folder = given.folder / "offline"
    await write(folder, given.records)
    empty_s = await _opened_and_closed(given.folder / "empty")
    open_s = await _opened_and_closed(folder)
    offline = Online(site, "offline", await opened(folder))
    begun = time.perf_counter()
    offline.start()
    last = offline.journal.durable_seq
    await offline.acknowledged(last)
    took = time.perf_counter() - begun
    ours = {
        row.account: row.debit - row.credit
        for row in offline.journal.state.ledger.trial_balance()
        if row.debit != row.credit and row.account.startswith("cash.")
    }
    await offline.end()
    told = await asyncio.to_thread(asked, site.home, "cash")
    theirs = {
        row["account"]: row["amount"]
        for row in told
        if row["machine"] == "offline" and row["account"].startswith("cash.") and row["amount"]
    }
    return {
        "sales": sales,
        "sync_s": took,
        "open_s": open_s,
        "empty_s": empty_s,
        "records": last,
        "differ": len(ours.items() ^ theirs.items()),
    }


async def _opened_and_closed(folder: Path) -> float:
    """Return the median of some starts; the very first one makes the journal."""
    took: list[float] = []
    for _ in range(6):
        begun = time.perf_counter()
        journal = await opened(folder)
        took.append(time.perf_counter() - begun)
        await journal.close()
    return median(took[1:])


def main() -> None:
    """Measure, and print what was found."""
    options = given(__doc__, folder=Path, sales=int, records=int)
    site = Site(options.folder / "home")
    try:
        site.wait()
        found = asyncio.run(measure(site, options))
    finally:
        site.end()
    hand_back(found)


if __name__ == "__main__":
    main()
