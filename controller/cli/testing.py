"""``vendctl vend test`` and ``vendctl motor test``: does it turn, does it drop?"""

from __future__ import annotations

from typing import Any

import typer

from controller.cli import screen
from controller.cli.errors import Exit
from controller.cli.place import AsJson, ColumnName, act

_GOOD = ("tested", "dropped", "done")


def mount(app: typer.Typer) -> None:
    """Add the commands."""
    for name, words, command in (
        ("vend", "Test vends.", vend),
        ("motor", "Test a motor.", motor),
    ):
        group = typer.Typer(help=words, no_args_is_help=True, rich_markup_mode=None)
        group.command("test")(command)
        app.add_typer(group, name=name)


def vend(context: typer.Context, column: ColumnName, json: AsJson = False) -> None:
    """Deliver one product without payment, through all steps of a sale; in service mode."""
    _tell(act(context, "vend.test", column=column), column, json)


def motor(context: typer.Context, column: ColumnName, json: AsJson = False) -> None:
    """Turn a column's motor once and say what the sensors saw; in service mode."""
    _tell(act(context, "motor.test", column=column), column, json)


def _tell(answer: dict[str, Any], column: str, json: bool) -> None:
    result = str(answer.get("outcome") or answer.get("result") or "done")
    if json:
        screen.as_json(answer)
    else:
        more = [
            f"{name.replace('_', ' ')} {value}"
            for name, value in answer.items()
            if name not in ("outcome", "result", "column") and value not in ("", None, [])
        ]
        screen.line(f"{column}:", (result, screen.GOOD if result in _GOOD else screen.BAD))
        if more:
            screen.line((", ".join(more), screen.DIM))
    if result not in _GOOD:
        raise typer.Exit(Exit.NO)
