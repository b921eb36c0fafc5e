"""The journal's database and folder on the disk that loses power: apsw, inside the loop.

No threads: each call does its work at once and then waits, in virtual time, for as long as the
disk's syncs have taken. A machine whose power was cut never gets an answer.
"""

from __future__ import annotations

import asyncio
import errno
import random
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Final, TypeVar, cast

import apsw

from controller.faults import InvariantError
from controller.journal.database import (
    PRAGMAS,
    READ_PRAGMAS,
    Access,
    LogSize,
    Row,
    Statement,
    Value,
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
from simulator.disk import Disk, PowerCutError

T = TypeVar("T")

_BY_KIND: Final[dict[type[apsw.Error], type[DiskError]]] = {
    apsw.FullError: DiskFullError,
    apsw.ReadOnlyError: DiskReadOnlyError,
    apsw.PermissionsError: DiskReadOnlyError,
    apsw.IOError: DiskIoError,
    apsw.CantOpenError: DiskIoError,
    apsw.CorruptError: DiskCorruptError,
    apsw.NotADBError: DiskCorruptError,
    apsw.BusyError: DiskBusyError,
    apsw.LockedError: DiskBusyError,
}
# As SQLite's own VFS says of a Linux file system.
_SECTOR_SIZE: Final = 4096
_JULIAN_MS: Final = 212_634_979_200_000  # a Monday in 2026; SQLite's time is used by nobody here


def _from_os(error: OSError) -> DiskError:
    if error.errno == errno.ENOSPC:
        return DiskFullError(str(error))
    if error.errno == errno.EROFS:
        return DiskReadOnlyError(str(error))
    return DiskIoError(str(error))


def _from_sqlite(error: apsw.Error) -> Exception:
    kind = _BY_KIND.get(type(error))
    words = f"{type(error).__name__}: {error}"
    return kind(words) if kind else InvariantError(f"SQLite refused what we asked: {words}")


def _to_sqlite(error: OSError) -> apsw.Error:
    if error.errno == errno.ENOSPC:
        return apsw.FullError(str(error))
    if error.errno == errno.EROFS:
        return apsw.ReadOnlyError(str(error))
    return apsw.IOError(str(error))


class _OpenFile:
    """A file of the disk as SQLite holds it open."""

    def __init__(self, vfs: _Vfs, name: str, *, temporary: bool, writable: bool) -> None:
        self._vfs = vfs
        self._disk = vfs.disk
        self._name = name
        self._temporary = temporary
        self._writable = writable

    def _change(self, work: Callable[[], None]) -> None:
        if self._vfs.gone:
            return  # SQLite tidies up after a process that is no more: it reaches nothing
        if not self._writable:
            raise apsw.ReadOnlyError(self._name)
        try:
            work()
        except OSError as error:
            raise _to_sqlite(error) from error

    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802 - SQLite's names
        try:
            return self._disk.read(self._name, amount, offset)
        except OSError as error:
            raise _to_sqlite(error) from error

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        # Some thirty times in each vend: ``_change``, written out.
        if self._vfs.gone:
            return
        if not self._writable:
            raise apsw.ReadOnlyError(self._name)
        try:
            self._disk.write(self._name, data, offset)
        except OSError as error:
            raise _to_sqlite(error) from error

    def xTruncate(self, size: int) -> None:  # noqa: N802
        self._change(lambda: self._disk.truncate(self._name, size))

    def xSync(self, flags: int) -> None:  # noqa: ARG002, N802
        self._change(lambda: self._disk.sync(self._name))
        if self._name in self._vfs.fresh_logs:
            # As SQLite's own VFS: the first sync of a new log makes its name safe as well.
            self._vfs.fresh_logs.discard(self._name)
            self._change(self._disk.sync_folder)

    def xFileSize(self) -> int:  # noqa: N802
        return len(self._disk.files[self._name].data)

    def xClose(self) -> None:  # noqa: N802
        if self._temporary:
            self._disk.files.pop(self._name, None)

    def xLock(self, level: int) -> None:  # noqa: N802
        del level  # one process, one connection

    def xUnlock(self, level: int) -> None:  # noqa: N802
        del level

    def xCheckReservedLock(self) -> bool:  # noqa: N802
        return False

    def xFileControl(self, op: int, pointer: int) -> bool:  # noqa: N802
        del op, pointer
        return False

    def xSectorSize(self) -> int:  # noqa: N802
        return _SECTOR_SIZE

    def xDeviceCharacteristics(self) -> int:  # noqa: N802
        return apsw.SQLITE_IOCAP_POWERSAFE_OVERWRITE


class _Vfs(apsw.VFS):
    """SQLite's way to one disk. Each ``DiskStorage`` has its own: one process of the machine."""

    def __init__(self, disk: Disk) -> None:
        self.disk = disk
        self.detached = False
        self.let_go = False  # the dead process's tasks are being cancelled
        self.read_only = False  # the next file is opened for reading
        self.fresh_logs: set[str] = set()
        self._temporaries = 0
        self._rng = random.Random(0)
        self.name = f"vendsim-disk-{id(self):x}"
        super().__init__(self.name, base="")

    @property
    def gone(self) -> bool:
        """Tell whether the process has been killed or the power cut."""
        return self.detached or self.disk.dead

    def xOpen(self, name: object, flags: list[int]) -> apsw.VFSFile:  # noqa: N802
        temporary = name is None
        if temporary:
            self._temporaries += 1
            plain = f"temporary-{self._temporaries}"
        else:
            plain = name.filename() if isinstance(name, apsw.URIFilename) else str(name)
        wanted = flags[0]
        writable = bool(wanted & apsw.SQLITE_OPEN_READWRITE) and not self.read_only
        if plain not in self.disk.files:
            if self.gone or not writable or not wanted & apsw.SQLITE_OPEN_CREATE:
                raise apsw.CantOpenError(plain)
            try:
                self.disk.create(plain)
            except OSError as error:
                raise _to_sqlite(error) from error
            if wanted & apsw.SQLITE_OPEN_WAL:
                self.fresh_logs.add(plain)
        if writable:
            flags[1] = wanted
        else:
            both = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
            flags[1] = wanted & ~both | apsw.SQLITE_OPEN_READONLY
        file = _OpenFile(self, plain, temporary=temporary, writable=writable)
        return cast("apsw.VFSFile", file)  # apsw asks for the methods, not for the class

    def xAccess(self, pathname: str, flags: int) -> bool:  # noqa: ARG002, N802
        return pathname in self.disk.files

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802
        if self.gone:
            return
        if self.read_only:
            raise apsw.ReadOnlyError(filename)
        if filename not in self.disk.files:
            return
        try:
            self.disk.remove(filename)
            if syncdir:
                self.disk.sync_folder()
        except OSError as error:
            raise _to_sqlite(error) from error

    def xFullPathname(self, name: str) -> str:  # noqa: N802
        return name

    def xRandomness(self, numbytes: int) -> bytes:  # noqa: N802
        return self._rng.randbytes(numbytes)

    def xSleep(self, microseconds: int) -> int:  # noqa: N802
        return microseconds

    def xCurrentTimeInt64(self) -> int:  # noqa: N802
        return _JULIAN_MS

    def xGetLastError(self) -> tuple[int, str]:  # noqa: N802
        return 0, ""


class InlineDatabase:
    """A ``Database`` over one apsw connection, without a thread."""

    def __init__(self, connection: apsw.Connection, vfs: _Vfs) -> None:
        self._connection: apsw.Connection | None = connection
        self._vfs = vfs
        self._failed = ""

    def _run(self, work: Callable[[apsw.Connection], T]) -> T:
        if self._connection is None:
            raise JournalPoisonedError("the database is closed")
        try:
            return work(self._connection)
        except apsw.Error as error:
            raise _from_sqlite(error) from error
        except UnicodeDecodeError as error:
            raise DiskCorruptError(f"a damaged byte made text of a value: {error}") from error

    def __del__(self) -> None:
        """Close quietly what nobody closed: the disk may refuse, and nobody is left to ask."""
        self.abandon()

    async def query(self, sql: str, parameters: Sequence[Value] = ()) -> list[Row]:
        """Return all rows."""
        try:
            rows = self._run(lambda conn: list(conn.execute(sql, tuple(parameters))))
        except BaseException:
            await _unless_dead(self._vfs)
            raise
        if self._must_wait():
            await _pass_time(self._vfs)
        return rows

    async def transaction(self, statements: Sequence[Statement]) -> None:
        """Run the statements as one transaction."""
        if self._failed:
            raise JournalPoisonedError(self._failed)

        def work(connection: apsw.Connection) -> None:
            if len(statements) == 1:
                sql, parameters = statements[0]
                connection.execute(sql, tuple(parameters))
                return
            connection.execute("BEGIN IMMEDIATE")
            for sql, parameters in statements:
                connection.execute(sql, tuple(parameters))
            connection.execute("COMMIT")

        await self._guarded(work)

    async def checkpoint(self, *, truncate: bool = False) -> LogSize:
        """Copy the log into the file."""
        if self._failed:
            raise JournalPoisonedError(self._failed)
        mode = "TRUNCATE" if truncate else "PASSIVE"
        rows = await self._guarded(
            lambda conn: list(conn.execute(f"PRAGMA wal_checkpoint({mode})"))
        )
        busy, frames, copied = rows[0]
        if busy:
            raise DiskBusyError("a checkpoint met another connection")
        return LogSize(max(frames, 0), max(copied, 0))

    async def _guarded(self, work: Callable[[apsw.Connection], T]) -> T:
        try:
            result = self._run(work)
        except BaseException as error:
            self._failed = f"a transaction failed: {error!r}"
            await _unless_dead(self._vfs)
            await _pass_time(self._vfs)
            raise
        if self._must_wait():
            await _pass_time(self._vfs)
        return result

    def _must_wait(self) -> bool:
        """Tell whether ``_pass_time`` would wait; what else it does is done (nearly always)."""
        vfs = self._vfs
        if vfs.gone or vfs.disk.owes_time:
            return True
        vfs.disk.settle()
        return False

    async def close(self) -> None:
        """End the connection."""
        if self._connection is not None:
            self.abandon()
            await _pass_time(self._vfs)

    def abandon(self) -> None:
        """End the connection at once; nothing reaches the disk when the process is dead."""
        connection, self._connection = self._connection, None
        if connection is not None:
            # SQLite tidies up when it closes; what the disk refuses then is nobody's answer.
            with suppress(apsw.Error, PowerCutError):
                connection.close(force=True)


async def _unless_dead(vfs: _Vfs) -> None:
    """Never return on a machine without power: nobody is there to see an error."""
    if not vfs.gone:
        return
    if vfs.let_go:
        raise asyncio.CancelledError
    try:
        await asyncio.get_running_loop().create_future()
    except asyncio.CancelledError:
        vfs.let_go = True  # whatever it tries on its way out ends as well
        raise


async def _pass_time(vfs: _Vfs) -> None:
    seconds = vfs.disk.take_latency_s()
    if seconds > 0:
        await asyncio.sleep(seconds)
    await _unless_dead(vfs)
    vfs.disk.settle()


class DiskStorage:
    """A ``Storage`` on a simulated disk, for one life of the process."""

    def __init__(self, disk: Disk) -> None:
        self.disk = disk
        self._vfs = _Vfs(disk)
        self._opened: list[InlineDatabase] = []

    def detach(self) -> None:
        """Let nothing of this process reach the disk any more; may be called within a write."""
        self._vfs.detached = True

    def kill(self) -> None:
        """End the process as SIGKILL does: nothing of it reaches the disk any more.

        What it wrote stays in the page cache; a new ``DiskStorage`` on the same disk sees it.
        """
        self._vfs.detached = True
        for database in self._opened:
            database.abandon()
        self._opened.clear()

    def let_go(self) -> None:
        """Let the tasks of a killed process end; they would wait for its disk for ever."""
        self._vfs.let_go = True

    async def open(self, name: str, access: Access) -> InlineDatabase:
        """Open a database."""
        disk, vfs = self.disk, self._vfs
        vfs.read_only = access is Access.READ
        flags = apsw.SQLITE_OPEN_URI
        pragmas: Sequence[str]
        if access is Access.WRITE:
            if disk.read_only:
                raise DiskReadOnlyError(f"{name}: read-only")
            flags |= apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
            uri, pragmas = f"file:{name}", PRAGMAS
        else:
            flags |= apsw.SQLITE_OPEN_READONLY
            log = disk.files.get(log_of(name))
            uri = f"file:{name}" if log and log.data else f"file:{name}?immutable=1"
            pragmas = READ_PRAGMAS
        try:
            connection = apsw.Connection(uri, flags=flags, vfs=vfs.name)
        except apsw.Error as error:
            await _unless_dead(vfs)
            raise _from_sqlite(error) from error
        database = InlineDatabase(connection, vfs)
        self._opened.append(database)
        try:
            for pragma in pragmas:
                await database.query(pragma)
            await database.query("SELECT count(*) FROM sqlite_schema")
        except BaseException:
            await database.close()
            raise
        await _pass_time(vfs)
        return database

    async def _do(self, work: Callable[[], T]) -> T:
        await _unless_dead(self._vfs)
        try:
            return work()
        except OSError as error:
            raise _from_os(error) from error
        except PowerCutError:
            await _unless_dead(self._vfs)
            raise
        finally:
            await _pass_time(self._vfs)

    async def read(self, name: str) -> bytes | None:
        """Return a small file's bytes."""
        disk = self.disk
        file = disk.files.get(name)
        return await self._do(lambda: None if file is None else disk.read(name, file.size, 0))

    async def write(self, name: str, content: bytes, *, private: bool = False) -> None:
        """Replace a small file."""
        del private
        disk, fresh = self.disk, f"{name}.new"

        def work() -> None:
            if fresh in disk.files:
                disk.remove(fresh)
            disk.create(fresh)
            try:
                disk.write(fresh, content, 0)
                disk.sync(fresh)
                disk.rename(fresh, name)
            except OSError:
                if fresh in disk.files and not disk.read_only:
                    disk.remove(fresh)
                raise
            disk.sync_folder()

        await self._do(work)

    async def reserve(self, name: str, size: int) -> None:
        """Make a file that takes its room."""

        def work() -> None:
            try:
                self.disk.reserve(name, size)
            except OSError:
                if name in self.disk.files and not self.disk.read_only:
                    self.disk.remove(name)
                raise
            self.disk.sync(name)
            self.disk.sync_folder()

        await self._do(work)

    async def remove(self, names: Iterable[str]) -> None:
        """Delete files."""

        def work() -> None:
            for name in names:
                if name in self.disk.files:
                    self.disk.remove(name)
            self.disk.sync_folder()

        await self._do(work)

    async def rename(self, old: str, new: str) -> None:
        """Rename a file."""

        def work() -> None:
            self.disk.rename(old, new)
            self.disk.sync_folder()

        await self._do(work)

    async def link(self, name: str, other: str) -> None:
        """Give a file a second name."""

        def work() -> None:
            self.disk.link(name, other)
            self.disk.sync_folder()

        await self._do(work)

    async def names(self) -> list[str]:
        """Return the names of all files."""
        return await self._do(lambda: sorted(self.disk.files))

    async def size(self, name: str) -> int | None:
        """Return a file's size."""
        file = self.disk.files.get(name)
        return await self._do(lambda: None if file is None else file.size)

    async def free_bytes(self) -> int:
        """Return the room that is left."""
        return await self._do(self.disk.free_bytes)
