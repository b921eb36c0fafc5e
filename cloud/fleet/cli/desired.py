"""``vendcloud desired``: configuration as the fleet wants it, and what became of it."""

from __future__ import annotations

import json as jsonlib
import tomllib
from pathlib import Path
from typing import Annotated, Any

import typer

from cloud.contract.topics import Address
from cloud.fleet import configuration, orders
from cloud.fleet.cli import screen
from cloud.fleet.cli.place import (
    MACHINES,
    AsJson,
    CliError,
    Exit,
    MachineName,
    Place,
    address_of,
    run,
)
from cloud.fleet.cli.tell import Issuer, Pairs, pairs_of, sayable
from cloud.fleet.database import FleetDatabase
from cloud.fleet.now import now_ms
from config.dotted import flat


def mount(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Configuration as the fleet wants it.", no_args_is_help=True)
    group.command("set")(set_)
    group.command("show")(show)
    group.command("adopt")(adopt)
    app.add_typer(group, name="desired", rich_help_panel=MACHINES)


def _file(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        text = path.read_text(encoding="utf-8")
        found = tomllib.loads(text) if path.suffix == ".toml" else jsonlib.loads(text)
    except OSError as error:
        raise CliError(f"{path}: {error.strerror}", Exit.USAGE) from error
    except (ValueError, RecursionError) as error:
        why = "nested too deeply" if isinstance(error, RecursionError) else error
        raise CliError(f"{path}: {why}", Exit.USAGE) from error
    if not isinstance(found, dict):
        raise CliError(f"{path}: is no table of settings", Exit.USAGE)
    return dict(sayable(found))


def set_(
    context: typer.Context,
    machine: MachineName,
    settings: Pairs = None,
    file: Annotated[
        Path | None, typer.Option("--file", help="More of them, TOML or JSON.", show_default=False)
    ] = None,
    unset: Annotated[
        list[str] | None,
        typer.Option("--unset", help="A key that is the machine's own again.", show_default=False),
    ] = None,
    only: Annotated[
        bool, typer.Option("--only", help="These alone, not over the newest revision.")
    ] = False,
    issuer: Issuer = "shell",
    json: AsJson = False,
) -> None:
    """Sign the next revision: the newest one with these changes. NAME is as in the machine's file.

    For example policy.max_credit=3000 planogram.columns.A1.price=170
    """
    address = address_of(machine)
    pairs = {**_file(file), **pairs_of(settings)}

    async def work(database: FleetDatabase, place: Place) -> tuple[int, dict[str, Any]]:
        newest = None if only else (await configuration.view(database, address))["desired"]
        before = {} if newest is None else newest["settings"]
        wanted = configuration.changed(before, pairs, unset or ())
        return await _sign(database, place, address, wanted, issuer), wanted

    _said(run(context, work), address, json=json)


def adopt(
    context: typer.Context, machine: MachineName, issuer: Issuer = "shell", json: AsJson = False
) -> None:
    """Sign a revision that says what a technician has changed at the machine."""
    address = address_of(machine)

    async def work(database: FleetDatabase, place: Place) -> tuple[int, dict[str, Any]]:
        wanted = await configuration.adopted(database, address)
        return await _sign(database, place, address, wanted, issuer), wanted

    _said(run(context, work), address, json=json)


def show(context: typer.Context, machine: MachineName, json: AsJson = False) -> None:
    """Show the newest revision, what the machine did with it, and what differs there."""
    address = address_of(machine)
    told = run(context, lambda database, _: configuration.view(database, address))
    if json:
        screen.as_json(told)
        return
    wanted = told["desired"]
    if wanted is None:
        screen.note("nothing is wanted yet: `vendcloud desired set`")
    else:
        screen.table(
            ("Revision", "Issued", "By", "Outcome", "In force there"),
            [
                (
                    str(wanted["revision"]),
                    screen.at(wanted["issued_ms"]),
                    wanted["issuer"],
                    _outcome(wanted, told),
                    f"{told['applied']}{', on trial' if told['trial'] else ''}",
                )
            ],
            "",
        )
        for error in wanted["detail"].splitlines():
            screen.line(f"  {error}")
        screen.console().print()
    screen.table(
        ("Setting", "Wanted"),
        [(name, str(value)) for name, value in flat((wanted or {}).get("settings", {}))],
        "no settings in it",
    )
    screen.console().print()
    screen.table(*drift_table(told["drift"]))


def drift_table(
    drift: dict[str, Any],
) -> tuple[tuple[str, ...], list[tuple[screen.Cell, ...]], str]:
    """Return what differs at a machine, for ``screen.table``."""
    rows: list[tuple[screen.Cell, ...]] = [
        (name, str(one["wanted"]), (str(one["found"]), screen.WARN), str(one.get("by", "")))
        for name, one in sorted(drift.items())
    ]
    return ("Changed at the machine", "Wanted", "There", "By"), rows, "nothing differs there"


def _outcome(wanted: dict[str, Any], told: dict[str, Any]) -> screen.Cell:
    outcome = wanted["outcome"]
    if not outcome:
        waits = told["waiting"] == wanted["revision"]
        return ("waits until nobody is served" if waits else "not heard of yet", screen.WARN)
    good = {"applied": "applied, on trial", "confirmed": "applied and good"}
    return (good[outcome], screen.GOOD) if outcome in good else (outcome, screen.BAD)


async def _sign(
    database: FleetDatabase, place: Place, address: Address, wanted: dict[str, Any], issuer: str
) -> int:
    return await orders.set_desired(
        database,
        place.signatory(),
        address,
        wanted,
        issuer=issuer,
        now_ms=now_ms(),
    )


def _said(made: tuple[int, dict[str, Any]], address: Address, *, json: bool) -> None:
    revision, settings = made
    if json:
        screen.as_json({"machine": str(address), "revision": revision, "settings": settings})
    else:
        screen.note(f"revision {revision} for {address} is signed")
