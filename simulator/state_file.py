"""The world's state in a file: written whole or not at all, soon after each change."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

# Facts come in bursts (a payout is a coin every 0.15 s); one write serves a burst.
SAVE_AFTER_S: Final = 0.05


def read_state(path: Path) -> dict[str, Any] | None:
    """Return what was saved, None when there is no file.

    Raises:
        ValueError: The file holds no state.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: no text, and so no state of a world") from error
    try:
        state = json.loads(text)
    except (ValueError, RecursionError) as error:  # also a number of more digits than Python reads
        raise ValueError(f"{path}: no JSON: {error}") from error
    if not isinstance(state, dict):
        raise ValueError(f"{path}: holds no state of a world")
    return state


def write_state(path: Path, text: str) -> None:
    """Replace the file, so that any crash leaves the old or the new one."""
    new = path.with_name(f".{path.name}.new")
    with new.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


class StateSaver:
    """Saves after changes, off the loop's thread, one write at a time.

    Args:
        loop: The running loop.
        path: Where to.
        state: Returns what to save.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, path: Path, state: Callable[[], dict[str, Any]]
    ) -> None:
        self._loop = loop
        self._path = path
        self._state = state
        self._timer: asyncio.TimerHandle | None = None
        self._writing: asyncio.Future[None] | None = None
        self._again = False

    def changed(self) -> None:
        """Note that there is something to save."""
        if self._timer is None:
            self._timer = self._loop.call_later(SAVE_AFTER_S, self._due)

    async def save(self) -> None:
        """Save now and wait for it. Raises OSError."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._writing is not None:  # of an earlier state; it reports its own failure
            await asyncio.wait({self._writing})
        await self._write()

    def _due(self) -> None:
        self._timer = None
        if self._writing is not None:
            self._again = True
            return
        self._write()

    def _write(self) -> asyncio.Future[None]:
        text = json.dumps(self._state())
        self._writing = self._loop.run_in_executor(None, write_state, self._path, text)
        self._writing.add_done_callback(self._written)
        return self._writing

    def _written(self, writing: asyncio.Future[None]) -> None:
        self._writing = None
        error = writing.exception()
        if error is not None:
            self._loop.call_exception_handler(
                {"message": f"the world's state could not be saved to {self._path}",
                 "exception": error}
            )  # fmt: skip
        if self._again:
            self._again = False
            self.changed()
