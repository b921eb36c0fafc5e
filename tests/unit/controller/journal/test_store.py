"""Staging, committing together, failing for good, and closing."""

import asyncio
import errno
from datetime import timedelta

import pytest

from controller.faults import InvariantError
from controller.journal import store
from controller.journal.chain import GENESIS, link
from controller.journal.checkpoints import CHECKPOINT_BUSY, CHECKPOINT_QUIET, QUIET_S
from controller.journal.envelope import Postings
from controller.journal.errors import DiskFullError, DiskIoError, JournalPoisonedError
from controller.journal.snapshots import SNAPSHOT_EVERY
from simulator.clock import run_virtual
from simulator.disk import Disk, Io, IoEvent
from simulator.disk_sqlite import DiskStorage
from tests.journal_kit import BUILT, HandClock, MoneyTaken, NoteLeft, open_journal, put_in


async def test_a_first_start_begins_the_journal_and_records_the_boot() -> None:
    journal = await open_journal(DiskStorage(Disk()))
    first, second = await journal.read(1)
    assert [record.type for record in (first, second)] == ["journal.begun", "boot.started"]
    assert [record.boot for record in (first, second)] == [1, 1]
    assert getattr(first.data, "journal", "") == journal.journal_id.hex()
    assert (journal.boot, journal.next_seq, journal.durable_seq) == (1, 3, 2)
    assert not journal.read_only
    assert not journal.disk_full


async def test_records_are_dense_and_chained_over_the_bytes_first_written() -> None:
    journal = await open_journal(DiskStorage(Disk()))
    await put_in(journal, 100, 50)
    records = await journal.read(1)
    digest = GENESIS
    for seq, record in enumerate(records, start=1):
        digest = link(digest, journal.journal_id, seq, record.boot, record.body)
        assert (record.seq, record.hash) == (seq, digest)
    assert journal.head == digest


async def test_a_record_is_in_the_state_when_staged_and_on_the_disk_when_committed() -> None:
    disk = Disk()
    journal = await open_journal(DiskStorage(disk))
    record = journal.stage(MoneyTaken(amount=70), vend=journal.next_seq)
    assert (record.seq, record.vend) == (3, 3)
    assert journal.state.balances == {"cash.box": 70, "credit": -70}
    assert journal.durable_seq == 2
    assert await journal.read(3) == []
    await journal.commit()
    assert journal.durable_seq == 3
    assert await journal.read(3) == [record]


async def test_all_who_commit_in_one_turn_share_one_sync() -> None:
    disk = Disk()
    journal = await open_journal(DiskStorage(disk))
    before = disk.syncs

    async def customer(amount: int) -> None:
        journal.stage(MoneyTaken(amount=amount))
        await journal.commit()
        assert journal.durable_seq == journal.next_seq - 1

    await asyncio.gather(*(customer(n) for n in range(1, 21)))
    assert disk.syncs - before == 1
    assert journal.durable_seq == 22


def test_what_is_staged_during_a_commit_goes_with_the_next_one() -> None:
    async def story() -> tuple[int, float]:
        disk = Disk()
        journal = await open_journal(DiskStorage(disk))
        disk.sync_latency = lambda: 0.008
        loop = asyncio.get_running_loop()
        before, start = disk.syncs, loop.time()
        journal.stage(MoneyTaken(amount=1))
        first = asyncio.create_task(journal.commit())
        await asyncio.sleep(0.004)
        journal.stage(MoneyTaken(amount=2))
        journal.stage(MoneyTaken(amount=3))
        await journal.commit()
        assert first.done()
        return disk.syncs - before, loop.time() - start

    syncs, seconds = run_virtual(story())
    assert syncs == 2
    assert seconds == pytest.approx(0.016)


def test_a_commit_takes_as_long_as_the_disk() -> None:
    async def story() -> float:
        disk = Disk()
        journal = await open_journal(DiskStorage(disk))
        disk.sync_latency = lambda: 30.0
        await put_in(journal, 5)
        return asyncio.get_running_loop().time()

    assert run_virtual(story()) == 30.0


async def test_nothing_staged_costs_nothing() -> None:
    disk = Disk()
    journal = await open_journal(DiskStorage(disk))
    before = disk.operations
    await journal.commit()
    assert disk.operations == before


async def test_many_records_of_one_turn_are_one_transaction() -> None:
    disk = Disk()
    journal = await open_journal(DiskStorage(disk))
    before = disk.syncs
    await put_in(journal, *range(1, 401))
    assert disk.syncs - before == 1
    assert len(await journal.read(1)) == 402


def test_a_caller_that_is_cancelled_does_not_cancel_the_commit() -> None:
    async def story() -> None:
        disk = Disk()
        journal = await open_journal(DiskStorage(disk))
        disk.sync_latency = lambda: 1.0
        journal.stage(MoneyTaken(amount=1))
        waiting = asyncio.create_task(journal.commit())
        await asyncio.sleep(0.5)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert journal.durable_seq == 2
        await journal.commit()
        assert journal.durable_seq == 3
        assert disk.syncs

    run_virtual(story())


@pytest.mark.parametrize(
    ("kind", "code", "error"),
    [
        (Io.WRITE, errno.EIO, DiskIoError),
        (Io.SYNC, errno.EIO, DiskIoError),
        (Io.WRITE, errno.ENOSPC, DiskFullError),
    ],
)
async def test_a_failed_commit_is_never_tried_again(
    kind: Io, code: int, error: type[Exception]
) -> None:
    disk = Disk()
    journal = await open_journal(DiskStorage(disk))
    disk.fail(kind, suffix="-wal", error=code)
    journal.stage(MoneyTaken(amount=5))
    other = asyncio.create_task(journal.commit())
    with pytest.raises(error):
        await journal.commit()
    with pytest.raises(error):
        await other
    assert isinstance(journal.failed, error)
    before = disk.operations
    with pytest.raises(JournalPoisonedError):
        await journal.commit()
    with pytest.raises(JournalPoisonedError):
        journal.stage(MoneyTaken(amount=5))
    with pytest.raises(JournalPoisonedError):
        await journal.prune(timedelta(0))
    assert disk.operations == before
    await journal.close()


class Unbalanced(NoteLeft):
    def postings(self) -> Postings:
        return (("cash.box", 1),)


async def test_what_does_not_balance_is_not_staged() -> None:
    journal = await open_journal(DiskStorage(Disk()))
    with pytest.raises(InvariantError):
        journal.stage(Unbalanced(text=""))
    assert journal.next_seq == 3
    await put_in(journal, 5)


@pytest.mark.parametrize("vend", [0, -1, 4])
async def test_a_saga_that_is_not_there_cannot_be_named(vend: int) -> None:
    journal = await open_journal(DiskStorage(Disk()))
    with pytest.raises(InvariantError):
        journal.stage(NoteLeft(text=""), vend=vend)


async def test_a_record_that_does_not_fold_ends_the_journal_and_is_not_written() -> None:
    disk = Disk()
    journal = await open_journal(DiskStorage(disk))
    with pytest.raises(ValueError, match="does not fold"):
        journal.stage(NoteLeft(text="break"))
    with pytest.raises(JournalPoisonedError):
        await journal.commit()
    await journal.close()
    again = await open_journal(DiskStorage(disk))
    assert [record.type for record in await again.read(3)] == ["boot.started"]


async def test_staging_without_end_is_our_own_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "MAX_STAGED", 3)
    journal = await open_journal(DiskStorage(Disk()))
    for n in range(3):
        journal.stage(MoneyTaken(amount=n))
    with pytest.raises(InvariantError):
        journal.stage(MoneyTaken(amount=1))


async def test_times_are_labels_and_are_marked_until_confirmed() -> None:
    disk, clock = Disk(), HandClock()
    journal = await open_journal(DiskStorage(disk), clock=clock)
    clock.wall = BUILT - timedelta(days=4000)
    lost = journal.stage(NoteLeft(text="no idea"))
    assert (lost.at, lost.confirmed, lost.mono_ms) == (BUILT, False, 100_000)
    true = BUILT + timedelta(days=100)
    journal.label.confirm(int(true.timestamp() * 1000), 100_000)
    clock.advance(2.5)
    known = journal.stage(NoteLeft(text="now"))
    assert (known.at, known.confirmed) == (true + timedelta(seconds=2.5), True)
    await journal.close()
    # The next boot knows no time again, but not an earlier one than the last confirmed.
    again = await open_journal(DiskStorage(disk), clock=clock)
    assert again.stage(NoteLeft(text="")).at == known.at
    assert not again.label.confirmed


async def test_records_are_read_in_pieces_and_between_bounds() -> None:
    journal = await open_journal(DiskStorage(Disk()))
    await put_in(journal, *range(1, 1201))
    assert len(await journal.read(1)) == 512
    assert [record.seq for record in await journal.read(5, 7)] == [5, 6, 7]
    assert [record.seq async for record in journal.records(600)] == list(range(600, 1203))
    assert [record.seq async for record in journal.records(3, 4)] == [3, 4]
    assert [row[0] async for row in journal.rows(600, 1100)] == list(range(600, 1101))
    assert [row[0] async for row in journal.rows()] == list(range(1, 1203))


async def test_closing_writes_what_is_staged_and_leaves_a_snapshot() -> None:
    disk = Disk()
    journal = await open_journal(DiskStorage(disk))
    journal.stage(MoneyTaken(amount=5))
    await journal.close()
    await journal.close()
    with pytest.raises(JournalPoisonedError):
        journal.stage(MoneyTaken(amount=5))
    again = await open_journal(DiskStorage(disk))
    assert again.state.balances == {"cash.box": 5, "credit": -5}
    assert (again.boot, again.next_seq) == (2, 5)


def events_of(disk: Disk) -> list[IoEvent]:
    seen: list[IoEvent] = []
    disk.on_io = lambda event: seen.append(event) if event.done else None
    return seen


def database_writes(events: list[IoEvent]) -> int:
    return sum(event.kind is Io.WRITE and event.name.endswith(".db") for event in events)


def test_the_log_is_copied_when_the_machine_has_been_quiet() -> None:
    async def story() -> tuple[int, int, int]:
        disk = Disk()
        journal = await open_journal(DiskStorage(disk))
        seen = events_of(disk)
        for _ in range(CHECKPOINT_QUIET // 2 + 2):
            await put_in(journal, 1, 2)
            await asyncio.sleep(0.01)
        busy = database_writes(seen)
        await asyncio.sleep(QUIET_S / 2)
        await put_in(journal, 1)
        await asyncio.sleep(QUIET_S * 0.9)
        still_busy = database_writes(seen)
        await asyncio.sleep(QUIET_S * 0.2)
        quiet = database_writes(seen)
        await journal.close()
        return busy, still_busy, quiet

    busy, still_busy, quiet = run_virtual(story())
    assert (busy, still_busy) == (0, 0)
    assert quiet > 0


def test_a_machine_that_is_never_quiet_copies_its_log_all_the_same() -> None:
    async def story() -> tuple[int, int]:
        disk = Disk()
        journal = await open_journal(DiskStorage(disk))
        seen = events_of(disk)
        while journal.next_seq < CHECKPOINT_BUSY:
            await put_in(journal, 1, 2)
        before = database_writes(seen)
        for _ in range(4):
            await put_in(journal, 1, 2)
        await asyncio.sleep(0)
        after = database_writes(seen)
        log = len(disk.files[next(n for n in disk.files if n.endswith("-wal"))].data)
        await put_in(journal, 1, 2)
        assert log < 4 * 1024 * 1024
        await journal.close()
        return before, after

    before, after = run_virtual(story())
    assert before == 0
    assert after > 0


def test_a_copy_that_fails_poisons_the_journal() -> None:
    async def story() -> None:
        disk = Disk()
        journal = await open_journal(DiskStorage(disk))
        await put_in(journal, *range(1, CHECKPOINT_QUIET + 10))
        disk.fail(Io.WRITE, suffix=".db")
        await asyncio.sleep(QUIET_S + 0.1)
        assert isinstance(journal.failed, DiskIoError)
        with pytest.raises(JournalPoisonedError):
            journal.stage(MoneyTaken(amount=1))
        await journal.close()

    run_virtual(story())


def test_a_copy_that_is_under_way_is_waited_for_when_closing() -> None:
    async def story() -> None:
        disk = Disk()
        journal = await open_journal(DiskStorage(disk))
        await put_in(journal, *range(1, CHECKPOINT_BUSY + 10))
        disk.sync_latency = lambda: 0.5
        await asyncio.sleep(0.1)
        await journal.close()
        assert journal.failed is None

    run_virtual(story())


def test_a_timer_of_a_closed_journal_does_nothing() -> None:
    async def story() -> None:
        disk = Disk()
        journal = await open_journal(DiskStorage(disk))
        await put_in(journal, *range(1, CHECKPOINT_QUIET + 10))
        await journal.close()
        before = disk.operations
        await asyncio.sleep(10 * QUIET_S)
        assert disk.operations == before

    run_virtual(story())


async def test_a_snapshot_is_taken_in_the_commit_that_reaches_its_seq() -> None:
    disk = Disk()
    journal = await open_journal(DiskStorage(disk))
    await put_in(journal, *range(1, SNAPSHOT_EVERY - 3))
    before = disk.syncs
    await put_in(journal, 1, 2)
    assert disk.syncs - before == 1
    report = await journal.verify()
    assert (report.snapshots, report.ok) == (1, True)


def test_a_vend_costs_a_sync_per_commit_and_little_more_than_its_bytes() -> None:
    """Six commits of two records each, snapshots and checkpoints counted."""

    async def story() -> tuple[float, float]:
        disk = Disk()
        journal = await open_journal(DiskStorage(disk))
        written, syncs, vends = disk.written, disk.syncs, 200
        for _ in range(vends):
            for _ in range(6):
                await put_in(journal, 100, 150)
        await asyncio.sleep(10 * QUIET_S)
        return (disk.written - written) / vends / 1024, (disk.syncs - syncs) / vends

    kib, syncs = run_virtual(story())
    assert kib < 24
    assert syncs < 6.1
