"""The power goes at every write, every sync and every change of a name; then the machine boots.

In one process, on the simulated disk: before and after each operation several disks are drawn
from what a cut at that moment may leave, and each of them is booted.
"""

import random
from dataclasses import dataclass
from datetime import timedelta

import pytest

from controller.journal import checkpoints, pruning, snapshots
from controller.journal.store import Journal
from simulator.clock import run_virtual
from simulator.disk import Disk, Io, IoEvent
from simulator.disk_sqlite import DiskStorage
from tests.journal_kit import HandClock, MoneyTaken, Purse, open_journal, put_in

IMAGES = 3  # nothing kept, everything kept, and one drawn


@dataclass(frozen=True)
class Cut:
    event: IoEvent
    disk: Disk
    durable: int  # what the machine had been told is on the disk
    staged: int  # what it had asked for


class Story:
    """A machine's life, photographed at every operation of its disk."""

    def __init__(self, seed: int) -> None:
        self.disk = Disk()
        self.clock = HandClock()
        self.rng = random.Random(seed)
        self.journal: Journal[Purse] | None = None
        self.hashes: dict[int, bytes] = {}
        self.balances: dict[int, int] = {0: 0, 1: 0, 2: 0}
        self.durable = 0
        self.cuts: list[Cut] = []
        self.kinds: set[Io] = set()
        self.disk.on_io = self.watch

    def watch(self, event: IoEvent) -> None:
        self.kinds.add(event.kind)
        if self.journal is not None:
            self.durable = max(self.durable, self.journal.durable_seq)
        for image in self.disk.images(self.rng, IMAGES):
            self.cuts.append(Cut(event, image, self.durable, max(self.balances)))

    async def boot(self) -> Journal[Purse]:
        self.journal = None
        storage = DiskStorage(self.disk)
        before = max(self.balances)
        # The boot's own record comes next, with no money in it.
        self.balances[before + 1] = self.balances[before]
        journal = await open_journal(storage, clock=self.clock, entropy=random.Random(1).randbytes)
        now_ms = int(self.clock.wall.timestamp() * 1000)
        journal.label.confirm(now_ms, int(self.clock.now_s * 1000))
        self.journal = journal
        return journal

    async def sell(self, journal: Journal[Purse], *amounts: int) -> None:
        for amount in amounts:
            record = journal.stage(MoneyTaken(amount=amount))
            self.hashes[record.seq] = record.hash
            self.balances[record.seq] = self.balances[record.seq - 1] + amount
        await journal.commit()
        self.durable = journal.durable_seq


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let everything that happens now and then happen within a few records."""
    monkeypatch.setattr(snapshots, "SNAPSHOT_EVERY", 6)
    monkeypatch.setattr(checkpoints, "CHECKPOINT_QUIET", 4)
    monkeypatch.setattr(checkpoints, "CHECKPOINT_BUSY", 8)
    monkeypatch.setattr(pruning, "MIN_STEP", 5)


async def live(story: Story) -> None:
    journal = await story.boot()
    for n in range(1, 8):
        await story.sell(journal, n, 10 * n)
    assert await journal.acknowledge(journal.durable_seq, journal.head)
    story.clock.advance(8 * 86_400)
    await story.sell(journal, 3)
    assert await journal.prune(timedelta(days=7)) > 0
    await story.sell(journal, 4, 5)
    await journal.close()
    journal = await story.boot()
    await story.sell(journal, 6)
    story.journal = None


async def check(cut: Cut, story: Story) -> None:
    booted = await open_journal(DiskStorage(cut.disk), entropy=random.Random(2).randbytes)
    last = booted.next_seq - 2  # the boot's own record is the newest
    assert cut.durable <= last <= cut.staged, cut.event
    assert booted.state.balances.get("cash.box", 0) == story.balances[last], cut.event
    records = [record async for record in booted.records(booted.base_seq + 1)]
    for record in records:
        if record.seq <= last and record.seq in story.hashes:
            assert record.hash == story.hashes[record.seq], cut.event
    report = await booted.verify()
    assert report.ok, (cut.event, report)
    # And it sells on.
    await put_in(booted, 1)
    await booted.close()


@pytest.mark.parametrize("seed", [1, 2])
def test_whatever_a_cut_leaves_the_machine_boots_with_all_it_was_told_is_safe(seed: int) -> None:
    story = Story(seed)
    run_virtual(live(story))
    assert story.kinds == set(Io) - {Io.READ}
    assert len(story.cuts) > 500
    story.disk.on_io = None
    for cut in story.cuts:
        run_virtual(check(cut, story))


def test_a_cut_during_the_boot_after_a_cut_loses_nothing_either() -> None:
    first = Story(3)

    async def short(story: Story) -> None:
        journal = await story.boot()
        for n in range(1, 5):
            await story.sell(journal, n)

    run_virtual(short(first))
    rng = random.Random(9)
    for cut in rng.sample(first.cuts, 25):
        again: list[Cut] = []

        def watch(event: IoEvent, cut: Cut = cut, again: list[Cut] = again) -> None:
            again.extend(
                Cut(event, image, cut.durable, cut.staged + 1) for image in cut.disk.images(rng, 1)
            )

        cut.disk.on_io = watch
        run_virtual(_boot(cut.disk))
        for second in rng.sample(again, 6):
            run_virtual(_check_second(second))


async def _boot(disk: Disk) -> None:
    await open_journal(DiskStorage(disk), entropy=random.Random(2).randbytes)


async def _check_second(cut: Cut) -> None:
    booted = await open_journal(DiskStorage(cut.disk), entropy=random.Random(4).randbytes)
    assert cut.durable <= booted.next_seq - 2
    assert (await booted.verify()).ok
