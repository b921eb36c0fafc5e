"""``vendcloud sales``, ``cash``, ``claims``, ``alerts``, ``dlq``: what is known."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer

from cloud.fleet import dead_letters, moves, reports
from cloud.fleet.cli import listing, screen
from cloud.fleet.cli.listing import Limit
from cloud.fleet.cli.place import (
    BOOKS,
    SERVER,
    AnyMachine,
    AsJson,
    CliError,
    Exit,
    MachineName,
    address_of,
    ask,
    run,
)
from cloud.fleet.now import now_ms
from cloud.fleet.reported import WORDS

All = Annotated[bool, typer.Option("--all", help="The ended ones, too.")]


def mount(app: typer.Typer) -> None:
    """Add the commands."""
    for name, function in (
        ("sales", sales),
        ("cash", cash),
        ("alerts", alerts),
    ):
        app.command(name, rich_help_panel=BOOKS)(function)
    owed = typer.Typer(help="What customers are owed.")
    owed.callback(invoke_without_command=True)(claims)
    owed.command("end")(end_claim)
    app.add_typer(owed, name="claims", rich_help_panel=BOOKS)
    group = typer.Typer(help="What could not be read or understood.", no_args_is_help=True)
    group.command("list")(dlq)
    group.command("show")(dlq_show)
    group.command("replay")(dlq_replay)
    group.command("discard")(dlq_discard)
    app.add_typer(group, name="dlq", rich_help_panel=SERVER)


def named(line: dict[str, Any]) -> str:
    """Return whose it is."""
    return f"{line['tenant']}/{line['machine']}" if line["tenant"] else ""


def opened(line: dict[str, Any]) -> str:
    """Return when it was; with a mark where the machine's clock was confirmed by nobody."""
    return f"{'~' if line['uncertain'] else ''}{screen.at(line['opened_ms'])}"


def sales(
    context: typer.Context,
    machine: AnyMachine = "",
    each: Annotated[bool, typer.Option("--each", help="Every vend, not the totals.")] = False,
    limit: Limit = None,
    json: AsJson = False,
) -> None:
    """Show what was sold."""
    if each:
        _sales(context, machine, limit, json=json)
        return
    lines = ask(context, machine, reports.totals)
    if json:
        screen.as_json(lines)
    else:
        screen.table(
            ("Machine", ">Sold", ">Failed", ">Open", ">Cash", ">Card", ">App", ">Tokens", ">Free"),
            [
                (
                    named(line),
                    str(line["sold"]),
                    str(line["failed"]),
                    str(line["open"]),
                    screen.amount(line["cash"], line["currency"]),
                    screen.amount(line["card"], line["currency"]),
                    screen.amount(line["app"], line["currency"]) if line["app"] else "",
                    str(line["tokens"] or ""),
                    str(line["free"] or ""),
                )
                for line in lines
            ],
            "nothing was sold yet",
        )


def _sales(context: typer.Context, machine: str, limit: int | None, *, json: bool) -> None:
    lines = ask(
        context,
        machine,
        lambda database, address: reports.sales(
            database, address, limit=listing.most(limit, json=json)
        ),
    )
    if json:
        listing.as_json(lines, limit)
        return
    screen.table(
        ("Opened", "Machine", ">Vend", "Column", "Product", ">Price", ">Cash", ">Card",
         ">App", "Tender", ">Back", ">Claimed", "Result"),
        [_vend(line) for line in lines],
        "nothing was sold yet",
    )  # fmt: skip
    listing.more(lines)


def _vend(line: dict[str, Any]) -> tuple[screen.Cell, ...]:
    def money(name: str) -> str:
        return screen.amount(line[name], line["currency"]) if line[name] else ""

    good = line["result"] in ("sold", "tested")
    result: screen.Cell = (
        (line["result"], screen.GOOD if good else screen.WARN)
        if line["result"]
        else ("open", screen.WARN)
    )
    back = line["paid_back"] + line["refunded"]
    return (
        opened(line),
        named(line),
        str(line["vend"]),
        line["column"],
        line["product"] or line["kind"],
        money("price"),
        money("cash"),
        money("card"),
        money("app"),
        line["tender"],
        screen.amount(back, line["currency"]) if back else "",
        money("claimed"),
        result,
    )


def cash(context: typer.Context, machine: AnyMachine = "", json: AsJson = False) -> None:
    """Show where the money is: what a collector will find."""
    lines = ask(context, machine, reports.cash)
    if json:
        screen.as_json(lines)
        return
    screen.table(
        ("Machine", "Where", ">Amount"),
        [
            (
                named(line),
                line["account"].removeprefix("cash."),
                screen.amount(line["amount"], line["currency"]),
            )
            for line in lines
        ],
        "no money is known yet",
    )


def claims(
    context: typer.Context,
    machine: AnyMachine = "",
    every: All = False,
    limit: Limit = None,
    json: AsJson = False,
) -> None:
    """Show what customers are owed."""
    if context.invoked_subcommand is not None:
        return
    lines = ask(
        context,
        machine,
        lambda database, address: reports.claims(
            database, address, closed=every, limit=listing.most(limit, json=json)
        ),
    )
    if json:
        listing.as_json(lines, limit)
        return
    screen.table(
        ("Opened", "Machine", ">Claim", ">Amount", "Tender", "Code", "Reason", "State"),
        [
            (
                opened(line),
                named(line),
                str(line["claim"]),
                screen.amount(line["amount"], line["currency"]),
                line["tender"],
                f"…{line['code_end']}",
                line["reason"],
                _state(line),
            )
            for line in lines
        ],
        "nobody is owed anything",
    )
    listing.more(lines)


def _state(line: dict[str, Any]) -> str | tuple[str, str]:
    match line["state"]:
        case "closed":
            return f"closed: {line['how']}", screen.GOOD
        case "reported":
            return WORDS, screen.WARN
        case "held":
            return "owed by the fleet: keyed in elsewhere, and not given", screen.WARN
    return ("look at it", screen.WARN) if line["flagged"] else "open"


def end_claim(
    context: typer.Context,
    machine: MachineName,
    claim: Annotated[int, typer.Argument(help="As `vendcloud claims` numbers it.")],
    how: Annotated[str, typer.Option("--how", help="How it was paid.")],
    not_given: Annotated[
        bool,
        typer.Option(
            "--not-given",
            help="You have seen that the machine that it was granted at did not give it.",
        ),
    ] = False,
    json: AsJson = False,
) -> None:
    """Say that a claim was paid that the fleet holds, as its code was keyed in elsewhere."""
    address = address_of(machine)
    amount = run(
        context,
        lambda database, _: moves.end(database, address, claim, how, now_ms(), not_given=not_given),
    )
    if json:
        screen.as_json({"machine": machine, "claim": claim, "amount": amount, "how": how})
    else:
        screen.note(f"claim {claim} of {machine} was paid: {how}")


def alerts(
    context: typer.Context,
    machine: AnyMachine = "",
    every: All = False,
    limit: Limit = None,
    json: AsJson = False,
) -> None:
    """Show what is wrong now."""
    lines = ask(
        context,
        machine,
        lambda database, address: reports.alerts(
            database, address, closed=every, limit=listing.most(limit, json=json)
        ),
    )
    if json:
        listing.as_json(lines, limit)
        return
    screen.table(
        ("Raised", "Machine", "Cause", "Detail", "Closed"),
        [
            (
                screen.at(line["raised_ms"]),
                named(line),
                (line["cause"], screen.DIM if line["closed_ms"] else screen.BAD),
                line["detail"],
                screen.at(line["closed_ms"]),
            )
            for line in lines
        ],
        "nothing is wrong",
    )
    listing.more(lines)


def dlq(
    context: typer.Context, every: All = False, limit: Limit = None, json: AsJson = False
) -> None:
    """Show the dead letters."""
    lines = ask(
        context,
        "",
        lambda database, _: reports.dead_letters(
            database, every=every, limit=listing.most(limit, json=json)
        ),
    )
    if json:
        listing.as_json(lines, limit)
        return
    screen.table(
        (">Letter", "At", "Machine", "What", "Reason", "State"),
        [
            (
                str(line["id"]),
                screen.at(line["at_ms"]),
                named(line),
                f"record {line['seq']}" if line["seq"] else line["topic"],
                line["reason"],
                "replayed"
                if line["replayed_ms"]
                else "discarded"
                if line["discarded_ms"]
                else ("open", screen.WARN),
            )
            for line in lines
        ],
        "no dead letters",
    )
    listing.more(lines)


def dlq_show(
    context: typer.Context,
    letter: Annotated[int, typer.Argument(min=1, max=2**63 - 1, help="Its number.")],
    json: AsJson = False,
) -> None:
    """Show one dead letter with its bytes."""
    line = run(context, lambda database, _: reports.dead_letter(database, letter))
    if line is None:
        raise CliError(f"no dead letter {letter}", Exit.NOT_FOUND)
    if json:
        screen.as_json(line)
        return
    screen.note(line["reason"])
    for text in line["bytes"].splitlines():
        screen.line(text)


Letter = Annotated[int, typer.Argument(min=1, max=2**63 - 1, help="Its number.")]


def dlq_replay(
    context: typer.Context,
    letter: Annotated[
        int | None, typer.Argument(min=1, max=2**63 - 1, help="Its number; else all of them.")
    ] = None,
    json: AsJson = False,
) -> None:
    """Project what this software understands by now; its records are stored already."""
    done = run(context, lambda database, _: dead_letters.replay(database, letter, now_ms()))
    if json:
        screen.as_json(asdict(done))
    else:
        screen.note(
            f"{len(done.understood)} letters are understood now, {len(done.still)} are not; "
            f"{done.records} records were folded again"
        )


def dlq_discard(context: typer.Context, letter: Letter, json: AsJson = False) -> None:
    """Set a letter aside for good; its record stays stored."""
    run(context, lambda database, _: dead_letters.discard(database, letter, now_ms()))
    if json:
        screen.as_json({"letter": letter, "discarded": True})
    else:
        screen.note(f"letter {letter} is set aside")
