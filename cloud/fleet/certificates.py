"""Machines' certificates: issued, renewed, revoked, and looked after before they end.

A certificate lives 400 days. After a third a machine asks for the next one, with a new key, over
HTTPS; one that has ended will do for that. The old one stays valid to its own end: a disk that goes
back to an older image still finds its way in. Revoked is what somebody revokes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.contract.journal import to_ms
from cloud.contract.topics import Address
from cloud.fleet import authority
from cloud.fleet import schema as t
from cloud.fleet.database import FleetDatabase
from cloud.fleet.home import Home, write_private, write_public

_DAY_MS: Final = 24 * 3_600_000
EARLY: Final = timedelta(days=2)  # a machine's clock may be a little ahead of ours
# A machine that loses what it was given asks again; one that does so for ever is stopped.
MOST: Final = 5
MOST_WITHIN_MS: Final = 7 * _DAY_MS


class CertificateRefusedError(Exception):
    """No certificate now. Says why."""


class CertificateNotDueError(CertificateRefusedError):
    """The machine's certificate is young enough, or it has asked too often."""


@dataclass(frozen=True, slots=True)
class Issued:
    """A new certificate with its key."""

    pair: authority.Pair
    certificate: x509.Certificate


def pair_of(home: Home) -> authority.Pair:
    """Read the authority's certificate and key. Raises OSError."""
    return authority.Pair(
        (home.tls / "ca.pem").read_bytes(), (home.tls / "ca-key.pem").read_bytes()
    )


def new(home: Home, address: Address, now: datetime) -> Issued:
    """Issue a machine's certificate, key and all."""
    pair, certificate = authority.issue(
        pair_of(home), str(address), now, days=authority.MACHINE_DAYS
    )
    return Issued(pair, certificate)


def hand_out(home: Home, address: Address, issued: Issued) -> str:
    """Write the files that somebody carries to the machine; returns the serial number."""
    certificate_file, key_file = home.machine_files(address)
    write_public(certificate_file, issued.pair.certificate)
    write_private(key_file, issued.pair.key)
    return f"{issued.certificate.serial_number:x}"


async def keep(
    connection: AsyncConnection, machine_id: int, certificate: x509.Certificate, now: datetime
) -> None:
    """Write a certificate down: one that is not written down opens no HTTPS door."""
    public = certificate.public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey), "we issue no other"
    await connection.execute(
        insert(t.certificate).values(
            serial=f"{certificate.serial_number:x}",
            machine_id=machine_id,
            issued_ms=to_ms(now),
            not_after_ms=to_ms(certificate.not_valid_after_utc),
            key_hash=authority.hash_of(public),
            pem=certificate.public_bytes(Encoding.PEM).decode(),
        )
    )


async def renew(
    database: FleetDatabase,
    home: Home,
    machine_id: int,
    address: Address,
    present: tuple[datetime, datetime],
    request: str,
    now: datetime,
) -> str:
    """Issue a machine's next certificate; the same again for the same key.

    Args:
        database: Where it is written down.
        home: Where the authority's key is.
        machine_id: The machine's number.
        address: Its name.
        present: When the certificate that it comes with begins and ends.
        request: PKCS #10, PEM.
        now: The server's time.

    Raises:
        CertificateNotDueError: Not yet.
        authority.RequestRefusedError: The request is none.
        OSError: The authority's key is not here.
    """
    public = authority.requested(request, str(address))
    async with database.writing() as connection:
        await database.alone(connection, machine_id)
        mine = t.certificate.c.machine_id == machine_id
        given = await connection.execute(
            select(t.certificate.c.pem).where(
                mine,
                t.certificate.c.key_hash == authority.hash_of(public),
                t.certificate.c.revoked_ms.is_(None),
                t.certificate.c.not_after_ms > to_ms(now),
            )
        )
        pem = given.scalars().first()
        if pem:
            return str(pem)
        begins, ends = present
        due = begins + (ends - begins) / 3 - EARLY
        if now < due:
            raise CertificateNotDueError(f"not before {due:%Y-%m-%d}")
        lately = await connection.execute(
            select(func.count())
            .select_from(t.certificate)
            .where(mine, t.certificate.c.issued_ms > to_ms(now) - MOST_WITHIN_MS)
        )
        if lately.scalar_one() >= MOST:
            raise CertificateNotDueError(f"{MOST} were issued within a week")
        certificate = authority.certify(
            pair_of(home), str(address), public, now, days=authority.MACHINE_DAYS
        )
        await keep(connection, machine_id, certificate, now)
    return certificate.public_bytes(Encoding.PEM).decode()


async def replace(database: FleetDatabase, home: Home, address: Address, now: datetime) -> str:
    """Issue a certificate to be carried to a machine; returns its serial number.

    Raises:
        CertificateRefusedError: No such machine.
    """
    async with database.writing() as connection:
        machine_id = await _number(connection, address)
        issued = new(home, address, now)
        await keep(connection, machine_id, issued.certificate, now)
    return hand_out(home, address, issued)


async def revoke(
    database: FleetDatabase, home: Home, address: Address, serial: str, now: datetime
) -> list[str]:
    """Revoke a machine's certificates, or the one of a serial number; returns which.

    The HTTPS door looks into the database with each request; ``tls/crl.pem`` is for the broker.

    Raises:
        CertificateRefusedError: No such machine or certificate.
    """
    async with database.writing() as connection:
        machine_id = await _number(connection, address)
        which = t.certificate.c.machine_id == machine_id
        if serial:
            which &= t.certificate.c.serial == serial
        done = await connection.execute(
            update(t.certificate)
            .where(which, t.certificate.c.revoked_ms.is_(None))
            .values(revoked_ms=to_ms(now))
            .returning(t.certificate.c.serial)
        )
        revoked = sorted(done.scalars())
        if serial and not revoked:
            raise CertificateRefusedError(f"{address} has no valid certificate {serial}")
    await write_revocations(database, home, now)
    return revoked


async def write_revocations(database: FleetDatabase, home: Home, now: datetime) -> None:
    """Write the list of revoked certificates from the database."""
    async with database.reading() as connection:
        rows = await connection.execute(
            select(t.certificate.c.serial, t.certificate.c.revoked_ms)
            .where(t.certificate.c.revoked_ms.is_not(None))
            .order_by(t.certificate.c.serial)
        )
        revoked = [(row.serial, datetime.fromtimestamp(row.revoked_ms / 1000, UTC)) for row in rows]
    write_public(home.tls / "crl.pem", authority.revocations(pair_of(home), revoked, now))


async def of_machine(database: FleetDatabase, address: Address) -> list[dict[str, object]]:
    """Return a machine's certificates, the newest first."""
    query = (
        select(
            t.certificate.c.serial,
            t.certificate.c.issued_ms,
            t.certificate.c.not_after_ms,
            t.certificate.c.revoked_ms,
        )
        .join(t.machine, t.machine.c.id == t.certificate.c.machine_id)
        .where(t.machine.c.tenant == address.tenant, t.machine.c.name == address.machine)
        .order_by(t.certificate.c.not_after_ms.desc())
    )
    async with database.reading() as connection:
        return [dict(row._mapping) for row in await connection.execute(query)]  # noqa: SLF001 - its public name


async def _number(connection: AsyncConnection, address: Address) -> int:
    found = await connection.execute(
        select(t.machine.c.id).where(
            t.machine.c.tenant == address.tenant, t.machine.c.name == address.machine
        )
    )
    number = found.scalar_one_or_none()
    if number is None:
        raise CertificateRefusedError(f"no machine {address}")
    return int(number)
