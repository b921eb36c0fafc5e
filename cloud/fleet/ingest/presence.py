"""Machines that come and go: who is there, and where both ends of its chain stand."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.contract.journal import GENESIS
from cloud.contract.messages import Ack, Position, Presence, State
from cloud.fleet import alerts
from cloud.fleet import schema as t
from cloud.fleet.database import FleetDatabase
from cloud.fleet.ingest.cursor import end_of, hash_at


async def heard(
    database: FleetDatabase, machine_id: int, presence: Presence, now_ms: int
) -> Ack | None:
    """Note that a machine is online or gone; answer where its journal stands here."""
    async with database.writing() as connection:
        values: dict[str, Any] = {"online": presence.online, "seen_ms": now_ms}
        if presence.software:
            values["software"] = presence.software[:64]
        await connection.execute(
            update(t.machine).where(t.machine.c.id == machine_id).values(**values)
        )
        if presence.public_key:
            key = bytes.fromhex(presence.public_key)
            await _key_shown(database, connection, machine_id, key, now_ms)
        if not presence.online:
            await alerts.raise_alert(database, connection, machine_id, alerts.OFFLINE, "", now_ms)
            return None
        await alerts.close_alert(connection, machine_id, alerts.OFFLINE, now_ms)
        if presence.head is None:
            return None
        return await _where_it_stands(
            database, connection, machine_id, presence.head, presence.nonce, now_ms
        )


async def _key_shown(
    database: FleetDatabase, connection: AsyncConnection, machine_id: int, key: bytes, now_ms: int
) -> None:
    """Pin the first key that a machine shows; another one waits for an operator, with an alert."""
    row = t.machine_key
    keys = {
        bytes(found.public_key): found.accepted_ms
        for found in await connection.execute(select(row).where(row.c.machine_id == machine_id))
    }
    if keys.get(key) is not None:
        return
    pinned = [known for known, accepted_ms in keys.items() if accepted_ms is not None]
    if key not in keys:
        values = {
            "machine_id": machine_id,
            "public_key": key,
            "seen_ms": now_ms,
            "accepted_ms": None if pinned else now_ms,
        }
        await connection.execute(database.insert_new(row), [values])
    if pinned:
        detail = (
            f"it shows key {key.hex()}, and {pinned[-1].hex()} is pinned: a new disk, or another "
            "machine; `vendcloud machine accept-key` takes it"
        )
        await alerts.raise_alert(
            database, connection, machine_id, alerts.KEY_CHANGED, detail, now_ms
        )
    else:
        await connection.execute(
            update(t.machine).where(t.machine.c.id == machine_id).values(public_key=key)
        )


async def _where_it_stands(
    database: FleetDatabase,
    connection: AsyncConnection,
    machine_id: int,
    head: Position,
    nonce: str,
    now_ms: int,
) -> Ack:
    query = select(t.journal).where(t.journal.c.uid == bytes.fromhex(head.journal))
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        return Ack(journal=head.journal, seq=0, hash=GENESIS.hex(), time=now_ms, echo=nonce)
    fork = None
    ours, digest = row.next_seq - 1, bytes(row.last_hash).hex()
    if head.seq < ours or row.machine_id != machine_id:
        # It went back. When its last record is ours, that is the place; else its batches say.
        stored = await hash_at(connection, row.id, head.seq)
        if stored is not None and stored.hex() == head.hash:
            fork = head
            # A word that batches have overtaken looks the same, and the machine knows: of its own
            # journal we raise the alert when it begins another one.
            if row.machine_id != machine_id:
                detail = (
                    f"it shows journal {head.journal}, which is another machine's: a copied disk"
                )
                await alerts.raise_alert(
                    database, connection, machine_id, alerts.FOREIGN, detail, now_ms
                )
    elif row.taken_back:
        fork = await end_of(connection, row.id, bytes(row.uid), row.projected_seq)
        ours, digest = fork.seq, fork.hash
    return Ack(
        journal=head.journal,
        seq=ours,
        hash=digest,
        time=now_ms,
        echo=nonce,
        fork=fork,
        quarantined=row.quarantine,
    )


async def told(database: FleetDatabase, machine_id: int, state: State, now_ms: int) -> None:
    """Keep a machine's own snapshot of itself."""
    async with database.writing() as connection:
        await connection.execute(
            update(t.machine)
            .where(t.machine.c.id == machine_id)
            .values(state=state.to_bytes().decode(), seen_ms=now_ms)
        )
