"""``vendcloud cmd``: what machines are told, signed."""

from __future__ import annotations

import asyncio
import json as jsonlib
import uuid
from typing import Annotated, Any

import typer
from pydantic_core import from_json

from cloud.contract.commands import KINDS
from cloud.fleet import orders, reports
from cloud.fleet.cli import listing, screen
from cloud.fleet.cli.listing import Limit
from cloud.fleet.cli.place import (
    MACHINES,
    AnyMachine,
    AsJson,
    CliError,
    Exit,
    MachineName,
    Place,
    address_of,
    ask,
    run,
)
from cloud.fleet.database import FleetDatabase
from cloud.fleet.now import now_ms

_HOUR_MS = 3_600_000
FOLLOW_S = 0.5  # between two looks of --follow: no faster than machines tell
Issuer = Annotated[str, typer.Option("--as", envvar="USER", help="Who asks for it.")]
Pairs = Annotated[list[str] | None, typer.Argument(help="NAME=VALUE", show_default=False)]


def mount(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Signed commands to machines.", no_args_is_help=True)
    group.command("send")(send)
    group.command("show")(show)
    app.add_typer(group, name="cmd", rich_help_panel=MACHINES)


def sayable(value: Any) -> Any:
    """Return a value that a message can carry.

    Raises:
        CliError: It is nested too deeply, or holds what JSON has no word for.
    """
    try:
        from_json(jsonlib.dumps(value, allow_nan=False))  # as deep as a message may be
    except (TypeError, ValueError, RecursionError) as error:
        deep = isinstance(error, RecursionError) or "recursion limit" in str(error)
        why = "nested too deeply" if deep else error
        raise CliError(f"no message can carry that: {why}", Exit.USAGE) from error
    return value


def pairs_of(pairs: list[str] | None, *, texts: frozenset[str] = frozenset()) -> dict[str, Any]:
    """Read NAME=VALUE; a value is JSON, else a text, as those of ``texts`` always are."""
    found: dict[str, Any] = {}
    for pair in pairs or []:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise CliError(f"{pair!r} is not NAME=VALUE", Exit.USAGE)
        if name in found:
            raise CliError(f"{name!r} is said twice", Exit.USAGE)
        if name in texts and not value.startswith('"'):
            found[name] = value  # version=2 is no number
            continue
        try:
            found[name] = jsonlib.loads(value)
        except ValueError:
            found[name] = value  # a bare word is a text
        except RecursionError as error:
            raise CliError(f"{name}: nested too deeply", Exit.USAGE) from error
    return dict(sayable(found))


def send(
    context: typer.Context,
    machine: MachineName,
    kind: Annotated[str, typer.Argument(help="For example price.set")],
    arguments: Pairs = None,
    hours: Annotated[int, typer.Option(min=1, max=720, help="How long it may wait.")] = 24,
    issuer: Issuer = "shell",
    json: AsJson = False,
) -> None:
    """Sign a command; the server publishes it, again and again until it is answered."""
    address = address_of(machine)
    fields = KINDS[kind].model_fields if kind in KINDS else {}
    texts = frozenset(name for name, field in fields.items() if field.annotation is str)
    args = pairs_of(arguments, texts=texts)

    async def work(database: FleetDatabase, place: Place) -> orders.Order:
        return await orders.send(
            database,
            place.signatory(),
            address,
            kind,
            await orders.completed(database, address, kind, args),
            command_id=uuid.uuid4().hex,  # noqa: TID251 - an id of its own
            issuer=issuer,
            now_ms=now_ms(),
            life_ms=hours * _HOUR_MS,
        )

    order = run(context, work)
    if json:
        screen.as_json({"id": order.id, "kind": kind, "machine": str(address)})
    else:
        screen.note(f"{kind} for {address} is signed: {order.id}")


def show(
    context: typer.Context,
    command: Annotated[str, typer.Argument(help="Its id; else the newest of all.")] = "",
    machine: AnyMachine = "",
    follow: Annotated[
        bool, typer.Option("--follow", help="Until it has ended; tells how far it is.")
    ] = False,
    limit: Limit = None,
    json: AsJson = False,
) -> None:
    """Show what machines were asked, and what they answered."""
    if follow:
        if not command:
            raise CliError("--follow wants a command's id", Exit.USAGE)
        run(context, lambda database, _: _follow(database, command, json=json))
        return
    lines = ask(
        context,
        machine,
        lambda database, address: reports.commands(
            database, address, command_id=command, limit=listing.most(limit, json=json)
        ),
    )
    if command and not lines:
        raise CliError(f"no command {command}", Exit.NOT_FOUND)
    if json:
        listing.as_json(lines, limit)
        return
    if command and lines[0]["result"]:
        screen.as_json(lines[0]["result"])
        return
    screen.table(
        ("Issued", "Machine", "Command", "Arguments", "By", "Outcome", "Id"),
        [
            (
                screen.at(line["issued_ms"]),
                f"{line['tenant']}/{line['machine']}",
                line["kind"],
                ", ".join(f"{name}={value}" for name, value in line["args"].items()),
                line["issuer"],
                _outcome(line),
                (line["id"], screen.DIM),
            )
            for line in lines
        ],
        "no command yet",
    )
    listing.more(lines)


async def _follow(database: FleetDatabase, command: str, *, json: bool) -> None:
    """Tell how far a command is whenever that changes, until it has ended or expired."""
    told: Any = None
    while True:
        found = await reports.commands(database, command_id=command)
        if not found:
            raise CliError(f"no command {command}", Exit.NOT_FOUND)
        line = found[0]
        ended = bool(line["outcome"]) or line["expires_ms"] <= now_ms()
        news = (line["outcome"], line["progress"])
        if news != told or ended:
            told = news
            if json:
                screen.as_json_line(line)
            else:
                screen.line(_outcome(line))
        if ended:
            return
        await asyncio.sleep(FOLLOW_S)


def _outcome(line: dict[str, Any]) -> screen.Cell:
    if not line["outcome"] and line["progress"] and line["expires_ms"] > now_ms():
        far = line["progress"]
        steps = f" {far['done']} of {far['total']}" if far["total"] else ""
        return f"{far['text']}{steps}", screen.WARN
    if not line["outcome"]:
        waiting = line["expires_ms"] > now_ms()
        return ("waits", screen.WARN) if waiting else ("expired unanswered", screen.BAD)
    style = screen.GOOD if line["outcome"] in ("done", "handed_over") else screen.BAD
    return f"{line['outcome']} {line['detail']}".rstrip(), style
