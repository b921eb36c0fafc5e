"""The journal to read: a running vendd's, or a folder's when vendd is not running."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Protocol

import typer

from controller.cli import screen
from controller.cli.client import Client
from controller.cli.errors import CliError, Exit
from controller.cli.place import place

FromFolder = Annotated[
    Path | None,
    typer.Option(
        "--folder",
        help="Read the journal in this folder; vendd must not have it open.",
        show_default=False,
    ),
]


class Source(Protocol):
    """What journal commands ask; answers are ``controller.api.shapes``."""

    def records(self, after: int, limit: int, *, exact: bool = False) -> dict[str, Any]:
        """Return a page of records."""
        ...

    def verify(self) -> dict[str, Any]:
        """Check every byte."""
        ...

    def trace(self, seq: int) -> dict[str, Any]:
        """Return each cent's way."""
        ...


class Running:
    """The journal of a running vendd."""

    # Reading a year's journal from an SD card takes minutes.
    VERIFY_TIMEOUT_S = 1_800.0

    def __init__(self, client: Client) -> None:
        """Keep the connection."""
        self._client = client

    def records(self, after: int, limit: int, *, exact: bool = False) -> dict[str, Any]:
        """Return a page of records."""
        page: dict[str, Any] = self._client.call(
            "journal.records", after=after, limit=limit, exact=exact
        )
        return page

    def verify(self) -> dict[str, Any]:
        """Have vendd check its journal."""
        report: dict[str, Any] = self._client.call(
            "journal.verify", timeout_s=self.VERIFY_TIMEOUT_S
        )
        return report

    def trace(self, seq: int) -> dict[str, Any]:
        """Return each cent's way."""
        shape: dict[str, Any] = self._client.call("trace", seq=seq)
        return shape


@contextmanager
def source(
    context: typer.Context, folder: Path | None = None, root: bytes | None = None
) -> Iterator[Source]:
    """Open the machine's journal: through vendd, else from its folder; from ``folder`` if said.

    ``root`` is the fleet's key that the machine pins; a running vendd knows it.

    Raises:
        CliError: Neither is there.
    """
    there = place(context)
    if folder is None:
        try:
            client = Client(there.socket)
        except CliError as error:
            if error.code is not Exit.NOT_RUNNING or not _has_journal(there.folder):
                raise
            folder = there.folder
            screen.note(f"vendd is not running; reading the journal in {folder}")
        else:
            with client:
                yield Running(client)
            return
    # asyncio and SQLite are loaded for this alone.
    from controller.cli import offline  # noqa: PLC0415 - see above

    with offline.opened(folder, root or there.root_key) as found:
        yield found


def _has_journal(folder: Path) -> bool:
    try:
        return folder.is_dir() and any(folder.glob("journal-*.db"))
    except OSError as error:
        raise CliError(f"{folder}: {error.strerror}", Exit.NOT_PERMITTED) from error
