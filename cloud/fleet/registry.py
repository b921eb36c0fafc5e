"""Machines of the fleet: added, given certificates, and told which of their journals counts."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Row, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.contract.journal import to_ms
from cloud.contract.topics import Address
from cloud.fleet import alerts, certificates
from cloud.fleet import schema as t
from cloud.fleet.database import FleetDatabase
from cloud.fleet.home import Home
from cloud.fleet.projections import tables
from cloud.fleet.projections.rebuild import project_journal


class RegistryError(Exception):
    """No such machine or journal, or there is one already. Says which."""


async def add(database: FleetDatabase, home: Home, address: Address, now: datetime) -> str:
    """Add a machine and issue its certificate; returns the certificate's serial number.

    Raises:
        RegistryError: There is such a machine.
    """
    try:
        async with database.writing() as connection:
            made = await connection.execute(
                insert(t.machine)
                .values(tenant=address.tenant, name=address.machine, created_ms=to_ms(now))
                .returning(t.machine.c.id)
            )
            issued = certificates.new(home, address, now)
            await certificates.keep(connection, made.scalar_one(), issued.certificate, now)
    except IntegrityError as error:
        raise RegistryError(f"there is a machine {address} already") from error
    return certificates.hand_out(home, address, issued)


async def _locked(
    database: FleetDatabase, connection: AsyncConnection, address: Address, uid: bytes
) -> Row[Any]:
    """Return a machine's journal and which of its journals is in use, locked.

    Nobody else projects any journal of that machine until the transaction ends.

    Raises:
        RegistryError: No such machine, or no such journal of it.
    """
    query = (
        select(t.journal, t.machine.c.active_journal)
        .join(t.machine, t.machine.c.id == t.journal.c.machine_id)
        .where(
            t.machine.c.tenant == address.tenant,
            t.machine.c.name == address.machine,
            t.journal.c.uid == uid,
        )
    )
    found = (await connection.execute(query)).one_or_none()
    if found is None:
        raise RegistryError(f"{address} has no journal {uid.hex()}")
    await database.alone(connection, found.machine_id)
    await tables.end_kept(connection, found.machine_id)
    return (await connection.execute(query.with_for_update(of=t.journal))).one()


async def adopt_journal(database: FleetDatabase, address: Address, uid: bytes, now_ms: int) -> int:
    """Let a journal's records count: project them from where it continues. Returns how many.

    Raises:
        RegistryError: No such machine, or no such journal of it.
    """
    async with database.writing() as connection:
        row = await _locked(database, connection, address, uid)
        if row.adopted:
            await _is_active(connection, row.machine_id, row.id, address, uid)
            return 0
        count = await project_journal(
            database, connection, row.machine_id, row.id, bytes(row.uid), now_ms
        )
        await connection.execute(
            update(t.journal)
            .where(t.journal.c.id == row.id)
            .values(adopted=True, projected_seq=row.next_seq - 1)
        )
        await connection.execute(
            update(t.machine).where(t.machine.c.id == row.machine_id).values(active_journal=row.id)
        )
        for cause in (alerts.UNADOPTED, alerts.FORKED, alerts.FOREIGN, alerts.SUPERSEDED):
            await alerts.close_alert(connection, row.machine_id, cause, now_ms)
        await _tell_of_the_next(database, connection, row.machine_id, row.id, now_ms)
    return count


async def _tell_of_the_next(
    database: FleetDatabase,
    connection: AsyncConnection,
    machine_id: int,
    journal_id: int,
    now_ms: int,
) -> None:
    """Raise the alert again for a journal that was begun behind an adopted one, and waits."""
    waiting = await connection.execute(
        select(t.journal.c.uid)
        .where(
            t.journal.c.machine_id == machine_id,
            t.journal.c.id > journal_id,
            t.journal.c.adopted.is_(False),
        )
        .order_by(t.journal.c.id.desc())
        .limit(1)
    )
    uid = waiting.scalar_one_or_none()
    if uid is not None:
        await alerts.raise_unadopted(database, connection, machine_id, bytes(uid).hex(), now_ms)


async def _is_active(
    connection: AsyncConnection, machine_id: int, journal_id: int, address: Address, uid: bytes
) -> None:
    """Refuse a journal that another one has followed: its books went on in that one."""
    active = await connection.execute(
        select(t.journal.c.id, t.journal.c.uid)
        .join(t.machine, t.machine.c.active_journal == t.journal.c.id)
        .where(t.machine.c.id == machine_id)
    )
    row = active.one()
    if row.id != journal_id:
        raise RegistryError(
            f"journal {bytes(row.uid).hex()} has followed {uid.hex()}, and the books went on in "
            f"it: what both say would count twice. `vendcloud machine take-back {address} "
            f"{uid.hex()}` has the machine begin a new journal behind it, which you adopt then"
        )


async def take_back(database: FleetDatabase, address: Address, uid: bytes) -> int:
    """Have a machine begin a new journal behind an old one that it runs again; returns behind what.

    That is the last record that counts: what the old one has written since its successor was
    adopted its machine tells again, and it counts once, in the new one. The new journal's balances
    are what the machine believes; the one that followed the old one counts on until it is adopted.

    Raises:
        RegistryError: No such machine or journal, or it is the one in use.
    """
    async with database.writing() as connection:
        row = await _locked(database, connection, address, uid)
        if not row.adopted:
            raise RegistryError(f"{uid.hex()} waits for `vendcloud machine adopt-journal`")
        if row.active_journal == row.id:
            raise RegistryError(f"{uid.hex()} is the one in use")
        await connection.execute(
            update(t.journal).where(t.journal.c.id == row.id).values(taken_back=True)
        )
        return int(row.projected_seq)


async def release(database: FleetDatabase, uid: bytes, now_ms: int) -> None:
    """End a journal's quarantine: the next batches are taken again.

    Raises:
        RegistryError: No such journal.
    """
    async with database.writing() as connection:
        row = (
            await connection.execute(
                select(t.journal).where(t.journal.c.uid == uid).with_for_update()
            )
        ).one_or_none()
        if row is None:
            raise RegistryError(f"no journal {uid.hex()}")
        await connection.execute(
            update(t.journal).where(t.journal.c.id == row.id).values(quarantine="", bad_batches=0)
        )
        for cause in (alerts.QUARANTINED, alerts.COPY_DIFFERS, alerts.BOOKS_DIFFER):
            await alerts.close_alert(connection, row.machine_id, cause, now_ms)


async def accept_key(database: FleetDatabase, address: Address, now_ms: int) -> bytes:
    """Pin the key that a machine shows now, beside those before it; returns it.

    Raises:
        RegistryError: No such machine, or it shows none that is new.
    """
    row = t.machine_key
    async with database.writing() as connection:
        found = (
            await connection.execute(
                select(row.c.machine_id, row.c.public_key)
                .join(t.machine, t.machine.c.id == row.c.machine_id)
                .where(
                    t.machine.c.tenant == address.tenant,
                    t.machine.c.name == address.machine,
                    row.c.accepted_ms.is_(None),
                )
                .order_by(row.c.seen_ms.desc())
                .limit(1)
            )
        ).one_or_none()
        if found is None:
            raise RegistryError(f"{address} shows no key that waits to be accepted")
        await connection.execute(
            update(row)
            .where(row.c.machine_id == found.machine_id, row.c.public_key == found.public_key)
            .values(accepted_ms=now_ms)
        )
        await connection.execute(
            update(t.machine)
            .where(t.machine.c.id == found.machine_id)
            .values(public_key=found.public_key)
        )
        await alerts.close_alert(connection, found.machine_id, alerts.KEY_CHANGED, now_ms)
    return bytes(found.public_key)
