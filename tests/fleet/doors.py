"""An HTTPS door with certificates of its own, in this process: real TLS on loopback."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

from sqlalchemy import insert, select

from cloud.contract.journal import to_ms
from cloud.contract.topics import Address
from cloud.fleet import authority, orders
from cloud.fleet import schema as t
from cloud.fleet.broker import Connection
from cloud.fleet.database import FleetDatabase
from cloud.fleet.door.broker_https import HttpsBroker
from cloud.fleet.door.server import DoorServer
from cloud.fleet.home import Home, write_private, write_public
from cloud.fleet.ingest.ingest import Ingest
from cloud.fleet.worker import Worker
from cloud.link import trust
from cloud.link.transport_https import HttpsTransport
from config.fleet import FleetHttps
from simulator.fleet.site import free_port
from tests.fleet.machines import START

NOW = datetime.fromtimestamp(START / 1000, UTC)
_NAMES = count(1)


@dataclass
class Certified:
    """Files of a client."""

    ca: Path
    certificate: Path
    key: Path

    def tls(self) -> ssl.SSLContext:
        return trust.context(self.ca, self.certificate, self.key)


class Doors:
    """A fleet's folder with its authority, and doors that open and close.

    Args:
        folder: Where.
        now: When its certificates are issued.
    """

    def __init__(self, folder: Path, now: datetime = NOW) -> None:
        self.home = Home(folder)
        self.now = now
        self.ca = authority.make_authority(now)
        self.port = free_port()
        write_public(self.home.tls / "ca.pem", self.ca.certificate)
        write_private(self.home.tls / "ca-key.pem", self.ca.key)
        self.certified("door", "localhost", hosts=("localhost", "127.0.0.1"))

    def certified(
        self,
        name: str,
        common: str,
        *,
        hosts: tuple[str, ...] = (),
        days: int = 400,
        begins: timedelta = timedelta(),
        ca: authority.Pair | None = None,
    ) -> Certified:
        """Issue a certificate that nobody has written down."""
        pair, _ = authority.issue(ca or self.ca, common, self.now + begins, hosts=hosts, days=days)
        made = Certified(
            self.home.tls / "ca.pem",
            self.home.tls / f"{name}.pem",
            self.home.tls / f"{name}-key.pem",
        )
        write_public(made.certificate, pair.certificate)
        write_private(made.key, pair.key)
        return made

    async def machine(
        self,
        database: FleetDatabase,
        address: Address,
        *,
        days: int = 400,
        begins: timedelta = timedelta(),
    ) -> Certified:
        """Give a machine that the database knows its certificate."""
        name = f"{address.tenant}-{address.machine}-{next(_NAMES)}"
        made = self.certified(name, str(address), days=days, begins=begins)
        serial, ends = authority.serial_and_end(made.certificate.read_bytes())
        async with database.writing() as connection:
            machine_id = (
                await connection.execute(
                    select(t.machine.c.id).where(
                        t.machine.c.tenant == address.tenant, t.machine.c.name == address.machine
                    )
                )
            ).scalar_one()
            await connection.execute(
                insert(t.certificate).values(
                    serial=serial, machine_id=machine_id, not_after_ms=to_ms(ends)
                )
            )
        return made

    def transport(self, certified: Certified, port: int | None = None) -> HttpsTransport:
        return HttpsTransport("localhost", port or self.port, certified.tls)

    @asynccontextmanager
    async def open(
        self, database: FleetDatabase, *, now_ms: int = START
    ) -> AsyncIterator[tuple[Worker, DoorServer]]:
        """Let machines in: one process of the server, as far as the door is concerned."""
        broker = HttpsBroker()
        outbox = orders.Outbox(database)

        async def appeared(address: Address, connection: Connection) -> None:
            await orders.publish_open(database, connection, address, now_ms)

        async def beside(connection: Connection) -> None:
            while True:
                await outbox.publish_new(connection, now_ms)
                await asyncio.sleep(0.1)

        worker = Worker(Ingest(database), broker, lambda: now_ms, appeared, beside)
        settings = FleetHttps(host="127.0.0.1", port=self.port)
        door = DoorServer(settings, self.home, database, broker, lambda: now_ms)
        tasks = [asyncio.create_task(worker.run()), asyncio.create_task(door.run())]
        try:
            async with asyncio.timeout(60):
                await worker.connected.wait()
                await self._listens()
            yield worker, door
        finally:
            await door.stop()
            for task in tasks:
                task.cancel()
            for task in tasks:
                with suppress(asyncio.CancelledError):
                    await task

    async def _listens(self) -> None:
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", self.port)
            except OSError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                return
