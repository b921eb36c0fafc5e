"""What one process does for all of them: who that is stands in the database, as a lease.

A lease holds for a minute and is taken anew four times in it. Who ends in good order gives it
back; who was killed, stands still or hears the broker no more loses it by itself, and another
process goes on. What is done twice for all that (two clocks that differ) does no harm: alerts are
raised once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

import structlog
from sqlalchemy import delete, update
from sqlalchemy.exc import SQLAlchemyError

from cloud.fleet import schema as t
from cloud.fleet.database import FleetDatabase

log = structlog.get_logger("vendcloud")

LEASE_MS: Final = 60_000
LOOK_S: Final = 15.0
GIVE_BACK_S: Final = 3.0  # at the end, to a database that may be away


async def taken(database: FleetDatabase, name: str, holder: str, now_ms: int) -> bool:
    """Take a lease, or keep it; False when another process has it."""
    row = t.duty.c
    # One that lies far ahead was taken by a clock that was wrong.
    open_ = (
        (row.holder == holder) | (row.until_ms <= now_ms) | (row.until_ms > now_ms + 2 * LEASE_MS)
    )
    values = {"holder": holder, "until_ms": now_ms + LEASE_MS}
    async with database.writing() as connection:
        changed = await connection.execute(
            update(t.duty).where(row.name == name, open_).values(**values)
        )
        if changed.rowcount:
            return True
        first = database.insert_new(t.duty).returning(row.name)
        made = await connection.execute(first, {"name": name, **values})
        return made.scalar_one_or_none() is not None


async def given_back(database: FleetDatabase, name: str, holder: str) -> None:
    """End a lease, if it is ours."""
    row = t.duty.c
    async with database.writing() as connection:
        await connection.execute(delete(t.duty).where(row.name == name, row.holder == holder))


class Duty:
    """Does something now and then, in one of several processes.

    Args:
        database: Where its lease is.
        name: Its name.
        holder: This process's.
        now_ms: UTC in ms since 1970.
        every_s: Between the ends and the next beginnings of the work.
        work: What is done.
        able: Whether this process can do it now.
    """

    def __init__(
        self,
        database: FleetDatabase,
        name: str,
        holder: str,
        now_ms: Callable[[], int],
        every_s: float,
        work: Callable[[], Awaitable[None]],
        able: Callable[[], bool] = lambda: True,
    ) -> None:
        self.name = name
        self.every_s = every_s
        self.look_s = LOOK_S
        self.held = False
        self._database = database
        self._holder = holder
        self._now_ms = now_ms
        self._work = work
        self._able = able

    async def run(self) -> None:
        """Look whose turn it is until cancelled; whoever takes over works at once."""
        due_s = 0.0
        loop = asyncio.get_running_loop()
        try:
            while True:
                try:
                    await self._look()
                    if self.held and loop.time() >= due_s:
                        await self._work()
                        due_s = loop.time() + self.every_s
                except (SQLAlchemyError, OSError) as error:
                    log.warning("duty", duty=self.name, error=str(error))
                if not self.held:
                    due_s = 0.0
                await asyncio.sleep(min(self.look_s, self.every_s))
        finally:
            await self._leave()

    async def _look(self) -> None:
        before, self.held = self.held, False
        if self._able():
            self.held = await taken(self._database, self.name, self._holder, self._now_ms())
        elif before:
            await given_back(self._database, self.name, self._holder)
        if self.held != before:
            log.info("duty.taken" if self.held else "duty.left", duty=self.name)

    async def _leave(self) -> None:
        if self.held:
            with suppress(SQLAlchemyError, OSError, TimeoutError):
                async with asyncio.timeout(GIVE_BACK_S):
                    await given_back(self._database, self.name, self._holder)
