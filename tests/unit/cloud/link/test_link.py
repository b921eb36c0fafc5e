"""The machine's side of the link against a fleet that says odd things."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import pytest

from cloud.contract.batch import read_head
from cloud.contract.journal import GENESIS
from cloud.contract.messages import Ack, Position, Presence, Range, read
from cloud.contract.topics import Topic
from cloud.link import link as linking
from cloud.link.lane import RECALLED
from cloud.link.link import Link
from cloud.link.transport import Connection, Heard, LinkLostError
from controller.clock import SystemClock
from controller.journal.reader import StoredRow
from tests.journal_kit import HandClock
from tests.unit.cloud.contract.kit import JOURNAL, NOW, chain


@dataclass
class Books:
    """A journal in memory."""

    rows: list[StoredRow]
    base_seq: int = 0
    acked_seq: int = 0
    journal_id: bytes = JOURNAL

    @property
    def durable_seq(self) -> int:
        return self.rows[-1][0]

    async def chunk(self, first: int, limit: int) -> list[StoredRow]:
        return [row for row in self.rows if max(first, self.base_seq + 1) <= row[0]][:limit]

    async def hash_at(self, seq: int) -> bytes | None:
        if seq == 0:
            return GENESIS
        there = max(1, self.base_seq) <= seq <= self.durable_seq
        return self.rows[seq - 1][3] if there else None

    async def has(self, seq: int, digest: bytes) -> bool:
        return await self.hash_at(seq) == digest

    async def acknowledge(self, seq: int, digest: bytes) -> bool:
        self.acked_seq = max(self.acked_seq, seq)
        return self.rows[seq - 1][3] == digest


@dataclass
class Way:
    """A connection whose other end is a test."""

    said: "asyncio.Queue[tuple[Topic, bytes]]" = field(default_factory=asyncio.Queue)
    heard_: "asyncio.Queue[Heard | None]" = field(default_factory=asyncio.Queue)
    connected: int = 0

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[Connection]:
        self.connected += 1
        yield self

    name = "a test"

    async def say(self, topic: Topic, payload: bytes, *, retain: bool = False) -> None:
        del retain
        self.said.put_nowait((topic, payload))

    async def heard(self) -> AsyncIterator[Heard]:
        while (heard := await self.heard_.get()) is not None:
            yield heard

    def tell(self, ack: Ack) -> None:
        self.heard_.put_nowait(Heard(Topic.ACK, ack.to_bytes(), lambda: None))

    async def next(self, topic: Topic) -> bytes:
        async with asyncio.timeout(60):
            while True:
                found, payload = await self.said.get()
                if found is topic:
                    return payload


def linked(
    books: Books,
    way: Way,
    forks: list[int],
    times: list[int] | None = None,
    firsts: list[bool | None] | None = None,
) -> "asyncio.Task[None]":
    nonces = count(1)
    heard = [] if times is None else times
    told = [] if firsts is None else firsts

    def on_time(ms: int, _at: float, first: bool | None) -> None:
        heard.append(ms)
        told.append(first)

    link = Link(
        books,
        way,
        SystemClock(),
        lambda: f"n{next(nonces)}",
        on_fork=lambda seq, _: forks.append(seq),
        on_time=on_time,
    )
    return asyncio.create_task(link.run())


def ack(books: Books, at: int, **more: object) -> Ack:
    digest = books.rows[at - 1][3] if at else GENESIS
    fields = {"journal": JOURNAL.hex(), "seq": at, "hash": digest.hex(), "time": NOW} | more
    return Ack.model_validate(fields)


async def test_a_connection_that_ends_without_a_word_is_made_again() -> None:
    way, books = Way(), Books(chain(3)[0])
    task = linked(books, way, [])
    await way.next(Topic.PRESENCE)
    way.heard_.put_nowait(None)
    await way.next(Topic.PRESENCE)
    assert way.connected == 2
    task.cancel()


async def test_only_the_answer_to_a_greeting_says_whether_there_was_another_disk() -> None:
    """Answers come in any order, one to an earlier greeting behind the next; kept ones never."""
    way, books, firsts = Way(), Books(chain(3)[0]), list[bool | None]()
    task = linked(books, way, [], firsts=firsts)
    first = read(Presence, await way.next(Topic.PRESENCE)).nonce
    batch = read_head(await way.next(Topic.EVENTS))[0].nonce
    way.tell(ack(books, 3, echo=batch, first=True))
    way.tell(ack(books, 2, echo="another connection's", first=True))
    way.tell(ack(books, 2, first=True))
    way.tell(ack(books, 2, echo=first, first=True))
    way.tell(ack(books, 2, echo=first, first=False))
    await heard_all(way)
    assert firsts == [None, True]
    task.cancel()


async def test_who_was_not_answered_greets_again_when_something_else_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A machine may be registered while it is connected: only its batches are answered then."""
    monkeypatch.setattr(linking, "GREET_AGAIN_S", 0.0)
    way, books, firsts = Way(), Books(chain(3)[0]), list[bool | None]()
    task = linked(books, way, [], firsts=firsts)
    early = read(Presence, await way.next(Topic.PRESENCE)).nonce
    batch = read_head(await way.next(Topic.EVENTS))[0].nonce

    way.tell(ack(books, 3, echo=batch))
    again = read(Presence, await way.next(Topic.PRESENCE)).nonce
    way.tell(ack(books, 3, echo=again, first=True))
    way.tell(ack(books, 3, echo=early, first=False))
    await heard_all(way)

    assert firsts == [None, True, False]
    assert way.said.empty(), "it was answered"
    task.cancel()


async def heard_all(way: Way) -> None:
    taken = asyncio.Event()
    way.heard_.put_nowait(Heard(Topic.CMD, b"", taken.set))
    async with asyncio.timeout(60):
        await taken.wait()


async def test_a_link_that_is_stopped_ends_though_its_connection_is_lost_meanwhile() -> None:
    class Lost(Way):
        async def heard(self) -> AsyncIterator[Heard]:
            try:
                await asyncio.Future[None]()
            except asyncio.CancelledError:
                raise LinkLostError("closed") from None
            yield Heard(Topic.ACK, b"", lambda: None)

    way, books = Lost(), Books(chain(3)[0])
    task = linked(books, way, [])
    await way.next(Topic.EVENTS)
    task.cancel()
    await asyncio.wait([task], timeout=30)
    assert task.cancelled()


async def test_a_retained_word_of_a_fork_is_of_another_disk_perhaps() -> None:
    way, books, forks = Way(), Books(chain(9)[0]), list[int]()
    task = linked(books, way, forks)
    greeted = read(Presence, await way.next(Topic.PRESENCE))
    place = Position(journal=JOURNAL.hex(), seq=4, hash=books.rows[3][3].hex())
    theirs = "ab" * 32  # their record 9 is another one
    way.tell(ack(books, 9, hash=theirs, fork=place, echo="of last week"))
    way.tell(ack(books, 9))
    while books.acked_seq < 9:  # noqa: ASYNC110 - its other end is here
        await asyncio.sleep(0)
    assert forks == []

    way.tell(ack(books, 9, hash=theirs, fork=place, echo=greeted.nonce))
    async with asyncio.timeout(60):
        await task
    assert forks == [4]


async def test_a_disk_that_went_back_learns_no_time_and_so_runs_no_command_again() -> None:
    way, books, forks, times = Way(), Books(chain(9)[0]), list[int](), list[int]()
    task = linked(books, way, forks, times)
    place = Position(journal=JOURNAL.hex(), seq=9, hash=books.rows[8][3].hex())
    greeted = read(Presence, await way.next(Topic.PRESENCE))
    way.tell(ack(books, 9, seq=12, hash="ab" * 32, echo=greeted.nonce))
    first = read_head(await way.next(Topic.EVENTS))[0]
    way.tell(ack(books, 9, seq=12, hash="ab" * 32, fork=place, echo=first.nonce))
    async with asyncio.timeout(60):
        await task
    assert (forks, times) == ([9], [])

    way = Way()
    task = linked(books, way, forks, times)
    greeted = read(Presence, await way.next(Topic.PRESENCE))
    way.tell(ack(books, 9, echo=greeted.nonce))
    while not times:  # noqa: ASYNC110 - its other end is here
        await asyncio.sleep(0)
    assert times == [NOW]
    task.cancel()


async def test_a_fleet_that_asks_for_pruned_records_gets_what_is_left_and_no_flood() -> None:
    way, books = Way(), Books(chain(20)[0], base_seq=10, acked_seq=15)
    task = linked(books, way, [])
    assert read_head(await way.next(Topic.EVENTS))[0].first == 16

    for _ in range(50):
        way.tell(ack(books, 5, want=Range(first=6, last=15)))
    assert read_head(await way.next(Topic.EVENTS))[0].first == 11
    for _ in range(200):
        await asyncio.sleep(0)

    assert not task.done(), "the link lives on"
    assert way.said.empty()
    task.cancel()


async def test_several_answers_of_one_gap_make_it_go_back_once() -> None:
    way, books = Way(), Books(chain(4_000)[0])
    task = linked(books, way, [])
    heads = [read_head(await way.next(Topic.EVENTS))[0] for _ in range(8)]
    assert [head.first for head in heads] == list(range(1, 4_000, 500))

    # The first was lost: every other one is answered with the same wish.
    for head in heads[1:]:
        way.tell(ack(books, 0, want=Range(first=1, last=500), echo=head.nonce))
    again = [read_head(await way.next(Topic.EVENTS))[0] for _ in range(8)]
    for _ in range(200):
        await asyncio.sleep(0)

    assert [head.first for head in again] == list(range(1, 4_000, 500))
    assert way.said.empty(), "once, not seven times"

    # Lost once more: an answer to what was sent since then counts.
    way.tell(ack(books, 0, want=Range(first=1, last=500), echo=again[1].nonce))
    assert read_head(await way.next(Topic.EVENTS))[0].first == 1
    task.cancel()


@dataclass
class Counted(Books):
    """A journal that counts what is read of it."""

    read: int = 0

    async def chunk(self, first: int, limit: int) -> list[StoredRow]:
        found = self.rows[first - 1 : first - 1 + limit]
        self.read += len(found)
        return found

    async def hash_at(self, seq: int) -> bytes | None:
        self.read += 1
        return await super().hash_at(seq)


async def test_a_start_with_a_long_backlog_reads_a_window_and_looks_for_what_is_urgent() -> None:
    rows, _ = chain(60_000)
    reads = []
    for waiting in (RECALLED + 4_000, 60_000):
        way, books = Way(), Counted(rows[:waiting])
        link = Link(books, way, SystemClock(), lambda: "n")
        assert books.read == 0, "to begin with it looks at nothing"
        assert link.status.backlog == waiting
        task = asyncio.create_task(link.run())
        for _ in range(8):
            await way.next(Topic.EVENTS)
        for _ in range(100):
            await asyncio.sleep(0)
        assert way.said.empty(), "a window, and it waits for an answer"
        reads.append(books.read)
        task.cancel()

    assert reads[0] == reads[1] <= 8 * 500 + 20 + RECALLED


async def test_somebody_in_a_hurry_has_a_lost_batch_sent_again() -> None:
    way, books, clock = Way(), Books(chain(20)[0]), HandClock()
    link = Link(books, way, clock, lambda: "n")
    task = asyncio.create_task(link.run())
    assert read_head(await way.next(Topic.EVENTS))[0].first == 1
    link.sync_now()
    await asyncio.sleep(0.1)
    assert way.said.empty(), "it has only just left"

    clock.now_s += 3.0
    link.sync_now()

    assert read_head(await way.next(Topic.EVENTS))[0].first == 1
    task.cancel()


async def test_commands_wait_until_the_fleet_has_what_this_start_wrote() -> None:
    """A copy of the disk shows the same chain up to there."""
    books, way = Books(chain(3)[0]), Way()
    uses: list[bool | None] = []
    link = Link(books, way, SystemClock(), lambda: "n1", on_use=uses.append)
    told = asyncio.Event()
    link.watch(told.set)
    task = asyncio.create_task(link.run())

    async def hears(**words: Any) -> bool | None:
        told.clear()
        ack: dict[str, Any] = {"journal": JOURNAL.hex(), "time": NOW, "in_use": True, **words}
        way.tell(Ack(**{"seq": 2, "hash": books.rows[1][3].hex(), **ack}))
        async with asyncio.timeout(60):
            await told.wait()
        return uses[-1]

    try:
        await way.next(Topic.PRESENCE)
        assert await hears(echo="n1") is None, "it has two of three records"
        assert await hears(quarantined="why") is True, "it will never have more"
        assert await hears() is None
        assert await hears(seq=3, hash=books.rows[2][3].hex()) is True
    finally:
        task.cancel()
