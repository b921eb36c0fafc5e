"""What machines measure now and then: the last samples of each are kept, and no more."""

from __future__ import annotations

import json
import math
from typing import Final

from sqlalchemy import delete, select

from cloud.contract.messages import Telemetry
from cloud.fleet import schema as t
from cloud.fleet.database import FleetDatabase

KEPT: Final = 300  # of a machine: a day, at one every five minutes
_NAMES: Final = 64  # of one sample
_NAME_LENGTH: Final = 48


async def keep(database: FleetDatabase, machine_id: int, told: Telemetry, now_ms: int) -> None:
    """Keep what a machine has measured, in place of its oldest."""
    fitting = {
        name.replace("\0", "")[:_NAME_LENGTH]: value
        for name, value in list(told.samples.items())[:_NAMES]
        if math.isfinite(value)
    }
    if not fitting:
        return
    row = t.sample.c
    values = {
        "machine_id": machine_id,
        "received_ms": now_ms,
        "at_ms": told.at,
        "samples": json.dumps(fitting),
    }
    oldest = (
        select(row.received_ms)
        .where(row.machine_id == machine_id)
        .order_by(row.received_ms.desc())
        .offset(KEPT)
        .limit(1)
        .scalar_subquery()
    )
    async with database.writing() as connection:
        await connection.execute(database.insert_new(t.sample), [values])
        await connection.execute(
            delete(t.sample).where(row.machine_id == machine_id, row.received_ms <= oldest)
        )
