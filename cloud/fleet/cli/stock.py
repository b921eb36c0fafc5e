"""``vendcloud stock``: what is in the columns, when it is time, and what to bring."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from cloud.fleet import reports, stock_rules
from cloud.fleet.cli import screen
from cloud.fleet.cli.place import BOOKS, AnyMachine, AsJson, MachineName, address_of, ask, run


def mount(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="What is in the columns, and what to bring.")
    group.callback(invoke_without_command=True)(show)
    group.command("picklist")(picklist)
    rule = typer.Typer(help="To how many a column is filled, and when.", no_args_is_help=True)
    rule.command("set")(set_)
    rule.command("list")(list_)
    group.add_typer(rule, name="rule")
    app.add_typer(group, name="stock", rich_help_panel=BOOKS)


def show(context: typer.Context, machine: AnyMachine = "", json: AsJson = False) -> None:
    """Show what is in the columns."""
    if context.invoked_subcommand is not None:
        return
    lines = ask(context, machine, reports.stock)
    if json:
        screen.as_json(lines)
        return
    screen.table(
        ("Machine", "Column", "Product", ">Price", ">Left", ">Bring", "State"),
        [
            (
                _name(line),
                line["column"],
                line["product"],
                _price(line),
                str(line["left"]),
                str(line["bring"] or ""),
                (line["disabled"], screen.BAD)
                if line["disabled"]
                else ("reorder", screen.WARN)
                if line["reorder"]
                else "",
            )
            for line in lines
        ],
        "no columns are known yet",
    )


def _price(line: dict[str, Any]) -> str:
    """Return what a column asks; nothing before a record has told it."""
    if not line["price"] and not line["product"]:
        return ""
    return screen.amount(line["price"], line["currency"])


def _name(line: dict[str, Any]) -> str:
    return f"{line['tenant']}/{line['machine']}"


def set_(
    context: typer.Context,
    machine: MachineName,
    column: Annotated[str, typer.Argument(help="For example A1.")],
    par: Annotated[int, typer.Option("--par", help="It is filled to so many.")],
    reorder: Annotated[int, typer.Option("--reorder", help="It is time when so many are left.")],
    json: AsJson = False,
) -> None:
    """Say to how many a column is filled, and when it is time."""
    address = address_of(machine)
    run(
        context,
        lambda database, _: stock_rules.set_rule(database, address, column, par, reorder),
    )
    if json:
        screen.as_json({"machine": str(address), "column": column, "par": par, "reorder": reorder})
    else:
        screen.note(f"{address} {column}: filled to {par}, time at {reorder}")


def list_(context: typer.Context, machine: AnyMachine = "", json: AsJson = False) -> None:
    """Show the rules."""
    lines = ask(context, machine, stock_rules.rules)
    if json:
        screen.as_json(lines)
        return
    screen.table(
        ("Machine", "Column", ">Par", ">Reorder at"),
        [(_name(line), line["column"], str(line["par"]), str(line["reorder"])) for line in lines],
        "no rules yet: `vendcloud stock rule set`",
    )


def picklist(
    context: typer.Context,
    machine: AnyMachine = "",
    every: Annotated[
        bool, typer.Option("--all", help="Machines, too, where it is not time yet.")
    ] = False,
    json: AsJson = False,
) -> None:
    """Show what to bring to which machine."""
    found = ask(
        context,
        machine,
        lambda database, address: stock_rules.pick_list(database, address, every=every),
    )
    if json:
        screen.as_json(found)
        return
    screen.table(
        ("Machine", "Product", ">Bring", "Into"),
        [
            (
                _name(line),
                product,
                str(count),
                ", ".join(
                    f"{column['column']} ({column['left']} left)"
                    for column in line["columns"]
                    if column["product"] == product
                ),
            )
            for line in found
            for product, count in line["products"].items()
        ],
        "nothing is to be brought anywhere",
    )
