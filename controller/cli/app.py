"""The root of ``vendctl``: where the machine is, the groups of commands, and how it ends."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from typer.core import TyperCommand, TyperGroup

from controller.cli import screen
from controller.cli.errors import CliError, Exit
from controller.cli.place import Place

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from typer._click.core import Command, Context  # what TyperGroup is declared with

# Other packages hang their own commands in here; the controller does not know them.
PLUGINS: Final = "vendctl.commands"

_LOOK, _DO, _WHY, _MORE = "Look", "Do", "Why: the journal", "More"

# Name -> module of this package and panel of the help, in its order.
_COMMANDS: Final = {
    "status": ("status", _LOOK),
    "watch": ("status", _LOOK),
    "stock": ("stock", _LOOK),
    "price": ("stock", _LOOK),
    "credit": ("credit", _LOOK),
    "claim": ("credit", _LOOK),
    "grant": ("grant", _LOOK),
    "coins": ("coins", _LOOK),
    "reader": ("reader", _LOOK),
    "bus": ("bus", _LOOK),
    "config": ("config", _LOOK),
    "climate": ("climate", _LOOK),
    "health": ("climate", _LOOK),
    "sync": ("sync", _LOOK),
    "service": ("service", _DO),
    "unlock": ("service", _DO),
    "collect": ("collect", _DO),
    "vend": ("testing", _DO),
    "motor": ("testing", _DO),
    "journal": ("journal", _WHY),
    "trace": ("trace", _WHY),
    "ledger": ("ledger", _WHY),
    "record": ("record", _WHY),
}

_HELP: Final = """The technician's tool of a vending machine.

It talks to the running vendd over its socket; the journal is readable without vendd, too.

Amounts are in main units, like 1.50. Every command has --json.

Exit codes:
0  done
1  the answer is no: a test that fails, a journal that does not verify
2  wrong arguments
3  vendd is not running
4  not permitted
5  vendd refuses, and says why
6  not found
7  something is broken
"""


class Commands(TyperGroup):
    """All commands, each looked up when it is wanted: reading all of them takes 100 ms."""

    def get_command(self, ctx: Context, cmd_name: str) -> Command | None:
        """Return a command by its name."""
        del ctx
        if cmd_name in _COMMANDS:
            module, panel = _COMMANDS[cmd_name]
            group = typer.Typer()
            import_module(f"controller.cli.{module}").mount(group)
            command = typer.main.get_group(group).commands[cmd_name]
        else:
            found = _plugin(cmd_name)
            if found is None:
                return None
            command, panel = found, _MORE
        assert isinstance(command, TyperCommand | TyperGroup)
        command.name, command.rich_help_panel = cmd_name, panel
        return command

    def list_commands(self, ctx: Context) -> list[str]:
        """Return all names, for help and completion."""
        del ctx
        return [*_COMMANDS, *(name for name in sorted(_plugins()) if name not in _COMMANDS)]


def _plugins() -> dict[str, EntryPoint]:
    from importlib.metadata import entry_points  # noqa: PLC0415 - 40 ms that few commands need

    return {entry.name: entry for entry in entry_points(group=PLUGINS)}


def _plugin(name: str) -> Command | None:
    entry = _plugins().get(name)
    if entry is None:
        return None
    try:
        return typer.main.get_group(entry.load())
    except (ImportError, AttributeError) as error:
        # Half an installation must not take the help of all other commands along.
        print(f"vendctl: {name!r} cannot be loaded: {error}", file=sys.stderr)
        return None


app = typer.Typer(
    name="vendctl",
    cls=Commands,
    help=_HELP,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@app.callback()
def root(
    context: typer.Context,
    socket: Annotated[
        Path | None,
        typer.Option(envvar="VENDD_SOCKET", help="The socket of vendd.", show_default=False),
    ] = None,
    home: Annotated[
        Path | None,
        typer.Option(
            envvar="VENDD_HOME",
            help="The machine's folder; its socket and journal are looked for there.",
            show_default=False,
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            envvar="VENDD_CONFIG",
            help="The machine's configuration, which names the socket and the journal.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Find the machine."""
    context.obj = Place.find(socket, home, config)


def run() -> None:
    """Run, and end with an exit code that says how it went."""
    try:
        try:
            app(prog_name="vendctl")
        finally:
            sys.stdout.flush()
    except CliError as error:
        screen.error(f"vendctl: {error}")
        sys.exit(error.code)
    except KeyboardInterrupt:
        sys.exit(130)
    except OSError as error:
        screen.error(f"vendctl: cannot write: {error.strerror or error}")
        # What is still to be written goes nowhere, so that the end of the program can't fail on it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(Exit.FAILED)
    except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
        # What is not as every vendd of this version says it: told in a line, with the place for
        # a report, instead of a page that says nothing to who stands before the machine.
        screen.error(f"vendctl: {_not_understood(error)}")
        sys.exit(Exit.FAILED)


def _not_understood(error: Exception) -> str:
    from traceback import extract_tb  # noqa: PLC0415 - only on the way out

    *_, last = extract_tb(error.__traceback__)
    what = f"{type(error).__name__} {error} in {Path(last.filename).name}:{last.lineno}"
    return f"not understood ({what}): are vendctl and vendd of the same version?"
