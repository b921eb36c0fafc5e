"""A real vendd whose certificate comes to its time while it sells: renewed, and the old one out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Select, select

from cloud.contract.topics import Address
from cloud.fleet import authority, registry
from cloud.fleet import schema as t
from cloud.fleet.database import FleetDatabase
from cloud.fleet.home import Home
from cloud.link import trust
from cloud.link.transport import LinkRefusedError
from cloud.link.transport_https import HttpsTransport
from cloud.mqtt import MqttError, StrictClient
from simulator.rig import Rig
from tests.e2e.test_fleet import books_of, of_shell, section, sell_one, stopped
from tests.fleet.site import Site

StartRig = Callable[..., Awaitable[Rig]]
pytestmark = pytest.mark.timeout(300)  # beside others on a slow machine
MACHINE = Address("acme", "demo")
WHOLE = timedelta(days=authority.MACHINE_DAYS + 1)  # it begins a day before it is issued
SOON = timedelta(seconds=10)  # in which a machine starts
PLENTY_S = 90.0


@pytest.fixture
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """Start a server; its machine was added a third of a certificate's life ago."""
    made = Site(tmp_path_factory.mktemp("fleet") / "home")
    await asyncio.to_thread(made.wait)
    added = datetime.now(UTC) + SOON - WHOLE / 3 + timedelta(days=1)
    async with fleet_database(made) as database:
        await registry.add(database, Home(made.home), MACHINE, added)
    yield made
    await asyncio.to_thread(made.end)


@asynccontextmanager
async def fleet_database(site: Site) -> AsyncIterator[FleetDatabase]:
    database = FleetDatabase(f"sqlite+aiosqlite:///{site.home / 'fleet.db'}")
    yield database
    await database.close()


async def until(site: Site, query: Select[Any], holds: Callable[[list[Any]], bool]) -> list[Any]:
    """Wait until what the server's database says holds: asking its shell costs a second."""
    async with asyncio.timeout(PLENTY_S), fleet_database(site) as database:
        while True:
            async with database.reading() as connection:
                found = list((await connection.execute(query)).scalars())
            if holds(found):
                return found
            await asyncio.sleep(0.05)


def files(site: Site) -> tuple[Path, Path]:
    return Home(site.home).machine_files(MACHINE)


async def test_a_certificate_is_renewed_while_it_sells_and_the_old_one_is_refused_then(
    rigs: StartRig, site: Site, run_folder: Path
) -> None:
    serials = select(t.certificate.c.serial)
    (old,) = await until(site, serials, bool)
    rig = await rigs(
        edits={
            "[machine]\n": section(site).replace(
                f"port = {site.port}\n", f"port = {site.port}\nhttps_port = {site.https}\n"
            )
        }
    )
    await rig.start_vendd()
    await rig.api.until_selling()
    await sell_one(rig)

    # Its time comes; it has another one then, of a key that only it has.
    both = await until(site, serials, lambda found: len(found) == 2)
    (new,) = (serial for serial in both if serial != old)
    folder = run_folder / "journal" / "cloud"
    async with asyncio.timeout(PLENTY_S):
        while [*folder.iterdir()] != [*folder.glob("[0-9a-f]" * 16 + ".pem")]:  # noqa: ASYNC110 - a file tells nobody
            await asyncio.sleep(0.05)
    (file,) = folder.iterdir()
    assert (
        authority.serial_and_end(file.read_bytes().partition(b"-----END PRIVATE KEY-----\n")[2])[0]
        == new
    )
    await sell_one(rig)

    # The old one, revoked, cuts the connection: the machine is back with the new one.
    revoked = await of_shell(site, "machine", "revoke", str(MACHINE), "--serial", old)
    assert (revoked["revoked"], revoked["broker"]) == ([old], "told")
    with pytest.raises(MqttError):
        async with StrictClient(site.broker(MACHINE)):
            raise AssertionError("the broker let the old one in")
    ca = site.home / "tls" / "ca.pem"
    door = HttpsTransport("localhost", site.https, lambda: trust.context(ca, *files(site)))
    with pytest.raises(LinkRefusedError, match="revoked"):
        async with door.connect():
            raise AssertionError("the door let the old one in")
    await sell_one(rig)
    await arrived(rig, site)

    # And so it is after its next start, which finds both.
    await stopped(rig)
    await rig.start_vendd()
    await rig.api.until_selling()
    await sell_one(rig)
    await arrived(rig, site)
    assert [*folder.iterdir()] == [file]
    (total,) = await of_shell(site, "sales")
    assert (total["sold"], total["cash"], total["open"]) == (4, 4 * 150, 0)
    shown = await of_shell(site, "machine", "show", str(MACHINE))
    assert (len(shown["journals"]), shown["balances"]) == (1, await books_of(rig))
    assert (await of_shell(site, "audit", "verify", str(MACHINE)))["ok"]


async def arrived(rig: Rig, site: Site) -> None:
    """Every record that the machine has by now is in the cloud."""
    durable = (await rig.api.journal())[-1]["seq"]
    await until(site, select(t.journal.c.next_seq), lambda found: found[0] > durable)
