"""Machines that come and go: who is there, and where both ends of its chain stand.

What the broker kept is a word of nobody knows when: it brings what was missed while we were away,
and does not make a machine be heard now.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.contract.journal import GENESIS
from cloud.contract.messages import Ack, Position, Presence, State
from cloud.fleet import alerts
from cloud.fleet import schema as t
from cloud.fleet.database import FleetDatabase
from cloud.fleet.ingest.cursor import end_of, hash_at
from cloud.fleet.projections.fitting import fitted

EVERY_MAX_S: Final = 86_400  # as ``cloud.state_minutes``
# Beside two words that did not come: a machine that lost its way tries every two minutes.
SLACK_S: Final = 300


async def heard(
    database: FleetDatabase,
    machine_id: int,
    presence: Presence,
    now_ms: int,
    *,
    retained: bool = False,
) -> Ack | None:
    """Note that a machine is online or gone; answer where its journal stands here."""
    async with database.writing() as connection:
        if retained and await _is_no_news(connection, machine_id, presence):
            return None
        values: dict[str, Any] = {"online": presence.online}
        if not retained:
            values["seen_ms"] = now_ms
        if presence.nonce:
            values["nonce"] = presence.nonce
        if presence.software:
            values["software"] = presence.software
        await connection.execute(
            update(t.machine)
            .where(t.machine.c.id == machine_id)
            .values(**fitted(t.machine, values))
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
        ack = await _where_it_stands(
            database, connection, machine_id, presence.head, presence.nonce, now_ms
        )
        journal = bytes.fromhex(ack.journal)
        told = {
            "first": await has_one_disk(connection, machine_id, journal),
            "in_use": await _is_in_use(connection, machine_id, journal, presence.public_key),
        }
        return ack.model_copy(update=told)


async def has_one_disk(connection: AsyncConnection, machine_id: int, journal: bytes) -> bool:
    """Tell whether we know of no other disk of a machine: of no other journal and no other key.

    A disk that was lost before any of its records came has shown its key all the same.
    """
    others = select(func.count()).where(
        t.journal.c.machine_id == machine_id, t.journal.c.uid != journal
    )
    keys = select(func.count()).where(t.machine_key.c.machine_id == machine_id)
    row = (await connection.execute(select(others.scalar_subquery(), keys.scalar_subquery()))).one()
    return not row[0] and int(row[1]) <= 1


async def _is_in_use(
    connection: AsyncConnection, machine_id: int, journal: bytes, key: str
) -> bool:
    """Tell whether a machine's books go on in a journal; before its first, in any of its own key.

    Two disks with one name may both be in touch: what one of them runs the other knows nothing of.
    """
    query = (
        select(t.journal.c.uid, t.machine.c.public_key)
        .select_from(t.machine)
        .outerjoin(t.journal, t.journal.c.id == t.machine.c.active_journal)
        .where(t.machine.c.id == machine_id)
    )
    row = (await connection.execute(query)).one()
    if row.uid is not None:
        return bytes(row.uid) == journal
    return not key or not row.public_key or bytes(row.public_key).hex() == key


async def _is_no_news(connection: AsyncConnection, machine_id: int, presence: Presence) -> bool:
    """Tell whether what the broker kept was heard before, or is overtaken.

    A greeting that was heard may be of a machine that has been silent since. And one that comes to
    the door since it left the broker is there, whatever it said to the broker last.
    """
    row = t.machine.c
    known = (
        await connection.execute(select(row.nonce, row.polled_ms).where(row.id == machine_id))
    ).one()
    if presence.online:
        return bool(presence.nonce) and presence.nonce == known.nonce
    return known.polled_ms is not None


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
        await alerts.close_alert(connection, machine_id, alerts.KEY_CHANGED, now_ms)
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
    await _own_disk_is_back(connection, machine_id, row.id, head, (ours, digest), now_ms)
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


async def _own_disk_is_back(
    connection: AsyncConnection,
    machine_id: int,
    journal_id: int,
    head: Position,
    ours: tuple[int, str],
    now_ms: int,
) -> None:
    """Close what a wrong disk had raised, when a machine shows the journal that its books are in.

    That its chain is ours is sure only where both end at the same record.
    """
    active = await connection.execute(
        select(t.machine.c.active_journal).where(t.machine.c.id == machine_id)
    )
    if active.scalar_one() != journal_id:
        return
    for cause in (alerts.FOREIGN, alerts.SUPERSEDED):
        await alerts.close_alert(connection, machine_id, cause, now_ms)
    if (head.seq, head.hash) == ours:
        await alerts.close_alert(connection, machine_id, alerts.FORKED, now_ms)


async def told(
    database: FleetDatabase,
    machine_id: int,
    state: State,
    now_ms: int,
    *,
    retained: bool = False,
) -> None:
    """Keep a machine's own snapshot of itself; one that was silent for too long is back."""
    values: dict[str, Any] = {"state": state.to_bytes().decode()}
    if state.every_s:
        values["every_s"] = min(state.every_s, EVERY_MAX_S)
    if not retained:
        values["seen_ms"] = now_ms
    async with database.writing() as connection:
        changed = await connection.execute(
            update(t.machine)
            .where(t.machine.c.id == machine_id)
            .values(**values)
            .returning(t.machine.c.online)
        )
        if retained or changed.scalar_one():
            return
        # Silent, not gone: a last word that comes after the farewell brings nobody back.
        if await alerts.detail_of(connection, machine_id, alerts.OFFLINE):
            await connection.execute(
                update(t.machine).where(t.machine.c.id == machine_id).values(online=True)
            )
            await alerts.close_alert(connection, machine_id, alerts.OFFLINE, now_ms)


async def sweep(database: FleetDatabase, since_ms: int, now_ms: int) -> list[int]:
    """Tell who has been silent for too long; returns them.

    A last will does not always come: a broker that was killed forgets it, and a machine whose
    power went meanwhile stays online in all that it keeps.

    Args:
        database: Where the machines are.
        since_ms: Since when we hear them all: nobody was silent before that.
        now_ms: UTC in ms since 1970.
    """
    row = t.machine.c
    batches = func.coalesce(func.max(t.journal.c.updated_ms), 0)
    query = (
        select(row.id, row.seen_ms, row.every_s, batches.label("batches_ms"))
        .outerjoin(t.journal, t.journal.c.machine_id == row.id)
        .where(row.online)
        .group_by(row.id, row.seen_ms, row.every_s)
    )
    async with database.reading() as connection:
        online = (await connection.execute(query)).all()
    silent = []
    for one in online:
        heard_ms = max(one.seen_ms, one.batches_ms)
        patience_ms = (2 * one.every_s + SLACK_S) * 1000
        if now_ms - max(heard_ms, since_ms) <= patience_ms:
            continue
        async with database.writing() as connection:
            changed = await connection.execute(
                update(t.machine)
                .where(row.id == one.id, row.online, row.seen_ms == one.seen_ms)
                .values(online=False)
            )
            if changed.rowcount:
                detail = f"not heard for {(now_ms - heard_ms) // 60_000} minutes, and no farewell"
                await alerts.raise_alert(
                    database, connection, one.id, alerts.OFFLINE, detail, now_ms
                )
                silent.append(one.id)
    return silent
