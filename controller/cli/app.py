"""The root of ``vendctl``: where the machine is, the groups of commands, and how it ends."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from typer.core import TyperGroup

from controller.cli.errors import CliError
from controller.cli.place import Place

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from typer._click.core import Command, Context  # what TyperGroup is declared with

# Other packages hang their own commands in here; the controller does not know them.
PLUGINS: Final = "vendctl.commands"

# Name -> module of this package; in the order of the help.
_MODULES: Final = {
    "status": "status",
    "watch": "status",
    "stock": "stock",
    "price": "stock",
    "credit": "credit",
    "claim": "credit",
    "coins": "coins",
    "reader": "reader",
    "collect": "collect",
    "service": "service",
    "vend": "testing",
    "motor": "testing",
    "journal": "journal",
    "trace": "trace",
    "ledger": "ledger",
}

_HELP: Final = """The technician's tool of a vending machine.

Talks to the running vendd over its socket. Amounts are in main units, like 1.50.

Exit codes: 0 done; 1 the answer is no (a journal that does not verify); 2 wrong arguments;
3 vendd is not running; 4 not permitted; 5 vendd refuses, and says why; 6 not found; 7 failed.
"""


class Commands(TyperGroup):
    """All commands, each looked up when it is wanted: reading all of them takes 100 ms."""

    def get_command(self, ctx: Context, cmd_name: str) -> Command | None:
        """Return a command by its name."""
        del ctx
        module = _MODULES.get(cmd_name)
        if module is not None:
            group = typer.Typer(rich_markup_mode=None)
            import_module(f"controller.cli.{module}").mount(group)
            return typer.main.get_group(group).commands[cmd_name]
        entry = _plugins().get(cmd_name)
        return None if entry is None else typer.main.get_group(entry.load())

    def list_commands(self, ctx: Context) -> list[str]:
        """Return all names, for help and completion."""
        del ctx
        return [*_MODULES, *(name for name in sorted(_plugins()) if name not in _MODULES)]


def _plugins() -> dict[str, EntryPoint]:
    from importlib.metadata import entry_points  # noqa: PLC0415 - 40 ms that few commands need

    return {entry.name: entry for entry in entry_points(group=PLUGINS)}


app = typer.Typer(
    name="vendctl",
    cls=Commands,
    help=_HELP,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
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
        app(prog_name="vendctl")
    except CliError as error:
        print(f"vendctl: {error}", file=sys.stderr)
        sys.exit(error.code)
    except KeyboardInterrupt:
        sys.exit(130)
