"""The database inside the loop: what it does with time, with death and with faults."""

import asyncio
import random
from collections.abc import Callable

import pytest

from controller.faults import InvariantError
from controller.journal.database import Access
from controller.journal.errors import DiskError, DiskFullError, DiskIoError, DiskReadOnlyError
from controller.journal.identity import journal_file
from simulator.clock import VirtualDeadlockError, run_virtual
from simulator.disk import Disk, Io, IoEvent, PowerCutError
from simulator.disk_sqlite import DiskStorage
from tests.journal_kit import open_journal, put_in

TABLE = ("CREATE TABLE t (n INTEGER PRIMARY KEY, b BLOB) STRICT", ())


def test_files_and_commits_take_the_time_of_their_syncs() -> None:
    async def story() -> list[float]:
        disk, loop, times = Disk(), asyncio.get_running_loop(), []
        storage = DiskStorage(disk)
        database = await storage.open("x.db", Access.WRITE)
        await database.transaction([TABLE])
        disk.sync_latency = lambda: 0.008
        for work in (
            lambda: storage.write("id", b"1"),
            lambda: storage.read("id"),
            lambda: database.transaction([("INSERT INTO t VALUES (1, NULL)", ())]),
            lambda: database.query("SELECT * FROM t"),
            database.checkpoint,
        ):
            before = loop.time()
            await work()
            times.append(round(loop.time() - before, 6))
        return times

    assert run_virtual(story()) == [0.008, 0.0, 0.008, 0.0, 0.016]


@pytest.mark.parametrize("done", [False, True])
@pytest.mark.parametrize("kind", [Io.WRITE, Io.SYNC])
def test_a_machine_without_power_never_gets_an_answer(kind: Io, done: bool) -> None:
    async def story() -> tuple[bool, int]:
        disk = Disk()
        storage = DiskStorage(disk)
        journal = await open_journal(storage)
        await put_in(journal, 5)

        def cut(event: IoEvent) -> None:
            if event.kind is kind and event.done is done:
                raise PowerCutError

        disk.on_io = cut
        selling = asyncio.create_task(put_in(journal, 6))
        reading = asyncio.create_task(journal.read(1))
        await asyncio.sleep(3600)
        answered = selling.done()
        late = asyncio.create_task(storage.write("id", b""))
        later = asyncio.create_task(storage.open("x.db", Access.WRITE))
        await asyncio.sleep(3600)
        assert not late.done()
        assert not later.done()
        for task in (selling, reading, late, later):
            task.cancel()
        journal.abandon()
        booted = await open_journal(DiskStorage(disk.power_cut(random.Random(2))))
        return answered, booted.state.balances["cash.box"]

    answered, box = run_virtual(story())
    assert not answered
    assert box == 11 if (kind, done) == (Io.SYNC, True) else box in (5, 11)


def test_power_that_goes_while_a_sync_takes_its_time_finds_it_half_done() -> None:
    async def story(seed: int) -> int:
        disk = Disk()
        journal = await open_journal(DiskStorage(disk))
        await put_in(journal, 5)
        disk.sync_latency = lambda: 1.0
        selling = asyncio.create_task(put_in(journal, 6))
        await asyncio.sleep(0.5)
        image = disk.power_cut(random.Random(seed))
        await asyncio.sleep(5)
        assert not selling.done()
        selling.cancel()
        journal.abandon()
        booted = await open_journal(DiskStorage(image))
        return booted.state.balances["cash.box"]

    assert {run_virtual(story(seed)) for seed in range(30)} == {5, 11}


async def test_a_killed_process_reaches_the_disk_no_more() -> None:
    disk = Disk()
    storage = DiskStorage(disk)
    journal = await open_journal(storage)
    await put_in(journal, 5)
    storage.kill()
    before = disk.operations, {name: bytes(file.data) for name, file in disk.files.items()}
    selling = asyncio.create_task(put_in(journal, 6))
    for _ in range(100):
        await asyncio.sleep(0)  # it does its work in the loop, in turns of it
    assert not selling.done() or selling.exception() is not None
    selling.cancel()
    journal.abandon()
    after = disk.operations, {name: bytes(file.data) for name, file in disk.files.items()}
    assert before == after
    booted = await open_journal(DiskStorage(disk))
    assert booted.state.balances["cash.box"] == 5


def test_a_dead_life_leaves_no_task_and_no_timer_behind() -> None:
    async def story() -> int:
        disk = Disk()
        storage = DiskStorage(disk)
        journal = await open_journal(storage)
        await put_in(journal, *range(300))  # a checkpoint is planned
        storage.kill()
        journal.abandon()
        await asyncio.sleep(60)
        return len(asyncio.all_tasks())

    assert run_virtual(story()) == 1


def test_a_life_that_is_only_waiting_for_a_dead_disk_is_over() -> None:
    async def story() -> None:
        disk = Disk()
        storage = DiskStorage(disk)
        disk.dead = True
        await storage.read("id")

    with pytest.raises(VirtualDeadlockError):
        run_virtual(story())


def fill(disk: Disk) -> None:
    disk.capacity = sum(file.size for file in disk.files.values()) + 10


def lock(disk: Disk) -> None:
    disk.read_only = True


def wear_out(disk: Disk) -> None:
    for _ in range(3):
        disk.fail(Io.WRITE)


@pytest.mark.parametrize(
    ("harm", "kind"), [(fill, DiskFullError), (lock, DiskReadOnlyError), (wear_out, DiskIoError)]
)
async def test_faults_have_our_names_here_as_well(
    harm: Callable[[Disk], None], kind: type[DiskError]
) -> None:
    disk = Disk()
    storage = DiskStorage(disk)
    database = await storage.open("x.db", Access.WRITE)
    await database.transaction([TABLE])
    harm(disk)
    with pytest.raises(kind):
        await storage.write("id", b"x" * 100)
    with pytest.raises(kind):
        await storage.reserve("ballast", 100)
    with pytest.raises(kind):
        await database.transaction([("INSERT INTO t VALUES (1, zeroblob(5000))", ())])


async def test_a_file_that_cannot_be_read_says_so() -> None:
    disk = Disk()
    storage = DiskStorage(disk)
    await storage.write("id", b"x")
    disk.fail(Io.READ)
    with pytest.raises(DiskIoError):
        await storage.read("id")
    assert await storage.read("id") == b"x"


async def test_a_statement_that_is_wrong_is_our_own_bug() -> None:
    database = await DiskStorage(Disk()).open("x.db", Access.WRITE)
    with pytest.raises(InvariantError):
        await database.query("SELECT nonsense")


async def test_reading_what_is_not_there_is_an_error_of_the_disk() -> None:
    with pytest.raises(DiskIoError):
        await DiskStorage(Disk()).open("x.db", Access.READ)


async def test_the_same_seed_and_story_write_the_same_bytes() -> None:
    contents = []
    for _ in range(2):
        disk = Disk()
        journal = await open_journal(DiskStorage(disk))
        await put_in(journal, 1, 2, 3)
        await journal.close()
        contents.append(bytes(disk.files[journal_file(journal.journal_id)].data))
    assert contents[0] == contents[1]
