"""What the commands of ``vendctl decode`` share: bytes as they are typed, and their explanation."""

from __future__ import annotations

import json as json_

import typer

from drivers.explanation import Exchange
from drivers.explanation_table import show
from drivers.mdb.blocks import MdbBlockError
from drivers.mdb.hex_text import parse_hex


def given(option: str, text: str) -> bytes | None:
    """Return the bytes of an option; None where it was not given.

    Raises:
        typer.BadParameter: It is no hexadecimal.
    """
    try:
        return parse_hex(text) if text.strip() else None
    except MdbBlockError as error:
        raise typer.BadParameter(str(error), param_hint=option) from error


def tell(explanation: Exchange, *, json: bool) -> None:
    """Print an explanation.

    Raises:
        typer.Exit: With code 1, when something of it is wrong.
    """
    if json:
        typer.echo(json_.dumps(explanation.to_dict(), ensure_ascii=False, indent=2))
    else:
        show(explanation)
    if explanation.errors:
        raise typer.Exit(1)
