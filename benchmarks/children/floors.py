"""Floors: what a commit costs without us, and what the state machine's library costs."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Final

import aiosqlite

from benchmarks.children.given import given, hand_back
from controller.journal.database import PRAGMAS
from controller.machine.modes import destination
from controller.machine.table import Mode, Trigger

BODY: Final = bytes(200)  # a record's body, about
_INSERT: Final = "INSERT INTO record (seq, boot, body, hash) VALUES (?, 1, ?, ?)"
_TABLE: Final = (
    "CREATE TABLE record (seq INTEGER PRIMARY KEY, boot INTEGER, body BLOB, hash BLOB) STRICT"
)


def raw(folder: Path, count: int) -> list[float]:
    """Commit one row at a time: SQLite as the journal sets it up, nothing of ours."""
    took = []
    with closing(sqlite3.connect(folder / "raw.db", isolation_level=None)) as database:
        for pragma in (*PRAGMAS, _TABLE):
            database.execute(pragma).fetchall()
        for seq in range(count):
            at = time.perf_counter()
            database.execute(_INSERT, (seq, BODY, BODY[:32]))
            took.append(time.perf_counter() - at)
    return took


async def through_aiosqlite(folder: Path, count: int) -> list[float]:
    """The same through aiosqlite's thread."""
    took = []
    async with aiosqlite.connect(folder / "aio.db", isolation_level=None) as database:
        for pragma in (*PRAGMAS, _TABLE):
            await database.execute_fetchall(pragma)
        for seq in range(count):
            at = time.perf_counter()
            await database.execute(_INSERT, (seq, BODY, BODY[:32]))
            took.append(time.perf_counter() - at)
    return took


def triggers(count: int) -> list[float]:
    """Walk the hierarchical machine round a cash vend, as it is done once for each trigger."""
    mode = Mode.IDLE
    round_ = (
        Trigger.MONEY, Trigger.SELECT, Trigger.DISPENSE, Trigger.SETTLE, Trigger.PAY_OUT,
        Trigger.FINISH,
    )  # fmt: skip
    took = []
    for number in range(count):
        at = time.perf_counter()
        reached = destination.__wrapped__(mode, round_[number % len(round_)])
        took.append(time.perf_counter() - at)
        assert reached is not None, "the table has these"
        mode = reached
    return took


def main() -> None:
    """Measure ``--count`` of each in ``--folder``."""
    options = given(__doc__, folder=Path, count=int)
    options.folder.mkdir(parents=True, exist_ok=True)
    found = {
        "raw": raw(options.folder, options.count),
        "aiosqlite": asyncio.run(through_aiosqlite(options.folder, options.count)),
        "trigger": triggers(options.count),
    }
    hand_back(found)


if __name__ == "__main__":
    main()
