"""The figures of a run as a page for ``docs/``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from benchmarks.report import COLUMNS, Table

_HEAD: Final = """# Benchmarks

What `./run bench` measured last; `./run bench --write docs/benchmarks.md` writes this page. Each
figure stands beside its limit, and beside its peer or floor measured in the same run; the command
fails if a limit is missed. One of them alone: `./run bench NAME`; a shorter look: `--quick`; for
machines: `--json`.

The times are those of a quiet machine: how much of its processors others used meanwhile stands
with each table. The disk matters, too: `--folder` names a folder on another one (never one in
memory).
"""


def page(tables: Sequence[Table], about: str) -> str:
    """Return the page."""
    return "\n".join([_HEAD, f"Measured on {about}.", "", *(_section(table) for table in tables)])


def _section(table: Table) -> str:
    rule = "|".join("---:" if at in (1, 2) else "---" for at in range(len(COLUMNS)))
    lines = [
        f"## {table.name}: {table.title}",
        "",
        f"{table.how[0].upper()}{table.how[1:]}",
        f"Others used {table.others:.0%} of the machine meanwhile.",
        "",
        f"| {' | '.join(COLUMNS)} |",
        f"|{rule}|",
        *(f"| {' | '.join(row.cells())} |" for row in table.rows),
        "",
    ]
    return "\n".join(lines)
