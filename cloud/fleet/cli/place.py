"""Where the server is, and how a command of the shell runs and ends."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Annotated, Final, TypeVar

import typer
from sqlalchemy.exc import SQLAlchemyError

from cloud.contract.messages import MessageError
from cloud.contract.topics import Address, TopicError
from cloud.fleet.certificates import CertificateRefusedError
from cloud.fleet.configuration import ConfigurationError
from cloud.fleet.database import FleetDatabase
from cloud.fleet.dead_letters import DeadLetterError
from cloud.fleet.home import Home
from cloud.fleet.migrate import NotMigratedError, current, newest
from cloud.fleet.now import now_ms
from cloud.fleet.orders import OrderRefusedError, machine_id_of
from cloud.fleet.registry import RegistryError
from cloud.fleet.signatory import Signatory, signatory_of
from cloud.fleet.signer import SignerError
from config import fleet as configuration
from config.fleet import ConfigError, FleetSettings

T = TypeVar("T")

DEFAULT_HOME = "/var/lib/vendcloud"

# Panels of the help.
SERVER: Final = "The server"
BOOKS: Final = "What it knows"
MACHINES: Final = "Machines"

AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]
MachineName = Annotated[str, typer.Argument(help="TENANT/MACHINE", show_default=False)]
AnyMachine = Annotated[
    str, typer.Option("--machine", help="TENANT/MACHINE alone.", show_default=False)
]


class Exit(IntEnum):
    """How ``vendcloud`` ends."""

    OK = 0
    NO = 1
    USAGE = 2
    REFUSED = 5
    NOT_FOUND = 6
    FAILED = 7


class CliError(Exception):
    """An error that is explained to the operator."""

    def __init__(self, message: str, code: Exit = Exit.FAILED) -> None:
        """Keep the exit code beside the words."""
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Place:
    """The server's folder and what its configuration says."""

    home: Home
    settings: FleetSettings

    def signatory(self) -> Signatory:
        """Return who signs."""
        return signatory_of(self.settings.signer, self.home, now_ms)


def place_of(context: typer.Context) -> Place:
    """Return the place; the configuration is read when a command needs it.

    Raises:
        CliError: The configuration says something wrong.
    """
    home = Home(Path(context.obj or os.environ.get("VENDCLOUD_HOME", DEFAULT_HOME)).absolute())
    try:
        return Place(home, configuration.load(home.config))
    except ConfigError as error:
        raise CliError(str(error), Exit.USAGE) from error


def address_of(text: str) -> Address:
    """Read a machine's name. Raises CliError."""
    try:
        return Address.parse(text)
    except TopicError as error:
        raise CliError(str(error), Exit.USAGE) from error


def run(context: typer.Context, work: Callable[[FleetDatabase, Place], Awaitable[T]]) -> T:
    """Do something with the database, and turn what may go wrong into words.

    Raises:
        CliError: With what went wrong.
    """
    place = place_of(context)
    open_file(place, make=False)

    async def with_database() -> T:
        database = FleetDatabase(place.home.database_url(place.settings))
        try:
            found = await current(database)
            if found != newest():
                raise NotMigratedError(
                    f"the database is at {found or 'nothing'}, this software needs {newest()}: "
                    "`vendcloud init` makes one, `vendcloud migrate` brings it up to date"
                )
            return await work(database, place)
        finally:
            await database.close()

    try:
        return asyncio.run(with_database())
    except (OrderRefusedError, RegistryError, CertificateRefusedError) as error:
        raise CliError(str(error), Exit.NOT_FOUND) from error
    except ConfigurationError as error:
        raise CliError(str(error), Exit.NO if error.nothing else Exit.REFUSED) from error
    except DeadLetterError as error:
        raise CliError(str(error), Exit.REFUSED) from error
    except (MessageError, SignerError) as error:
        raise CliError(str(error), Exit.REFUSED) from error
    except NotMigratedError as error:
        raise CliError(str(error)) from error
    except (SQLAlchemyError, OSError) as error:
        raise database_problem(place, error) from error


def ask(
    context: typer.Context,
    machine: str,
    question: Callable[[FleetDatabase, Address | None], Awaitable[T]],
) -> T:
    """Ask about one machine, which must be there, or about all of them ("").

    Raises:
        CliError: There is no such machine, or what ``run`` says.
    """
    address = address_of(machine) if machine else None

    async def work(database: FleetDatabase, _: Place) -> T:
        if address is not None:
            async with database.reading() as connection:
                await machine_id_of(connection, address)
        return await question(database, address)

    return run(context, work)


def database_problem(place: Place, error: Exception) -> CliError:
    """Return what is wrong with the database, in words that hold no password."""
    cause = getattr(error, "orig", None) or error
    return CliError(f"{place.home.database_words(place.settings)}: {cause}")


def open_file(place: Place, *, make: bool) -> None:
    """See whether SQLite's file can be opened, before a thread of its own finds that it can't.

    Args:
        place: The server.
        make: When it is not there, make it; its owner alone may read it, for it holds claim codes.

    Raises:
        CliError: It can't be opened, or the configuration names no database.
    """
    try:
        path = place.home.database_file(place.settings)
    except ConfigError as error:
        raise CliError(str(error), Exit.USAGE) from error
    if path is None:
        return
    try:
        os.close(os.open(path, os.O_RDWR | (os.O_CREAT if make else 0), 0o600))
    except FileNotFoundError as error:
        what = "its folder is not there" if make else "no database"
        hint = "`vendcloud init` makes a server, --home names it"
        raise CliError(f"{path}: {what}; {hint}") from error
    except OSError as error:
        raise CliError(f"{path}: {error.strerror}") from error
