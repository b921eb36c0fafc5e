"""``vendctl climate`` and ``vendctl health``: how cold it is, and what that holds back."""

from __future__ import annotations

from typing import Annotated

import typer

from controller.cli import screen
from controller.cli.place import AsJson, act, ask, new_group


def mount(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("climate")(climate)
    group = new_group("The health timer.", show)
    group.command("show")(show)
    group.command("served")(served)
    app.add_typer(group, name="health")


def climate(context: typer.Context, json: AsJson = False) -> None:
    """Show temperatures, compressor, heater and light."""
    found = ask(context, "climate.show")
    if json:
        screen.as_json(found)
        return
    if not found:
        screen.line("no climate is configured")
        return
    target = "" if found["target_c"] is None else f", to {found['target_c']:g} °C"
    screen.fields(
        [
            ("Cooling", f"{found['phase']} for {screen.duration(found['phase_s'])}{target}"),
            ("On", ", ".join(found["outputs"]) or "nothing"),
        ]
    )
    rows: list[list[screen.Cell]] = [
        [one["name"], _degrees(one["celsius"]), one["problem"]] for one in found["thermometers"]
    ]
    print()
    screen.table(["Thermometer", "Celsius", "Problem"], rows)


def show(context: typer.Context, json: AsJson = False) -> None:
    """Show which columns the health timer watches, and which it holds back."""
    found = ask(context, "climate.show").get("health", [])
    if json:
        screen.as_json(found)
        return
    if not found:
        screen.line("no column is under the health timer")
        return
    rows: list[list[screen.Cell]] = [
        [
            one["column"],
            f"{'below' if one['hot'] else 'above'} {one['limit_c']:g} °C",
            screen.duration(one["allowed_s"]),
            "" if one["warm_s"] is None else screen.duration(one["warm_s"]),
            f"not sold: {one['exceeded']}" if one["exceeded"] else "",
        ]
        for one in found
    ]
    screen.table(["Column", "Wrong", "Allowed for", "Wrong for", "State"], rows)


def served(
    context: typer.Context,
    column: Annotated[str | None, typer.Argument(help="By default all that are held back.")] = None,
    json: AsJson = False,
) -> None:
    """Sell again what the health timer held back: you have replaced what was too warm."""
    answer = (
        act(context, "health.served")
        if column is None
        else act(context, "health.served", column=column)
    )
    if json:
        screen.as_json(answer)
        return
    words = ", ".join(answer["served"]) or "nothing was held back"
    screen.line(f"sold again: {words}" if answer["served"] else words)


def _degrees(celsius: float | None) -> str:
    return "unknown" if celsius is None else f"{celsius:.1f}"
