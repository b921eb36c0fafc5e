"""``vendctl reader``: the card readers."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer

from controller.cli import screen
from controller.cli.place import AsJson, act, ask, new_group


class Device(StrEnum):
    """The readers that a machine may have."""

    CASHLESS1 = "cashless1"
    CASHLESS2 = "cashless2"


Which = Annotated[Device, typer.Argument(help="Which reader.")]


def mount(app: typer.Typer) -> None:
    """Add the commands."""
    group = new_group("The card readers.", show)
    group.command("show")(show)
    group.command("enable")(enable)
    group.command("disable")(disable)
    app.add_typer(group, name="reader")


def show(context: typer.Context, json: AsJson = False) -> None:
    """Show what each reader told at set-up."""
    devices = [one for one in ask(context, "devices.show") if one["name"].startswith("cashless")]
    if json:
        screen.as_json(devices)
        return
    if not devices:
        screen.line("no reader is configured")
    for number, device in enumerate(devices):
        if number:
            print()
        rows: list[tuple[str, screen.Cell]] = [
            ("Reader", titled(device)),
            ("State", device["state"]),
        ]
        rows += [
            (name.replace("_", " ").capitalize(), _words(value))
            for name, value in device["info"].items()
            if name != "identity"
        ]
        identity = device["info"].get("identity") or {}
        rows += [(name.capitalize(), str(value)) for name, value in identity.items() if value]
        screen.fields(rows)


def titled(device: dict[str, Any]) -> str:
    """Return a device's name with what its owner calls it."""
    return f"{device['name']} ({device['title']})" if device.get("title") else device["name"]


def _words(value: object) -> str:
    return {True: "yes", False: "no"}.get(value, "") if isinstance(value, bool) else str(value)


def enable(context: typer.Context, device: Which, json: AsJson = False) -> None:
    """Let a reader take cards."""
    _switch(context, device, on=True, json=json)


def disable(context: typer.Context, device: Which, json: AsJson = False) -> None:
    """Let a reader take no more cards; a running session goes on to its end."""
    _switch(context, device, on=False, json=json)


def _switch(context: typer.Context, device: Device, *, on: bool, json: bool) -> None:
    answer = act(context, "reader.enable", device=device.value, on=on)
    if json:
        screen.as_json(answer)
    else:
        screen.line(f"{device.value} is {'enabled' if on else 'disabled'}")
