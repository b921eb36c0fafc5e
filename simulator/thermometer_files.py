"""Writes what the kernel would have in its thermometers' files, for a controller beside it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

from simulator.thermal import Cabin

EVERY_S: Final = 0.25  # on the wall: as fresh as a conversion, even when the world runs fast


class ThermometerFiles:
    """Keeps the files as they should be.

    Args:
        cabin: Whose.
        loop: Where it happens.
    """

    def __init__(self, cabin: Cabin, loop: asyncio.AbstractEventLoop) -> None:
        self._cabin = cabin
        self._loop = loop
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Write them now and again and again."""
        for path in self._cabin.files():
            text = self._cabin.content(path)
            if text is None:
                path.unlink(missing_ok=True)
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            new = path.with_name(f".{path.name}.new")
            new.write_text(text, encoding="ascii")
            new.replace(path)
        self._timer = self._loop.call_later(EVERY_S, self.start)

    def stop(self) -> None:
        """Write no more, and remove them: the hardware is gone."""
        if self._timer is not None:
            self._timer.cancel()
        for path in self._cabin.files():
            with suppress(OSError):
                path.unlink()
