"""``vendctl stock`` and ``vendctl price``: what is in the columns, and what it costs."""

from __future__ import annotations

from typing import Annotated, Any, Final

import typer

from controller.cli import screen
from controller.cli.amounts import full, parse, plain
from controller.cli.errors import CliError, Exit
from controller.cli.place import AsJson, ColumnName, act, ask, new_group

# controller.machine.commands.MAX_PRICE, whose module is not imported only for this
MAX_PRICE: Final = 9_999_999


def mount(app: typer.Typer) -> None:
    """Add the commands."""
    group = new_group("What is in the columns.", show)
    group.command("show")(show)
    group.command("fill")(fill)
    group.command("set")(set_)
    group.command("enable")(enable)
    group.command("disable")(disable)
    app.add_typer(group, name="stock")
    app.command("price")(price)


def show(context: typer.Context, json: AsJson = False) -> None:
    """Show every column: product, price, count."""
    stock = ask(context, "stock.show")
    if json:
        screen.as_json(stock)
        return
    currency = stock["currency"]
    screen.table(
        ("Column", "Product", f">Price {currency}", ">Count", ">Of", "State"),
        [_row(column, currency) for column in stock["columns"]],
    )


def _row(column: dict[str, Any], currency: str) -> tuple[screen.Cell, ...]:
    if column["disabled"]:
        state: screen.Cell = (f"disabled: {column['disabled']}", screen.BAD)
    elif column["count"] == 0:
        state = ("empty", screen.WARN)
    else:
        state = ("count is not certain", screen.WARN) if column["uncertain"] else ""
    if column["offer"] and not state:
        state = (f"{column['offer']}: was {plain(column['list_price'], currency)}", screen.GOOD)
    doubt = "≥ " if column["uncertain"] and column["count"] else ""
    return (
        column["column"],
        column["name"],
        plain(column["price"], currency),
        f"{doubt}{column['count']}",
        str(column["capacity"]),
        state,
    )


def fill(
    context: typer.Context,
    column: ColumnName = "",
    all_: Annotated[bool, typer.Option("--all", help="Every column was filled.")] = False,
    json: AsJson = False,
) -> None:
    """Book a column as filled to its capacity; --all for every column."""
    if bool(column) == all_:
        raise CliError("name one column, or say --all", Exit.USAGE)
    _counts(act(context, "stock.fill", column=column or None), json)


def set_(
    context: typer.Context,
    column: ColumnName,
    count: Annotated[int, typer.Argument(min=0, help="Products that are in it.")],
    json: AsJson = False,
) -> None:
    """Book a column's count."""
    _counts(act(context, "stock.set", column=column, count=count), json)


def _counts(answer: dict[str, Any], json: bool) -> None:
    if json:
        screen.as_json(answer)
        return
    for name, count in answer["stock"].items():
        screen.line(f"{name}: {count}")


def enable(context: typer.Context, column: ColumnName, json: AsJson = False) -> None:
    """Sell from a column again; its faults count as repaired."""
    answer = act(context, "stock.enable", column=column)
    if json:
        screen.as_json(answer)
        return
    columns = ask(context, "stock.show")["columns"]
    found = next((one for one in columns if one["column"] == column), None)
    if found is not None and found["disabled"]:
        screen.line((f"{column} is not sold yet: {found['disabled']}", screen.WARN))
    elif found is not None and not found["count"]:
        words = f"{column} is enabled; its count is 0: `vendctl stock fill {column}`"
        screen.line((words, screen.WARN))
    else:
        screen.line(f"{column} sells again")


def disable(
    context: typer.Context,
    column: ColumnName,
    reason: Annotated[str, typer.Option(help="Why; it ends in the journal.")],
    json: AsJson = False,
) -> None:
    """Sell no more from a column."""
    answer = act(context, "stock.disable", column=column, reason=reason)
    if json:
        screen.as_json(answer)
    else:
        screen.line(f"{column} is disabled: {reason}")


def price(
    context: typer.Context,
    column: ColumnName,
    amount: Annotated[
        str | None,
        typer.Argument(help="The new price, e.g. 1.50; none: show it.", show_default=False),
    ] = None,
    free: Annotated[bool, typer.Option("--free", help="A price of 0 is no slip.")] = False,
    json: AsJson = False,
) -> None:
    """Show or set a column's price; 0 only with --free."""
    stock = ask(context, "stock.show")
    currency = stock["currency"]
    if amount is None:
        found = [one for one in stock["columns"] if one["column"] == column]
        if not found:
            known = ", ".join(one["column"] for one in stock["columns"])
            raise CliError(f"no column {column!r}; there are {known}", Exit.NOT_FOUND)
        answer: dict[str, Any] = {"column": column, "price": found[0]["price"]}
        words = full(found[0]["price"], currency)
    else:
        wanted = parse(amount, currency)
        if not wanted and not free:
            raise CliError("a price of 0 gives it away: say --free", Exit.USAGE)
        if wanted > MAX_PRICE:
            raise CliError(f"a price is {full(MAX_PRICE, currency)} at most", Exit.USAGE)
        answer = act(context, "price.set", column=column, price=wanted)
        words = f"{full(answer['price'], currency)}, was {full(answer['before'], currency)}"
    if json:
        screen.as_json(answer)
    else:
        screen.line(f"{column}: {words}")
