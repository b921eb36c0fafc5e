"""Checkpoints: a machine's signed word on its books, compared with ours, and countersigned.

Compared in the transaction that stores the record, against the chain as it was recomputed and the
balances as they were folded. Countersigned after its commit: a signer that is away holds up none,
and the next checkpoint, or the machine's next appearance, makes good for it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import structlog
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.contract.journal import attested
from cloud.contract.messages import Checkpoint, Countersigned, MessageError, Signed, read
from cloud.contract.topics import Address
from cloud.fleet import alerts
from cloud.fleet import schema as t
from cloud.fleet.database import FleetDatabase
from cloud.fleet.projections.fold import Stated

log = structlog.get_logger("vendcloud.checkpoint")

Countersign = Callable[[Address, Countersigned], Awaitable[Signed]]


async def keys_of(connection: AsyncConnection, machine_id: int) -> list[bytes]:
    """Return the keys that a machine may sign with: those that were pinned, the newest first."""
    found = await connection.execute(
        select(t.machine_key.c.public_key)
        .where(t.machine_key.c.machine_id == machine_id, t.machine_key.c.accepted_ms.is_not(None))
        .order_by(t.machine_key.c.accepted_ms.desc())
    )
    return [bytes(key) for key in found.scalars()]


async def compare(
    database: FleetDatabase,
    connection: AsyncConnection,
    machine_id: int,
    journal_id: int,
    uid: bytes,
    stated: Sequence[Stated],
    now_ms: int,
) -> str:
    """Compare checkpoints with our books; keep the good ones, to be countersigned.

    Returns why the journal is put into quarantine, or nothing.
    """
    if not stated:
        return ""
    keys = await keys_of(connection, machine_id)
    problem = ""
    good = []
    for one in stated:
        try:
            told = attested.compare(one.data, uid, one.before_seq, one.before_hash, one.balances)
            read(Checkpoint, one.data.body.encode())
        except (attested.AttestError, MessageError) as error:
            problem = problem or f"record {one.seq}: {error}"
            continue
        if not keys:
            continue  # nobody has told us its key yet; the next one speaks for this one, too
        if not any(attested.signed_by(key, one.data) for key in keys):
            detail = f"record {one.seq}: the checkpoint is not signed by this machine's key"
            await alerts.raise_alert(
                database, connection, machine_id, alerts.UNSIGNED, detail, now_ms
            )
            continue
        good.append(
            {
                "journal_id": journal_id,
                "seq": told.seq,
                "body": one.data.body.encode(),
                "signature": bytes.fromhex(one.data.signature),
                "countersignature": b"",
                "at_ms": min(told.at_ms, 2**63 - 1),
            }
        )
    if good:
        await connection.execute(database.insert_new(t.checkpoint), good)
        await alerts.close_alert(connection, machine_id, alerts.UNSIGNED, now_ms)
    if problem:
        await connection.execute(
            update(t.journal).where(t.journal.c.id == journal_id).values(quarantine=problem)
        )
        await alerts.raise_alert(
            database, connection, machine_id, alerts.BOOKS_DIFFER, problem, now_ms
        )
    return problem


async def newest_word(
    database: FleetDatabase,
    countersign: Countersign | None,
    address: Address,
    journal: str,
    now_ms: int,
) -> Signed | None:
    """Return the fleet's word for the newest checkpoint that agrees; signed now if it was not yet.

    None: there is none, or the signer can't be asked now.
    """
    newest = (
        select(func.max(t.checkpoint.c.seq))
        .join(t.journal, t.journal.c.id == t.checkpoint.c.journal_id)
        .where(t.journal.c.uid == bytes.fromhex(journal), t.journal.c.quarantine == "")
        .scalar_subquery()
    )
    async with database.reading() as connection:
        row = (
            await connection.execute(
                select(t.checkpoint)
                .join(t.journal, t.journal.c.id == t.checkpoint.c.journal_id)
                .where(
                    t.journal.c.uid == bytes.fromhex(journal),
                    t.journal.c.quarantine == "",
                    t.checkpoint.c.seq == newest,
                )
            )
        ).one_or_none()
    if row is None:
        return None
    if row.countersignature:
        return read(Signed, bytes(row.countersignature))
    if countersign is None:
        return None
    body = bytes(row.body)
    told = read(Checkpoint, body)
    word = Countersigned(
        tenant=address.tenant,
        machine=address.machine,
        journal=journal,
        seq=told.seq,
        hash=told.hash,
        checkpoint=attested.digest(body.decode()),
        at=now_ms,
    )
    try:
        signed = await countersign(address, word)
    except Exception as error:  # noqa: BLE001 - whatever is wrong with the signer: records go on
        log.warning("countersign.later", machine=str(address), seq=told.seq, error=str(error))
        return None
    async with database.writing() as connection:
        await connection.execute(
            update(t.checkpoint)
            .where(
                t.checkpoint.c.journal_id == row.journal_id,
                t.checkpoint.c.seq == row.seq,
                t.checkpoint.c.countersignature == b"",
            )
            .values(countersignature=signed.to_bytes())
        )
    log.info("countersigned", machine=str(address), journal=journal, seq=told.seq)
    return signed
