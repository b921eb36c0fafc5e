"""``vendcloud machine samples``: what a machine has measured last."""

from __future__ import annotations

import typer

from cloud.fleet import reports
from cloud.fleet.cli import listing, screen
from cloud.fleet.cli.listing import Limit
from cloud.fleet.cli.place import AsJson, MachineName, address_of, run


def show(
    context: typer.Context, machine: MachineName, limit: Limit = None, json: AsJson = False
) -> None:
    """Show what it has measured last: tubes, stock, temperatures, and how busy it was."""
    address = address_of(machine)
    most = listing.most(limit, json=json)
    lines = run(context, lambda database, _: reports.samples(database, address, limit=most))
    if json:
        screen.as_json(lines)
        return
    screen.table(
        ("Received", "Samples"),
        [
            (
                screen.at(line["received_ms"]),
                ", ".join(f"{name} {value:g}" for name, value in sorted(line["samples"].items())),
            )
            for line in lines
        ],
        "nothing was measured yet",
    )
