"""``vendctl collect``: the cash that was taken out, counted against what must have been there."""

from __future__ import annotations

from typing import Annotated, Any, Final

import typer

from controller.cli import screen
from controller.cli.amounts import full, parse, plain
from controller.cli.errors import CliError, Exit
from controller.cli.place import AsJson, act, ask

_PLACES: Final = (("cashbox", "Cash box"), ("stacker", "Stacker"), ("recycler", "Recycler"))


_OPENING: Final = "of it in bills from before the first start: an opening balance, no surplus"


def mount(app: typer.Typer) -> None:
    """Add the command."""
    app.command("collect")(collect)


def collect(
    context: typer.Context,
    cashbox: Annotated[
        str | None, typer.Option(help="Counted in the cash box, e.g. 12.50.", show_default=False)
    ] = None,
    stacker: Annotated[
        str | None, typer.Option(help="Counted in the stacker, e.g. 40.00.", show_default=False)
    ] = None,
    bills: Annotated[
        int | None, typer.Option(min=0, help="How many bills that were.", show_default=False)
    ] = None,
    recycler: Annotated[
        str | None,
        typer.Option(help="Taken out of the recycler, if it was emptied.", show_default=False),
    ] = None,
    tokens: Annotated[
        int | None, typer.Option(min=0, help="Vend tokens in the cash box.", show_default=False)
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Book without asking.")] = False,
    json: AsJson = False,
) -> None:
    """Book cash box and stacker as emptied: asks for what was counted, shows the difference."""
    status = ask(context, "status")
    currency, cash = status["currency"], status["cash"]
    for amount in (cashbox, stacker, recycler):
        if amount is not None:
            parse(amount, currency)  # before anything is asked
    told = None not in (cashbox, stacker, bills)
    if not told:
        if json:
            raise CliError("with --json, say --cashbox, --stacker and --bills", Exit.USAGE)
        stacked = f"{full(cash['stacker'], currency)} ({stacked_bills(cash)})"
        screen.fields(
            [
                ("Expected in the cash box", full(cash["cashbox"], currency)),
                ("Expected in the stacker", stacked),
            ]
        )
    try:
        if cashbox is None:
            cashbox = typer.prompt(f"Counted in the cash box ({currency})")
        if stacker is None:
            stacker = typer.prompt(f"Counted in the stacker ({currency})")
        if bills is None:
            bills = typer.prompt("How many bills", type=int)
    except typer.Abort as aborted:
        text = "nothing was booked; to be asked nothing, say --cashbox, --stacker and --bills"
        raise CliError(text, Exit.USAGE) from aborted
    box, stack = parse(cashbox, currency), parse(stacker, currency)
    if stack and not bills:
        raise CliError(f"{full(stack, currency)} in the stacker, but in no bill", Exit.USAGE)
    emptied = {} if recycler is None else {"recycler": parse(recycler, currency)}
    difference = box + stack - cash["cashbox"] - cash["stacker"]
    difference += sum(amount - cash[name] for name, amount in emptied.items())
    opening = max(0, stack - cash["stacker"]) if cash["bills_unknown"] and bills else 0
    difference -= opening
    if not (yes or json):
        if opening:
            screen.line(f"{full(opening, currency)} {_OPENING}")
        if difference:
            words = f"{'More' if difference > 0 else 'Less'} than expected"
            screen.line((f"{words}: {full(abs(difference), currency)}", screen.WARN))
        typer.confirm("Book it", abort=True)
    expected = sum(cash[name] for name in ("cashbox", "stacker", *emptied))
    answer = act(
        context,
        "collect",
        cashbox=box,
        stacker=stack,
        bills=bills,
        tokens=tokens,
        expected=expected,
        **emptied,
    )
    if json:
        screen.as_json(answer)
        return
    _booked(answer, currency)


def _booked(answer: dict[str, Any], currency: str) -> None:
    screen.table(
        ("", f">Counted {currency}", ">Expected", ">Difference"),
        [
            (
                words,
                plain(answer[name]["counted"], currency),
                plain(answer[name]["expected"], currency),
                _signed(
                    answer[name]["counted"]
                    - answer[name]["expected"]
                    - answer[name].get("opening", 0),
                    currency,
                ),
            )
            for name, words in _PLACES
            if name in answer
        ],
    )
    if answer["stacker"].get("opening"):
        screen.line(f"{full(answer['stacker']['opening'], currency)} {_OPENING}")
    if "tokens" in answer:
        counted, expected = answer["tokens"]["counted"], answer["tokens"]["expected"]
        screen.line(f"{screen.many(counted, 'token')}, expected {expected}")


def stacked_bills(cash: dict[str, Any]) -> str:
    """Return how many bills are in the stacker, and of how many nobody knows the value."""
    bills = screen.many(cash["bills"], "bill")
    return f"{bills}, {cash['bills_unknown']} of unknown value" if cash["bills_unknown"] else bills


def _signed(difference: int, currency: str) -> screen.Cell:
    if not difference:
        return (plain(0, currency), screen.GOOD)
    return (f"{'+' if difference > 0 else ''}{plain(difference, currency)}", screen.BAD)
