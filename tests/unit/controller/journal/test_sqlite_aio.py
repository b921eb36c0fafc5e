"""What only a real disk shows: modes, locks between processes, the system's own errors."""

import asyncio
import errno
import os
import sqlite3
import stat
import sys
from pathlib import Path

import pytest

from controller.faults import InvariantError
from controller.journal import sqlite_aio
from controller.journal.database import Access
from controller.journal.errors import (
    DiskBusyError,
    DiskCorruptError,
    DiskError,
    DiskFullError,
    DiskIoError,
    DiskReadOnlyError,
    JournalPoisonedError,
)
from controller.journal.identity import KEY_FILE, journal_file
from controller.journal.sqlite_aio import DirectoryStorage
from controller.journal.verify import verify_storage
from tests.journal_kit import REGISTRY, MoneyTaken, PurseFold, open_journal, put_in

TABLE = ("CREATE TABLE t (n INTEGER PRIMARY KEY) STRICT", ())
HOLD = """
import asyncio, sys
from pathlib import Path
from controller.journal.database import Access
from controller.journal.sqlite_aio import DirectoryStorage

async def main():
    database = await DirectoryStorage(Path(sys.argv[1])).open("x.db", Access.WRITE)
    await database.transaction([("CREATE TABLE t (n INTEGER)", ())])
    print("open", flush=True)
    sys.stdin.read()

asyncio.run(main())
"""


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def bytes_in(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


async def test_a_link_that_is_lost_while_an_ack_is_noted_harms_no_journal(tmp_path: Path) -> None:
    journal = await open_journal(DirectoryStorage(tmp_path))
    head, digest = 0, b""
    for amount in range(1, 40):
        await put_in(journal, amount)
        head, digest = journal.durable_seq, journal.head
        noting = asyncio.ensure_future(journal.acknowledge(head, digest))
        for _ in range(amount % 8):
            await asyncio.sleep(0)
        noting.cancel()
        await asyncio.gather(noting, return_exceptions=True)
    await put_in(journal, 1)
    assert await journal.acknowledge(head, digest)
    assert journal.acked_seq == head
    await journal.close()


@pytest.mark.parametrize("how", ["deleted", "replaced", "folder moved", "both logs deleted"])
async def test_nothing_is_durable_in_a_file_that_somebody_took_away(
    tmp_path: Path, how: str
) -> None:
    """Linux lets us go on writing to a file without a name; all of it ends with this process."""
    folder = tmp_path / "journal"
    journal = await open_journal(DirectoryStorage(folder))
    ended: list[bool] = []
    journal.on_failed = lambda: ended.append(True)
    await put_in(journal, 100)
    file = folder / journal_file(journal.journal_id)
    match how:
        case "deleted":
            file.unlink()
        case "replaced":
            copy = folder / "copy"
            copy.write_bytes(file.read_bytes())
            copy.rename(file)
        case "folder moved":
            folder.rename(tmp_path / "elsewhere")
        case _:
            for log in folder.glob("*-wal*"):
                log.unlink()
    with pytest.raises(DiskIoError, match="away"):
        await put_in(journal, 50)
    assert ended == [True]
    with pytest.raises(JournalPoisonedError):
        await put_in(journal, 50)
    await journal.close()


async def test_a_file_that_was_taken_away_is_missed_before_there_is_anything_to_write(
    tmp_path: Path,
) -> None:
    journal = await open_journal(DirectoryStorage(tmp_path))
    ended: list[bool] = []
    journal.on_failed = lambda: ended.append(True)
    before = bytes_in(tmp_path)
    await journal.look()
    assert (bytes_in(tmp_path), ended) == (before, [])
    (tmp_path / journal_file(journal.journal_id)).unlink()
    with pytest.raises(DiskIoError, match="away"):
        await journal.look()
    assert ended == [True]
    await journal.close()


async def test_a_stop_in_the_middle_of_a_look_harms_no_journal(tmp_path: Path) -> None:
    journal = await open_journal(DirectoryStorage(tmp_path))
    for steps in range(8):
        looking = asyncio.ensure_future(journal.look())
        for _ in range(steps):
            await asyncio.sleep(0)
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)
        await put_in(journal, 1)
    await journal.close()
    again = await open_journal(DirectoryStorage(tmp_path))
    assert again.state.balances["cash.box"] == 8
    await again.close()


async def test_one_name_of_the_log_is_enough(tmp_path: Path) -> None:
    journal = await open_journal(DirectoryStorage(tmp_path))
    await put_in(journal, 100)
    (log,) = tmp_path.glob("*-wal")
    log.unlink()
    await put_in(journal, 50)
    await journal.close()
    again = await open_journal(DirectoryStorage(tmp_path))
    assert again.state.balances["cash.box"] == 150
    await again.close()


async def test_a_whole_life_on_a_real_disk(tmp_path: Path) -> None:
    folder = tmp_path / "var" / "lib"
    for boot in (1, 2, 3):
        journal = await open_journal(DirectoryStorage(folder))
        assert journal.boot == boot
        await asyncio.gather(*(put_in(journal, n) for n in range(1, 30)))
        await journal.close()
    report = await verify_storage(DirectoryStorage(folder), PurseFold(), REGISTRY)
    assert (report.ok, report.records) == (True, 1 + 3 * 30)
    assert mode_of(folder / KEY_FILE) == 0o600
    assert mode_of(folder / journal_file(journal.journal_id)) == 0o600
    assert sorted(Path(name).suffix for name in bytes_in(folder)) == ["", ".db", ".id", ".key"]


async def test_a_private_file_that_a_cut_left_half_done_does_not_keep_its_mode(
    tmp_path: Path,
) -> None:
    (tmp_path / "key.new").write_bytes(b"left over")
    (tmp_path / "key.new").chmod(0o666)
    await DirectoryStorage(tmp_path).write("key", b"secret", private=True)
    assert mode_of(tmp_path / "key") == 0o600
    assert (tmp_path / "key").read_bytes() == b"secret"


async def test_a_second_process_is_refused_for_writing_and_for_reading(tmp_path: Path) -> None:
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        HOLD,
        str(tmp_path),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert child.stdout is not None
        assert await child.stdout.readline() == b"open\n"
        for access in Access:
            with pytest.raises(DiskBusyError):
                await DirectoryStorage(tmp_path).open("x.db", access)
    finally:
        child.kill()
        await child.wait()
    database = await DirectoryStorage(tmp_path).open("x.db", Access.READ)
    assert await database.query("SELECT count(*) FROM t") == [(0,)]
    await database.close()


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (errno.ENOSPC, DiskFullError),
        (errno.EDQUOT, DiskFullError),
        (errno.EROFS, DiskReadOnlyError),
        (errno.EACCES, DiskReadOnlyError),
        (errno.EIO, DiskIoError),
    ],
)
async def test_the_systems_errors_have_our_names(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: int, kind: type[DiskError]
) -> None:
    def fail(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", fail)
    storage = DirectoryStorage(tmp_path)
    with pytest.raises(kind):
        await storage.write("id", b"content")
    assert await storage.names() == []
    with pytest.raises(kind):
        await storage.reserve("ballast", 4096)
    assert await storage.names() == []
    monkeypatch.setattr(os, "open", fail)
    with pytest.raises(kind):
        await storage.open("x.db", Access.WRITE)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (sqlite3.SQLITE_FULL, DiskFullError),
        (sqlite3.SQLITE_READONLY_DBMOVED, DiskReadOnlyError),
        (sqlite3.SQLITE_IOERR_FSYNC, DiskIoError),
        (sqlite3.SQLITE_CORRUPT, DiskCorruptError),
        (sqlite3.SQLITE_BUSY, DiskBusyError),
        (sqlite3.SQLITE_MISUSE, InvariantError),
    ],
)
def test_sqlites_errors_have_our_names(code: int, kind: type[Exception]) -> None:
    error = sqlite3.OperationalError("words")
    error.sqlite_errorcode = code
    error.sqlite_errorname = "NAME"
    found = sqlite_aio._from_sqlite(error)
    assert type(found) is kind
    assert "words" in str(found)


def test_an_error_without_a_code_is_our_own_misuse() -> None:
    found = sqlite_aio._from_sqlite(sqlite3.ProgrammingError("wrong thread"))
    assert isinstance(found, InvariantError)


async def test_a_cancelled_transaction_poisons_its_connection(tmp_path: Path) -> None:
    database = await DirectoryStorage(tmp_path).open("x.db", Access.WRITE)
    await database.transaction([TABLE])
    adding = [("INSERT INTO t VALUES (?)", (n,)) for n in range(50)]
    task = asyncio.create_task(database.transaction(adding))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(JournalPoisonedError):
        await database.transaction(adding)
    await database.close()
    again = await DirectoryStorage(tmp_path).open("x.db", Access.WRITE)
    ((rows,),) = await again.query("SELECT count(*) FROM t")
    assert rows in (0, len(adding))  # the reopened file decides: all of it or nothing
    await again.close()


async def test_names_with_a_path_are_our_own_bug(tmp_path: Path) -> None:
    with pytest.raises(InvariantError):
        await DirectoryStorage(tmp_path).read("../elsewhere")


async def test_reading_what_is_not_there_is_an_error_of_the_disk(tmp_path: Path) -> None:
    with pytest.raises(DiskError):
        await DirectoryStorage(tmp_path).open("x.db", Access.READ)
    assert await DirectoryStorage(tmp_path / "nowhere").names() == []


async def test_a_folder_that_cannot_be_written_still_shows_what_is_owed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    journal = await open_journal(DirectoryStorage(tmp_path))
    await put_in(journal, 5, 7)
    await journal.close()
    before = bytes_in(tmp_path)

    def refuse(*_: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(sqlite_aio, "_probe", refuse)
    reading = await open_journal(DirectoryStorage(tmp_path))
    assert reading.read_only
    assert "Read-only" in reading.why_read_only
    assert reading.state.balances["cash.box"] == 12
    await reading.close()
    assert bytes_in(tmp_path) == before


async def test_an_exception_that_ends_the_process_loses_nothing_durable(tmp_path: Path) -> None:
    """Python closes what nobody closed, and SQLite deletes its log then."""
    journal = await open_journal(DirectoryStorage(tmp_path))
    await put_in(journal, 5)
    journal.stage(MoneyTaken(amount=6))  # never committed
    await journal._database.close()
    again = await open_journal(DirectoryStorage(tmp_path))
    assert again.state.balances["cash.box"] == 5
    await again.close()


DIE = """
import asyncio, sys
from pathlib import Path
from controller.journal.sqlite_aio import DirectoryStorage
from tests.journal_kit import open_journal, put_in

async def main():
    kept.append(await open_journal(DirectoryStorage(Path(sys.argv[1]))))
    await put_in(kept[0], 5)
    raise RuntimeError("our own bug")

kept = []
asyncio.run(main())
"""


async def test_a_process_that_dies_of_an_exception_does_not_linger(tmp_path: Path) -> None:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", DIE, str(tmp_path), stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(20):
        _, words = await child.communicate()
    assert b"our own bug" in words
    assert child.returncode == 1
    journal = await open_journal(DirectoryStorage(tmp_path))
    assert journal.state.balances["cash.box"] == 5
    await journal.close()


async def test_a_new_journal_is_its_owners_alone_for_claim_codes_stand_in_it(
    tmp_path: Path,
) -> None:
    database = await DirectoryStorage(tmp_path).open("x.db", Access.WRITE)
    await database.close()
    assert mode_of(tmp_path / "x.db") == 0o600
