"""Recordings as files beside the journal: few, bounded, and in nobody's way.

A thread of the lowest priority writes them, a piece at a time, only while the journal is not being
written, and never syncs: a power cut may take the newest one along, and nothing else.
"""

from __future__ import annotations

import gzip
import io
import os
import queue
import re
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

import structlog

from controller.journal.ballast import BALLAST_BYTES, SPARE_BYTES

KEPT: Final = 20  # recordings; the oldest goes first
MOST_BYTES: Final = 1 << 20  # of one, compressed: what comes behind is left out
WAITING_MAX: Final = 2  # stretches that wait to be written; more trouble at once is the same one
LINES_AT_ONCE: Final = 20  # some ms of a Pi's core, then others are let in
PAUSE_S: Final = 0.01
CLOSE_S: Final = 0.15  # nobody beats at the end, and the guard waits for 0.5 s
LEAST_PRIORITY: Final = 19
# What the disk has beyond this is ours: the journal goes before, and what it sets aside.
ROOM_BYTES: Final = BALLAST_BYTES + SPARE_BYTES
SUFFIX: Final = ".jsonl.gz"
NEW: Final = ".new"
log = structlog.get_logger("recorder")

NAME: Final = re.compile(r"\d{6}-[a-z0-9._-]{1,60}\.jsonl\.gz")


def room_bytes(folder: Path) -> int:
    """Return the room that the disk of a folder has left."""
    room = os.statvfs(folder)
    return room.f_bavail * room.f_frsize


def name_of(number: int, word: str) -> str:
    """Return a recording's name."""
    plain = re.sub(r"[^a-z0-9._-]+", "-", word.lower())[:60] or "trouble"
    return f"{number:06d}-{plain}{SUFFIX}"


def packed(lines: Iterable[bytes], pause: Callable[[], None] | None = None) -> bytes:
    """Return lines compressed; those beyond the bound are left out."""
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb", compresslevel=6, mtime=0) as file:
        for number, line in enumerate(lines):
            if out.tell() + len(line) > MOST_BYTES:
                break
            file.write(line)
            if pause is not None and number % LINES_AT_ONCE == 0:
                pause()
    return out.getvalue()


def unpacked(content: bytes) -> list[bytes]:
    """Return a recording's lines. Raises ValueError when it is none."""
    try:
        return gzip.decompress(content).splitlines()
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"no recording: {error}") from error


class Keeper(Protocol):
    """Where recordings go."""

    def keep(self, word: str, lines: Iterator[bytes]) -> None:
        """Take one; never blocks."""
        ...

    def names(self) -> list[tuple[str, int]]:
        """Return names and sizes, the oldest first."""
        ...

    def read(self, name: str) -> bytes | None:
        """Return one, as it is on the disk; None when it is not there."""
        ...

    def close(self) -> None:
        """Write what waits, within a moment."""
        ...


class MemoryKeeper:
    """Keeps them in this process: for virtual time."""

    def __init__(self) -> None:
        """Start empty."""
        self.kept: dict[str, list[bytes]] = {}  # lines: packing them costs as much as a vend
        self._number = 0

    def keep(self, word: str, lines: Iterator[bytes]) -> None:
        """Take one."""
        self._number += 1
        self.kept[name_of(self._number, word)] = list(lines)
        for name in sorted(self.kept)[:-KEPT]:
            del self.kept[name]

    def names(self) -> list[tuple[str, int]]:
        """Return names and sizes."""
        return [(name, len(packed(self.kept[name]))) for name in sorted(self.kept)]

    def read(self, name: str) -> bytes | None:
        """Return one."""
        lines = self.kept.get(name)
        return None if lines is None else packed(lines)

    def close(self) -> None:
        """Do nothing."""


class FolderKeeper:
    """Keeps them in a folder.

    Args:
        folder: Made when the first one comes.
        busy: Tells whether the journal is being written now.
        free: Tells how much room there is on the disk of a folder.
    """

    def __init__(
        self,
        folder: Path,
        busy: Callable[[], bool],
        free: Callable[[Path], int] = room_bytes,
    ) -> None:
        self._folder = folder
        self._busy = busy
        self._free = free
        self._waiting: queue.Queue[tuple[str, Iterator[bytes]] | None] = queue.Queue(WAITING_MAX)
        self._pause = threading.Event()  # never set: what a wait waits for
        self._thread: threading.Thread | None = None
        self._hurry = False

    def keep(self, word: str, lines: Iterator[bytes]) -> None:
        """Take one; when others wait already it is left out."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="recordings", daemon=True)
            self._thread.start()
        with suppress(queue.Full):
            self._waiting.put_nowait((word, lines))

    def names(self) -> list[tuple[str, int]]:
        """Return names and sizes."""
        try:
            found = sorted(p for p in self._folder.iterdir() if NAME.fullmatch(p.name))
            return [(path.name, path.stat().st_size) for path in found]
        except OSError:
            return []

    def read(self, name: str) -> bytes | None:
        """Return one."""
        if NAME.fullmatch(name) is None:
            return None
        try:
            return (self._folder / name).read_bytes()
        except OSError:
            return None

    def close(self) -> None:
        """Write what waits, without consideration: the guard's patience is short."""
        if self._thread is not None:
            self._hurry = True
            with suppress(queue.Full):
                self._waiting.put_nowait(None)
            self._thread.join(CLOSE_S)

    def _run(self) -> None:
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), LEAST_PRIORITY)
        while (next_ := self._waiting.get()) is not None:
            try:
                self._write(*next_)
            except Exception as error:  # noqa: BLE001 - what can't be written is no trouble of its own
                log.warning("recorder.write", error=repr(error))

    def _write(self, word: str, lines: Iterator[bytes]) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for left in self._folder.glob("*" + NEW):  # by a kill
            left.unlink(missing_ok=True)
        if self._free(self._folder) < ROOM_BYTES:
            log.warning("recorder.no_room", reason=word)
            return
        there = [name for name, _ in self.names()]
        number = int(there[-1][:6]) + 1 if there else 1
        content = packed(lines, self._give_way)
        self._give_way()
        path = self._folder / name_of(number % 1_000_000, word)
        new = path.with_suffix(NEW)
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
            new.replace(path)
        except OSError:
            new.unlink(missing_ok=True)
            raise
        for name in [*there, path.name][:-KEPT]:
            (self._folder / name).unlink(missing_ok=True)

    def _give_way(self) -> None:
        """Let others in, and wait while the journal is being written."""
        if self._hurry:
            return
        self._pause.wait(PAUSE_S)
        while self._busy() and not self._hurry:
            self._pause.wait(PAUSE_S)
