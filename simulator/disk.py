"""A disk that loses power: what was not synced is lost, kept, torn or out of order.

Pure: files in memory, no SQLite, no clock. ``simulator.disk_sqlite`` puts a database on it.

The model, sector by sector (512 bytes, the least that a card writes at once): after a cut each
sector that was written since the file's last sync holds any one of the contents it had since
then, whatever its neighbours hold; the file's length is any that it had. A synced sector is safe,
its unsynced neighbour may not harm it (SQLite assumes the same of a real disk:
SQLITE_IOCAP_POWERSAFE_OVERWRITE). Names are kept in the order in which they changed, up to some
point not before the folder's last sync. A sync that fails leaves its sectors neither safe nor ever
synced again unless they are written anew, as Linux does it since 4.13.
"""

from __future__ import annotations

import errno
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Final

SECTOR: Final = 512


class PowerCutError(BaseException):
    """The power is gone. No ``Exception``: nothing on a dead machine may catch it and go on."""


class Io(StrEnum):
    """What may happen to a disk; each is a moment for a cut."""

    WRITE = "write"
    TRUNCATE = "truncate"
    SYNC = "sync"
    CREATE = "create"
    REMOVE = "remove"
    RENAME = "rename"
    SYNC_FOLDER = "sync_folder"
    READ = "read"  # may fail; changes nothing, so it is neither counted nor told


@dataclass(frozen=True, slots=True)
class IoEvent:
    """One operation, told before and after it."""

    number: int  # from 1, counted over the life of this disk
    kind: Io
    name: str
    offset: int
    size: int
    done: bool  # False: about to happen


class Choice(StrEnum):
    """How an image treats what was not synced."""

    NOTHING = "nothing"  # all of it lost
    EVERYTHING = "everything"  # all of it kept
    MIXED = "mixed"  # drawn, sector by sector


class File:
    """Bytes, and what else each sector could hold after a cut."""

    __slots__ = ("data", "doomed", "older", "reserved", "sizes")

    def __init__(self) -> None:
        self.data = bytearray()
        self.reserved = 0  # room taken beyond the data (a ballast need not be held in memory)
        self.older: dict[int, list[bytes]] = {}  # sector -> contents since the sync, oldest first
        self.doomed: dict[int, list[bytes]] = {}  # the same, of a sync that failed
        self.sizes: list[int] = []  # lengths since the last sync, oldest first

    @property
    def size(self) -> int:
        """Return the length."""
        return max(len(self.data), self.reserved)

    def remember(self, first: int, last: int) -> None:
        """Keep the contents of the sectors ``first`` to ``last`` before they change."""
        older, data = self.older, self.data
        for sector in range(first, last + 1):
            at = sector * SECTOR
            content = bytes(data[at : at + SECTOR])
            if sector in older:
                older[sector].append(content)
            else:
                older[sector] = [content]

    def image(self, choice: Choice, keep: float, rng: random.Random) -> File:
        """Return what is left of it after a cut."""
        image = File()
        image.reserved = self.reserved
        lengths = [*self.sizes, len(self.data)]
        data = image.data = bytearray(self.data)
        contents = {sector: list(olds) for sector, olds in self.doomed.items()}
        for sector, olds in self.older.items():
            contents.setdefault(sector, []).extend(olds)
        length = len(data)
        if choice is Choice.NOTHING:
            length = lengths[0]
        elif choice is Choice.MIXED and rng.random() >= keep:
            length = rng.choice(lengths)
        if length > len(data):
            data.extend(bytes(length - len(data)))
        for sector in sorted(contents):
            olds = contents[sector]
            at = sector * SECTOR
            if choice is Choice.NOTHING:
                content = olds[0]
            elif choice is Choice.MIXED and (at >= len(self.data) or rng.random() >= keep):
                content = rng.choice(olds)
            else:
                continue
            room = len(data) - at
            if room > 0:
                data[at : at + SECTOR] = content.ljust(SECTOR, b"\0")[:room]
        del data[length:]
        return image


FolderChange = tuple[tuple[str, File | None], ...]  # each name and what it stood for before


@dataclass(slots=True)
class _Failure:
    kind: Io
    suffix: str
    left: int  # how many go well before it
    error: int


class Disk:
    """One file system with one folder.

    Args:
        capacity: Bytes that its files may hold together, or None for plenty.
    """

    def __init__(self, capacity: int | None = None) -> None:
        self.capacity = capacity
        self.read_only = False
        self.dead = False
        self.operations = 0
        self.syncs = 0
        self.written = 0  # bytes, as the files' owner wrote them
        self.on_io: Callable[[IoEvent], None] | None = None
        self.sync_latency: Callable[[], float] | None = None  # seconds, drawn for each sync
        self.files: dict[str, File] = {}
        self._used = 0
        self._owed_s = 0.0
        self._folder: list[FolderChange] = []  # since the folder's last sync
        self._undo: list[Callable[[], None]] = []  # of the operations still under way
        self._failures: list[_Failure] = []

    # ------------------------------------------------------------------------------- faults

    def fail(self, kind: Io, *, suffix: str = "", after: int = 0, error: int = errno.EIO) -> None:
        """Let one operation of this kind fail, on a file whose name ends so, after some more."""
        self._failures.append(_Failure(kind, suffix, after, error))

    def fill_up(self, margin: int) -> None:
        """Leave room for ``margin`` more bytes, as if something else had filled the disk."""
        self.capacity = self._used + margin

    def heal(self) -> None:
        """End every fault that could still happen: no failures planned, room, speed, writable."""
        self._failures.clear()
        self.read_only = False
        self.capacity = None
        self.sync_latency = None

    def corrupt(self, name: str, offset: int, mask: int = 0x01) -> None:
        """Flip bits of one byte, as a worn card does: no write, no sync, nobody is told."""
        self.files[name].data[offset] ^= mask

    @property
    def owes_time(self) -> bool:
        """Tell whether a sync has taken time that nobody has waited for yet."""
        return self._owed_s > 0

    def take_latency_s(self) -> float:
        """Return the seconds that the syncs since the last call have taken, and forget them."""
        owed, self._owed_s = self._owed_s, 0.0
        return owed

    def settle(self) -> None:
        """Say that the operations so far have ended: a later cut does not find them half done."""
        self._undo.clear()

    # --------------------------------------------------------------------------- operations

    def _begin(self, kind: Io, name: str, offset: int = 0, size: int = 0) -> None:
        if self.dead:
            raise PowerCutError
        self.operations += 1
        if self.on_io is not None:
            self._tell(IoEvent(self.operations, kind, name, offset, size, done=False))
        if self._failures:
            self._fail_if_planned(kind, name)
        if self.read_only:
            raise OSError(errno.EROFS, "read-only", name)

    def _fail_if_planned(self, kind: Io, name: str) -> None:
        for failure in self._failures:
            if failure.kind is kind and name.endswith(failure.suffix):
                failure.left -= 1
                if failure.left < 0:
                    self._failures.remove(failure)
                    raise OSError(failure.error, f"{kind} failed", name)

    def _end(self, kind: Io, name: str, offset: int = 0, size: int = 0) -> None:
        if self.on_io is not None:
            self._tell(IoEvent(self.operations, kind, name, offset, size, done=True))

    def _tell(self, event: IoEvent) -> None:
        assert self.on_io is not None
        try:
            self.on_io(event)
        except PowerCutError:
            self.dead = True
            raise

    def _take(self, name: str, more: int) -> None:
        if self.capacity is not None and more > 0 and self._used + more > self.capacity:
            raise OSError(errno.ENOSPC, "no room", name)
        self._used += more

    def _give(self, size: int) -> None:
        self._used -= size

    def free_bytes(self) -> int:
        """Return the room that is left."""
        return 1 << 40 if self.capacity is None else max(self.capacity - self._used, 0)

    def create(self, name: str) -> File:
        """Return the file of this name, made empty when it is not there."""
        file = self.files.get(name)
        if file is None:
            self._begin(Io.CREATE, name)
            file = self.files[name] = File()
            self._changed(((name, None),))
            self._end(Io.CREATE, name)
        return file

    def _changed(self, change: FolderChange) -> None:
        folder = self._folder
        folder.append(change)

        def undo() -> None:
            folder.pop()
            _restore(self.files, change)

        self._undo.append(undo)

    def write(self, name: str, data: bytes, offset: int) -> None:
        """Write into the page cache."""
        # Some forty times in each vend of a swarm, and nearly always on a disk that nobody
        # watches and that nothing ails.
        size = len(data)
        if self.dead or self.read_only or self._failures or self.on_io is not None:
            self._begin(Io.WRITE, name, offset, size)
        else:
            self.operations += 1
        file = self.files[name]
        content = file.data
        before, end = len(content), offset + size
        if end > before:
            self._take(name, max(end - max(before, file.reserved), 0))
        first, last = min(offset, before) // SECTOR, (end - 1) // SECTOR
        file.remember(first, last)
        old = bytes(content[offset:end])
        if end > before:
            file.sizes.append(before)
            if offset > before:
                content.extend(bytes(offset - before))
        content[offset:end] = data
        self.written += size
        self._undo.append(partial(self._unwrite, file, offset, old, before, end, first, last))
        if self.on_io is not None:
            self._end(Io.WRITE, name, offset, size)

    def _unwrite(
        self, file: File, offset: int, old: bytes, before: int, end: int, first: int, last: int
    ) -> None:
        """Take a write back, as if it had not begun."""
        content = file.data
        content[offset:end] = old
        if end > before:
            file.sizes.pop()
            del content[before:]
            self._used -= end - before
        _forget(file.older, first, last)

    def read(self, name: str, amount: int, offset: int) -> bytes:
        """Return what the page cache has."""
        if self._failures:
            self._fail_if_planned(Io.READ, name)
        return bytes(self.files[name].data[offset : offset + amount])

    def truncate(self, name: str, size: int) -> None:
        """Cut a file short."""
        self._begin(Io.TRUNCATE, name, size)
        file = self.files[name]
        content, before = file.data, len(file.data)
        if size < before:
            first, last = size // SECTOR, (before - 1) // SECTOR
            file.remember(first, last)
            file.sizes.append(before)
            tail = bytes(content[size:])
            del content[size:]
            self._used -= before - size

            def undo() -> None:
                content.extend(tail)
                file.sizes.pop()
                self._used += before - size
                _forget(file.older, first, last)

            self._undo.append(undo)
        self._end(Io.TRUNCATE, name, size)

    def sync(self, name: str) -> None:
        """Make a file's bytes safe (not its name)."""
        if self.sync_latency is not None:
            self._owed_s += self.sync_latency()
        file = self.files[name]
        try:
            self._begin(Io.SYNC, name)
        except OSError:
            for sector, olds in file.older.items():
                file.doomed.setdefault(sector, []).extend(olds)
            file.older, file.sizes = {}, file.sizes[:1]
            raise
        self.syncs += 1
        older, sizes, doomed = file.older, file.sizes, file.doomed
        file.older, file.sizes = {}, []
        if doomed:
            file.doomed = {sector: olds for sector, olds in doomed.items() if sector not in older}

        def undo() -> None:
            file.older, file.sizes, file.doomed = older, sizes, doomed

        self._undo.append(undo)
        self._end(Io.SYNC, name)

    def sync_folder(self) -> None:
        """Make the names safe."""
        self._begin(Io.SYNC_FOLDER, "")
        changes, self._folder = self._folder, []

        def undo() -> None:
            self._folder = changes

        self._undo.append(undo)
        self.syncs += 1
        self._end(Io.SYNC_FOLDER, "")

    def remove(self, name: str) -> None:
        """Take a name away."""
        self._begin(Io.REMOVE, name)
        file = self.files.pop(name)
        size = 0 if file in self.files.values() else file.size
        self._used -= size
        self._changed(((name, file),))
        self._undo.append(lambda: self._give(-size))
        self._end(Io.REMOVE, name)

    def rename(self, old: str, new: str) -> None:
        """Give a file another name, in place of the file that has it."""
        self._begin(Io.RENAME, new)
        file = self.files.pop(old)
        replaced = self.files.get(new)
        size = replaced.size if replaced else 0
        self.files[new] = file
        self._used -= size
        self._changed(((old, file), (new, replaced)))
        self._undo.append(lambda: self._give(-size))
        self._end(Io.RENAME, new)

    def link(self, name: str, other: str) -> None:
        """Give a file a second name."""
        if other in self.files:
            self.remove(other)
        self._begin(Io.CREATE, other)
        self.files[other] = self.files[name]
        self._changed(((other, None),))
        self._end(Io.CREATE, other)

    def reserve(self, name: str, size: int) -> None:
        """Make a file that takes room without holding it in memory."""
        file = self.create(name)
        self._begin(Io.WRITE, name, 0, size)
        self._take(name, size - file.size)
        file.reserved = size
        self._end(Io.WRITE, name, 0, size)

    # ------------------------------------------------------------------------------- power

    def power_cut(self, rng: random.Random) -> Disk:
        """Cut the power now and return the disk as the next boot finds it.

        Operations that are still under way (not settled) have got as far as ``rng`` says.
        """
        self.dead = True
        for _ in range(rng.randint(0, len(self._undo))):
            self._undo.pop()()
        return self.image(Choice.MIXED, rng)

    def image(self, choice: Choice, rng: random.Random) -> Disk:
        """Return one possible disk after a cut at this very moment; this one lives on."""
        keep = rng.choice((0.1, 0.5, 0.9))
        disk = Disk(self.capacity)
        names: dict[str, File | None] = dict(self.files)
        lost = {
            Choice.NOTHING: len(self._folder),
            Choice.EVERYTHING: 0,
            Choice.MIXED: rng.randint(0, len(self._folder)) if self._folder else 0,
        }[choice]
        for change in reversed(self._folder[len(self._folder) - lost :]):
            names.update(change)
        images: dict[File, File] = {}  # a file with two names stays one file
        for name, file in names.items():
            if file is not None:
                if file not in images:
                    images[file] = file.image(choice, keep, rng)
                disk.files[name] = images[file]
        disk._used = sum(file.size for file in images.values())
        return disk

    def images(self, rng: random.Random, count: int) -> Iterator[Disk]:
        """Yield ``count`` possible disks: nothing kept, everything kept, then drawn ones."""
        for index in range(count):
            choice = (Choice.NOTHING, Choice.EVERYTHING)[index] if index < 2 else Choice.MIXED
            yield self.image(choice, rng)


def _restore(files: dict[str, File], change: FolderChange) -> None:
    for name, file in change:
        if file is None:
            files.pop(name, None)
        else:
            files[name] = file


def _forget(older: dict[int, list[bytes]], first: int, last: int) -> None:
    for sector in range(first, last + 1):
        olds = older[sector]
        olds.pop()
        if not olds:
            del older[sector]
