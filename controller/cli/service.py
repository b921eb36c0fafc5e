"""``vendctl service``, ``vendctl unlock``: out of sale, for work on the machine, and back."""

from __future__ import annotations

from typing import Annotated

import typer

from controller.cli import screen
from controller.cli.place import AsJson, act, ask


def mount(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Take the machine out of sale, and back.", no_args_is_help=True)
    group.command("on")(on)
    group.command("off")(off)
    app.add_typer(group, name="service")
    app.command("unlock")(unlock)


def on(context: typer.Context, json: AsJson = False) -> None:
    """Enter service mode: nothing is sold, tests and payouts to staff are possible."""
    answer = act(context, "service.enter")
    if json:
        screen.as_json(answer)
    else:
        screen.line(f"in service mode, by {answer['by']}")


def off(context: typer.Context, json: AsJson = False) -> None:
    """Leave service mode: the machine sells again."""
    answer = act(context, "service.leave")
    if json:
        screen.as_json(answer)
    else:
        status = ask(context, "status")
        if status["mode"] in ("service", "out_of_service", "stopping"):
            words = f"service mode has ended, but nothing is sold: {status['promise']}"
            screen.line((words, screen.WARN))
        else:
            screen.line("the machine sells again")


def unlock(
    context: typer.Context,
    reason: Annotated[str, typer.Option(help="Why; it ends in the journal.")],
    json: AsJson = False,
) -> None:
    """Sell again though the operator has locked the machine; the journal says who did it."""
    answer = act(context, "machine.unlock", reason=reason)
    if json:
        screen.as_json(answer)
    else:
        screen.line("not locked any more")
