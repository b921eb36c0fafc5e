"""An explanation as a table on a terminal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from drivers.explanation import BlockExplanation, Exchange, Field

_WIDE: Final = 400
"""Columns for a file or a pipe: nothing is folded."""


def show(explanation: Exchange) -> None:
    """Print both blocks, errors and notes last."""
    from rich.console import Console  # noqa: PLC0415 - 40 ms that --json does not spend

    width = None if sys.stdout.isatty() else _WIDE
    console = Console(highlight=False, markup=False, emoji=False, width=width)
    blocks = [one for one in (explanation.request, explanation.response) if one is not None]
    for number, block in enumerate(blocks):
        if number:
            console.print()
        _block(console, block)


def _block(console: Console, block: BlockExplanation) -> None:
    from rich.text import Text  # noqa: PLC0415 - as above

    head = Text.assemble((block.direction, "dim"), "  ", (block.name, "bold"))
    if block.meaning:
        head.append(f"  {block.meaning}")
    console.print(head)
    table = _table()
    for part in block.parts:
        lone = len(part.fields) == 1
        if not lone:
            table.add_row("", Text(part.name, "bold"), "", "", Text(part.meaning))
        for field in part.fields:
            name = part.name if lone else f"  {field.name}"
            meaning = field.meaning or (part.meaning if lone else "")
            table.add_row(*_row(field, Text(name, "bold" if lone else ""), meaning))
    console.print(table)
    for error in block.errors:
        console.print(Text(f"error: {error}", "bold red"))
    for note in block.notes:
        console.print(Text(f"note: {note}", "yellow"))


def _table() -> Table:
    from rich.table import Table  # noqa: PLC0415 - as above

    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("Bytes", overflow="fold", max_width=24)
    table.add_column("Field")
    table.add_column("Raw", justify="right", overflow="fold", max_width=24)
    table.add_column("Amount", justify="right", no_wrap=True)
    table.add_column("Meaning")
    return table


def _row(field: Field, name: Text, meaning: str) -> tuple[Text, ...]:
    from rich.text import Text  # noqa: PLC0415 - as above

    return (
        Text(field.bytes),
        name,
        Text("" if field.raw is None else str(field.raw)),
        Text(field.scaled or ""),
        Text(meaning, "bold red" if meaning.startswith("wrong") else ""),
    )
