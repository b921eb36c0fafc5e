"""Writes straight through the driver, on both databases; one that is cancelled leaves no lock."""

import asyncio
import gc
import random
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError

from cloud.fleet import schema as t
from cloud.fleet.database import FleetDatabase, Upsert, Write
from tests.fleet.machines import Machine, register

_SEEN = (
    update(t.machine)
    .where(t.machine.c.id == bindparam("of_machine"))
    .values(seen_ms=bindparam("seen_ms"))
)
_REVIEW = insert(t.review)
_AMOUNTS = (
    select(t.balance.c.account, t.balance.c.amount)
    .where(t.balance.c.machine_id == bindparam("of_machine"))
    .order_by(t.balance.c.account)
)


async def test_a_writer_that_is_cancelled_anywhere_lets_the_next_one_write(
    database: FleetDatabase,
) -> None:
    await register(database, Machine())
    rows = [(1, seq, 1, 1, "x", None, bytes(200), bytes(32)) for seq in range(300)]
    balances = [{"machine_id": 1, "account": f"a{n}", "amount": n} for n in range(300)]
    seen = {"of_machine": 1, "seen_ms": 7}
    rng = random.Random(1)

    async def write() -> None:
        async with database.writing() as connection:
            (await connection.execute(select(t.machine))).one()
            await connection.execute(update(t.machine).values(seen_ms=5))
            await database.insert_many(connection, t.record, rows)
            await database.write(connection, [Upsert(t.balance, balances), Write(_SEEN, [seen])])
            await database.read(connection, _AMOUNTS, {"of_machine": 1})
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
        async with database.reading():
            await asyncio.Event().wait()  # until it is cancelled

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


def balance(account: str, amount: int) -> dict[str, object]:
    return {"machine_id": 1, "account": account, "amount": amount}


async def amounts(database: FleetDatabase) -> list[tuple[str, int]]:
    async with database.reading() as connection:
        rows = await database.read(connection, _AMOUNTS, {"of_machine": 1})
    return [(account, amount) for account, amount in rows]


async def test_rows_are_inserted_or_replaced_and_of_one_key_the_last_one_stands(
    database: FleetDatabase,
) -> None:
    async with database.writing() as connection:
        await database.write(connection, [Upsert(t.balance, [balance("a", 1), balance("b", 2)])])
    strange = "\"%s%(x)s' \\u00e4 ä \N{SNOWMAN}"
    async with database.writing() as connection:
        again = [balance("b", 3), balance(strange, 2**62), balance("b", -(2**62))]
        await database.write(connection, [Upsert(t.balance, again), Upsert(t.balance, [])])
    assert dict(await amounts(database)) == {"a": 1, "b": -(2**62), strange: 2**62}


async def test_what_the_driver_refuses_is_the_engines_error_and_undoes_the_transaction(
    database: FleetDatabase,
) -> None:
    row = {
        "journal_id": 1, "seq": 1, "machine_id": 1, "vend": None, "reason": "", "amount": 0,
        "at_ms": 1,
    }  # fmt: skip
    twice = Write(_REVIEW, [row, row])
    with pytest.raises(IntegrityError):
        async with database.writing() as connection:
            await database.write(connection, [Upsert(t.balance, [balance("a", 1)]), twice])
    assert await amounts(database) == []
    too_much = Upsert(t.balance, [balance("a", 2**63)])
    with pytest.raises((DataError, OverflowError)):
        async with database.writing() as connection:
            await database.write(connection, [Upsert(t.balance, [balance("b", 1)]), too_much])
    with pytest.raises((DBAPIError, OverflowError)):
        async with database.writing() as connection:
            await database.read(connection, _AMOUNTS, {"of_machine": 2**70})
    async with database.writing() as connection:
        await database.write(connection, [Write(_REVIEW, [row])])
    assert await amounts(database) == []
