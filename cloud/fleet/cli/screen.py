"""What an operator reads: tables for people, JSON for programs, amounts in main units."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from textwrap import fill as fold
from typing import Any

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from cloud.contract.journal import Money

GOOD, BAD, WARN, DIM, BOLD = "green", "bold red", "yellow", "dim", "bold"
Cell = str | tuple[str, str]
_WIDE = 400  # columns for a file or a pipe: nothing is folded


def console() -> Console:
    """Return where people read."""
    width = None if sys.stdout.isatty() else _WIDE
    return Console(highlight=False, markup=False, emoji=False, width=width)


def _cell(value: Cell) -> Text:
    words, style = (value, "") if isinstance(value, str) else value
    # What machines sent can't do anything to a terminal.
    return Text("".join(c if c.isprintable() else "�" for c in words), style=style)


def table(heads: Sequence[str], rows: Sequence[Sequence[Cell]], nothing: str) -> None:
    """Print a table, or ``nothing`` when it is empty. ``>`` before a head: figures.

    Where a terminal is too narrow for its words, each row is a block: a cell a line, with its head.
    """
    if not rows:
        console().print(_cell((nothing, DIM)))
        return
    grid = Table(box=None, header_style=BOLD, pad_edge=False, padding=(0, 2, 0, 0))
    for place, head in enumerate(heads):
        figures, name = head.startswith(">"), head.removeprefix(">")
        widest = max(len(name), *(_cell(row[place]).cell_len for row in rows))
        grid.add_column(
            name,
            justify="right" if figures else "left",
            no_wrap=figures,
            min_width=widest if figures else None,
        )
    for row in rows:
        grid.add_row(*(_cell(cell) for cell in row))
    out = console()
    if Measurement.get(out, out.options.update(max_width=_WIDE), grid).minimum <= out.width:
        out.print(grid)
        return
    for number, row in enumerate(rows):
        if number:
            out.print()
        out.print(_block(heads, row))


def _block(heads: Sequence[str], row: Sequence[Cell]) -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style=BOLD, no_wrap=True)
    grid.add_column(overflow="fold")
    for head, value in zip(heads, row, strict=True):
        if value and value[0]:
            grid.add_row(head.removeprefix(">"), _cell(value))
    return grid


def as_json(value: Any) -> None:
    """Print a value for programs."""
    json.dump(value, sys.stdout, ensure_ascii=False, indent=2, default=str)
    sys.stdout.write("\n")


def as_json_line(value: Any) -> None:
    """Print a value as one line, at once."""
    print(json.dumps(value, ensure_ascii=False, default=str), flush=True)


def say(text: str) -> None:
    """Say something beside the answer."""
    print(text, file=sys.stderr)


def error(text: str) -> None:
    """Say what went wrong, beside the answer; on a terminal folded between words."""
    if sys.stderr.isatty():
        width = shutil.get_terminal_size().columns
        text = "\n".join(
            fold(one, width, break_long_words=False, break_on_hyphens=False)
            for one in text.splitlines()
        )
    print(text, file=sys.stderr)


def amount(minor: int, currency: str) -> str:
    """Return an amount in main units with its currency; minor units where none is known."""
    return str(Money(minor, currency)) if currency else str(minor)


def at(ms: int | None) -> str:
    """Return a time."""
    if not ms:
        return ""
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
