"""How far long commands are: the last word that was heard, kept beside the command."""

from __future__ import annotations

from sqlalchemy import update

from cloud.contract.messages import Telemetry
from cloud.fleet import schema as t
from cloud.fleet.database import FleetDatabase


async def progressed(
    database: FleetDatabase, machine_id: int, told: Telemetry, now_ms: int
) -> None:
    """Keep what a machine says of commands that have not ended; it is no proof of anything."""
    if not told.progress:
        return
    async with database.writing() as connection:
        for one in told.progress:
            await connection.execute(
                update(t.command)
                .where(
                    t.command.c.id == one.id,
                    t.command.c.machine_id == machine_id,
                    t.command.c.outcome == "",
                )
                .values(progress=one.model_dump_json().replace("\\u0000", ""), progress_ms=now_ms)
            )
