"""The peer: a bare workflow of five steps in DBOS Transact, its system database SQLite in WAL."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path

from dbos import DBOS

from benchmarks.children.given import given, hand_back
from benchmarks.syscalls import Marks

STEPS = 5
WARM_UP = 20


def main() -> None:
    """Run ``--count`` workflows on a database in ``--folder``."""
    options = given(__doc__, folder=Path, count=int)
    options.folder.mkdir(parents=True, exist_ok=True)
    path = options.folder / "dbos.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA journal_mode=WAL")  # the file keeps it
    DBOS(
        config={
            "name": "bench",
            "system_database_url": f"sqlite:///{path}",
            "log_level": "ERROR",
        }
    )

    @DBOS.step()
    def step(number: int) -> int:
        return number

    @DBOS.workflow()
    def workflow(number: int) -> int:
        return sum(step(number + one) for one in range(STEPS))

    DBOS.launch()
    mark = Marks()
    for number in range(WARM_UP):
        workflow(number)
    whole: list[float] = []
    mark("begin")
    begun = time.perf_counter()
    for number in range(options.count):
        at = time.perf_counter()
        workflow(number)
        whole.append(time.perf_counter() - at)
    took = time.perf_counter() - begun
    mark("end")
    DBOS.destroy()
    hand_back({"per_s": options.count / took, "whole": whole})


if __name__ == "__main__":
    main()
