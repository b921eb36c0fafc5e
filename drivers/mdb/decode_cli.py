"""``vendctl decode mdb``: every byte of an MDB exchange in words.

Hung into ``vendctl`` by the entry point ``vendctl.commands``, since the controller knows no wire.
Exit codes: 0 understood; 1 a checksum, a length or a code is wrong (what could be read is shown
all the same); 2 wrong arguments.
"""

from __future__ import annotations

import json as json_
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from drivers.mdb.blocks import MdbBlockError
from drivers.mdb.explain import Device, explain, parse_hex
from drivers.mdb.money import Scale, ScaleError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from drivers.mdb.explain import BlockExplanation, Explanation
    from drivers.mdb.explain_parts import Field

_WIDE = 400  # columns for a file or a pipe: nothing is folded

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def decode() -> None:
    """Explain bytes of a wire."""


@app.command("mdb")
def mdb(
    device: Annotated[Device, typer.Option(help="Who is on the peripheral's side.")],
    request: Annotated[
        str, typer.Option(metavar="HEX", help="What the machine sent; none: a POLL.")
    ] = "",
    response: Annotated[str, typer.Option(metavar="HEX", help="What came back.")] = "",
    level: Annotated[
        int | None,
        typer.Option(min=1, max=3, help="The level in use, where bytes alone don't tell."),
    ] = None,
    expanded: Annotated[
        bool, typer.Option("--expanded", help="Expanded currency mode of a card reader.")
    ] = False,
    no_checksum: Annotated[
        bool, typer.Option("--no-checksum", help="The bytes come without their checksum.")
    ] = False,
    scaling: Annotated[
        int | None, typer.Option(min=1, help="The device's scaling factor, to show amounts.")
    ] = None,
    decimals: Annotated[int, typer.Option(min=0, help="And its decimal places.")] = 2,
    currency: Annotated[str, typer.Option(help="Letters to write behind amounts.")] = "",
    json: Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")] = False,
) -> None:
    """Explain a request and its answer, given as on the wire, checksums included.

    Hexadecimal pairs in any form: "0B 0B", 0B0B, 0x0B,0x0B.
    """
    try:
        scale = None if scaling is None else Scale(scaling, decimals)
        explanation = explain(
            device,
            _bytes("--request", request),
            _bytes("--response", response),
            level=level,
            expanded=expanded,
            checksum=not no_checksum,
            scale=scale,
            currency=currency,
        )
    except (MdbBlockError, ScaleError) as error:
        raise typer.BadParameter(str(error)) from error
    if json:
        typer.echo(json_.dumps(explanation.to_dict(), ensure_ascii=False, indent=2))
    else:
        _show(explanation)
    if explanation.errors:
        raise typer.Exit(1)


def _bytes(option: str, text: str) -> bytes | None:
    try:
        return parse_hex(text) if text.strip() else None
    except MdbBlockError as error:
        raise typer.BadParameter(str(error), param_hint=option) from error


def _show(explanation: Explanation) -> None:
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
