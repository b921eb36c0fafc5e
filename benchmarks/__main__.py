"""``python -m benchmarks``: measure all, or what is named; exit code 1 if a limit is missed."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from benchmarks import (
    boot,
    guard,
    idle,
    ingest,
    key_to_motor,
    kills,
    native_line,
    online,
    polls,
    slow_card,
    swarm,
    vend,
    wire,
)
from benchmarks.page import page
from benchmarks.place import BenchError, Neighbours, Place, place
from benchmarks.report import Table

BENCHMARKS: Final[Mapping[str, Callable[[Place], Table]]] = {
    vend.NAME: vend.run,
    slow_card.NAME: slow_card.run,
    key_to_motor.NAME: key_to_motor.run,
    polls.NAME: polls.run,
    native_line.NAME: native_line.run,
    idle.NAME: idle.run,
    guard.NAME: guard.run,
    boot.NAME: boot.run,
    swarm.NAME: swarm.run,
    ingest.NAME: ingest.run,
    wire.NAME: wire.run,
    online.NAME: online.run,
    kills.NAME: kills.run,
}


def main(arguments: list[str] | None = None) -> int:
    """Run from a command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="./run bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of: {', '.join(BENCHMARKS)}")
    parser.add_argument("--quick", action="store_true", help="fewer samples, for a look")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument(
        "--folder", type=Path, default=Path("/var/tmp"), help="where the disk is (no tmpfs)"
    )
    parser.add_argument("--write", type=Path, metavar="FILE", help="write a page of the figures")
    given = parser.parse_args(arguments)
    unknown = sorted(set(given.names) - set(BENCHMARKS))
    if unknown:
        parser.error(f"no benchmark {', '.join(unknown)}; there are: {', '.join(BENCHMARKS)}")
    tables: list[Table] = []
    failed = False
    try:
        with place(given.folder, quick=given.quick) as here:
            for name in given.names or BENCHMARKS:
                neighbours = Neighbours()
                try:
                    table = BENCHMARKS[name](here)
                except BenchError as error:
                    sys.stderr.write(f"bench: {name}: {error}\n")
                    failed = True
                    continue
                table.others = neighbours.share()
                tables.append(table)
                if not given.json:
                    sys.stdout.write(table.text() + "\n")
                    sys.stdout.flush()
    except BenchError as error:
        sys.stderr.write(f"bench: {error}\n")
        return 2
    holds = not failed and all(table.holds for table in tables)
    about = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    if given.write is not None:
        day = datetime.now(UTC).date().isoformat()
        given.write.write_text(page(tables, f"{day}, {about}"), encoding="utf-8")
    if given.json:
        found = {"on": about, "quick": given.quick, "holds": holds}
        found["benchmarks"] = [table.to_json() for table in tables]
        sys.stdout.write(json.dumps(found, indent=2) + "\n")
    else:
        word = "every limit holds" if holds else "NOT every limit holds"
        sys.stdout.write(f"{word} ({about}{', quick' if given.quick else ''})\n")
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
