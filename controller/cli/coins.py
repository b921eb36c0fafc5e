"""``vendctl coins``: the changer's tubes."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer

from controller.cli import screen
from controller.cli.amounts import full, parse, plain
from controller.cli.credit import paid
from controller.cli.place import AsJson, act, ask, new_group
from controller.cli.screen import Cell


class Switch(StrEnum):
    """On or off."""

    ON = "on"
    OFF = "off"


def mount(app: typer.Typer) -> None:
    """Add the commands."""
    group = new_group("The coin changer's tubes.", tubes)
    group.command("tubes")(tubes)
    group.command("count")(count)
    group.command("payout")(payout)
    group.command("fill")(fill)
    group.command("pour", context_settings={"ignore_unknown_options": True})(pour)
    app.add_typer(group, name="coins")


def tubes(context: typer.Context, json: AsJson = False) -> None:
    """Show what is in the tubes."""
    coins = ask(context, "coins.show")
    if json:
        screen.as_json(coins)
        return
    currency = coins["currency"]
    screen.table(
        (">Type", f">Value {currency}", ">Coins", f">Total {currency}", ""),
        [
            (
                str(tube["type"]),
                plain(tube["value"], currency) if tube["value"] else "token",
                str(tube["count"]) if tube["in_tube"] else "",
                plain(tube["total"], currency) if tube["in_tube"] else "",
                _state(tube),
            )
            for tube in coins["tubes"]
        ],
    )
    _bills(coins)
    where = "tubes and recycler" if coins["bills"] else "tubes"
    screen.line((f"{full(coins['total'], currency)} in the {where}", screen.BOLD))
    if coins["state"] != "ready":
        screen.line((f"the changer is {coins['state']}: as last known", screen.WARN))
    if coins["exact_change_only"]:
        screen.line(("exact change only", screen.WARN))


def _state(tube: dict[str, Any]) -> Cell:
    if tube["defective"]:
        return "defective, says its device: it pays nothing", screen.BAD
    return "" if tube["in_tube"] else ("to the cash box", screen.DIM)


def _bills(coins: dict[str, Any]) -> None:
    currency = coins["currency"]
    if not coins["bills"]:
        return
    screen.table(
        (">Bill", f">Value {currency}", ">Bills", f">Total {currency}", ""),
        [
            (
                str(bill["type"]),
                plain(bill["value"], currency),
                str(bill["count"]),
                plain(bill["total"], currency),
                _state(bill),
            )
            for bill in coins["bills"]
        ],
    )


def count(context: typer.Context, json: AsJson = False) -> None:
    """Ask the changer for its counts, and book what differs from the journal."""
    answer = act(context, "coins.count")
    if json:
        screen.as_json(answer)
    else:
        tubes(context)


def payout(
    context: typer.Context,
    amount: Annotated[str, typer.Argument(help="E.g. 5.00.")],
    json: AsJson = False,
) -> None:
    """Pay coins out to staff; in service mode."""
    currency = ask(context, "coins.show")["currency"]
    paid(act(context, "coins.payout", amount=parse(amount, currency)), currency, json)


def pour(
    context: typer.Context,
    value: Annotated[str, typer.Argument(help="The coin, e.g. 0.50.")],
    count: Annotated[int, typer.Argument(help="How many; negative: taken out.")],
    json: AsJson = False,
) -> None:
    """Book coins put into a hopper by hand, which can't count them; in service mode."""
    currency = ask(context, "coins.show")["currency"]
    answer = act(context, "coins.pour", value=parse(value, currency), count=count)
    if json:
        screen.as_json(answer)
        return
    tubes(context)


def fill(
    context: typer.Context,
    switch: Annotated[Switch, typer.Argument(help="on: coins go to the tubes and are no credit.")],
    json: AsJson = False,
) -> None:
    """Fill the tubes through the coin slot; in service mode."""
    answer = act(context, "coins.fill", on=switch is Switch.ON)
    if json:
        screen.as_json(answer)
        return
    currency = ask(context, "coins.show")["currency"]
    words = "insert coins now" if answer["fill_mode"] else "fill mode ended"
    screen.line(f"{words}; {full(answer['tubes'], currency)} in the tubes")
