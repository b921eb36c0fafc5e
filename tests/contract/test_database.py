"""One suite for the journal's database port: the real disk, and the one that loses power."""

import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from controller.faults import InvariantError
from controller.journal.database import PAGE_SIZE, Access, Database, Storage
from controller.journal.errors import DiskCorruptError, JournalPoisonedError
from controller.journal.sqlite_aio import DirectoryStorage
from simulator.disk import Disk
from simulator.disk_sqlite import DiskStorage

TABLE = "CREATE TABLE t (n INTEGER PRIMARY KEY, b BLOB) STRICT"
ADD = "INSERT INTO t (n, b) VALUES (?, ?)"
ALL = "SELECT n FROM t ORDER BY n"


class Ground:
    """Something to put a storage on, and to kill its process."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.kind = kind
        self.folder = folder / "a"
        self.disk = Disk()
        self.storage: Storage = self._again()
        self.kills = 0

    def _again(self) -> Storage:
        if self.kind == "real":
            return DirectoryStorage(self.folder)
        return DiskStorage(self.disk)

    def kill(self) -> Storage:
        """Return the storage as a process started after a SIGKILL finds it."""
        self.kills += 1
        if self.kind == "real":
            # What another process would find: the same bytes, and no lock held by us.
            copy = self.folder.with_name(f"killed-{self.kills}")
            shutil.copytree(self.folder, copy)
            self.folder = copy
        else:
            assert isinstance(self.storage, DiskStorage)
            self.storage.kill()
        self.storage = self._again()
        return self.storage

    def bytes_of(self) -> dict[str, bytes]:
        if self.kind == "real":
            return {path.name: path.read_bytes() for path in self.folder.iterdir()}
        return {name: bytes(file.data) for name, file in self.disk.files.items()}

    def overwrite(self, name: str, content: bytes) -> None:
        if self.kind == "real":
            self.folder.mkdir(exist_ok=True)
            (self.folder / name).write_bytes(content)
        else:
            self.disk.create(name).data[:] = content


@pytest.fixture(params=["real", "simulated"])
def ground(request: pytest.FixtureRequest, tmp_path: Path) -> Ground:
    return Ground(request.param, tmp_path)


Opener = Callable[..., Awaitable[Database]]


@pytest.fixture
async def opened(ground: Ground) -> AsyncIterator[Opener]:
    made: list[Database] = []

    async def open_it(access: Access = Access.WRITE, name: str = "x.db") -> Database:
        made.append(await ground.storage.open(name, access))
        return made[-1]

    yield open_it
    for database in made:
        await database.close()


async def numbers(database: Database) -> list[int]:
    return [n for (n,) in await database.query(ALL)]


async def test_it_keeps_bytes_and_numbers_as_they_were(opened: Opener) -> None:
    database = await opened()
    await database.transaction([(TABLE, ())])
    body = bytes(range(256))
    await database.transaction([(ADD, (2**40, body)), (ADD, (1, None))])
    assert await database.query("SELECT n, b FROM t ORDER BY n") == [(1, None), (2**40, body)]


async def test_every_safeguard_is_on(opened: Opener) -> None:
    database = await opened()
    wanted = {
        "journal_mode": "wal",
        "synchronous": 2,
        "locking_mode": "exclusive",
        "page_size": PAGE_SIZE,
        "foreign_keys": 1,
        "wal_autocheckpoint": 0,
        "secure_delete": 0,
    }
    found = {name: (await database.query(f"PRAGMA {name}"))[0][0] for name in wanted}
    assert found == wanted


async def test_a_commit_survives_the_death_of_the_process(ground: Ground, opened: Opener) -> None:
    database = await opened()
    await database.transaction([(TABLE, ())])
    for n in range(5):
        await database.transaction([(ADD, (n, b"x" * 300))])
    ground.kill()
    assert await numbers(await opened()) == [0, 1, 2, 3, 4]


async def test_a_transaction_is_all_or_nothing(ground: Ground, opened: Opener) -> None:
    database = await opened()
    await database.transaction([(TABLE, ()), (ADD, (1, b""))])
    with pytest.raises(InvariantError):
        await database.transaction([(ADD, (2, b"")), (ADD, (1, b"twice"))])
    ground.kill()
    assert await numbers(await opened()) == [1]


async def test_nothing_is_taken_after_a_failure(opened: Opener) -> None:
    database = await opened()
    await database.transaction([(TABLE, ()), (ADD, (1, b""))])
    with pytest.raises(InvariantError):
        await database.transaction([(ADD, (1, b""))])
    with pytest.raises(JournalPoisonedError):
        await database.transaction([(ADD, (2, b""))])
    with pytest.raises(JournalPoisonedError):
        await database.checkpoint()


async def test_a_checkpoint_copies_the_whole_log_and_truncating_empties_it(
    ground: Ground, opened: Opener
) -> None:
    database = await opened()
    await database.transaction([(TABLE, ()), (ADD, (1, b"x" * 3000))])
    size = await database.checkpoint()
    assert size.frames == size.copied > 3
    assert await ground.storage.size("x.db-wal")
    await database.checkpoint(truncate=True)
    assert await ground.storage.size("x.db-wal") == 0
    assert await numbers(database) == [1]


async def test_closing_leaves_one_file_and_may_be_done_twice(
    ground: Ground, opened: Opener
) -> None:
    database = await opened()
    await database.transaction([(TABLE, ())])
    await database.close()
    await database.close()
    assert await ground.storage.names() == ["x.db"]
    with pytest.raises(JournalPoisonedError):
        await database.query(ALL)


@pytest.mark.parametrize("clean", [True, False])
async def test_reading_sees_everything_and_changes_nothing(
    ground: Ground, opened: Opener, clean: bool
) -> None:
    database = await opened()
    await database.transaction([(TABLE, ()), (ADD, (1, b""))])
    await database.checkpoint()
    await database.transaction([(ADD, (2, b""))])
    if clean:
        await database.close()
    ground.kill()
    before = ground.bytes_of()
    reading = await opened(Access.READ)
    assert await numbers(reading) == [1, 2]
    await reading.close()
    assert ground.bytes_of() == before


async def test_what_is_no_database_is_called_corrupt(ground: Ground, opened: Opener) -> None:
    ground.overwrite("x.db", b"no database at all " * 500)
    with pytest.raises(DiskCorruptError):
        await opened()


async def test_a_damaged_page_is_noticed_when_it_is_read(ground: Ground, opened: Opener) -> None:
    database = await opened()
    await database.transaction([(TABLE, ())])
    await database.transaction([(ADD, (n, b"x" * 400)) for n in range(100)])
    await database.close()
    content = bytearray(ground.bytes_of()["x.db"])
    for page in range(3, len(content) // PAGE_SIZE):
        content[page * PAGE_SIZE] ^= 0xFF  # the page's type
    ground.overwrite("x.db", bytes(content))
    with pytest.raises(DiskCorruptError):
        await (await opened()).query("SELECT n, b FROM t ORDER BY n")


async def test_small_files_are_replaced_whole(ground: Ground) -> None:
    storage = ground.storage
    assert await storage.read("id") is None
    assert await storage.size("id") is None
    assert await storage.names() == []
    await storage.write("id", b"first")
    await storage.write("id", b"2nd", private=True)
    assert await storage.read("id") == b"2nd"
    assert await storage.size("id") == 3
    await storage.rename("id", "other")
    assert await storage.names() == ["other"]
    await storage.remove(["other", "never there"])
    assert await storage.names() == []


async def test_reserved_room_is_taken(ground: Ground) -> None:
    storage = ground.storage
    await storage.write("id", b"")
    await storage.reserve("ballast", 1 << 20)
    assert await storage.size("ballast") == 1 << 20
    assert await storage.free_bytes() > 0
    await storage.remove(["ballast"])
    assert await storage.size("ballast") is None
