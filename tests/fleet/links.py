"""Links of real journals that run in the test's own loop, and what the fleet has by them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from itertools import count
from typing import Any, Final

from sqlalchemy import select

from cloud.contract.topics import Address
from cloud.fleet import schema as t
from cloud.fleet.database import FleetDatabase
from cloud.link.link import Link, Phase
from cloud.link.transport import Transport
from cloud.link.transport_mqtt import MqttTransport
from cloud.mqtt import Broker
from controller.clock import SystemClock
from controller.journal.store import Journal
from controller.state.state import State

PLENTY_S: Final = 120.0
_LIVES = count(1)


def over_mqtt(port: int, address: Address, *, five: bool = True) -> MqttTransport:
    """Make the way over a broker on this computer, of a machine with a certificate of its own."""
    return MqttTransport(Broker("127.0.0.1", port, address.machine, five=five), address)


def link_of(books: Journal[State], transport: Transport, **more: Any) -> Link:
    """Make a link; ``more`` is what ``Link`` takes. No other has said any of its words."""
    life, words = next(_LIVES), count(1)
    return Link(books, transport, SystemClock(), lambda: f"{life}-{next(words)}", **more)


@asynccontextmanager
async def in_background(work: Coroutine[Any, Any, object]) -> AsyncIterator[None]:
    """Have it done until the block ends."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@asynccontextmanager
async def linked(link: Link) -> AsyncIterator[Link]:
    """Run a link until the block ends."""
    async with in_background(link.run()):
        yield link


async def reaches(link: Link, phase: Phase) -> None:
    """Wait for a phase. A link that failed some times waits up to two minutes: not here."""
    changed = asyncio.Event()
    link.watch(changed.set)
    async with asyncio.timeout(PLENTY_S):
        while link.status.phase is not phase or (phase is Phase.IN_SYNC and link.status.backlog):
            changed.clear()
            try:
                async with asyncio.timeout(15):
                    await changed.wait()
            except TimeoutError:
                link.sync_now()


async def in_sync(link: Link) -> None:
    """Wait until the fleet has acknowledged all there is."""
    await reaches(link, Phase.IN_SYNC)


async def every_record_once(database: FleetDatabase, books: Journal[State]) -> bool:
    """Tell whether the fleet has each record of a journal, and none but those."""
    return await stored(database, books.journal_id) == await whole(books)


async def stored(database: FleetDatabase, journal: bytes) -> list[tuple[int, bytes]]:
    """Return number and hash of what the fleet has of a journal."""
    async with database.reading() as connection:
        found = await connection.execute(
            select(t.record.c.seq, t.record.c.hash)
            .join(t.journal, t.journal.c.id == t.record.c.journal_id)
            .where(t.journal.c.uid == journal)
            .order_by(t.record.c.seq)
        )
        return [(seq, bytes(digest)) for seq, digest in found]


async def whole(books: Journal[State]) -> list[tuple[int, bytes]]:
    """Return number and hash of what a journal has."""
    return [(row[0], row[3]) async for row in books.rows()]


async def equal_books(database: FleetDatabase, books: Journal[State]) -> bool:
    """Tell whether the accounts of the fleet's only machine are those of its journal."""
    async with database.reading() as connection:
        found = {row.account: row.amount for row in await connection.execute(select(t.balance))}
    return {account: amount for account, amount in found.items() if amount} == balances(books)


def balances(books: Journal[State]) -> dict[str, int]:
    """Return what is in a journal's accounts."""
    rows = books.state.ledger.trial_balance()
    return {row.account: row.debit - row.credit for row in rows if row.debit != row.credit}
