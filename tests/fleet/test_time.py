"""A machine whose clock is decades behind or ten years ahead: equal books, and honest times."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from cloud.contract.topics import Address
from cloud.fleet import schema as t
from cloud.fleet.database import FleetDatabase
from controller.journal.records import TimeConfirmed
from tests.fleet.books import SkewedClock, known, open_books, sell_many
from tests.fleet.links import equal_books, every_record_once, in_sync, linked
from tests.fleet.machines import START
from tests.fleet.servers import Mosquitto, running
from tests.fleet.test_link import OverMqtt, fleet, new_link
from tests.journal_kit import BUILT

MACHINE = Address("acme", "lobby-1")
BUILT_MS = int(BUILT.timestamp() * 1000)
NOW = datetime.fromtimestamp(START / 1000, UTC)
DAY_MS = 24 * 3_600_000


@pytest.mark.parametrize(
    ("year", "label_from", "label_to"),
    [
        (1970, BUILT_MS, BUILT_MS + DAY_MS),  # no label falls below the day it was built
        (2036, START + 9 * 365 * DAY_MS, START + 11 * 365 * DAY_MS),
    ],
)
async def test_a_wrong_clock_is_marked_and_set_by_the_fleet(
    database: FleetDatabase, tmp_path: Path, year: int, label_from: int, label_to: int
) -> None:
    await known(database, MACHINE)
    off = NOW.replace(year=year) - datetime.now(UTC)
    books = await open_books(tmp_path / "journal", clock=SkewedClock(off))
    await sell_many(books, 5)
    server = Mosquitto(tmp_path / "broker")
    told = asyncio.Event()

    def on_time(ms: int, at_s: float, _first: bool | None) -> None:
        if books.label.confirmed:
            return
        before, _ = books.label.stamp(0, int(at_s * 1000))
        books.label.confirm(ms, int(at_s * 1000))
        books.stage(TimeConfirmed(source="fleet", offset_ms=ms - before))
        told.set()

    with running(server):
        side = OverMqtt(server)
        link = new_link(books, side, on_time=on_time)
        async with fleet(database, side), linked(link):
            async with asyncio.timeout(60):
                await told.wait()
            await sell_many(books, 3)
            link.grown()
            await in_sync(link)

    assert await every_record_once(database, books)
    assert await equal_books(database, books)
    async with database.reading() as connection:
        sagas = (
            await connection.execute(
                select(t.saga.c.opened_ms, t.saga.c.uncertain).order_by(t.saga.c.vend)
            )
        ).all()
    assert [saga.uncertain for saga in sagas] == [True] * 5 + [False] * 3
    assert all(label_from <= saga.opened_ms < label_to for saga in sagas[:5])
    assert all(START <= saga.opened_ms < START + DAY_MS for saga in sagas[5:])

    # Ten years ahead for a while, and nobody had confirmed it: it raises no floor.
    await books.close()
    again = await open_books(tmp_path / "journal", clock=SkewedClock(timedelta(days=-20_000)))
    assert START <= again.label.floor_ms < START + DAY_MS
    assert again.label.stamp(0, 0) == (again.label.floor_ms, False)
    await again.close()
