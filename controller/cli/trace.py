"""``vendctl trace``: each cent's way, from where it came in to where it is."""

from __future__ import annotations

from typing import Annotated, Any, Final

import typer

from controller.cli import screen
from controller.cli.amounts import full, plain
from controller.cli.place import AsJson
from controller.cli.source import FromFolder, source

_PLACES: Final = {
    "earned": screen.GOOD,
    "claimed": screen.BAD,
    "owed": screen.BAD,
    "held": screen.WARN,
    "credit": screen.WARN,
    "escrow": screen.WARN,
}


def mount(app: typer.Typer) -> None:
    """Add the command."""
    app.command("trace")(show)


def show(
    context: typer.Context,
    seq: Annotated[
        int,
        typer.Argument(
            min=1, metavar="RECORD", help="A vend (any of its records), or what took money in."
        ),
    ],
    folder: FromFolder = None,
    json: AsJson = False,
) -> None:
    """Follow money: of one coin or bill, or all that one vend used."""
    with source(context, folder) as journal:
        trace = journal.trace(seq)
    if json:
        screen.as_json(trace)
        return
    currency = trace["currency"]
    if (vend := trace["vend"]) is not None:
        _vend(vend, currency)
    if not trace["ways"]:
        screen.line("no money was moved")
    for number, way in enumerate(trace["ways"]):
        if number or vend is not None:
            print()
        _way(way, currency)


def _why(step: dict[str, Any], currency: str) -> str:
    coins = step.get("coins", ())
    words = ", ".join(f"{count} × {plain(value, currency)}" for value, count in coins)
    if sum(value * count for value, count in coins) != step["amount"] and words:
        words += " in all"
    return ": ".join(part for part in (step["words"], words) if part)


def _vend(vend: dict[str, Any], currency: str) -> None:
    what = (
        f"{vend['selection']} for {full(vend['price'], currency)}"
        if vend["kind"] == "vend"
        else "credit returned"
    )
    words = [f"Vend {vend['vend']}: {what}, {vend['result']}"]
    if vend["paid_back"]:
        words.append(f"{full(vend['paid_back'], currency)} paid back")
    if vend["claimed"]:
        words.append(f"{full(vend['claimed'], currency)} claimed")
    screen.line((", ".join((*words, *vend["flags"])), screen.BOLD))


def _way(way: dict[str, Any], currency: str) -> None:
    screen.line((f"{full(way['amount'], currency)} in {way['origin']}, record {way['lot']}", ""))
    screen.table(
        (">Record", "Time", f">{currency}", "From", "To", "Why"),
        [
            (
                str(step["seq"]),
                (step["at"][11:19], screen.DIM),
                plain(step["amount"], currency),
                step["source"],
                (step["target"], _PLACES.get(step["target"], "")),
                _why(step, currency),
            )
            for step in way["steps"]
        ],
    )
    now = ", ".join(f"{plain(amount, currency)} {place}" for place, amount in way["now"].items())
    screen.line("now:", (now, screen.BOLD))
