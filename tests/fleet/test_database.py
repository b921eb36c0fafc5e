"""A write that is cancelled leaves no lock behind, on both databases."""

import asyncio
import random

from sqlalchemy import select, update

from cloud.fleet import schema as t
from cloud.fleet.database import FleetDatabase
from tests.fleet.machines import Machine, register


async def test_a_writer_that_is_cancelled_anywhere_lets_the_next_one_write(
    database: FleetDatabase,
) -> None:
    await register(database, Machine())
    rows = [(1, seq, 1, 1, "x", None, bytes(200), bytes(32)) for seq in range(300)]
    rng = random.Random(1)

    async def write() -> None:
        async with database.writing() as connection:
            (await connection.execute(select(t.machine))).one()
            await connection.execute(update(t.machine).values(seen_ms=5))
            await database.insert_many(connection, t.record, rows)
            (await connection.execute(select(t.machine))).one()

    for number in range(20):
        writers = [asyncio.create_task(write()) for _ in range(3)]
        await asyncio.sleep(rng.random() * 0.02)
        for writer in writers:
            writer.cancel()
        await asyncio.gather(*writers, return_exceptions=True)
        async with asyncio.timeout(60), database.writing() as connection:
            await connection.execute(update(t.machine).values(seen_ms=number))
    async with database.reading() as reading:
        assert (await reading.execute(select(t.machine.c.seen_ms))).scalar_one() == 19
