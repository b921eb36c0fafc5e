"""Certificates: renewed with a new key, by an ended one too, through kills; and revoked."""

import asyncio
import ssl
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update

from cloud.contract.topics import Address
from cloud.fleet import alerts, authority, ends
from cloud.fleet import certificates as fleets
from cloud.fleet import schema as t
from cloud.fleet.database import FleetDatabase
from cloud.link import trust
from cloud.link.credentials import Credentials
from cloud.link.renewal import Renewal
from cloud.link.transport import LinkLostError, LinkRefusedError
from cloud.link.transport_https import HttpsTransport
from controller.clock import SystemClock
from tests.fleet.books import known
from tests.fleet.doors import NOW, Certified, Doors
from tests.fleet.machines import START

MACHINE = Address("acme", "lobby-1")
DAY = timedelta(days=1)
DAY_MS = 24 * 3_600_000


class Site:
    """A machine's files, and the fleet's doors."""

    def __init__(self, database: FleetDatabase, folder: Path) -> None:
        self.database = database
        self.doors = Doors(folder / "home")
        self.folder = folder / "cloud"

    async def certify(self, age: timedelta) -> Certified:
        self.certified = await self.doors.machine(self.database, MACHINE, begins=-age)
        return self.certified

    def credentials(self) -> Credentials:
        made = self.certified
        return Credentials(made.ca, made.certificate, made.key, self.folder)

    def renewal(self, credentials: Credentials, address: Address = MACHINE) -> Renewal:
        async def reached(tls: Callable[[], ssl.SSLContext]) -> HttpsTransport:
            return HttpsTransport("localhost", self.doors.port, tls)

        return Renewal(
            credentials,
            address,
            reached,
            SystemClock(),
            lambda: (START, True),
        )

    async def serials(self) -> int:
        async with self.database.reading() as connection:
            return len((await connection.execute(select(t.certificate.c.serial))).all())


@pytest.fixture
async def site(database: FleetDatabase, tmp_path: Path) -> Site:
    await known(database, MACHINE)
    return Site(database, tmp_path)


async def test_a_third_of_its_life_later_a_machine_has_a_new_certificate_and_key(
    site: Site,
) -> None:
    await site.certify(130 * DAY)
    credentials = site.credentials()
    old = credentials.certificate()
    async with site.doors.open(site.database):
        assert not await site.renewal(credentials).once()
        await site.certify(140 * DAY)
        credentials = site.credentials()
        old = credentials.certificate()
        assert await site.renewal(credentials).once()
        assert not await site.renewal(credentials).once()

        new = credentials.certificate()
        assert new["serialNumber"] != old["serialNumber"]
        assert new["subject"] == old["subject"]
        begins, end = trust.life_of(new)
        assert (end - START, begins < START) == (400 * DAY_MS, True)
        (file,) = site.folder.iterdir()
        assert file.stat().st_mode & 0o777 == 0o600
        assert site.certified.key.read_bytes() not in file.read_bytes()
        async with HttpsTransport("localhost", site.doors.port, credentials.context).connect():
            pass

        # The configured one counts again when somebody brings another one.
        await site.certify(timedelta())
        assert site.credentials().certificate()["serialNumber"] not in (
            old["serialNumber"],
            new["serialNumber"],
        )


async def test_one_that_has_ended_may_renew_and_nothing_else(site: Site) -> None:
    await site.certify(500 * DAY)
    credentials = site.credentials()
    transport = HttpsTransport("localhost", site.doors.port, credentials.context)
    async with site.doors.open(site.database):
        with pytest.raises(LinkRefusedError, match="ended on"):
            async with transport.connect():
                raise AssertionError("it was let in")
        assert await site.renewal(credentials).once()
        async with transport.connect():
            pass


async def test_one_that_was_revoked_may_not(site: Site) -> None:
    await site.certify(140 * DAY)
    credentials = site.credentials()
    (revoked,) = await fleets.revoke(site.database, site.doors.home, MACHINE, "", NOW)
    serial, _ = authority.serial_and_end(site.certified.certificate.read_bytes())
    assert revoked == serial
    async with site.doors.open(site.database):
        with pytest.raises(LinkRefusedError, match="revoked"):
            await site.renewal(credentials).once()
    assert await site.serials() == 1
    assert b"X509 CRL" in (site.doors.home.tls / "crl.pem").read_bytes()


async def test_killed_at_any_step_it_goes_on_and_never_without_a_certificate(site: Site) -> None:
    class KilledError(Exception):
        pass

    for step in range(12):
        async with site.database.writing() as connection:
            await connection.execute(update(t.certificate).values(issued_ms=0))  # long ago
        await site.certify(140 * DAY)
        credentials = site.credentials()
        left = [step]

        def killed(name: str, at: Credentials = credentials, left: list[int] = left) -> None:
            real = getattr(at, name)

            def stumble(*arguments: object) -> object:
                for before in (True, False):
                    left[0] -= 1
                    if left[0] < 0:
                        raise KilledError
                    if before:
                        result = real(*arguments)
                return result

            setattr(at, name, stumble)

        for name in ("_write", "keep_next", "next_context", "use_next", "_durable"):
            killed(name)
        async with site.doors.open(site.database):
            with suppress(KilledError, LinkLostError):
                await site.renewal(credentials).once()
            # Whatever happened: the machine is let in, and its next start comes to a new one.
            again = site.credentials()
            async with HttpsTransport("localhost", site.doors.port, again.context).connect():
                pass
            assert not await site.renewal(again).once() or not again.has_next()
            assert trust.life_of(again.certificate())[1] - START == 400 * DAY_MS
            async with HttpsTransport("localhost", site.doors.port, again.context).connect():
                pass


async def test_an_answer_that_is_lost_brings_the_same_certificate_again(site: Site) -> None:
    await site.certify(140 * DAY)
    credentials = site.credentials()
    renewal = site.renewal(credentials)
    async with site.doors.open(site.database):
        request = renewal._request()
        begins, end = NOW - 140 * DAY, NOW + 260 * DAY
        asked = [
            await fleets.renew(
                site.database, site.doors.home, 1, MACHINE, (begins, end), request, NOW
            )
            for _ in range(3)
        ]
        assert len(set(asked)) == 1
        assert await renewal.once()
        assert await site.serials() == 2


async def test_a_machine_that_asks_for_ever_is_stopped(site: Site) -> None:
    await site.certify(140 * DAY)
    life = (NOW - 140 * DAY, NOW + 260 * DAY)
    for number in range(fleets.MOST):
        credentials = site.credentials()
        credentials.drop_next()
        request = site.renewal(credentials)._request()
        await fleets.renew(
            site.database, site.doors.home, 1, MACHINE, life, request, NOW + number * DAY / 10
        )
    credentials.drop_next()
    request = site.renewal(credentials)._request()
    with pytest.raises(fleets.CertificateNotDueError, match="within a week"):
        await fleets.renew(site.database, site.doors.home, 1, MACHINE, life, request, NOW + DAY)
    with pytest.raises(fleets.CertificateNotDueError, match="not before"):
        await fleets.renew(
            site.database, site.doors.home, 1, MACHINE, (NOW, NOW + 400 * DAY), request, NOW
        )


async def test_a_request_for_another_name_or_of_no_key_is_refused(site: Site) -> None:
    await site.certify(140 * DAY)
    credentials = site.credentials()
    async with site.doors.open(site.database):
        with pytest.raises(LinkRefusedError, match="not for acme/lobby-1"):
            await site.renewal(credentials, Address("acme", "lobby-2")).once()
        credentials.drop_next()
        renewal = site.renewal(credentials)
        renewal._request = lambda: "garbage"  # type: ignore[method-assign]  # what is sent
        with pytest.raises(LinkRefusedError, match="request:"):
            await renewal.once()
    assert await site.serials() == 1


async def test_a_renewed_file_that_is_damaged_gives_way_to_the_configured_one(site: Site) -> None:
    await site.certify(140 * DAY)
    credentials = site.credentials()
    async with site.doors.open(site.database):
        assert await site.renewal(credentials).once()
        (file,) = site.folder.iterdir()
        file.write_bytes(file.read_bytes()[:200])
        again = site.credentials()
        async with HttpsTransport("localhost", site.doors.port, again.context).connect():
            pass
        assert await site.renewal(again).once()  # and is made anew
        assert again.certificate()["serialNumber"] != ""


async def test_what_ends_soon_is_told_before_and_taken_back_when_it_is_renewed(
    site: Site,
) -> None:
    await site.certify(150 * DAY)
    home = site.doors.home

    async def open_causes() -> set[tuple[int, str]]:
        async with site.database.reading() as connection:
            rows = await connection.execute(
                select(t.alert.c.machine_id, t.alert.c.cause).where(t.alert.c.closed_ms.is_(None))
            )
            return {(row.machine_id, row.cause) for row in rows}

    await ends.look(site.database, home, home.keys, START)
    assert await open_causes() == set()
    await ends.look(site.database, home, home.keys, START + 380 * DAY_MS)
    assert await open_causes() == {
        (1, alerts.CERTIFICATE),
        (ends.SERVER, "ends.tls/door.pem"),
    }
    site.doors.certified("door", "localhost", hosts=("localhost",), begins=300 * DAY)
    async with site.database.writing() as connection:
        await connection.execute(update(t.certificate).values(not_after_ms=START + 900 * DAY_MS))
    await ends.look(site.database, home, home.keys, START + 380 * DAY_MS)
    assert await open_causes() == set()


async def test_renewing_is_tried_again_and_stops_nothing(site: Site) -> None:
    await site.certify(140 * DAY)
    credentials = site.credentials()
    waits: list[float] = []

    class Clock(SystemClock):
        async def sleep(self, seconds: float) -> None:
            waits.append(seconds)
            if len(waits) == 3:
                raise asyncio.CancelledError

    renewal = site.renewal(credentials)
    renewal._clock = Clock()
    with pytest.raises(asyncio.CancelledError):
        await renewal.run()  # nobody opens
    assert waits == [1_800.0, 3_600.0, 7_200.0]


@pytest.mark.parametrize("told", [False, True])
async def test_it_is_renewed_when_it_is_due_or_the_time_becomes_known(
    site: Site, *, told: bool
) -> None:
    await site.certify(140 * DAY)
    credentials = site.credentials()
    old = credentials.certificate()["serialNumber"]
    begins, end = trust.life_of(credentials.certificate())
    due = begins + (end - begins) // 3
    now = [due - 200 * DAY_MS if told else due - 20]
    renewal = site.renewal(credentials)
    looked = asyncio.Event()

    def now_ms() -> tuple[int, bool]:
        looked.set()
        return now[0], True

    renewal._now_ms = now_ms
    async with site.doors.open(site.database):
        task = asyncio.create_task(renewal.run())
        await looked.wait()
        now[0] = due
        if told:
            renewal.time_is_known()
        async with asyncio.timeout(60):
            while credentials.certificate()["serialNumber"] == old:  # noqa: ASYNC110 - no event
                await asyncio.sleep(0.01)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
