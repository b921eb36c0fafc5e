"""A journal's row while its lock is held, and what is told of it."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.contract.journal import GENESIS
from cloud.contract.messages import Ack, Position, Range
from cloud.fleet import schema as t


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
    taken_back: bool = False  # its machine is to begin a new journal behind its end
    stated: bool = False  # this transaction brought a checkpoint


def ack_of(
    cursor: Cursor,
    now_ms: int,
    nonce: str,
    *,
    want: Range | None = None,
    fork: Position | None = None,
) -> Ack:
    """Return the acknowledgement of what is committed when the transaction is."""
    if fork is None and want is None and cursor.taken_back:
        fork = end_of(cursor.uid, cursor.next_seq - 1, cursor.last_hash)
    return Ack(
        journal=cursor.uid.hex(),
        seq=cursor.next_seq - 1,
        hash=cursor.last_hash.hex(),
        want=want,
        time=now_ms,
        echo=nonce,
        fork=fork,
        quarantined=cursor.quarantine,
    )


def end_of(uid: bytes, seq: int, digest: bytes) -> Position:
    """Return the end of a stored chain as a place to begin a new journal behind."""
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
