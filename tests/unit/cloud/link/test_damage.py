"""A record that can't be read any more: others go up before it, and behind it in a new journal."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count

import pytest

from cloud.contract.batch import unpack
from cloud.contract.messages import Ack
from cloud.contract.topics import Topic
from cloud.link import link as linking
from cloud.link.errands import Errands
from cloud.link.link import LOOKS, Link
from cloud.link.link import Books as Read
from cloud.link.packing import packed
from controller.clock import SystemClock
from controller.journal.database import Access
from controller.journal.errors import DiskCorruptError, JournalBrokenError
from controller.journal.identity import journal_file
from controller.journal.reader import StoredRow
from controller.journal.store import Journal
from controller.machine.inputs import CommandRefused
from simulator.disk import Disk
from simulator.disk_sqlite import DiskStorage
from tests.journal_kit import Purse, open_journal, put_in
from tests.unit.cloud.contract.kit import NOW, chain
from tests.unit.cloud.link.test_link import Books, Way, ack

HURT = 4


@dataclass
class Damaged(Books):
    """A journal of which one record holds what was never written."""

    hurt: int = HURT

    async def chunk(self, first: int, limit: int) -> list[StoredRow]:
        if first == self.hurt:
            raise DiskCorruptError(f"record {first} holds int, str, bytes, not int, bytes, bytes")
        rows = await super().chunk(first, limit)
        return [row for row in rows if first > self.hurt or row[0] < self.hurt]


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linking, "LOOK_AGAIN_S", 0.05)


class Looking:
    """A link that runs, and what it has told of its journal's damage."""

    def __init__(self, books: Read, way: Way, *, heals: bool) -> None:
        nonces = count(1)
        self.told: asyncio.Queue[str] = asyncio.Queue()
        self.looks = 0
        self.looked = asyncio.Event()

        def damaged(why: str) -> bool:
            self.told.put_nowait(why)
            return heals

        self.link = Link(books, way, SystemClock(), lambda: f"n{next(nonces)}", on_damage=damaged)
        self.link.watch(self._watched)
        self.task = asyncio.create_task(self.link.run())

    def _watched(self) -> None:
        self.looks += bool(self.link.status.last_error)
        if self.looks > 2 * LOOKS:
            self.looked.set()


@contextmanager
def looking(books: Read, way: Way, *, heals: bool = True) -> Iterator[Looking]:
    made = Looking(books, way, heals=heals)
    yield made
    made.task.cancel()


async def test_what_is_before_it_is_sent_and_the_link_stays_and_says_which() -> None:
    way, books = Way(), Damaged(chain(7)[0])
    with looking(books, way, heals=False) as found:
        sent = unpack(await way.next(Topic.EVENTS))
        assert [row.seq for row in sent.rows] == [1, 2, 3]
        way.tell(ack(books, 3, echo="n2"))
        async with asyncio.timeout(60):
            why = await found.told.get()
            await found.told.get()  # nobody heals it: it is looked at on
    assert why.startswith("record 4 holds int, str, bytes")
    assert found.link.status.last_error == f"the journal can't be read: {why}"
    assert (found.link.status.connected, way.connected) == (True, 1)


async def test_it_ends_for_a_new_journal_when_the_fleet_has_all_that_is_before() -> None:
    way, books = Way(), Damaged(chain(7)[0], acked_seq=3)
    with looking(books, way) as found:
        await way.next(Topic.PRESENCE)
        way.tell(ack(books, 3, echo="n1"))
        async with asyncio.timeout(60):
            await found.task
    assert found.told.qsize() == 1


@pytest.mark.parametrize(
    "answer",
    [{"seq": 9, "hash": "77" * 32}, {"seq": 2}, {"echo": "another's"}],
    ids=["it has more than we", "it has less than it had", "it has not answered"],
)
async def test_it_goes_on_in_none_while_the_fleet_may_hold_another_chain(
    answer: dict[str, object],
) -> None:
    way, books = Way(), Damaged(chain(7)[0], acked_seq=3)
    with looking(books, way) as found:
        await way.next(Topic.PRESENCE)
        way.tell(ack(books, 3, **{"echo": "n1", **answer}))
        async with asyncio.timeout(60):
            await found.looked.wait()
    assert found.told.empty()


async def test_a_disk_that_reads_it_again_goes_on() -> None:
    way, books = Way(), Damaged(chain(7)[0], acked_seq=3)
    with looking(books, way) as found:
        await way.next(Topic.PRESENCE)
        books.hurt = 0
        sent = unpack(await way.next(Topic.EVENTS))
    assert [row.seq for row in sent.rows] == [4, 5, 6, 7]
    assert (found.link.status.last_error, found.told.qsize()) == ("", 0)


async def test_a_batch_ends_before_a_record_that_is_not_what_was_written() -> None:
    books = Books(chain(7)[0])
    seq, boot, body, digest = books.rows[HURT - 1]
    books.rows[HURT - 1] = seq, boot, body.replace(b"device", b"devise"), digest
    message, last = await packed(books, 1, "")
    assert (last, len(unpack(message).rows)) == (3, 3)
    with pytest.raises(JournalBrokenError, match="record 4: fails its hash"):
        await packed(books, HURT, "")
    message, last = await packed(books, HURT + 1, "")
    assert (last, len(unpack(message).rows)) == (7, 3)


async def test_a_record_that_is_gone_is_not_taken_for_one_that_was_pruned() -> None:
    books = Books(chain(7)[0])
    del books.rows[HURT - 1]
    message, last = await packed(books, 1, "")
    assert (last, len(unpack(message).rows)) == (3, 3)
    with pytest.raises(JournalBrokenError, match="record 4: is missing"):
        await packed(books, HURT, "")


async def test_a_range_that_is_asked_for_ends_at_it_and_the_link_goes_on() -> None:
    nonces = count(1)
    errands = Errands(Damaged(chain(7)[0]), SystemClock(), lambda: f"n{next(nonces)}", lambda: 0)
    way = Way()
    asked = asyncio.create_task(errands.upload("c1", HURT, 7))
    running = asyncio.create_task(errands.run(way))
    async with asyncio.timeout(60):
        with pytest.raises(CommandRefused, match="record 4 holds"):
            await asked
    assert not running.done()
    running.cancel()


async def hurt(*seqs: int) -> tuple[Journal[Purse], Ack]:
    """A journal that goes on behind damage, and the word that the fleet has the fourth record.

    Of one that is hurt the hash is another; of several no value has its type any more.
    """
    disk = Disk()
    journal = await open_journal(DiskStorage(disk))
    await put_in(journal, 1, 2, 4, 8)
    digest = await journal.hash_at(HURT)
    assert digest is not None
    bodies = [(await journal.read(seq))[0].body for seq in seqs]
    name = journal_file(journal.journal_id)
    await journal.close()
    if len(seqs) == 1:
        database = await DiskStorage(disk).open(name, Access.WRITE)
        change = "UPDATE record SET hash = zeroblob(32) WHERE seq = ?"
        await database.transaction([(change, seqs)])
        await database.close()
    else:
        data = disk.files[name].data
        for body in bodies:  # text, not bytes: the last but one of the head's types
            for at in {data.index(body), data.rindex(body)}:  # moved as its page was split
                data[at - 2] ^= 1
    journal = await open_journal(DiskStorage(disk))
    told = Ack(journal=journal.journal_id.hex(), seq=HURT, hash=digest.hex(), time=NOW, echo="n1")
    return journal, told


async def test_one_that_the_fleet_has_and_whose_hash_is_another_now_ends_for_a_new_journal() -> (
    None
):
    journal, told = await hurt(HURT)
    way = Way()
    with looking(journal, way) as found:
        await way.next(Topic.PRESENCE)
        way.tell(told)
        async with asyncio.timeout(60):
            await found.task
    assert journal.acked_seq == HURT
    assert found.told.get_nowait() == "record 5: fails its hash"
    assert found.told.empty()


async def test_a_fork_at_one_whose_hash_is_another_now_is_one() -> None:
    """The fleet's word names the last record of both, whatever became of it on this disk."""
    journal, told = await hurt(HURT)
    way, forks = Way(), list[int]()
    link = Link(journal, way, SystemClock(), lambda: "n1", on_fork=lambda seq, _: forks.append(seq))
    task = asyncio.create_task(link.run())
    await way.next(Topic.PRESENCE)
    fork = {"journal": told.journal, "seq": told.seq, "hash": told.hash}
    beyond = told.model_dump() | {"seq": 99, "hash": "77" * 32, "fork": fork}
    way.tell(Ack.model_validate(beyond))
    async with asyncio.timeout(60):
        await task
    assert forks == [HURT]


async def test_where_nobody_can_say_whose_it_is_the_link_stays_all_the_same() -> None:
    journal, told = await hurt(HURT, HURT + 1)
    way = Way()
    with looking(journal, way) as found:
        await way.next(Topic.PRESENCE)
        way.tell(told)
        async with asyncio.timeout(60):
            await found.looked.wait()
        assert not found.task.done()
    assert found.told.empty()
    assert journal.acked_seq == 0
