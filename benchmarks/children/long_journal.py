"""Make a journal of many records, and open it: with its snapshots, and without."""

from __future__ import annotations

import asyncio
import gc
import os
import time
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from benchmarks.children.given import given, hand_back
from cloud.link.link import Link
from cloud.link.sync import SyncView
from cloud.link.transport import Connection, LinkLostError
from controller.clock import SystemClock
from controller.domain import accounts as acc
from controller.journal import records as rec
from controller.journal.beginning import BootInfo
from controller.journal.database import Access
from controller.journal.sqlite_aio import DirectoryStorage
from controller.journal.store import Journal
from controller.state.fold import StateFold
from controller.state.state import State

# Staged at once: a commit for each vend would take its syncs a hundred thousand times.
BATCH: Final = 5_000


async def opened(folder: Path) -> Journal[State]:
    """Open the journal of a folder."""
    return await Journal.open(
        DirectoryStorage(folder),
        fold=StateFold(),
        registry=rec.REGISTRY,
        clock=SystemClock(),
        entropy=os.urandom,
        boot=BootInfo("bench", "EUR", "0", "", datetime(2026, 1, 1, tzinfo=UTC)),
    )


async def _timed(folder: Path) -> float:
    begun = time.perf_counter()
    journal = await opened(folder)
    took = time.perf_counter() - begun
    await journal.close()
    return took


def _vend(journal: Journal[State]) -> None:
    """Stage a vend that is paid with two coins, as the saga writes it."""
    first = journal.next_seq
    lots = ((first, 100), (first + 1, 50))
    for type_, value in ((4, 100), (3, 50)):
        coin = ((type_, value, "tube", 0),)
        journal.stage(rec.CoinsDeposited(device="changer", answer="5400", coins=coin))
    vend = journal.next_seq
    for data in (
        rec.VendOpened(selection="A1", column="A1", product="cola", price=150, item=1),
        rec.CreditAuthorised(coins=150, bills=0, lots=lots),
        rec.DispenseIntended(column="A1", attempt=1, sensor="ready"),
        rec.DispenseFinished(
            column="A1", outcome="dropped", drops=1, run_ms=1_000, proof="watched"
        ),
        rec.VendSettled(cash=150, lots=lots),
        rec.VendClosed(result="sold"),
    ):
        journal.stage(data, vend=vend)


async def write(folder: Path, records: int) -> None:
    """Write whole vends until there are so many records."""
    journal = await opened(folder)
    journal.stage(rec.StockSet(column="A1", count=records, before=0, cause="opening"))
    journal.stage(rec.BootFinished(sagas=()))
    while journal.next_seq <= records:
        batch = journal.next_seq + BATCH
        while journal.next_seq < min(batch, records + 1):
            _vend(journal)
        await journal.commit()
    assert journal.state.ledger.balance(acc.CASH_TUBES) > 0, "the vends were paid"
    await journal.close()


async def _forget_snapshots(folder: Path) -> None:
    storage = DirectoryStorage(folder)
    name = next(name for name in await storage.names() if name.endswith(".db"))
    database = await storage.open(name, Access.WRITE)
    await database.transaction([("DELETE FROM snapshot", ())])
    await database.close()


class _NoNetwork:
    """A way that leads nowhere."""

    name = "none"

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[Connection]:
        raise LinkLostError("no network")
        yield  # type: ignore[unreachable]  # makes it a generator


async def _linked(folder: Path) -> tuple[float, int]:
    """Return what a start with the link costs, to its first vain try: seconds, bytes at most."""
    gc.collect()
    tracemalloc.start()
    begun = time.perf_counter()
    journal = await opened(folder)
    link = Link(journal, _NoNetwork(), SystemClock(), lambda: "n")
    lost = asyncio.Event()
    link.watch(lost.set)
    running = asyncio.create_task(link.run())
    await lost.wait()
    shown = await SyncView(link, journal, SystemClock()).show()
    took, (_, peak) = time.perf_counter() - begun, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert shown["records"] == journal.durable_seq, "nobody has any of it"
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await journal.close()
    return took, peak


async def measure(folder: Path, empty: Path, records: int, starts: int) -> dict[str, Any]:
    """Return the seconds of each start: empty, long, and long without snapshots."""
    await _timed(empty)  # the very first start makes the journal
    await write(folder, records)
    # In turns, so that what else the machine does meets both alike.
    pairs = [(await _timed(empty), await _timed(folder)) for _ in range(starts)]
    links = [(await _linked(empty), await _linked(folder)) for _ in range(starts)]
    await _forget_snapshots(folder)
    without_s = await _timed(folder)
    return {
        "empty_s": [pair[0] for pair in pairs],
        "with_s": [pair[1] for pair in pairs],
        "without_s": without_s,
        "link_empty_s": [one[0] for one, _ in links],
        "link_s": [one[0] for _, one in links],
        "link_empty_bytes": [one[1] for one, _ in links],
        "link_bytes": [one[1] for _, one in links],
    }


def main() -> None:
    """Write ``--records`` into ``--folder``, and open it and an ``--empty`` one."""
    options = given(__doc__, folder=Path, empty=Path, records=int, starts=int)
    found = asyncio.run(measure(options.folder, options.empty, options.records, options.starts))
    hand_back(found)


if __name__ == "__main__":
    main()
