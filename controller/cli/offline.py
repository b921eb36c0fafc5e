"""A journal in a folder, read while vendd is not running."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from controller.api import views
from controller.api.errors import NothingToTraceError
from controller.api.journal_view import FolderView, open_folder
from controller.api.trace import trace
from controller.cli.errors import CliError, Exit
from controller.journal.errors import (
    DiskBusyError,
    DiskError,
    JournalMissingError,
    JournalRefusedError,
)

T = TypeVar("T")


class Folder:
    """Answers as vendd would, from its file."""

    def __init__(self, runner: asyncio.Runner, view: FolderView) -> None:
        """Keep the open journal and the loop that reads it."""
        self._runner = runner
        self._view = view

    def records(self, after: int, limit: int, *, exact: bool = False) -> dict[str, Any]:
        """Return a page of records."""
        page = self._run(self._view.records(after, limit))
        return {
            "journal": views.journal(self._view),
            "currency": self._view.currency,
            "records": [views.record(one, exact=exact) for one in page],
        }

    def verify(self) -> dict[str, Any]:
        """Check every byte of the file."""
        return dict(self._run(self._view.verify()))

    def trace(self, seq: int) -> dict[str, Any]:
        """Return each cent's way."""
        return dict(self._run(trace(self._view, seq, currency=self._view.currency)))

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(work)


@contextmanager
def opened(folder: Path, root: bytes | None = None) -> Iterator[Folder]:
    """Open the journal in a folder; nothing in it changes.

    Raises:
        CliError: There is none that can be read.
    """
    with asyncio.Runner() as runner:
        journal = open_folder(folder, root)
        try:
            view = runner.run(journal.__aenter__())
            try:
                yield Folder(runner, view)
            finally:
                runner.run(journal.__aexit__(None, None, None))
        except JournalMissingError as error:
            raise CliError(str(error), Exit.NOT_FOUND) from error
        except JournalRefusedError as error:
            raise CliError(f"the journal is damaged: {error}", Exit.NO) from error
        except DiskBusyError as error:
            raise CliError(f"{error}: vendd has it; ask vendd", Exit.REFUSED) from error
        except DiskError as error:
            raise CliError(f"{folder}: {error}", Exit.FAILED) from error
        except NothingToTraceError as error:
            raise CliError(str(error), Exit.NOT_FOUND) from error
