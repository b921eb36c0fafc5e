"""The port under the journal: a database that commits, and a folder of small files.

Production: ``controller.journal.sqlite_aio`` (aiosqlite, a real folder). The fault search in
virtual time: ``simulator.disk_sqlite`` (one apsw connection inside the loop, on a disk that loses
power). Both serve the same SQL; ``tests/contract`` holds them to the same promises.

Every method raises a ``controller.journal.errors.DiskError`` when the disk refuses. After the
first one nothing is retried on that connection.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, Protocol

Value = int | bytes | str | None
Row = tuple[Any, ...]  # columns as SQLite gives them; the caller knows their types
Statement = tuple[str, Sequence[Value]]


class Access(Enum):
    """How a database is opened."""

    WRITE = "write"  # created when it is not there
    READ = "read"  # never changes a byte on the disk, and works on one that can't be written


@dataclass(frozen=True, slots=True)
class LogSize:
    """What a checkpoint found."""

    frames: int  # whole frames in the write-ahead log
    copied: int  # of these now in the database file


class Database(Protocol):
    """One connection: SQLite in WAL mode, synchronous=FULL, alone on its file."""

    async def query(self, sql: str, parameters: Sequence[Value] = ()) -> list[Row]:
        """Return all rows of a SELECT or a reading PRAGMA. Bound them with LIMIT."""
        ...

    async def transaction(self, statements: Sequence[Statement]) -> None:
        """Run the statements as one transaction; durable when this returns.

        One statement is its own transaction and costs one fsync and no BEGIN.
        """
        ...

    async def checkpoint(self, *, truncate: bool = False) -> LogSize:
        """Copy the write-ahead log into the database file and sync it."""
        ...

    async def close(self) -> None:
        """End the connection; safe to call twice."""
        ...


class Storage(Protocol):
    """The folder in which a journal and its companions live. Names are plain file names."""

    async def open(self, name: str, access: Access) -> Database:
        """Open or create a database with the PRAGMAs of this module."""
        ...

    async def read(self, name: str) -> bytes | None:
        """Return a small file's bytes, or None when it is not there."""
        ...

    async def write(self, name: str, content: bytes, *, private: bool = False) -> None:
        """Replace a small file, atomically and durably; ``private`` gives it mode 0600."""
        ...

    async def reserve(self, name: str, size: int) -> None:
        """Make a file of ``size`` bytes that really takes its room on the disk."""
        ...

    async def remove(self, names: Iterable[str]) -> None:
        """Delete files; those that are not there are passed over."""
        ...

    async def rename(self, old: str, new: str) -> None:
        """Rename a file, durably."""
        ...

    async def link(self, name: str, other: str) -> None:
        """Give a file a second name, in place of whatever has that name."""
        ...

    async def names(self) -> list[str]:
        """Return the names of all files, sorted."""
        ...

    async def size(self, name: str) -> int | None:
        """Return a file's size in bytes, or None when it is not there."""
        ...

    async def free_bytes(self) -> int:
        """Return how much room the disk has for us."""
        ...


# docs/decisions says how it was measured: a vend writes 2 to 3 times its own bytes with it, and an
# SD card's own pages are no smaller than a few of them.
PAGE_SIZE: Final = 1024
# Pages of cache: the newest pages are all that a machine reads.
_CACHE_KIB: Final = 512

# In this order. EXCLUSIVE before WAL keeps the WAL's index in memory: no third file, no second
# process, and the simulated disk needs no shared memory. Checkpoints are ours (store.py): one in
# the middle of a commit would add two fsyncs between a key press and the motor.
PRAGMAS: Final = (
    f"PRAGMA page_size={PAGE_SIZE}",
    "PRAGMA locking_mode=EXCLUSIVE",
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA wal_autocheckpoint=0",
    "PRAGMA foreign_keys=ON",
    "PRAGMA busy_timeout=0",
    "PRAGMA trusted_schema=OFF",
    "PRAGMA cell_size_check=ON",
    "PRAGMA temp_store=MEMORY",
    "PRAGMA mmap_size=0",
    "PRAGMA secure_delete=OFF",
    f"PRAGMA cache_size=-{_CACHE_KIB}",
)
READ_PRAGMAS: Final = (
    # Before the schema is read: a damaged table's text hides no other table. Nothing is written.
    "PRAGMA writable_schema=ON",
    "PRAGMA locking_mode=EXCLUSIVE",
    "PRAGMA query_only=ON",
    "PRAGMA trusted_schema=OFF",
    "PRAGMA cell_size_check=ON",
    "PRAGMA temp_store=MEMORY",
    "PRAGMA mmap_size=0",
)


def log_of(name: str) -> str:
    """Return the name of a database's write-ahead log."""
    return f"{name}-wal"


def kept_log_of(name: str) -> str:
    """Return the second name of the log (``opening.restore_log`` says why it has one)."""
    return f"{name}-wal.kept"


def companions(name: str) -> tuple[str, ...]:
    """Return the files that belong to the database ``name``: itself first."""
    return name, log_of(name), kept_log_of(name), f"{name}-shm", f"{name}-journal"
