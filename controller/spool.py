"""A folder in which requests lie that another program picks up: the updater's.

A file is there whole or not at all: written aside, made durable, then renamed. Nothing is ever
written twice under one name by us, so whoever takes a file away takes it once.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from controller.faults import EffectUnknownError, LinkError


class FolderSpool:
    """A folder on this computer.

    Args:
        folder: Made when it is not there; whoever may write here may have software installed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def put(self, name: str, content: bytes) -> None:
        """Write a file that is whole or not there, and durable.

        Raises:
            LinkError: It is not there.
            EffectUnknownError: It may be there, and may be gone after a power cut.
        """
        await asyncio.to_thread(self._put, name, content)

    async def has(self, name: str) -> bool:
        """Tell whether it is there. Raises LinkError."""
        return await asyncio.to_thread(self._has, name)

    def _put(self, name: str, content: bytes) -> None:
        final = self._folder / name
        aside = final.with_name(f".{name}.new")
        try:
            self._folder.mkdir(mode=0o750, parents=True, exist_ok=True)
            descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o640)
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            aside.replace(final)
        except OSError as error:
            raise LinkError(f"{final}: {error.strerror}") from error
        try:
            folder = os.open(self._folder, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise EffectUnknownError(f"{final}: {error.strerror}") from error

    def _has(self, name: str) -> bool:
        try:
            return (self._folder / name).exists()
        except OSError as error:
            raise LinkError(f"{self._folder}: {error.strerror}") from error
