"""The acceptance story: a machine alone for fifteen days, its power cut each night and more often.

Field lesson 28: a fleet on Raspberry Pis, ten to fifteen days without a network; what waited was in
memory, and a power cut lost it. Here the real controller lives those days in virtual time; then its
journal goes up by the real link over a real broker, through everything that may end that as well.
"""

from __future__ import annotations

import asyncio
import random
import shutil
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import select

from cloud.contract.topics import Address
from cloud.fleet import reports
from cloud.fleet import schema as t
from cloud.fleet.database import FleetDatabase
from cloud.link.link import Link
from cloud.mqtt import Broker
from config.settings import load
from controller.clock import SystemClock
from controller.journal import records as rec
from controller.journal.beginning import BootInfo
from controller.journal.sqlite_aio import DirectoryStorage
from controller.journal.store import Journal
from controller.state.fold import StateFold
from controller.state.state import State
from simulator.clock import run_virtual
from simulator.lived.draw import DAY_S, HOUR_S, Days, Visitor, visitors
from simulator.lived.keep import keep
from simulator.lived.live import Liver, Past
from simulator.pytest_plugin import DEMO
from simulator.swarm.plan import Act, End, Step
from simulator.swarm.workers import quietly
from tests.fleet.books import known
from tests.fleet.links import PLENTY_S, balances, in_sync, link_of, linked, over_mqtt
from tests.fleet.proxy import Proxy
from tests.fleet.servers import Mosquitto, running
from tests.fleet.workers import working
from tests.journal_kit import BUILT
from tests.tracing import untraced

DAYS, CUSTOMERS, SEED = 15, 12, 28
OPEN_S, NIGHT_S = 4 * HOUR_S, 20 * HOUR_S  # a kiosk whose main switch ends the day
BEGIN = datetime(2026, 9, 1, 8, tzinfo=UTC)
HALL = Address("acme", "demo")
_NAMES = count(1)


@dataclass(frozen=True)
class Lived:
    """What is left of the fifteen days."""

    past: Past
    folder: Path
    cuts: int


def shop_hours(days: Days) -> list[Visitor]:
    """Everybody who comes while it is open; the power is off each night, and sometimes by day."""
    chance = random.Random(f"{days.seed}/hours")
    steps = [visitor.step for visitor in visitors(load(DEMO, home=Path("/nowhere")), days)]
    each = len(steps) // DAYS + 1
    found: list[Visitor] = []
    number = len(steps)
    for day in range(DAYS):
        begins = day * DAY_S + 600.0
        todays = steps[day * each : (day + 1) * each]
        times = sorted(begins + chance.random() * (OPEN_S - 1_200.0) for _ in todays)
        for at_s, step in zip(times, todays, strict=True):
            if step.end is None and not step.troubles and not step.visit and chance.random() < 0.1:
                by_day = End("power", "vend.closed", chance.randint(1, 5), 300.0)
                step = Step(step.number, step.acts, (), by_day)  # noqa: PLW2901 - with an end
            found.append(Visitor(at_s, step))
        number += 1
        night = End("power", "", chance.randint(1, 5), NIGHT_S)
        star = Act("keys", text="*")
        found.append(Visitor(day * DAY_S + OPEN_S, Step(number, (star,), (), night)))
    return found


def live() -> tuple[Past, int]:
    quietly()
    settings = load(DEMO, home=Path("/nowhere"))
    days = Days(DAYS, CUSTOMERS, SEED)
    plan = shop_hours(days)
    lived: list[Liver] = []

    async def run() -> None:
        lived.append(Liver(settings, plan, days, BEGIN, lambda _: None))
        await lived[0].play()

    run_virtual(run())
    assert lived[0].verdict.findings == []
    past = lived[0].past
    assert past.reckoning is not None
    assert past.reckoning.agrees
    return past, past.faults["power"]


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Lived:
    with untraced():  # three times as fast; what comes then is traced
        past, cuts = live()
    folder = tmp_path_factory.mktemp("lived") / "journal"
    keep(past, folder, folder.parent / "world.json")
    return Lived(past, folder, cuts)


@asynccontextmanager
async def taken_over(lived: Lived, folder: Path) -> AsyncIterator[Journal[State]]:
    """Open the journal that is left, as the next start does."""
    shutil.copytree(lived.folder, folder)
    books = await Journal.open(
        DirectoryStorage(folder),
        fold=StateFold(),
        registry=rec.REGISTRY,
        clock=SystemClock(),
        entropy=random.Random(SEED).randbytes,
        boot=BootInfo("demo", "EUR", "0.1.0", "", BUILT),
    )
    try:
        yield books
    finally:
        await books.close()


def line_of(books: Journal[State], port: int) -> AbstractAsyncContextManager[Link]:
    return linked(link_of(books, over_mqtt(port, HALL)))


async def nothing_is_lost_and_nothing_doubled(
    database: FleetDatabase, books: Journal[State], past: Past
) -> None:
    async with database.reading() as connection:
        found = await connection.execute(
            select(t.record.c.seq, t.record.c.boot, t.record.c.body, t.record.c.hash).order_by(
                t.record.c.seq
            )
        )
        stored = [(row.seq, row.boot, bytes(row.body), bytes(row.hash)) for row in found]
    assert stored == [row async for row in books.rows()], "each record once, and none but those"
    assert len(stored) >= past.records
    ours = balances(books)
    assert await reports.balances(database, HALL) == ours == past.balances
    (total,) = await reports.totals(database, HALL)
    assert total["cash"] + total["card"] == -ours["revenue.cash"] - ours["revenue.card"]
    assert past.reckoning is not None
    assert {line["column"]: line["left"] for line in await reports.stock(database, HALL)} == {
        name: there for name, (there, _) in past.reckoning.stock.items()
    }


async def test_fifteen_days_without_a_network_through_power_cuts_are_all_there_once(
    database: FleetDatabase, lived: Lived, tmp_path: Path
) -> None:
    """The days, their nights without power, and then a line that is cut while they go up."""
    assert lived.cuts >= DAYS, "each night, and by day"
    assert lived.past.records > 1_500
    await known(database, HALL)
    broker = Mosquitto(tmp_path / "broker")
    with running(broker):
        async with taken_over(lived, tmp_path / "journal") as books, Proxy(broker.port) as line:
            assert books.acked_seq == 0, "nobody has ever heard of it"
            serve = Broker("127.0.0.1", broker.port, "serve")
            async with working(database, serve), line_of(books, line.port) as link:
                heard = asyncio.Event()
                link.watch(lambda: heard.set() if link.status.acked else None)
                await asyncio.wait_for(heard.wait(), PLENTY_S)
                line.cut()
                line.mend()
                link.sync_now()
                await in_sync(link)
            await nothing_is_lost_and_nothing_doubled(database, books, lived.past)


async def test_a_server_that_is_killed_and_a_machine_that_goes_out_while_they_go_up_lose_nothing(
    database: FleetDatabase, lived: Lived, tmp_path: Path
) -> None:
    await known(database, HALL)
    broker = Mosquitto(tmp_path / "broker")
    with running(broker):
        serve = Broker("127.0.0.1", broker.port, "serve")
        async with taken_over(lived, tmp_path / "journal") as books:
            async with working(database, serve), line_of(books, broker.port) as link:
                heard = asyncio.Event()
                link.watch(lambda: heard.set() if link.status.acked else None)
                await asyncio.wait_for(heard.wait(), PLENTY_S)
            # Both are gone in the middle; the broker is killed, too, and forgets nothing.
            broker.kill()
            broker.start()
            async with working(database, serve), line_of(books, broker.port) as link:
                link.sync_now()
                await in_sync(link)
            await nothing_is_lost_and_nothing_doubled(database, books, lived.past)
