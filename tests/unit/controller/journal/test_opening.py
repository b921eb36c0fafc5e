"""What a start makes of what it finds: all well, no journal, another one, a disk that fails."""

import random
from collections.abc import Callable

import pytest

from controller.journal.ballast import BALLAST_BYTES, BALLAST_FILE
from controller.journal.database import PAGE_SIZE, Access, kept_log_of, log_of
from controller.journal.errors import (
    DiskFullError,
    DiskIoError,
    DiskReadOnlyError,
    JournalBrokenError,
    JournalForeignError,
    JournalMissingError,
    JournalNewerError,
    JournalReadOnlyError,
)
from controller.journal.identity import ID_FILE, KEY_FILE, journal_file
from controller.journal.records import BootStarted, JournalBegun
from controller.journal.store import Journal
from simulator.disk import Disk, Io
from simulator.disk_sqlite import DiskStorage
from tests.journal_kit import (
    HandClock,
    MoneyTaken,
    PurseFold,
    boot_info,
    open_journal,
    put_in,
)
from tests.unit.controller.journal.opening_kit import begun_anew, reopened, sold

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


@pytest.mark.parametrize("digit", [0, 17, 31])
async def test_an_id_file_with_a_flipped_bit_still_names_its_journal(digit: int) -> None:
    disk = Disk()
    name = await sold(disk, 5)
    at = disk.files[ID_FILE].data.index(name[len("journal-") : -len(".db")].encode()) + digit
    was = disk.files[ID_FILE].data[at]
    disk.files[ID_FILE].data[at] = ord("1") if was == ord("0") else ord("0")
    journal = await reopened(disk)
    assert journal_file(journal.journal_id) == name
    assert disk.files[ID_FILE].data[at] == was


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


async def test_a_folder_that_had_a_journal_is_no_first_start() -> None:
    """Somebody deleted all that is named after a journal, the id file among it."""
    disk = Disk()
    await sold(disk, 5)
    for name in [name for name in disk.files if name.startswith("journal")]:
        disk.remove(name)
    with pytest.raises(JournalMissingError, match="gone"):
        await reopened(disk)
    await begun_anew(disk)
    again = await reopened(disk)
    assert again.state.balances["cash.box"] == 7  # what it began with, and nothing of before


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
