"""Who was at the door lately: HTTPS has no last will, so silence has to be noticed.

Each process notes the machines that it answers and writes that down now and then, in one
transaction for all of them. A machine that came over HTTPS last and has been silent for longer than
its question may wait is offline; one that was heard on another way since is that way's to tell.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import structlog
from sqlalchemy import case, select, update
from sqlalchemy.exc import SQLAlchemyError

from cloud.contract.messages import Presence
from cloud.fleet import schema as t
from cloud.fleet.database import FleetDatabase
from cloud.fleet.ingest import presence

log = structlog.get_logger("vendcloud.door")

EVERY_S: Final = 15.0
_TOGETHER: Final = 200  # machines in one statement
SILENT_MS: Final = 120_000  # two questions of 45 s and an attempt to come back


class Roll:
    """The machines that one process answers.

    Args:
        database: Where it is written down.
        now_ms: UTC in ms since 1970.
    """

    def __init__(self, database: FleetDatabase, now_ms: Callable[[], int]) -> None:
        self._database = database
        self._now_ms = now_ms
        self._seen: dict[int, int] = {}

    def seen(self, machine_id: int) -> None:
        """Note that a machine is there."""
        self._seen[machine_id] = self._now_ms()

    async def run(self) -> None:
        """Write it down until cancelled."""
        while True:
            await asyncio.sleep(EVERY_S)
            try:
                await self.write()
                await self.sweep()
            except (SQLAlchemyError, OSError) as error:
                log.warning("door.roll", error=str(error))

    async def write(self) -> None:
        """Write down who was here since the last time; one that counted as offline is back."""
        seen, self._seen = self._seen, {}
        if not seen:
            return
        back: list[int] = []
        several = list(seen.items())
        async with self._database.writing() as connection:
            for at in range(0, len(several), _TOGETHER):
                part = dict(several[at : at + _TOGETHER])
                when = case(part, value=t.machine.c.id)
                # What another way has heard since is newer, and stands.
                changed = await connection.execute(
                    update(t.machine)
                    .where(t.machine.c.id.in_(part), t.machine.c.seen_ms <= when)
                    .values(seen_ms=when, polled_ms=when)
                    .returning(t.machine.c.id, t.machine.c.online)
                )
                back += [row.id for row in changed if not row.online]
        for machine_id in back:
            online = Presence(online=True)
            await presence.heard(self._database, machine_id, online, self._now_ms())

    async def sweep(self) -> None:
        """Tell who has been silent for too long."""
        late = self._now_ms() - SILENT_MS
        query = select(t.machine.c.id, t.machine.c.seen_ms, t.machine.c.polled_ms).where(
            t.machine.c.online, t.machine.c.polled_ms < late
        )
        async with self._database.reading() as connection:
            silent = (await connection.execute(query)).all()
        for row in silent:
            if row.seen_ms <= row.polled_ms:
                gone = Presence(online=False)
                await presence.heard(self._database, row.id, gone, self._now_ms())
            async with self._database.writing() as connection:
                await connection.execute(
                    update(t.machine)
                    .where(t.machine.c.id == row.id, t.machine.c.polled_ms == row.polled_ms)
                    .values(polled_ms=None)
                )
