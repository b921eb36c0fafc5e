"""The journal's database and folder on a real disk: aiosqlite, one connection in one thread."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import sqlite3
from collections.abc import Awaitable, Iterable, Sequence
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import quote

import aiosqlite

from controller.faults import InvariantError
from controller.journal.database import (
    PRAGMAS,
    READ_PRAGMAS,
    Access,
    LogSize,
    Row,
    Statement,
    Value,
    kept_log_of,
    log_of,
)
from controller.journal.errors import (
    DiskBusyError,
    DiskCorruptError,
    DiskError,
    DiskFullError,
    DiskIoError,
    DiskReadOnlyError,
    JournalPoisonedError,
)

T = TypeVar("T")

_BY_CODE: Final[dict[int, type[DiskError]]] = {
    sqlite3.SQLITE_FULL: DiskFullError,
    sqlite3.SQLITE_READONLY: DiskReadOnlyError,
    sqlite3.SQLITE_PERM: DiskReadOnlyError,
    sqlite3.SQLITE_IOERR: DiskIoError,
    sqlite3.SQLITE_CANTOPEN: DiskIoError,
    sqlite3.SQLITE_CORRUPT: DiskCorruptError,
    sqlite3.SQLITE_NOTADB: DiskCorruptError,
    sqlite3.SQLITE_BUSY: DiskBusyError,
    sqlite3.SQLITE_LOCKED: DiskBusyError,
}
_NO_TEXT: Final = "Could not decode to UTF-8"  # Python's own word; we store no such text
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_READ_ONLY: Final = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})
# Where SQLite keeps its locks in a database file (its file format, section 1.5): the shared range.
_LOCK_START: Final = 0x40000000 + 2
_LOCK_LENGTH: Final = 510


def _from_sqlite(error: sqlite3.Error) -> Exception:
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        if str(error).startswith(_NO_TEXT):
            return DiskCorruptError(f"a damaged byte made text of a value: {error}")
        return InvariantError(f"SQLite was misused: {error}")
    kind = _BY_CODE.get(code & 0xFF)
    name = getattr(error, "sqlite_errorname", "")
    if kind is None:
        return InvariantError(f"SQLite refused what we asked: {name}: {error}")
    return kind(f"{name}: {error}")


def _from_os(error: OSError) -> DiskError:
    kind: type[DiskError] = DiskIoError
    if error.errno in _FULL:
        kind = DiskFullError
    elif error.errno in _READ_ONLY:
        kind = DiskReadOnlyError
    return kind(str(error))


class _Places:
    """Where the files of an open database stand: under a name, or the next start finds nothing.

    SQLite writes on to a file that was deleted, replaced or moved away, and syncs it: all of it is
    gone when this process ends. Asked behind each commit, two looks at a folder in memory.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._logs = path.with_name(log_of(path.name)), path.with_name(kept_log_of(path.name))
        self._file = _identity(path)
        self._log: tuple[int, int] | None = None

    def check(self) -> None:
        """Raise DiskIoError if the file, or both names of its log, lead elsewhere or nowhere."""
        if _identity(self._path) != self._file:
            raise DiskIoError(f"{self._path} was taken away while it was in use")
        log, kept = self._logs
        if self._log is None:
            self._log = _identity(log)  # which the first commit made
        elif _identity(log) != self._log and _identity(kept) != self._log:
            raise DiskIoError(f"{log} was taken away while it was in use")


class AioDatabase:
    """A ``Database`` over aiosqlite."""

    def __init__(self, connection: aiosqlite.Connection) -> None:
        self._connection: aiosqlite.Connection | None = connection
        self.places: _Places | None = None  # of one that is written
        self._lock = asyncio.Lock()  # nobody reads between BEGIN and COMMIT
        self._failed = ""

    async def _run(self, work: Awaitable[T]) -> T:
        try:
            return await work
        except sqlite3.Error as error:
            raise _from_sqlite(error) from error

    def _open(self) -> aiosqlite.Connection:
        if self._connection is None:
            raise JournalPoisonedError("the database is closed")
        return self._connection

    async def query(self, sql: str, parameters: Sequence[Value] = ()) -> list[Row]:
        """Return all rows."""
        async with self._lock:
            rows = await self._run(self._open().execute_fetchall(sql, parameters))
        return [tuple(row) for row in rows]

    async def transaction(self, statements: Sequence[Statement]) -> None:
        """Run the statements as one transaction."""
        if self._failed:
            raise JournalPoisonedError(self._failed)
        connection = self._open()
        async with self._lock:
            try:
                # One trip to the thread and back: it offers no other way for a whole transaction,
                # and each trip is a tenth of what a customer waits for beside the syncs.
                raw = connection._conn  # noqa: SLF001 - see above
                work = connection._execute(_transact, raw, statements, self.places)  # type: ignore[no-untyped-call]  # noqa: SLF001 - as above
                await self._run(work)
            except BaseException as error:
                # Whether a cancelled caller's transaction ends, the reopened file will say.
                self._failed = f"a transaction failed: {error!r}"
                raise

    async def checkpoint(self, *, truncate: bool = False) -> LogSize:
        """Copy the log into the file."""
        if self._failed:
            raise JournalPoisonedError(self._failed)
        mode = "TRUNCATE" if truncate else "PASSIVE"
        try:
            ((busy, frames, copied),) = await self.query(f"PRAGMA wal_checkpoint({mode})")
        except DiskError as error:
            self._failed = f"a checkpoint failed: {error!r}"
            raise
        if busy:
            raise DiskBusyError("a checkpoint met another connection")
        return LogSize(max(frames, 0), max(copied, 0))

    async def close(self) -> None:
        """End the connection and its thread."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await self._run(connection.close())


class DirectoryStorage:
    """A ``Storage`` in a folder of a real file system; made when it is not there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def _path(self, name: str) -> Path:
        if Path(name).name != name:
            raise InvariantError(f"not a plain file name: {name!r}")
        return self.folder / name

    async def _call(self, work: Awaitable[T]) -> T:
        try:
            return await work
        except OSError as error:
            raise _from_os(error) from error

    async def open(self, name: str, access: Access) -> AioDatabase:
        """Open a database."""
        path = self._path(name)
        if access is Access.WRITE:
            await self._call(asyncio.to_thread(_probe, path))
            options, pragmas = "mode=rwc", list(PRAGMAS)
        else:
            options = await self._call(asyncio.to_thread(_read_options, path))
            pragmas = list(READ_PRAGMAS)
        uri = f"file:{quote(str(path))}?{options}"
        try:
            opening = aiosqlite.connect(uri, uri=True, isolation_level=None, timeout=0)
            # A process that dies of an exception must not wait for a thread that nobody stops.
            opening._thread.daemon = True  # noqa: SLF001 - it offers no other way
            connection = await opening
        except sqlite3.Error as error:
            raise _from_sqlite(error) from error
        database = AioDatabase(connection)
        try:
            if access is Access.WRITE:
                database.places = await asyncio.to_thread(_Places, path)
            for pragma in pragmas:
                await database.query(pragma)
            # Nothing has been read yet, perhaps: take the lock, find out what the file is.
            await database.query("SELECT count(*) FROM sqlite_schema")
        except BaseException:
            await database.close()
            raise
        return database

    async def read(self, name: str) -> bytes | None:
        """Return a small file's bytes."""
        return await self._call(asyncio.to_thread(_read, self._path(name)))

    async def write(self, name: str, content: bytes, *, private: bool = False) -> None:
        """Replace a small file."""
        path = self._path(name)
        await self._call(asyncio.to_thread(_write, path, content, 0o600 if private else 0o644))

    async def reserve(self, name: str, size: int) -> None:
        """Make a file that takes its room."""
        await self._call(asyncio.to_thread(_reserve, self._path(name), size))

    async def remove(self, names: Iterable[str]) -> None:
        """Delete files."""
        paths = [self._path(name) for name in names]
        await self._call(asyncio.to_thread(_remove, self.folder, paths))

    async def rename(self, old: str, new: str) -> None:
        """Rename a file."""
        await self._call(asyncio.to_thread(_rename, self._path(old), self._path(new)))

    async def link(self, name: str, other: str) -> None:
        """Give a file a second name."""
        await self._call(asyncio.to_thread(_link, self._path(name), self._path(other)))

    async def names(self) -> list[str]:
        """Return the names of all files."""
        return await self._call(asyncio.to_thread(_names, self.folder))

    async def size(self, name: str) -> int | None:
        """Return a file's size."""
        return await self._call(asyncio.to_thread(_size, self._path(name)))

    async def free_bytes(self) -> int:
        """Return the room that is left for an ordinary user."""
        return await self._call(asyncio.to_thread(_free, self.folder))


# ------------------------------------------------------------ what runs in a thread, blocking


def _transact(
    connection: sqlite3.Connection, statements: Sequence[Statement], places: _Places | None
) -> None:
    """Run the statements as one transaction; a single one is one by itself."""
    if len(statements) == 1:
        connection.execute(*statements[0])
    else:
        connection.execute("BEGIN IMMEDIATE")
        for statement in statements:
            connection.execute(*statement)
        connection.execute("COMMIT")
    if places is not None:
        places.check()


def _identity(path: Path) -> tuple[int, int] | None:
    """Return which file stands there, None when there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _from_os(error) from error
    return found.st_dev, found.st_ino


def _probe(path: Path) -> None:
    """Fail as the operating system does when the file cannot be written.

    SQLite itself would quietly open it read-only. A new one is its owner's alone, and so is what
    SQLite makes beside it: claim codes stand in it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))


def _read_options(path: Path) -> str:
    """Choose how to read without writing: no lock file, no recovery of the log on the disk."""
    with path.open("rb") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB, _LOCK_LENGTH, _LOCK_START)
        except BlockingIOError as error:
            raise DiskBusyError(f"{path.name} is open in another process") from error
    log = path.with_name(log_of(path.name))
    # With a log its index is built in memory (EXCLUSIVE), which a VFS with locks would refuse on
    # a file opened read-only; without one, the file is all there is.
    return "mode=ro&vfs=unix-none" if (_size(log) or 0) else "mode=ro&immutable=1"


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _write(path: Path, content: bytes, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)  # left by a power cut, perhaps with another mode
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        fresh.replace(path)
    except OSError:
        fresh.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _reserve(path: Path, size: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
    try:
        os.posix_fallocate(descriptor, 0, size)
        os.fsync(descriptor)
    except OSError:
        path.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)
    _sync_folder(path.parent)


def _remove(folder: Path, paths: Sequence[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)
    _sync_folder(folder)


def _rename(old: Path, new: Path) -> None:
    old.rename(new)
    _sync_folder(new.parent)


def _link(path: Path, other: Path) -> None:
    other.unlink(missing_ok=True)
    other.hardlink_to(path)
    _sync_folder(path.parent)


def _names(folder: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in os.scandir(folder) if entry.is_file())
    except FileNotFoundError:
        return []


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None


def _free(folder: Path) -> int:
    room = os.statvfs(folder)
    return room.f_bavail * room.f_frsize
