"""``vendctl credit`` and ``vendctl claim``: whose money is in the machine, and what is promised."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from controller.cli import screen
from controller.cli.amounts import full, parse, plain
from controller.cli.errors import CliError, Exit
from controller.cli.place import AsJson, act, ask, new_group
from controller.cli.status import claims
from controller.saga.claims import machine_key


def mount(app: typer.Typer) -> None:
    """Add the commands."""
    group = new_group("The customer's credit.", show)
    group.command("show")(show)
    group.command("return")(give_back)
    group.command("grant")(grant)
    app.add_typer(group, name="credit")
    group = new_group("Promises for money that could not be paid back.", list_)
    group.command("list")(list_)
    group.command("close")(close)
    group.command("key")(key)
    app.add_typer(group, name="claim")


def show(context: typer.Context, json: AsJson = False) -> None:
    """Show the credit, where it came from, and the open claims."""
    credit = ask(context, "credit.show")
    if json:
        screen.as_json(credit)
        return
    currency = credit["currency"]
    rows: list[tuple[str, screen.Cell]] = [
        ("Credit", full(credit["total"], currency)),
        ("of it coins", full(credit["coins"], currency)),
        ("of it bills", full(credit["bills"], currency)),
        ("Held for a vend", full(credit["held"], currency)),
    ]
    if (escrow := credit["escrow"]) is not None:
        asked = f", {escrow['asked']} was asked" if escrow["asked"] else ""
        rows.append(("In escrow", f"{full(escrow['value'], currency)} ({escrow['device']}{asked})"))
    screen.fields(rows)
    if credit["lots"]:
        print()
        screen.table(
            (">Record", "Came as", f">Free {currency}", ">Held"),
            [
                (
                    str(lot["seq"]),
                    lot["pocket"],
                    plain(lot["free"], currency),
                    plain(lot["held"], currency) if lot["held"] else "",
                )
                for lot in credit["lots"]
            ],
        )
    if credit["claims"]:
        print()
        claims(credit["claims"], currency)


def give_back(context: typer.Context, json: AsJson = False) -> None:
    """Pay the credit back, as the coin return key does."""
    currency = ask(context, "credit.show")["currency"]
    paid(act(context, "credit.return"), currency, json)


def grant(
    context: typer.Context,
    amount: Annotated[str, typer.Argument(help="E.g. 1.50.")],
    reason: Annotated[str, typer.Option(help="Why; it ends in the journal.")],
    json: AsJson = False,
) -> None:
    """Give credit that nobody paid in: goodwill, or a claim honoured at the machine."""
    currency = ask(context, "credit.show")["currency"]
    answer = act(context, "credit.grant", amount=parse(amount, currency), reason=reason)
    if json:
        screen.as_json(answer)
    else:
        screen.line(
            f"granted {amount} {currency}; credit is now {full(answer['credit'], currency)}"
        )


def paid(answer: dict[str, Any], currency: str, json: bool) -> None:
    """Print what a payout did."""
    if json:
        screen.as_json(answer)
        return
    screen.line(f"paid back {full(answer['paid_back'], currency)}")
    if answer.get("bill"):
        screen.line(f"a bill of {full(answer['bill'], currency)} goes back")
    if answer.get("claimed"):
        words = f"{full(answer['claimed'], currency)} could not be paid: see `vendctl claim list`"
        screen.line((words, screen.BAD))


def list_(context: typer.Context, json: AsJson = False) -> None:
    """Show the open claims."""
    credit = ask(context, "credit.show")
    if json:
        screen.as_json(credit["claims"])
    elif credit["claims"]:
        claims(credit["claims"], credit["currency"])
    else:
        screen.line("no open claims")


def close(
    context: typer.Context,
    code: Annotated[str, typer.Argument(help="As the panel showed it; blanks do not matter.")],
    how: Annotated[str, typer.Option(help='E.g. "paid from the till"; it ends in the journal.')],
    json: AsJson = False,
) -> None:
    """Book a claim as settled by staff, from outside the machine."""
    currency = ask(context, "credit.show")["currency"]
    answer = act(context, "claim.close", code=code, how=how)
    if json:
        screen.as_json(answer)
    else:
        token = answer["tender"] == "token"
        worth = "one product" if token else full(answer["amount"], currency)
        screen.line(f"claim {answer['claim']} over {worth} is settled")


def key(
    machine: Annotated[str, typer.Option(help="`machine.id` of its configuration.")],
    tenant_key: Annotated[Path, typer.Option(help="32 random bytes; stays in the office.")],
    out: Annotated[Path, typer.Option(help="Becomes claim.key in the machine's journal folder.")],
    json: AsJson = False,
) -> None:
    """Derive one machine's key for claim codes from the tenant's (offline, never on a machine)."""
    try:
        derived = machine_key(tenant_key.read_bytes(), machine)
        out.touch(mode=0o600, exist_ok=False)
        out.write_bytes(derived)
    except FileExistsError as error:
        raise CliError(f"{out} is there already", Exit.USAGE) from error
    except (OSError, ValueError) as error:
        raise CliError(f"no key was derived: {error}", Exit.USAGE) from error
    if json:
        screen.as_json({"machine": machine, "path": str(out)})
        return
    screen.line(f"{out}: the key of machine {machine}")
