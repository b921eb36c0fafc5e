"""Snapshots are a cache: whatever becomes of them, the state is the same."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.journal.database import Access, Statement
from controller.journal.envelope import Record
from controller.journal.errors import JournalBrokenError
from controller.journal.identity import journal_file
from controller.journal.snapshots import KEPT, SNAPSHOT_EVERY, Snapshot, digest, snapshots
from controller.journal.store import Journal
from simulator.clock import run_virtual
from simulator.disk import Disk
from simulator.disk_sqlite import DiskStorage
from tests.journal_kit import MoneyTaken, Purse, PurseFold, open_journal, put_in


async def long_journal() -> tuple[Disk, str]:
    """Leave a journal with four snapshots' worth of records, its process killed."""
    disk = Disk()
    storage = DiskStorage(disk)
    journal = await open_journal(storage)
    for n in range(1, 4 * SNAPSHOT_EVERY + 20):
        journal.stage(MoneyTaken(amount=n % 7))
        if n % 9 == 0:
            await journal.commit()
    await journal.commit()
    storage.kill()
    return disk, journal_file(journal.journal_id)


async def change(disk: Disk, name: str, *statements: str) -> None:
    database = await DiskStorage(disk).open(name, Access.WRITE)
    changes: list[Statement] = [(sql, ()) for sql in statements]
    await database.transaction(changes)
    await database.close()


async def reopened(disk: Disk, fold: PurseFold | None = None) -> Journal[Purse]:
    return await open_journal(DiskStorage(disk), fold=fold)


def essence(journal: Journal[Purse]) -> tuple[int, dict[str, int]]:
    return journal.next_seq, journal.state.balances


async def test_the_newest_are_kept_and_equal_the_fold() -> None:
    disk, _ = await long_journal()
    report = await (await reopened(disk)).verify()
    assert (report.ok, report.snapshots) == (True, KEPT)


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM snapshot",
        "DELETE FROM snapshot WHERE seq = (SELECT max(seq) FROM snapshot)",
        "UPDATE snapshot SET state = CAST('[]' AS BLOB)",
        "UPDATE snapshot SET digest = zeroblob(32)",
        "UPDATE snapshot SET hash = zeroblob(32)",
        "UPDATE snapshot SET boot = boot + 1",
        "UPDATE snapshot SET seq = seq - 1",
        "UPDATE snapshot SET confirmed_ms = 5",
        "UPDATE snapshot SET fold = 2",
    ],
)
async def test_without_them_or_with_damaged_ones_the_state_is_the_same(damage: str) -> None:
    disk, name = await long_journal()
    expected = essence(await reopened(next(disk.images(random.Random(1), 1))))
    await change(disk, name, damage)
    assert essence(await reopened(disk)) == expected


async def test_those_of_another_software_are_folded_again() -> None:
    disk, _ = await long_journal()
    expected = essence(await reopened(next(disk.images(random.Random(1), 1))))
    assert essence(await reopened(disk, PurseFold(version=2))) == expected


async def test_a_sound_snapshot_of_a_changed_record_is_not_believed() -> None:
    disk, name = await long_journal()
    await change(
        disk,
        name,
        "UPDATE record SET hash = zeroblob(32) WHERE seq = (SELECT max(seq) FROM snapshot)",
    )
    with pytest.raises(JournalBrokenError, match="fails its hash"):
        await reopened(disk)


async def test_one_that_cannot_be_decoded_is_passed_over() -> None:
    disk, name = await long_journal()
    expected = essence(await reopened(next(disk.images(random.Random(1), 1))))
    database = await DiskStorage(disk).open(name, Access.WRITE)
    ((journal,),) = await database.query("SELECT id FROM journal")
    async for snapshot in snapshots(database, journal, 1):
        garbled = Snapshot(snapshot.at, 1, b"not the state")
        await database.transaction(
            [
                (
                    "UPDATE snapshot SET state = ?, digest = ? WHERE seq = ?",
                    (garbled.state, digest(journal, garbled), snapshot.at.seq),
                )
            ]
        )
    await database.close()
    assert essence(await reopened(disk)) == expected


@given(st.lists(st.integers(1, 400), min_size=1, max_size=4), st.booleans())
def test_any_prefix_of_a_journal_boots_to_the_state_it_had(parts: list[int], drop: bool) -> None:
    async def story() -> None:
        disk = Disk()
        storage = DiskStorage(disk)
        journal = await open_journal(storage)
        for part in parts:
            await put_in(journal, *range(part))
            expected = dict(journal.state.balances)
            image = next(disk.images(random.Random(part), 1))
            if drop:
                await change(image, journal_file(journal.journal_id), "DELETE FROM snapshot")
            booted = await reopened(image)
            assert booted.state.balances == expected
            assert booted.next_seq == journal.next_seq + 1

    run_virtual(story())


async def test_a_start_folds_only_what_lies_behind_the_newest_snapshot() -> None:
    disk, _ = await long_journal()
    folded: list[int] = []

    class Counting(Purse):
        def apply(self, record: Record) -> None:
            folded.append(record.seq)
            super().apply(record)

    class CountingFold(PurseFold):
        def decode(self, raw: bytes, version: int) -> Purse:
            purse, plain = Counting(), super().decode(raw, version)
            vars(purse).update(vars(plain))
            return purse

    journal = await reopened(disk, CountingFold())
    assert journal.next_seq > 4 * SNAPSHOT_EVERY
    assert 0 < len(folded) <= SNAPSHOT_EVERY + 10
