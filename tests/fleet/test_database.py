"""A write that is cancelled leaves no lock behind, on both databases."""

import asyncio
import gc
import random
from contextlib import suppress
from pathlib import Path

from sqlalchemy import select, text, update

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


def open_files(folder: Path) -> list[str]:
    """Return what this process has open below a folder."""
    found = []
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):
            target = str(entry.readlink())
            if target.startswith(f"{folder}/"):
                found.append(target)
    return found


async def test_a_connect_that_is_cancelled_anywhere_leaves_no_file_open(tmp_path: Path) -> None:
    async def look(database: FleetDatabase) -> None:
        async with database.writing() as connection:
            await connection.execute(text("SELECT 1"))

    gc.collect()
    gc.disable()  # the collector would close what was forgotten, and warn of it
    try:
        for turns in range(100):
            database = FleetDatabase(f"sqlite+aiosqlite:///{tmp_path / 'fleet.db'}")
            looking = asyncio.create_task(look(database))
            for _ in range(turns):
                await asyncio.sleep(0 if turns % 2 else 0.0002)
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)
            await database.close()
        async with asyncio.timeout(30):
            while open_files(tmp_path):  # noqa: ASYNC110 - its other end is a thread
                await asyncio.sleep(0.01)
    finally:
        gc.enable()
