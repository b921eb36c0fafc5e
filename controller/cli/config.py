"""``vendctl config``: what holds of the fleet's configuration, and what differs from it here."""

from __future__ import annotations

import typer

from config.dotted import flat
from controller.cli import screen
from controller.cli.place import AsJson, ask


def mount(app: typer.Typer) -> None:
    """Add the command."""
    app.command("config")(config)


def config(context: typer.Context, json: AsJson = False) -> None:
    """Show which configuration of the fleet holds, why another one does not, and what differs."""
    found = ask(context, "config.show")
    if json:
        screen.as_json(found)
        return
    revision = f"revision {found['revision']}" if found["revision"] else "the machine's own file"
    pairs: list[tuple[str, screen.Cell]] = [
        ("Holds", f"{revision}{', on trial' if found['trial'] else ''}")
    ]
    if found["waits"]:
        pairs.append(("Waits", f"revision {found['waits']}, until nobody is served"))
    if found["errors"]:
        word = found["outcome"].replace("_", " ")
        pairs.append((f"{found['seen']} {word}", (found["errors"][0], screen.WARN)))
        pairs += [("", (error, screen.WARN)) for error in found["errors"][1:]]
    screen.fields(pairs)
    for title, heads, rows in (
        ("", ["Setting", "Value"], [[name, str(value)] for name, value in flat(found["settings"])]),
        (
            "Changed here since; the fleet adopts it or overwrites it",
            ["Setting", "Fleet", "Here", "By"],
            [
                [one["key"], str(one["wanted"]), str(one["found"]), one["by"]]
                for one in found["drift"]
            ],
        ),
    ):
        if rows:
            print()
            if title:
                screen.line(title)
            screen.table(heads, rows)
