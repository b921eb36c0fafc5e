"""Where the machine is: its socket, and the folder of its journal for when it is not running."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from controller.cli.client import ACT_TIMEOUT_S, Client
from controller.cli.errors import CliError, Exit

DEFAULT_SOCKET: Final = Path("/run/vendd/vendd.sock")
DEFAULT_FOLDER: Final = Path("/var/lib/vendd/journal")
# Below --home, where a configuration does not say otherwise.
SOCKET_NAME: Final = "vendd.sock"
FOLDER_NAME: Final = "journal"

_UNTOLD: Final = (Exit.NOT_RUNNING, Exit.FAILED)  # it was asked, and no answer came

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]


@dataclass(frozen=True, slots=True)
class Place:
    """Where to look."""

    socket: Path
    folder: Path  # of the journal
    root_key: bytes | None = None  # the fleet's, that the machine pins; from its configuration

    @classmethod
    def find(cls, socket: Path | None, home: Path | None, config: Path | None) -> Place:
        """Work out the place from what was said, else from the defaults.

        Raises:
            CliError: The configuration cannot be used.
        """
        if config is not None:
            # The settings' models take a while; nobody else waits for them.
            from config.settings import load  # noqa: PLC0415 - see above
            from controller.faults import ConfigError  # noqa: PLC0415 - as above

            try:
                settings = load(config, home=home)
            except ConfigError as error:
                raise CliError(str(error), Exit.USAGE) from error
            cloud = settings.cloud
            root = None if cloud is None else bytes.fromhex(cloud.root_key)
            return cls(socket or settings.api.socket, settings.journal.folder, root)
        if home is not None:
            home = home.expanduser()
            return cls(socket or home / SOCKET_NAME, home / FOLDER_NAME)
        return cls(socket or DEFAULT_SOCKET, DEFAULT_FOLDER)


def new_group(words: str, default: Callable[[typer.Context, bool], None]) -> typer.Typer:
    """Make a group of commands that does something when none of them is named."""
    group = typer.Typer(help=words)

    @group.callback(invoke_without_command=True)
    def root(context: typer.Context, json: AsJson = False) -> None:
        if context.invoked_subcommand is None:
            default(context, json)

    return group


def place(context: typer.Context) -> Place:
    """Return the place that the options before the command named."""
    found = context.find_object(Place)
    assert found is not None, "the root command makes it"
    return found


def ask(context: typer.Context, method: str, **params: Any) -> Any:
    """Call a reading method. Raises CliError."""
    with Client(place(context).socket) as client:
        return client.call(method, **params)


def act(context: typer.Context, method: str, **params: Any) -> Any:
    """Call an acting method, which may move things and take its time. Raises CliError."""
    with Client(place(context).socket) as client:
        try:
            return client.call(method, timeout_s=ACT_TIMEOUT_S, **params)
        except CliError as error:
            if error.code not in _UNTOLD:
                raise
            words = f"{error}\nWhether it was done, or is under way, tells `vendctl journal tail`"
            raise CliError(words, error.code) from error


def completed(
    method: str, pick: Callable[[Any], list[str]]
) -> Callable[[typer.Context], list[str]]:
    """Return a completion that asks the running machine, and offers nothing if it is not there."""

    def complete(context: typer.Context) -> list[str]:
        options = context.find_root().params
        try:
            there = Place.find(options.get("socket"), options.get("home"), options.get("config"))
            with Client(there.socket) as client:
                return pick(client.call(method))
        except CliError:
            return []

    return complete


ColumnName = Annotated[
    str,
    typer.Argument(
        metavar="COLUMN",
        help="A column, e.g. A3.",
        autocompletion=completed(
            "stock.show", lambda stock: [column["column"] for column in stock["columns"]]
        ),
    ),
]
