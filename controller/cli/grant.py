"""``vendctl grant``: free vends, and credit that was paid in an app; each runs once for its id."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from controller.cli import screen
from controller.cli.amounts import full, parse, plain
from controller.cli.place import AsJson, ColumnName, act, ask, new_group

GrantId = Annotated[
    str, typer.Argument(metavar="ID", help="Whatever names it: the same one never runs twice.")
]
Lives = Annotated[float, typer.Option(help="Seconds it waits for its customer.")]


def mount(app: typer.Typer) -> None:
    """Add the commands."""
    group = new_group("Free vends, app credit and tokens that wait for their customer.", list_)
    group.command("list")(list_)
    group.command("app")(app_credit)
    group.command("free")(free)
    group.command("end")(end)
    app.add_typer(group, name="grant")


def list_(context: typer.Context, json: AsJson = False) -> None:
    """Show what waits."""
    credit = ask(context, "credit.show")
    rights = credit["rights"]
    if json:
        screen.as_json(rights)
    elif rights:
        screen.table(
            (">Record", "Kind", f">{credit['currency']}", "Column", "Id", "State"),
            [
                (
                    str(one["seq"]),
                    one["kind"],
                    plain(one["amount"], credit["currency"]) if one["amount"] else "",
                    one["column"] or "any",
                    one["id"],
                    f"used by vend {one['vend']}" if one["vend"] else "waits",
                )
                for one in rights
            ],
        )
    else:
        screen.line("nothing waits")


def app_credit(
    context: typer.Context,
    id_: GrantId,
    amount: Annotated[str, typer.Argument(help="What was paid in the app, e.g. 1.50.")],
    column: ColumnName,
    lives: Lives = 300.0,
    json: AsJson = False,
) -> None:
    """Give credit for one vend of a column; what is not used goes back to the app."""
    currency = ask(context, "credit.show")["currency"]
    answer = act(
        context,
        "grant.app",
        grant=id_,
        amount=parse(amount, currency),
        lives_s=lives,
        column=column,
    )
    what = f"{full(answer['amount'], currency)} for {answer['column']}"
    _tell(answer, what, json)


def free(
    context: typer.Context,
    id_: GrantId,
    reason: Annotated[str, typer.Option(help="Why; it ends in the journal.")],
    column: Annotated[str, typer.Option(help="Only this column.")] = "",
    lives: Lives = 300.0,
    json: AsJson = False,
) -> None:
    """Let the next customer have one product for nothing."""
    answer = act(context, "grant.free", grant=id_, lives_s=lives, reason=reason, column=column)
    _tell(answer, f"a free vend of {answer['column'] or 'any column'}", json)


def end(context: typer.Context, id_: GrantId, json: AsJson = False) -> None:
    """End a grant before its time."""
    _tell(act(context, "grant.end", grant=id_), "", json)


def _tell(answer: dict[str, Any], what: str, json: bool) -> None:
    if json:
        screen.as_json(answer)
        return
    again = " (it was granted before)" if answer["repeat"] else ""
    words = f"{answer['id']}: {what}, " if what else f"{answer['id']}: "
    screen.line(f"{words}{answer['outcome']}{again}")
