"""A journal's row while its lock is held, and what is told of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy import bindparam, select
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.contract.journal import GENESIS
from cloud.contract.messages import Ack, Position, Range
from cloud.fleet import schema as t
from cloud.fleet.database import FleetDatabase


@dataclass(slots=True)
class Cursor:
    """How far a journal is stored; locked as long as its transaction lasts."""

    id: int
    uid: bytes
    machine_id: int
    next_seq: int
    last_hash: bytes
    projected_seq: int
    adopted: bool
    active: bool  # its machine's books go on in it, and in no later journal
    quarantine: str
    bad_batches: int
    has_waiting: bool
    has_copies: bool
    folded: str  # the token of whoever keeps its fold
    taken_back: Position | None = None  # its machine is to begin a new journal behind this
    stated: bool = False  # this transaction brought a checkpoint
    tenant_id: int = 0  # of the machine that writes


_LOCKED: Final = (
    select(
        t.journal.c.id,
        t.journal.c.uid,
        t.journal.c.machine_id,
        t.journal.c.next_seq,
        t.journal.c.last_hash,
        t.journal.c.projected_seq,
        t.journal.c.quarantine,
        t.journal.c.bad_batches,
        t.journal.c.folded,
        t.journal.c.adopted,
        t.journal.c.has_waiting,
        t.journal.c.has_copies,
        t.journal.c.taken_back,
        t.machine.c.active_journal,
    )
    .join(t.machine, t.machine.c.id == t.journal.c.machine_id)
    .where(t.journal.c.uid == bindparam("of_uid"))
    .with_for_update(of=t.journal)
)


async def locked(database: FleetDatabase, connection: AsyncConnection, uid: bytes) -> Cursor | None:
    """Return a journal's row, locked; None while there is none."""
    rows = await database.read(connection, _LOCKED, {"of_uid": uid})
    if not rows:
        return None
    (
        number, found, machine_id, next_seq, last_hash, projected_seq, quarantine, bad, folded,
        adopted, has_waiting, has_copies, taken_back, active,
    ) = rows[0]  # fmt: skip
    if not folded or active != number:
        # PostgreSQL has read which journal is in use before it waited for the lock. Who changes
        # that takes its token from the one that was, and only the one that is gets another.
        active = await _in_use(connection, machine_id)
    return Cursor(
        id=number,
        uid=bytes(found),
        machine_id=machine_id,
        next_seq=next_seq,
        last_hash=bytes(last_hash),
        projected_seq=projected_seq,
        adopted=bool(adopted),
        active=active == number,
        quarantine=quarantine,
        bad_batches=bad,
        has_waiting=bool(has_waiting),
        has_copies=bool(has_copies),
        folded=folded,
        taken_back=await end_of(connection, number, bytes(found), projected_seq)
        if taken_back
        else None,
    )


async def _in_use(connection: AsyncConnection, machine_id: int) -> int | None:
    query = select(t.machine.c.active_journal).where(t.machine.c.id == machine_id)
    number: int | None = (await connection.execute(query)).scalar_one()
    return number


def ack_of(
    cursor: Cursor,
    now_ms: int,
    nonce: str,
    *,
    want: Range | None = None,
    fork: Position | None = None,
) -> Ack:
    """Return the acknowledgement of what is committed when the transaction is.

    Of a journal that is taken back what counts: its machine tells the rest again in a new one.
    """
    seq, digest = cursor.next_seq - 1, cursor.last_hash.hex()
    if fork is None and want is None and cursor.taken_back is not None:
        fork = cursor.taken_back
        seq, digest = fork.seq, fork.hash
    return Ack(
        journal=cursor.uid.hex(),
        seq=seq,
        hash=digest,
        want=want,
        time=now_ms,
        echo=nonce,
        fork=fork,
        quarantined=cursor.quarantine,
        in_use=cursor.active,
    )


async def end_of(connection: AsyncConnection, journal_id: int, uid: bytes, seq: int) -> Position:
    """Return the last record of a journal that counts: its machine begins a new one behind it."""
    digest = await hash_at(connection, journal_id, seq)
    assert digest is not None, "what counts is stored"
    return Position(journal=uid.hex(), seq=seq, hash=digest.hex())


async def hash_at(connection: AsyncConnection, journal_id: int, seq: int) -> bytes | None:
    """Return the stored hash of a record, or None when it is not stored."""
    if seq == 0:
        return GENESIS
    found = await connection.execute(
        select(t.record.c.hash).where(t.record.c.journal_id == journal_id, t.record.c.seq == seq)
    )
    digest = found.scalar_one_or_none()
    return None if digest is None else bytes(digest)
