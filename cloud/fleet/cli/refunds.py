"""``vendcloud refunds``: what payers get back from whoever took their money, and what they got."""

from __future__ import annotations

from typing import Annotated

import typer

from cloud.fleet import refunds
from cloud.fleet.cli import listing, screen
from cloud.fleet.cli.listing import Limit
from cloud.fleet.cli.place import BOOKS, AnyMachine, AsJson, MachineName, address_of, ask, run
from cloud.fleet.cli.reports import All, named, opened
from cloud.fleet.now import now_ms
from cloud.fleet.reported import WORDS


def mount(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="What payers' operators have to give back.")
    group.callback(invoke_without_command=True)(show)
    group.command("end")(end)
    app.add_typer(group, name="refunds", rich_help_panel=BOOKS)


def show(
    context: typer.Context,
    machine: AnyMachine = "",
    every: All = False,
    limit: Limit = None,
    json: AsJson = False,
) -> None:
    """Show what machines have asked for, and could not pay themselves."""
    if context.invoked_subcommand is not None:
        return
    lines = ask(
        context,
        machine,
        lambda database, address: refunds.refunds(
            database, address, ended=every, limit=listing.most(limit, json=json)
        ),
    )
    if json:
        listing.as_json(lines, limit)
        return
    screen.table(
        ("Asked", "Machine", ">Refund", ">Vend", ">Amount", "Tender", "Payment", "Reason", "State"),
        [
            (
                opened(line),
                named(line),
                str(line["refund"]),
                str(line["vend"] or ""),
                screen.amount(line["amount"], line["currency"]),
                line["tender"],
                line["reference"],
                line["reason"],
                (f"ended: {line['how']}", screen.GOOD)
                if line["ended_ms"]
                else (WORDS if line["state"] == "reported" else line["state"], screen.WARN),
            )
            for line in lines
        ],
        "nothing is to be given back",
    )
    listing.more(lines)


def end(
    context: typer.Context,
    machine: MachineName,
    payment: Annotated[str, typer.Argument(help="As `vendcloud refunds` names it.")],
    how: Annotated[str, typer.Option("--how", help="How it went back.")],
    tender: Annotated[
        str, typer.Option("--tender", help="What was paid with, where two share a reference.")
    ] = "",
    json: AsJson = False,
) -> None:
    """Say that a payment went back to who made it."""
    address = address_of(machine)
    amount = run(
        context,
        lambda database, _: refunds.end(database, address, payment, how, now_ms(), tender=tender),
    )
    if json:
        screen.as_json({"machine": machine, "reference": payment, "amount": amount, "how": how})
    else:
        screen.note(f"the refund of {payment} has ended: {how}")
