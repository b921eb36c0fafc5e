"""``vendcloud certificates``: what of the server's own ends when, and its successors."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Final

import typer

from cloud.fleet import broker_files, certificates, ends, own
from cloud.fleet.cli import screen
from cloud.fleet.cli.place import SERVER, AsJson, CliError, place_of
from cloud.fleet.home import Home
from cloud.fleet.now import now_ms

_BROKERS: Final = "tls/broker.pem"


def mount(app: typer.Typer) -> None:
    """Add the command."""
    app.command("certificates", rich_help_panel=SERVER)(show)


def show(
    context: typer.Context,
    renew: Annotated[
        bool, typer.Option("--renew", help="Make certificates again whose life is a third over.")
    ] = False,
    json: AsJson = False,
) -> None:
    """Show when the server's own certificates and keys end."""
    place = place_of(context)
    home = place.home
    made: list[str] = []
    todo = ""
    if renew:
        try:
            made = _renewed(home)
            if _BROKERS in made:
                todo = broker_files.renewed(place.settings, home)
        except OSError as error:
            raise CliError(f"{home.folder}: {error}; `vendcloud init` makes a server") from error
    found = ends.ends(home, home.folder / place.settings.signer.keys)
    if json:
        lines = [{"name": end.name, "ends_ms": end.at_ms} for end in found]
        broker = todo or "told" if _BROKERS in made else ""
        screen.as_json({"made": made, "broker": broker, "ends": lines})
        return
    soon = now_ms() + ends.OWN_MS
    screen.table(
        ("Certificate or key", "Ends"),
        [
            (end.name, (screen.at(end.at_ms), screen.BAD if end.at_ms < soon else screen.GOOD))
            for end in found
        ],
        "none yet: `vendcloud init`",
    )
    if made:
        screen.note(
            f"made again: {', '.join(made)}; a running server shows them to who connects from now "
            f"on (within {own.LOOK_S:g} s)"
        )
    if todo:
        screen.note(todo)


def _renewed(home: Home) -> list[str]:
    now = datetime.now(UTC)  # noqa: TID251 - where the operating system's clock ends
    made = []
    ca = certificates.pair_of(home)
    hosts = own.hosts_of(home)
    for name in own.NAMES:
        if own.due(home, name, now):
            own.make(home, ca, name, hosts, now)
            made.append(f"tls/{name}.pem")
    return made
