"""`vendcloud worker` as the processes that they are, on PostgreSQL and a broker over TLS."""

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from cloud.contract.messages import Ack
from cloud.contract.topics import Address
from cloud.fleet import alerts, duties
from cloud.fleet import schema as t
from cloud.fleet.database import FleetDatabase
from cloud.fleet.now import now_ms
from cloud.link.link import Link
from cloud.link.transport_mqtt import MqttTransport
from controller.clock import SystemClock
from tests.fleet.books import open_books, sell_many
from tests.fleet.crew import Crew, until
from tests.fleet.links import equal_books, every_record_once, in_sync, linked
from tests.fleet.servers import Postgres

pytestmark = pytest.mark.timeout(900)  # beside others on a slow machine
DAY_MS = 24 * 3_600_000


@pytest.fixture
def crew(tmp_path: Path, postgres: Postgres) -> Iterator[Crew]:
    made = Crew(tmp_path / "home", postgres.make_database("crew", "migrated"))
    made.broker.start()
    try:
        yield made
    finally:
        made.end()
        postgres.drop_database("crew")


@pytest.fixture
async def database(crew: Crew, postgres: Postgres) -> AsyncIterator[FleetDatabase]:
    made = FleetDatabase(postgres.url("crew"))
    yield made
    await made.close()


async def test_of_two_worker_processes_one_is_killed_holding_the_earlier_batch(
    crew: Crew, database: FleetDatabase, tmp_path: Path
) -> None:
    address = await asyncio.to_thread(crew.add, "lobby-1")
    first, _ = crew.hire("w1"), crew.hire("w2")
    await crew.ready()
    books = await open_books(tmp_path / "journal")
    await sell_many(books, 500)  # seven batches
    acks: list[Ack] = []
    words = count(1)
    link = Link(
        books,
        MqttTransport(crew.reach(address), address),
        SystemClock(),
        lambda: f"n{next(words)}",
        on_ack=acks.append,
    )

    first.signal(signal.SIGSTOP)  # it takes what it is given, and does nothing
    async with linked(link):
        await until(lambda: any(ack.want for ack in acks), "w2 asks for what w1 holds")
        held = crew.given("w1", "events")
        gap = next(ack for ack in acks if ack.want)
        assert held, "the broker gave w1 at least one of the batches"
        assert crew.given("w2", "events")
        assert gap.want is not None
        assert gap.want.first == gap.seq + 1 <= books.durable_seq
        first.kill()
        await in_sync(link)
        assert not first.runs

    assert books.acked_seq == books.durable_seq
    assert await every_record_once(database, books)
    assert await equal_books(database, books)
    async with database.reading() as connection:
        kept = await connection.execute(select(func.count()).select_from(t.waiting_batch))
        assert kept.scalar_one() == 0, "nothing waits for a gap any more"
    await books.close()


async def test_a_worker_says_whether_it_lives_and_works(
    crew: Crew, database: FleetDatabase
) -> None:
    worker = crew.hire("w1")
    await crew.ready()
    assert await worker.health("live") == (200, {"status": "alive"})
    assert await worker.health() == (200, {"status": "ready", "database": True, "broker": True})

    crew.broker.kill()

    async def says_no() -> bool:
        code, parts = await worker.health()
        return code == 503 and not parts["broker"] and bool(parts["database"])

    await until(says_no, "a worker without its broker is not ready")
    assert (await worker.health("live"))[0] == 200
    crew.broker.start()
    await worker.ready()
    assert await asyncio.to_thread(worker.stop) == 0


async def holders(database: FleetDatabase) -> dict[str, str]:
    """Who holds each lease: the worker's name, while it runs."""
    async with database.reading() as connection:
        rows = await connection.execute(select(t.duty).where(t.duty.c.until_ms > now_ms()))
        return {row.name: row.holder.partition("-")[0] for row in rows}


async def ends_soon(database: FleetDatabase, address: Address, serial: str) -> None:
    """Have a machine's only certificate be one that ends in a month."""
    async with database.writing() as connection:
        soon = now_ms() + 30 * DAY_MS
        await connection.execute(
            update(t.certificate)
            .where(
                t.certificate.c.machine_id.in_(
                    select(t.machine.c.id).where(t.machine.c.name == address.machine)
                )
            )
            .values(not_after_ms=soon)
        )


async def warned(database: FleetDatabase) -> list[str]:
    """The machines with an alert that their certificate ends, once for each that was raised."""
    query = (
        select(t.machine.c.name)
        .join(t.alert, t.alert.c.machine_id == t.machine.c.id)
        .where(t.alert.c.cause == alerts.CERTIFICATE)
        .order_by(t.alert.c.id)
    )
    async with database.reading() as connection:
        return list((await connection.execute(query)).scalars())


async def test_of_workers_alone_one_looks_after_what_ends_and_another_when_it_is_killed(
    crew: Crew, database: FleetDatabase
) -> None:
    one, other = [await asyncio.to_thread(crew.add, name) for name in ("m1", "m2")]
    await ends_soon(database, one, "1")
    first = crew.hire("w1", eager=True)
    await crew.ready()
    mine = {"ends": "w1", "silence": "w1"}

    async def is_w1s() -> bool:
        return await holders(database) == mine

    await until(is_w1s, "the only worker has both duties")
    second = crew.hire("w2", eager=True)
    await crew.ready()

    async def told_of_one() -> bool:
        return await warned(database) == ["m1"]

    await until(told_of_one, "it looked, once")
    assert await holders(database) == mine, "one of two has them"

    await ends_soon(database, other, "2")
    first.kill()
    assert await holders(database) == mine, "nobody knows yet"
    async with database.writing() as connection:  # a minute passes
        await connection.execute(
            update(t.duty).values(until_ms=t.duty.c.until_ms - duties.LEASE_MS)
        )

    async def is_w2s() -> bool:
        return await holders(database) == {"ends": "w2", "silence": "w2"}

    await until(is_w2s, "who is left takes over")

    async def told_of_both() -> bool:
        return await warned(database) == ["m1", "m2"]

    await until(told_of_both, "it looks at once, and tells nothing twice")
    assert second.runs
    assert await asyncio.to_thread(second.stop) == 0
    assert await holders(database) == {}, "in good order it gives back what it has"
