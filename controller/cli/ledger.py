"""``vendctl ledger``: every account, and that they balance."""

from __future__ import annotations

from typing import Annotated

import typer

from controller.cli import screen
from controller.cli.amounts import full, plain
from controller.cli.place import AsJson, ask


def mount(app: typer.Typer) -> None:
    """Add the command."""
    app.command("ledger")(show)


def show(
    context: typer.Context,
    all_: Annotated[bool, typer.Option("--all", help="Accounts at zero, too.")] = False,
    json: AsJson = False,
) -> None:
    """Show the trial balance: what is in the machine, what is owed, what was earned."""
    ledger = ask(context, "ledger.show")
    if json:
        screen.as_json(ledger)
        return
    currency = ledger["currency"]
    rows: list[tuple[screen.Cell, ...]] = [
        (
            row["account"],
            plain(row["debit"], currency) if row["debit"] else "",
            plain(row["credit"], currency) if row["credit"] else "",
        )
        for row in ledger["accounts"]
        if all_ or row["debit"] or row["credit"]
    ]
    balanced = ledger["debit"] == ledger["credit"]
    style = screen.BOLD if balanced else screen.BAD
    rows.append(
        (
            ("balanced" if balanced else "DOES NOT BALANCE", style),
            (plain(ledger["debit"], currency), style),
            (plain(ledger["credit"], currency), style),
        )
    )
    screen.table(("Account", f">Debit {currency}", ">Credit"), rows)
    print()
    screen.fields(
        [
            ("In the machine", full(ledger["cash"], currency)),
            ("Owed to customers", full(ledger["owed"], currency)),
            *(
                (row["account"], screen.many(abs(row["pieces"]), "token"))
                for row in ledger["tokens"]
                if row["pieces"]
            ),
            ("After record", str(ledger["seq"])),
        ]
    )
