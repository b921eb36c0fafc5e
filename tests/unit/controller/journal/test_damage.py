"""What a start, the link and a technician make of a journal that has been damaged."""

import random
from copy import deepcopy
from pathlib import Path

import pytest

from controller.journal.chain import link
from controller.journal.database import PAGE_SIZE, Access, Storage
from controller.journal.envelope import Record
from controller.journal.errors import (
    DiskCorruptError,
    JournalBrokenError,
    JournalNewerError,
    JournalRefusedError,
)
from controller.journal.identity import ID_FILE, journal_file
from controller.journal.sqlite_aio import DirectoryStorage
from simulator.disk import Disk
from simulator.disk_sqlite import DiskStorage
from tests.journal_kit import (
    NoteLeft,
    Purse,
    PurseFold,
    open_journal,
)
from tests.unit.controller.journal.opening_kit import begun_anew, reopened, sold


class TolerantPurse(Purse):
    def apply(self, record: Record) -> None:
        self.seq = record.seq


class TolerantFold(PurseFold):
    """As an older software folded."""

    def initial(self) -> Purse:
        return TolerantPurse()


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
