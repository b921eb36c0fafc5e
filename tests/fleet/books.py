"""A machine's real journal on a real disk, that sells by itself."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import insert

from cloud.contract.topics import Address
from cloud.fleet import schema as t
from cloud.fleet.database import FleetDatabase
from controller.clock import Clock, SystemClock
from controller.journal import records as rec
from controller.journal.beginning import BootInfo
from controller.journal.sqlite_aio import DirectoryStorage
from controller.journal.store import Journal
from controller.state.fold import StateFold
from controller.state.state import State
from tests.fleet.machines import START
from tests.journal_kit import BUILT


class SkewedClock(SystemClock):
    """A machine's clock that is wrong by so much."""

    def __init__(self, off: timedelta) -> None:
        super().__init__()
        self.off = off

    def wall_utc(self) -> datetime:
        return super().wall_utc() + self.off


async def open_books(folder: Path, seed: int = 1, clock: Clock | None = None) -> Journal[State]:
    folder.mkdir(exist_ok=True)
    return await Journal.open(
        DirectoryStorage(folder),
        fold=StateFold(),
        registry=rec.REGISTRY,
        clock=clock or SystemClock(),
        entropy=random.Random(seed).randbytes,
        boot=BootInfo("lobby-1", "EUR", "0.1.0", "", BUILT),
    )


def sell(books: Journal[State], price: int = 150) -> None:
    """Stage a vend for exact coins, as the saga writes it."""
    lot = books.stage(
        rec.CoinsDeposited(device="changer", answer="", coins=((2, price, "cashbox", 0),))
    ).seq
    opened = rec.VendOpened(selection="A1", column="A1", product="cola", price=price, item=1)
    vend = books.stage(opened, vend=books.next_seq).seq
    for data in (
        rec.CreditAuthorised(coins=price, bills=0, lots=((lot, price),)),
        rec.DispenseIntended(column="A1", attempt=1),
        rec.DispenseFinished(column="A1", outcome="dropped", drops=1, run_ms=900),
        rec.VendSettled(cash=price, lots=((lot, price),)),
        rec.VendClosed(result="sold"),
    ):
        books.stage(data, vend=vend)


async def sell_many(books: Journal[State], count: int) -> None:
    for number in range(count):
        sell(books)
        if number % 200 == 199:
            await books.commit()
    await books.commit()


async def known(database: FleetDatabase, address: Address) -> None:
    async with database.writing() as connection:
        await connection.execute(
            insert(t.machine).values(tenant=address.tenant, name=address.machine, created_ms=START)
        )
