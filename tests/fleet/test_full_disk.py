"""A server's disk that is really full: PostgreSQL refuses to write, and nothing is lost."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from cloud.fleet.database import FleetDatabase
from cloud.fleet.migrate import upgrade
from tests.fleet.books import sell_many
from tests.fleet.disks import SmallDisk, SmallFiles, small_disk
from tests.fleet.servers import Mosquitto, Postgres, running
from tests.fleet.test_faults import fleet_of, machine_of, until

pytestmark = pytest.mark.timeout(300)  # beside others on a slow machine
SALES = 700  # some megabytes in the database: more than what its files have left


async def kept_running(server: Postgres) -> None:
    """Start it again when it ends, as its unit does."""
    while True:
        await asyncio.to_thread(server.start_again)
        await asyncio.sleep(1.0)


@pytest.mark.parametrize("make", [small_disk, SmallFiles])
async def test_a_full_disk_of_postgresql_acknowledges_nothing_and_loses_nothing(
    tmp_path: Path, make: Callable[[], SmallDisk | SmallFiles]
) -> None:
    """A file system of its own is filled; where none can be mounted, its files can't grow.

    The second way is played everywhere, so that it works where it is needed.
    """
    async with AsyncExitStack() as stack:
        disk = make()
        stack.callback(disk.remove)
        server = Postgres(disk.folder, wal_mib=1)
        stack.callback(server.remove)
        await asyncio.to_thread(server.start)
        stack.callback(server.stop)
        database = FleetDatabase(await asyncio.to_thread(server.make_database, "fleet"))
        stack.push_async_callback(database.close)
        await upgrade(database)
        broker = Mosquitto(tmp_path / "broker")
        stack.enter_context(running(broker))
        fleet = await fleet_of(stack, broker, database)
        machine = await machine_of(stack, fleet, tmp_path / "m", "m")
        worker = await fleet.hire()
        await machine.sell(150)
        await machine.in_sync()
        assert machine.books is not None
        assert machine.link is not None

        process = server.pid()
        await asyncio.to_thread(disk.fill, process)
        await sell_many(machine.books, SALES)
        machine.link.grown()
        await until(lambda: worker.counts.reconnects >= 2)
        held = machine.books.acked_seq
        assert disk.why in server.said()
        await asyncio.to_thread(disk.free, process)
        keeper = asyncio.create_task(kept_running(server))
        await machine.in_sync()
        keeper.cancel()

        assert held < machine.books.durable_seq, "what did not fit was not acknowledged"
        await machine.equal(database)
