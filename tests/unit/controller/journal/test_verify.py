import pytest

from controller.journal.database import Access, Statement
from controller.journal.errors import JournalMissingError
from controller.journal.identity import journal_file
from controller.journal.snapshots import Snapshot, digest, snapshots
from controller.journal.verify import VerifyReport, verify_storage
from simulator.disk import Disk
from simulator.disk_sqlite import DiskStorage
from tests.journal_kit import REGISTRY, PurseFold, open_journal, put_in


async def ended(count: int = 1100) -> tuple[Disk, str]:
    disk = Disk()
    journal = await open_journal(DiskStorage(disk))
    for _ in range(3):
        await put_in(journal, *([5] * (count // 3)))
    await journal.close()
    return disk, journal_file(journal.journal_id)


async def change(disk: Disk, name: str, *statements: Statement) -> None:
    database = await DiskStorage(disk).open(name, Access.WRITE)
    await database.transaction(statements)
    await database.close()


async def verified(disk: Disk, progress: list[int] | None = None) -> VerifyReport:
    told = (progress if progress is not None else []).append
    return await verify_storage(DiskStorage(disk), PurseFold(), REGISTRY, told)


async def test_a_whole_journal_is_right_and_progress_is_told() -> None:
    disk, _ = await ended()
    progress: list[int] = []
    report = await verified(disk, progress)
    assert report.ok
    assert (report.last_good, report.records, report.unknown) == (1100, 1100, 0)
    assert report.snapshots > 0
    assert progress == [512, 1024, 1100]


@pytest.mark.parametrize("seq", [1, 511, 512, 513, 1100])
async def test_the_first_wrong_record_is_named(seq: int) -> None:
    disk, name = await ended()
    await change(
        disk,
        name,
        ("UPDATE record SET body = CAST(body || ' ' AS BLOB) WHERE seq IN (?, 1100)", (seq,)),
    )
    report = await verified(disk)
    assert not report.ok
    assert (report.wrong_seq, report.last_good) == (seq, seq - 1)
    assert "fails its hash" in report.problem


async def test_a_boot_number_that_was_changed_is_found() -> None:
    disk, name = await ended()
    await change(disk, name, ("UPDATE record SET boot = 7 WHERE seq = 600", ()))
    assert (await verified(disk)).wrong_seq == 600


async def test_a_missing_record_is_named() -> None:
    disk, name = await ended()
    await change(disk, name, ("DELETE FROM record WHERE seq = 700", ()))
    report = await verified(disk)
    assert (report.wrong_seq, report.problem) == (
        700,
        "record 700: is missing; the next one is 701",
    )


async def test_missing_records_at_the_end_are_found() -> None:
    disk, name = await ended()
    await change(disk, name, ("DELETE FROM record WHERE seq > 1000", ()))
    report = await verified(disk)
    assert (report.ok, report.wrong_seq) == (False, 1001)
    await change(disk, name, ("DELETE FROM snapshot", ()))
    report = await verified(disk)
    assert report.problem == "ends here, and 1100 had been written"


async def test_a_snapshot_that_is_not_the_fold_is_found() -> None:
    disk, name = await ended()
    database = await DiskStorage(disk).open(name, Access.WRITE)
    journal = bytes.fromhex(name[8:-3])
    found = [one async for one in snapshots(database, journal, 1)]
    wrong = Snapshot(found[0].at, 1, found[0].state.replace(b"5", b"6", 1))
    await database.transaction(
        [
            (
                "UPDATE snapshot SET state = ?, digest = ? WHERE seq = ?",
                (wrong.state, digest(journal, wrong), wrong.at.seq),
            )
        ]
    )
    await database.close()
    report = await verified(disk)
    assert "differs from the fold" in report.problem


async def test_damaged_pages_are_reported_with_the_record() -> None:
    disk, name = await ended()
    data = disk.files[name].data
    data[len(data) // 2 // 1024 * 1024] = 0xFF
    report = await verified(disk)
    assert not report.ok


async def test_no_journal_is_no_report() -> None:
    with pytest.raises(JournalMissingError):
        await verified(Disk())
    disk, name = await ended()
    disk.files[name].data.clear()
    report = await verified(disk)
    assert "empty" in report.problem
