"""``vendctl vend test`` and ``vendctl motor test``: does it turn, does it drop?"""

from __future__ import annotations

from typing import Any, Final

import typer

from controller.cli import screen
from controller.cli.errors import Exit
from controller.cli.place import AsJson, ColumnName, act

_GOOD: Final = ("tested", "dropped")


def mount(app: typer.Typer) -> None:
    """Add the commands."""
    for name, words, command in (
        ("vend", "Test vends.", vend),
        ("motor", "Test a motor.", motor),
    ):
        group = typer.Typer(help=words, no_args_is_help=True)
        group.command("test")(command)
        app.add_typer(group, name=name)


def vend(context: typer.Context, column: ColumnName, json: AsJson = False) -> None:
    """Deliver one product without payment, through all steps of a sale; in service mode."""
    answer = act(context, "vend.test", column=column)
    turns = [f"{turn['column']} {turn['outcome']}" for turn in answer.get("turns", ())]
    why = answer.get("reason", "")
    result = f"failed: {why}" if why else answer["result"]
    _tell(answer, result, [f"vend {answer['vend']}", *turns], column, json)


def motor(context: typer.Context, column: ColumnName, json: AsJson = False) -> None:
    """Turn a column's motor once and say what the sensors saw; in service mode."""
    answer = act(context, "motor.test", column=column)
    details = [
        f"on for {answer.get('run_ms', 0)} ms",
        screen.many(answer.get("drops", 0), "drop"),
        answer.get("detail", ""),
    ]
    _tell(answer, answer["outcome"], details, column, json)


def _tell(answer: dict[str, Any], result: str, details: list[str], column: str, json: bool) -> None:
    good = result in _GOOD
    if json:
        screen.as_json(answer)
    else:
        screen.line(f"{column}:", (result, screen.GOOD if good else screen.BAD))
        screen.line((", ".join(detail for detail in details if detail), screen.DIM))
    if not good:
        raise typer.Exit(Exit.NO)
