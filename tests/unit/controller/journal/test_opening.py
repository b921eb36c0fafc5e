"""What a start makes of what it finds: each way in which a disk can fail between two of them."""

import random
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import pytest

from controller.journal.ballast import BALLAST_BYTES, BALLAST_FILE
from controller.journal.beginning import begin_new
from controller.journal.chain import link
from controller.journal.database import PAGE_SIZE, Access, Storage, kept_log_of, log_of
from controller.journal.envelope import Record
from controller.journal.errors import (
    DiskCorruptError,
    DiskFullError,
    DiskIoError,
    DiskReadOnlyError,
    JournalBrokenError,
    JournalForeignError,
    JournalMissingError,
    JournalNewerError,
    JournalReadOnlyError,
    JournalRefusedError,
)
from controller.journal.identity import ID_FILE, KEY_FILE, journal_file
from controller.journal.records import BootStarted, JournalBegun
from controller.journal.sqlite_aio import DirectoryStorage
from controller.journal.store import Journal
from simulator.disk import Disk, Io
from simulator.disk_sqlite import DiskStorage
from tests.journal_kit import (
    REGISTRY,
    HandClock,
    MoneyTaken,
    NoteLeft,
    Purse,
    PurseFold,
    boot_info,
    open_journal,
    put_in,
)


class TolerantPurse(Purse):
    def apply(self, record: Record) -> None:
        self.seq = record.seq


class TolerantFold(PurseFold):
    """As an older software folded."""

    def initial(self) -> Purse:
        return TolerantPurse()


async def sold(disk: Disk, *amounts: int, close: bool = True) -> str:
    """Leave a journal with some money in it, and return its file's name."""
    storage = DiskStorage(disk)
    journal = await open_journal(storage)
    for amount in amounts:
        await put_in(journal, amount)
    name = journal_file(journal.journal_id)
    if close:
        await journal.close()
    else:
        storage.kill()
    return name


async def reopened(disk: Disk) -> Journal[Purse]:
    return await open_journal(DiskStorage(disk), entropy=random.Random(99).randbytes)


# ------------------------------------------------------------------------- nothing is wrong


@pytest.mark.parametrize("close", [True, False])
async def test_a_start_goes_on_where_the_last_one_ended(close: bool) -> None:
    disk = Disk()
    await sold(disk, 100, 50, close=close)
    journal = await reopened(disk)
    assert journal.state.balances == {"cash.box": 150, "credit": -150}
    assert (journal.boot, journal.next_seq) == (2, 6)
    assert (await journal.verify()).ok


async def test_an_interrupted_first_start_is_completed() -> None:
    disk = Disk()
    await sold(disk)
    disk.remove(ID_FILE)
    journal = await reopened(disk)
    assert journal.next_seq == 4
    assert ID_FILE in disk.files


async def test_a_journal_of_older_software_is_read_with_the_new_one() -> None:
    disk = Disk()
    journal = await open_journal(DiskStorage(disk), software="0.1")
    await put_in(journal, 5)
    await journal.close()
    again = await open_journal(DiskStorage(disk), software="0.2")
    assert again.state.balances["cash.box"] == 5


async def test_records_that_this_software_does_not_know_are_counted() -> None:
    disk = Disk()
    journal = await open_journal(DiskStorage(disk))
    await put_in(journal, 5, 6)
    name = journal_file(journal.journal_id)
    await journal.close()
    again = await Journal.open(
        DiskStorage(disk),
        fold=PurseFold(version=2),  # the snapshot is another software's
        registry={cls.type: cls for cls in (JournalBegun, BootStarted)},
        clock=HandClock(),
        entropy=random.Random(1).randbytes,
        boot=boot_info(),
    )
    assert name in disk.files
    assert again.not_understood == 2
    assert again.state.balances == {"cash.box": 11, "credit": -11}


# ------------------------------------------------------------------ it is gone, or another one


async def test_an_id_without_a_journal_is_refused_and_everything_kept() -> None:
    disk = Disk()
    name = await sold(disk, 5)
    disk.remove(name)
    before = sorted(disk.files)
    with pytest.raises(JournalMissingError):
        await reopened(disk)
    assert sorted(disk.files) == before


async def test_an_empty_file_is_no_journal() -> None:
    disk = Disk()
    name = await sold(disk, 5)
    disk.files[name].data.clear()
    with pytest.raises(JournalMissingError):
        await reopened(disk)


async def test_an_unreadable_id_file_without_a_journal_is_refused() -> None:
    disk = Disk()
    disk.create(ID_FILE).data[:] = b"garbage"
    with pytest.raises(JournalMissingError):
        await reopened(disk)


async def test_an_unreadable_id_file_beside_its_journal_is_written_anew() -> None:
    disk = Disk()
    await sold(disk, 5)
    disk.files[ID_FILE].data[:] = b"\0" * 20
    journal = await reopened(disk)
    assert journal.journal_id.hex().encode() in disk.files[ID_FILE].data


async def test_two_journals_without_an_id_are_not_guessed_at() -> None:
    disk = Disk()
    await sold(disk, 5)
    disk.files[journal_file(bytes(16))] = disk.files[ID_FILE]
    disk.remove(ID_FILE)
    with pytest.raises(JournalBrokenError, match="2 journals"):
        await reopened(disk)


async def test_other_files_in_the_folder_are_not_journals() -> None:
    disk = Disk()
    for name in ("journal-x.db", "journal-00.db", "notes.txt", "journal-.db"):
        disk.create(name)
    assert (await reopened(disk)).boot == 1


async def test_another_journal_under_our_name_is_foreign() -> None:
    ours, theirs = Disk(), Disk()
    name = await sold(ours, 5)
    other = await open_journal(DiskStorage(theirs), entropy=random.Random(8).randbytes)
    await other.close()
    ours.files[name] = theirs.files[journal_file(other.journal_id)]
    with pytest.raises(JournalForeignError):
        await reopened(ours)


async def test_an_old_disk_image_is_noticed_by_its_id_file() -> None:
    disk = Disk()
    name = await sold(disk, 5)
    old = bytes(disk.files[name].data)
    journal = await reopened(disk)
    await put_in(journal, 6, 7)
    await journal.close()
    disk.files[name].data[:] = old
    with pytest.raises(JournalBrokenError, match="old disk image") as caught:
        await reopened(disk)
    assert (caught.value.seq, caught.value.last_good) == (4, 3)


async def test_a_newer_schema_is_refused_and_left_alone() -> None:
    disk = Disk()
    name = await sold(disk, 5)
    database = await DiskStorage(disk).open(name, Access.WRITE)
    await database.transaction([("PRAGMA user_version=99", ())])
    await database.close()
    with pytest.raises(JournalNewerError):
        await reopened(disk)


# ------------------------------------------------------------------------ it has been damaged


@pytest.mark.parametrize("seq", [1, 3, 4, 6])
async def test_a_record_that_fails_its_hash_is_named(seq: int) -> None:
    disk = Disk()
    name = await sold(disk, 101, 102, 103, 104)
    database = await DiskStorage(disk).open(name, Access.WRITE)
    await database.transaction(
        [
            ("UPDATE record SET body = CAST(body || ' ' AS BLOB) WHERE seq = ?", (seq,)),
            ("DELETE FROM snapshot", ()),
        ]
    )
    await database.close()
    with pytest.raises(JournalBrokenError) as caught:
        await reopened(disk)
    assert (caught.value.seq, caught.value.last_good) == (seq, seq - 1)
    assert "fails its hash" in str(caught.value)


async def test_a_record_that_is_gone_is_named() -> None:
    disk = Disk()
    name = await sold(disk, 101, 102, 103)
    database = await DiskStorage(disk).open(name, Access.WRITE)
    await database.transaction(
        [("DELETE FROM record WHERE seq = 4", ()), ("DELETE FROM snapshot", ())]
    )
    await database.close()
    with pytest.raises(JournalBrokenError, match="record 4: is missing"):
        await reopened(disk)


async def test_records_gone_from_the_end_are_missed_by_the_snapshot() -> None:
    disk = Disk()
    name = await sold(disk, 101, 102, 103)
    disk.files[ID_FILE].data[:] = disk.files[ID_FILE].data.replace(b'"seq": 5', b'"seq": 1')
    database = await DiskStorage(disk).open(name, Access.WRITE)
    await database.transaction([("DELETE FROM record WHERE seq > 3", ())])
    await database.close()
    with pytest.raises(JournalBrokenError, match="5 had been written"):
        await reopened(disk)


async def test_a_flipped_bit_in_the_last_record_is_found() -> None:
    disk = Disk()
    name = await sold(disk, 777_123)
    at = disk.files[name].data.index(b'"amount":777123')
    disk.corrupt(name, at + 12)
    database = await DiskStorage(disk).open(name, Access.WRITE)
    await database.transaction([("DELETE FROM snapshot", ())])
    await database.close()
    with pytest.raises(JournalBrokenError) as caught:
        await reopened(disk)
    assert caught.value.seq == 3


async def test_a_damaged_page_puts_the_journal_out_of_service() -> None:
    disk = Disk()
    name = await sold(disk, *range(1, 60))
    data = disk.files[name].data
    for at in range(PAGE_SIZE, len(data), PAGE_SIZE):
        data[at] = 0xFF
    with pytest.raises(JournalBrokenError):
        await reopened(disk)


@pytest.mark.parametrize(
    "words",
    [b"boot INTEGER", b"body BLOB", b"acked_seq", b"signature BLOB", b"digest BLOB", b"seq > 0"],
)
async def test_a_schema_that_is_not_what_was_written_puts_the_journal_out_of_service(
    words: bytes,
) -> None:
    # SQLite believes it: "no such column", in whatever statement comes first (swarm, seed 305).
    disk = Disk()
    name = await sold(disk, 5)
    data = disk.files[name].data
    for at in [at for at in range(len(data)) if data.startswith(words, at)]:
        data[at] ^= 1
    with pytest.raises(JournalBrokenError):
        await reopened(disk)
    await begun_anew(disk)


@pytest.mark.parametrize("before", [1, 2], ids=["hash", "body"])
@pytest.mark.parametrize("real", [False, True])
async def test_a_row_of_other_types_is_damage_to_whoever_reads_it(
    before: int, real: bool, tmp_path: Path
) -> None:
    # A bit of a row's head makes text of a blob. A start reads from the last snapshot; the link
    # and a technician read what is behind it too (swarm, seed 960000116).
    disk = Disk()
    name = await sold(disk, *range(1, 9))
    journal = await reopened(disk)
    body = (await journal.read(4))[0].body
    await journal.close()
    data = disk.files[name].data
    for at in [at for at in range(len(data)) if data.startswith(body, at)]:  # stale copies as well
        data[at - before] ^= 1  # the head ends with the types of body and hash
    storage: Storage = DiskStorage(disk)
    if real:
        for file, found in disk.files.items():
            (tmp_path / file).write_bytes(found.data)
        storage = DirectoryStorage(tmp_path)
    journal = await open_journal(storage, entropy=random.Random(99).randbytes)
    try:
        with pytest.raises(DiskCorruptError, match=r"record 4 holds|made text of a value"):
            assert [record.seq async for record in journal.records()] == []
        assert (await journal.read(5))[0].seq == 5
        report = await journal.verify()
        assert (report.wrong_seq, report.last_good) == (4, 3)
    finally:
        await journal.close()
    await begun_anew(disk)


async def test_whatever_bit_is_flipped_a_start_goes_on_or_refuses() -> None:
    whole = Disk()
    name = await sold(whole, *range(1, 40))
    rng = random.Random(5)
    size = len(whole.files[name].data)
    for at in (18, 63, *rng.sample(range(size), 150)):
        disk = deepcopy(whole)
        disk.files[name].data[at] ^= 1 << rng.randrange(8)
        try:
            journal = await reopened(disk)
        except JournalNewerError:
            continue  # a newer software must look at it
        except JournalRefusedError:
            await begun_anew(disk)
        else:
            await journal.close()


async def begun_anew(disk: Disk) -> None:
    """Begin a new journal over a broken one, and use it."""
    await begin_new(
        DiskStorage(disk),
        fold=PurseFold(),
        registry=REGISTRY,
        clock=HandClock(),
        entropy=random.Random(8).randbytes,
        boot=boot_info(),
        reason="damaged",
    )
    journal = await reopened(disk)
    await put_in(journal, 7)
    await journal.close()


async def test_a_file_that_is_no_database_any_more_is_broken() -> None:
    disk = Disk()
    name = await sold(disk, 5)
    disk.files[name].data[:100] = bytes(100)
    with pytest.raises(JournalRefusedError):
        await reopened(disk)


async def test_a_body_that_hashes_but_is_none_of_ours_is_broken() -> None:
    disk = Disk()
    storage = DiskStorage(disk)
    journal = await open_journal(storage)
    head, name = journal.head, journal_file(journal.journal_id)
    body = b'{"at":1,"what":"is this"}'
    digest = link(head, journal.journal_id, 3, 1, body)
    await journal.close()
    database = await DiskStorage(disk).open(name, Access.WRITE)
    await database.transaction([("INSERT INTO record VALUES (3, 1, ?, ?)", (body, digest))])
    await database.close()
    with pytest.raises(JournalBrokenError) as caught:
        await reopened(disk)
    assert (caught.value.seq, caught.value.last_good) == (3, 2)


async def test_a_record_that_does_not_fold_any_more_is_broken() -> None:
    disk = Disk()
    journal = await open_journal(DiskStorage(disk), fold=TolerantFold())
    journal.stage(NoteLeft(text="break"))
    await journal.commit()
    name = journal_file(journal.journal_id)
    await journal.close()
    database = await DiskStorage(disk).open(name, Access.WRITE)
    await database.transaction([("DELETE FROM snapshot", ())])
    await database.close()
    with pytest.raises(JournalBrokenError, match="record 3: does not fold"):
        await reopened(disk)


async def test_a_folder_that_had_a_journal_is_no_first_start() -> None:
    """Somebody deleted all that is named after a journal, the id file among it."""
    disk = Disk()
    await sold(disk, 5)
    for name in [name for name in disk.files if name.startswith("journal")]:
        disk.remove(name)
    with pytest.raises(JournalMissingError, match="gone"):
        await reopened(disk)
    await begin_new(
        DiskStorage(disk),
        fold=PurseFold(),
        registry=REGISTRY,
        clock=HandClock(),
        entropy=random.Random(8).randbytes,
        boot=boot_info(),
        reason="somebody deleted it",
    )
    again = await reopened(disk)
    assert (again.state.seq, again.state.balances) == (2, {})


# ---------------------------------------------------------------------- the write-ahead log


async def test_a_deleted_log_comes_back_from_its_second_name() -> None:
    disk = Disk()
    name = await sold(disk, 5, 6, close=False)
    disk.remove(log_of(name))
    journal = await reopened(disk)
    assert journal.state.balances["cash.box"] == 11


async def test_a_log_left_over_from_a_clean_end_changes_nothing() -> None:
    disk = Disk()
    storage = DiskStorage(disk)
    journal = await open_journal(storage)
    await put_in(journal, 5, 6)
    name = journal_file(journal.journal_id)
    left_over = disk.files[kept_log_of(name)]
    await journal.close()
    assert kept_log_of(name) not in disk.files
    disk.files[kept_log_of(name)] = left_over
    again = await reopened(disk)
    assert again.state.balances["cash.box"] == 11
    assert (await again.verify()).ok


async def test_a_log_that_lost_durable_commits_is_noticed_and_stays_noticed() -> None:
    disk = Disk()
    name = await sold(disk, *range(1, 12), close=False)
    log = disk.files[log_of(name)].data
    stride = 24 + PAGE_SIZE
    frames = (len(log) - 32) // stride
    disk.corrupt(log_of(name), 32 + (frames - 4) * stride + 500)
    with pytest.raises(JournalBrokenError, match="commits were lost"):
        await reopened(disk)
    with pytest.raises(JournalBrokenError, match="commits were lost"):
        await reopened(disk)
    # And a start that can only read says the same.
    disk.read_only = True
    with pytest.raises(JournalBrokenError, match="commits were lost"):
        await reopened(disk)


async def test_the_torn_end_of_one_commit_is_no_damage() -> None:
    disk = Disk()
    name = await sold(disk, *range(1, 6), close=False)
    log = disk.files[log_of(name)].data
    disk.corrupt(log_of(name), len(log) - 10)
    journal = await reopened(disk)
    assert journal.state.balances["cash.box"] == 1 + 2 + 3 + 4


# -------------------------------------------------------- full, read-only, input/output error


async def test_a_full_disk_frees_the_ballast_and_says_so() -> None:
    disk = Disk(capacity=64 << 20)
    await sold(disk, 5)
    assert disk.files[BALLAST_FILE].size == BALLAST_BYTES
    disk.capacity = sum(file.size for file in disk.files.values()) + 100
    journal = await reopened(disk)
    assert journal.disk_full
    assert not journal.read_only
    assert BALLAST_FILE not in disk.files
    await put_in(journal, *range(50))  # the ballast's room is there for what must be ended


async def test_the_ballast_comes_back_when_there_is_room_again() -> None:
    disk = Disk(capacity=64 << 20)
    await sold(disk, 5)
    disk.capacity = sum(file.size for file in disk.files.values()) + 100
    journal = await reopened(disk)
    was_full = [(await journal.restore_ballast(), journal.disk_full)]
    disk.capacity = 64 << 20
    was_full.append((await journal.restore_ballast(), journal.disk_full))
    assert was_full == [(False, True), (True, False)]
    assert disk.files[BALLAST_FILE].size == BALLAST_BYTES


async def test_a_disk_full_even_without_ballast_opens_for_reading() -> None:
    disk = Disk(capacity=64 << 20)
    await sold(disk, 5)
    disk.remove(BALLAST_FILE)
    disk.capacity = sum(file.size for file in disk.files.values())
    journal = await reopened(disk)
    assert journal.read_only
    assert "Full" in journal.why_read_only or "room" in journal.why_read_only
    assert journal.state.balances["cash.box"] == 5


@pytest.mark.parametrize("close", [True, False])
async def test_a_disk_that_cannot_be_written_still_shows_what_is_owed(close: bool) -> None:
    disk = Disk()
    await sold(disk, 5, 7, close=close)
    before = {name: bytes(file.data) for name, file in disk.files.items()}
    disk.read_only = True
    journal = await reopened(disk)
    assert journal.read_only
    assert journal.state.balances["cash.box"] == 12
    assert [record.seq for record in await journal.read(1)] == [1, 2, 3, 4]
    with pytest.raises(JournalReadOnlyError):
        journal.stage(MoneyTaken(amount=5))
    assert not await journal.restore_ballast() or BALLAST_FILE in disk.files
    await journal.close()
    assert {name: bytes(file.data) for name, file in disk.files.items()} == before


async def test_a_disk_that_works_again_is_written_again() -> None:
    disk = Disk()
    await sold(disk, 5, close=False)
    disk.read_only = True
    await (await reopened(disk)).close()
    disk.read_only = False
    journal = await reopened(disk)
    assert not journal.read_only
    await put_in(journal, 6)
    assert journal.state.balances["cash.box"] == 11


Breaking = Callable[[Disk], None]


@pytest.mark.parametrize(
    "breaking",
    [
        lambda disk: disk.fail(Io.SYNC, suffix="-wal"),
        lambda disk: disk.fail(Io.WRITE, suffix="-wal"),
        lambda disk: disk.fail(Io.SYNC, suffix=".new"),
        lambda disk: disk.fail(Io.WRITE, suffix=".db"),
        lambda disk: disk.fail(Io.READ, suffix=".db", after=2),
        lambda disk: disk.fail(Io.READ, suffix="-wal", after=1),
    ],
)
async def test_an_error_while_starting_opens_for_reading_only(breaking: Breaking) -> None:
    disk = Disk()
    await sold(disk, 5, close=False)
    breaking(disk)
    journal = await reopened(disk)
    assert journal.read_only
    assert journal.state.balances["cash.box"] == 5
    await journal.close()
    again = await reopened(disk)
    assert not again.read_only
    assert again.state.balances["cash.box"] == 5


async def test_a_disk_that_cannot_be_read_at_all_is_an_error() -> None:
    disk = Disk()
    await sold(disk, 5)
    for _ in range(200):
        disk.fail(Io.READ, suffix=".db")
    with pytest.raises(DiskIoError):
        await reopened(disk)
    disk.heal()
    assert (await reopened(disk)).state.balances["cash.box"] == 5


async def test_a_first_start_needs_a_disk_that_can_be_written() -> None:
    disk = Disk()
    disk.read_only = True
    with pytest.raises(DiskReadOnlyError):
        await reopened(disk)
    disk = Disk()
    disk.fail(Io.WRITE)
    with pytest.raises(DiskIoError):
        await reopened(disk)
    with pytest.raises(DiskFullError):
        await reopened(Disk(capacity=1000))


async def test_a_first_start_that_failed_half_way_is_a_first_start_again() -> None:
    for after in range(1, 40):
        disk = Disk()
        disk.fail(Io.WRITE, after=after)
        try:
            journal = await reopened(disk)
        except DiskIoError:
            journal = await reopened(disk)
        disk.heal()
        if journal.read_only:
            await journal.close()
            journal = await reopened(disk)
        assert journal.boot == 1
        await put_in(journal, 5)


async def test_after_a_failed_sync_what_was_read_is_written_anew_before_it_is_believed() -> None:
    """The kernel shows what the disk never got, and the next sync says that all is well."""
    disk = Disk()
    storage = DiskStorage(disk)
    journal = await open_journal(storage)
    await put_in(journal, 5)
    disk.fail(Io.SYNC, suffix="-wal")
    journal.stage(MoneyTaken(amount=6))
    with pytest.raises(DiskIoError):
        await journal.commit()
    storage.kill()
    again = await reopened(disk)
    seen = again.state.balances["cash.box"]
    await put_in(again, 100)
    for image in disk.images(random.Random(5), 20):
        booted = await reopened(image)
        assert booted.state.balances["cash.box"] == seen + 100


async def test_a_lost_key_is_made_anew_as_long_as_nothing_was_signed_with_it() -> None:
    disk = Disk()
    await sold(disk, 5)
    disk.remove(KEY_FILE)
    await reopened(disk)
    assert len(disk.files[KEY_FILE].data) == 65
