"""What the commands share: where the machine is, how money is read and shown, how JSON is."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from controller.money import Money
from simulator.client import SimClient, SimulatorError
from simulator.shapes import Hello, Shape

CONTROL_NAME: Final = "vendsim.sock"
DEFAULT_HOME: Final = Path("~/.local/state/vendd/demo")

Home = Annotated[
    Path,
    typer.Option(
        "--dir",
        envvar="VENDSIM_DIR",
        help="The machine's folder: `machine.home`, or what `vendsim machine --dir` was given.",
        show_default=str(DEFAULT_HOME),
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON value instead of words.")]

_MAIN_UNITS: Final = re.compile(r"\D{0,3}(\d+)[.,](\d+)\D{0,3}")
_MINOR_UNITS: Final = re.compile(r"\d+")


def connect(home: Path) -> SimClient:
    """Connect to the machine of a folder. Raises SimulatorError."""
    return SimClient(home.expanduser() / CONTROL_NAME)


def show_json(value: Any) -> None:
    """Print a JSON value in one line."""
    print(json.dumps(_plain(value), ensure_ascii=False), flush=True)


def _plain(value: Any) -> Any:
    if isinstance(value, Shape):
        return value.model_dump(mode="json")
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    return value


def read_amount(text: str, hello: Hello, known: Sequence[int], what: str) -> int:
    """Read an amount as people type it: ``150`` in minor units, or ``1.50``.

    Args:
        text: What was typed.
        hello: Knows the currency.
        known: The values there are; an empty sequence takes any.
        what: "coin" or "bill", for the error.

    Raises:
        SimulatorError: It is no amount, or not one of ``known``; says which there are.
    """
    value = None
    if _MINOR_UNITS.fullmatch(text):
        value = int(text)
    elif (match := _MAIN_UNITS.fullmatch(text)) and len(match[2]) == hello.decimals:
        value = int(match[1] + match[2])
    if value is None or (known and value not in known):
        shown = ", ".join(f"{coin} ({show_amount(coin, hello)})" for coin in known)
        raise SimulatorError(
            f"no {what} {text!r}; give minor units, or an amount as 1.50. "
            f"There are: {shown or 'any'}"
        )
    return value


def show_amount(value: int, hello: Hello) -> str:
    """Return an amount as people read it."""
    return str(Money(value, hello.currency))
