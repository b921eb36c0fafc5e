"""Draws the failure table: ``python -m controller.saga.failures_page > docs/failures.md``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import groupby
from typing import Final

from controller.saga.failure_cells import Cell
from controller.saga.failures import PARTS, TABLE
from controller.saga.strategy import Strategy

_HEAD: Final = """# Every failure

Drawn from `controller/saga/failures*.py` by `python -m controller.saga.failures_page`. Each row is
one cell per tender, and each cell ({cells} of them) is played by a test (`tests/failures`) on the
byte-real machine in virtual time, on both links; the test fails when this page is not what the
table says; where a cell is of one link alone, on that. The swarm counts cells by their keys:
failure/tender/phase, and the link of such a cell.

The column *compensated by* names what was done about it, as `vend.closed` has it:
{strategies}
"""

_STRATEGIES: Final = {
    Strategy.DISPENSING_FAILURE: "no product came: VEND FAILURE to the reader, the locked credit"
    " is free again, and all of it is paid out",
    Strategy.PARTIAL_DISPENSING: "a part came out and stands (a product, some of the coins); the"
    " rest is paid again with growing pauses, and what can't be paid by the deadline is a claim",
    Strategy.TIME_OUT: "an answer did not come: the request is cancelled; what may have happened"
    " all the same is presumed against the operator, flagged, and owed as a claim",
}

_LINKS: Final = {
    "native": "native link",
    "adapter": "adapter, which has acknowledged the answer",
}

_TABLE: Final = """
## {title}

| failure | tender | when | the customer gets | compensated by | journaled | the machine | flagged |
|---|---|---|---|---|---|---|---|
"""


def _what(cell: Cell) -> tuple[object, ...]:
    """Return all of a cell but its tender."""
    return (
        cell.failure, cell.phase, cell.gets, cell.then, cell.journaled, cell.flagged,
        cell.strategy, cell.link,
    )  # fmt: skip


def _rows(cells: tuple[Cell, ...]) -> Iterator[str]:
    for _, same in groupby(cells, _what):
        group = list(same)
        cell = group[0]
        tenders = ", ".join(each.tender for each in group)
        when = f"{cell.phase} ({_LINKS[cell.link]})" if cell.link else cell.phase
        journaled = ", ".join(f"`{name}`" for name in cell.journaled)
        yield (
            f"| {cell.failure} | {tenders} | {when} | {cell.gets} | {cell.strategy}"
            f" | {journaled} | {cell.then} | {'yes' if cell.flagged else ''} |"
        )


def page() -> str:
    """Return the whole document."""
    strategies = "\n".join(f"* *{name}*: {text}." for name, text in _STRATEGIES.items())
    parts = [_HEAD.format(cells=len(TABLE), strategies=strategies)]
    for title, cells in PARTS.items():
        parts.append(_TABLE.format(title=title) + "\n".join(_rows(cells)) + "\n")
    return "".join(parts)


if __name__ == "__main__":
    sys.stdout.write(page())
