"""A range is sent again beside the outbox, and how far it is is told, not too often."""

import asyncio
from itertools import count

import pytest

from cloud.contract.batch import read_head
from cloud.contract.messages import Telemetry, read
from cloud.contract.topics import Topic
from cloud.link.errands import Errands
from controller.clock import SystemClock
from controller.machine.inputs import CommandRefused
from tests.unit.cloud.contract.kit import NOW, chain
from tests.unit.cloud.link.test_link import Books, Way, ack


def errands(books: Books) -> Errands:
    nonces = count(1)
    return Errands(books, SystemClock(), lambda: f"u{next(nonces)}", lambda: NOW)


async def test_a_range_goes_batch_by_batch_and_over_a_lost_connection() -> None:
    books, way = Books(chain(1_200)[0], acked_seq=1_200), Way()
    run = errands(books)
    upload = asyncio.create_task(run.upload("c1", 100, 1_150))
    line = asyncio.create_task(run.run(way))

    first = read_head(await way.next(Topic.EVENTS))[0]
    assert (first.first, first.end) == (100, 599)
    line.cancel()
    line = asyncio.create_task(run.run(way))
    again = read_head(await way.next(Topic.EVENTS))[0]
    assert (again.first, again.end) == (100, 599)
    run.heard(ack(books, 1_200, echo=first.nonce))  # of the connection that is gone
    run.heard(ack(books, 1_200, echo=again.nonce))
    second = read_head(await way.next(Topic.EVENTS))[0]
    assert (second.first, second.end) == (600, 1_099)
    run.heard(ack(books, 1_200, echo=second.nonce))
    last = read_head(await way.next(Topic.EVENTS))[0]
    assert (last.first, last.end) == (1_100, 1_150)
    run.heard(ack(books, 1_200, echo=last.nonce))

    async with asyncio.timeout(10):
        assert await upload == "records 100 to 1150"
    line.cancel()


async def test_of_a_range_that_is_not_here_nothing_is_sent() -> None:
    run = errands(Books(chain(20)[0], base_seq=10))

    with pytest.raises(CommandRefused, match="there are 11 to 20"):
        await run.upload("c1", 1, 10)


async def test_progress_is_told_when_it_changes_and_not_at_each_tick() -> None:
    way, run = Way(), errands(Books(chain(3)[0]))
    line = asyncio.create_task(run.run(way))
    for step in range(50):
        run.progress("c1", "vending.dispensing", step, 50)
    run.progress("c1", "idle")
    told = read(Telemetry, await way.next(Topic.TELEMETRY))
    assert [(one.id, one.text, one.done) for one in told.progress] == [("c1", "idle", 0)]
    assert way.said.empty()
    line.cancel()
