"""A real fleet (broker, server, database) and real machines of it, to be looked at from outside."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from cloud.contract.topics import Address
from cloud.fleet import reports
from cloud.fleet import schema as t
from cloud.fleet.database import FleetDatabase
from controller.domain import accounts as acc
from simulator.fleet import books
from simulator.fleet.site import BROKER, Site
from simulator.rig import Rig
from simulator.vendd_client import VenddRefusedError

StartRig = Callable[..., Awaitable[Rig]]
PLENTY_S = 120.0
LOOK_S = 0.1
SPEED = 2.0  # two vendds and a server share a computer: no product may fall because one is late


class Fleet:
    """A broker, a server and its database, and the machines that belong to it."""

    def __init__(self, site: Site, database: FleetDatabase, rigs: StartRig, folder: Path) -> None:
        self.site = site
        self.database = database
        self._rigs = rigs
        self._folder = folder

    def folder(self, name: str) -> Path:
        return self._folder / name

    def address(self, name: str) -> Address:
        return self.site.address(name)

    async def machine(self, name: str, *, through: int = 0) -> Rig:
        """Put up a machine; it reaches the broker on its port, or ``through`` another one."""
        await self.site.ask("machine", "add", str(self.address(name)))
        return await self.another(name, name, through=through)

    async def another(self, name: str, where: str, *, through: int = 0) -> Rig:
        """Put up a machine that is called, and certified, as one that is there already."""
        port = self.site.settings.broker.port
        section = self.site.section(name).replace(f"port = {port}", f"port = {through or port}")
        edits = {'[machine]\nid = "demo"': f'{section}[machine]\nid = "{name}"'}
        return await self._rigs(home=self.folder(where), edits=edits, speed=SPEED)

    async def until(self, holds: Callable[[], Awaitable[Any]], what: str) -> Any:
        try:
            async with asyncio.timeout(PLENTY_S):
                while not (found := await holds()):  # noqa: ASYNC110 - a database tells nobody
                    await asyncio.sleep(LOOK_S)
        except TimeoutError as error:
            raise AssertionError(f"not within {PLENTY_S:g} s: {what}") from error
        return found

    async def journals(self, name: str) -> list[dict[str, Any]]:
        return await reports.journals(self.database, self.address(name))

    async def has_all_of(self, name: str, rig: Rig, place: int = -1) -> str:
        """Wait until the journal that a machine has now is stored; return its id."""
        show = await rig.api.call("ledger.show")
        last = show["seq"]

        async def there() -> str:
            lines = await self.journals(name)
            return lines[place]["journal"] if lines and lines[place]["records"] >= last else ""

        found: str = await self.until(there, f"{last} records of {name}")
        return found

    async def stored(self, journal: str) -> list[int]:
        async with self.database.reading() as connection:
            found = await connection.execute(
                select(t.record.c.seq)
                .join(t.journal, t.journal.c.id == t.record.c.journal_id)
                .where(t.journal.c.uid == bytes.fromhex(journal))
                .order_by(t.record.c.seq)
            )
            return list(found.scalars())

    async def sold(self, name: str) -> int:
        return (await books.sums(self.database, self.address(name))).sold

    async def causes(self, name: str) -> set[str]:
        return {line["cause"] for line in await reports.alerts(self.database, self.address(name))}

    async def balances(self, name: str) -> dict[str, int]:
        return await reports.balances(self.database, self.address(name))

    async def off(self) -> None:
        await self.site.kill(BROKER)

    async def on(self, *rigs: Rig) -> None:
        """Have the broker back; nobody waits for the next try."""
        await self.site.start(BROKER)
        for rig in rigs:
            await self.hurry(rig)

    async def hurry(self, rig: Rig) -> None:
        """Have a machine try at once; one that has only just started knows no fleet yet."""

        async def asked() -> bool:
            try:
                await rig.api.call("sync.now")
            except VenddRefusedError:
                return False
            return True

        await self.until(asked, "a machine that is in touch with its fleet")


@pytest.fixture
def fleets(rigs: StartRig, run_folder: Path) -> Callable[[str], Any]:
    @asynccontextmanager
    async def start(database: str = "") -> AsyncIterator[Fleet]:
        async with Site(run_folder / "site", database=database) as site:
            opened = site.database()
            try:
                yield Fleet(site, opened, rigs, run_folder)
            finally:
                await opened.close()

    return start


async def selling(rig: Rig) -> None:
    await rig.start_vendd()


async def sell_one(rig: Rig, *coins: int) -> None:
    mark = (await rig.api.call("ledger.show"))["seq"]
    for coin in coins or (100, 50):
        await rig.sim.insert_coin(coin)
    await rig.sim.wait_for(display="Credit €", timeout_s=PLENTY_S)
    await rig.sim.press_keys("A1")
    await rig.api.until_record("vend.closed", within_s=PLENTY_S, after=mark)
    await rig.settled()


async def stop(rig: Rig) -> None:
    assert rig.vendd is not None
    assert await rig.vendd.stop() == 0


async def balances_of(rig: Rig) -> dict[str, int]:
    rows = (await rig.api.call("ledger.show"))["accounts"]
    found = {row["account"]: row["debit"] - row["credit"] for row in rows}
    return {account: amount for account, amount in found.items() if amount}


async def money_is_there(rig: Rig, collected: int = 0) -> None:
    """What the machine holds by its own books is what is in it.

    Of the cash box ``collected`` was carried away by the books, and lies there still.
    """
    reckoned = await rig.reckoning()
    wrong = [
        line.name
        for line in reckoned.lines
        if line.name.startswith("cash.")
        and line.truth - line.ledger != (collected if line.name == acc.CASH_CASHBOX else 0)
    ]
    assert not wrong, reckoned.differences
