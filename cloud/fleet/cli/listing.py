"""A listing may be long: what it leaves out is counted, and never left out in silence."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from cloud.fleet.cli import screen
from cloud.fleet.reports import Page

LINES: Final = 200  # that a person is told unasked

Limit = Annotated[
    int | None,
    typer.Option(
        "--limit",
        min=1,
        max=2**31,
        help=f"At most so many lines, what is open first; else {LINES}, and in JSON all.",
        show_default=False,
    ),
]


def most(limit: int | None, *, json: bool) -> int | None:
    """Return how many lines are asked for; None: all of them."""
    return limit if limit or json else LINES


def as_json(lines: Page, limit: int | None) -> None:
    """Print lines for programs: a list of all of them, or with a limit how many there are, too."""
    screen.as_json(lines if limit is None else {"total": lines.total, "lines": lines})


def more(lines: Page) -> None:
    """Say how many lines are not shown, if any."""
    if lines.more:
        screen.line((f"and {lines.more} more: --limit {lines.total} shows all", screen.WARN))
