"""Where requests lie for an updater, in this process: whole or not there, over any power cut."""

from __future__ import annotations

import asyncio
from typing import Final

WRITE_S: Final = 0.02  # virtual, on either side of the instant at which it is there


class MemorySpool:
    """A folder."""

    def __init__(self) -> None:
        """Begin empty."""
        self.write_s = WRITE_S
        self.files: dict[str, bytes] = {}
        self.written: list[str] = []  # every writing, the repeated ones too

    async def put(self, name: str, content: bytes) -> None:
        """Write a file."""
        await asyncio.sleep(self.write_s)
        self.files[name] = content
        self.written.append(name)
        await asyncio.sleep(self.write_s)

    async def has(self, name: str) -> bool:
        """Tell whether it is there."""
        return name in self.files

    def pick_up(self) -> None:
        """Take everything away, as an updater does."""
        self.files.clear()
