"""Dropping records that the fleet has: first the signed base, durable, then the rows.

A power cut in between leaves rows below the base that nobody reads; the next pruning drops them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from controller.journal import base as bases
from controller.journal import reader
from controller.journal.base import Base
from controller.journal.database import Database
from controller.journal.envelope import Registry, UnknownData, read_head
from controller.journal.errors import JournalBrokenError
from controller.journal.fold import Fold, S
from controller.journal.identity import MachineKey
from controller.journal.opening import fold_row
from controller.journal.reader import Position

# Fewer are not worth folding the journal again.
MIN_STEP: Final = 1_000
BREATH: Final = 32  # records (a millisecond on a Pi) between two chances for the bus to be served
# Rows per transaction: a few milliseconds of disk, so that a customer's commit gets in between.
_DROP: Final = 500


async def make_base(
    database: Database,
    journal: bytes,
    key: MachineKey,
    fold: Fold[S],
    registry: Registry,
    *,
    limit: int,
    now_ms: int,
    cutoff_ms: int,
    ended: Callable[[], bool] = lambda: False,
) -> Base | None:
    """Fold up to the last record that is at most ``limit`` and old enough, and sign the state.

    A record is old enough when its confirmed time is not after ``cutoff_ms``; one whose time was
    not confirmed, or by a clock that was wrong (it is after ``now_ms``), goes with the next one
    behind it. What this software does not know stays, for who knows it. None: it is not worth it
    yet, or ``ended`` said so.
    """
    old = await bases.load(database, journal, key)
    if old is not None and old.fold > fold.version:
        return None  # a newer software's; this start began with a snapshot of ours behind it
    start = old.at if old else reader.START
    target = await _last_old_enough(database, journal, start, limit, (cutoff_ms, now_ms))
    if target - start.seq < MIN_STEP:
        return None
    try:
        state = fold.decode(old.state, old.fold) if old else fold.initial()
    except ValueError as error:
        raise JournalBrokenError(f"the base at {start.seq} cannot be decoded: {error}") from error
    at = start
    confirmed_ms = start.confirmed_ms
    async for rows in reader.walk(database, journal, start):
        for seq, boot, body, digest in rows:
            record = fold_row(registry, state, (seq, boot, body, digest))
            if record.confirmed:
                confirmed_ms = record.at_ms
            if isinstance(record.data, UnknownData):
                return await make_base(
                    database,
                    journal,
                    key,
                    fold,
                    registry,
                    limit=seq - 1,
                    now_ms=now_ms,
                    cutoff_ms=cutoff_ms,
                    ended=ended,
                )
            at = Position(seq, boot, digest, confirmed_ms)
            if seq % BREATH == 0:
                await asyncio.sleep(0)
                if ended():
                    return None
            if seq == target:
                return bases.signed(key, journal, at, fold.version, state.encode())
    raise JournalBrokenError("is missing", seq=at.seq + 1, last_good=at.seq)


async def _last_old_enough(
    database: Database, journal: bytes, start: Position, limit: int, times_ms: tuple[int, int]
) -> int:
    (cutoff_ms, now_ms), found = times_ms, start.seq
    async for rows in reader.walk(database, journal, start):
        for seq, _, body, _ in rows:
            if seq > limit:
                return found
            head = read_head(body)
            if head.confirmed and head.at_ms <= now_ms:
                if head.at_ms > cutoff_ms:
                    return found
                found = seq
    return found


async def replace(database: Database, base: Base) -> None:
    """Write a base and drop what it replaces, in one transaction."""
    await database.transaction(
        [
            bases.saving(base),
            ("DELETE FROM base WHERE seq < ?", (base.at.seq,)),
            ("DELETE FROM snapshot WHERE seq <= ?", (base.at.seq,)),
        ]
    )


async def drop_records(
    database: Database, last: int, *, ended: Callable[[], bool] = lambda: False
) -> None:
    """Delete the rows up to ``last``, some at a time; what is left the next pruning deletes."""
    rows = await database.query("SELECT coalesce(min(seq), ?) FROM record", (last + 1,))
    first = int(rows[0][0])
    while first <= last and not ended():
        first = min(first + _DROP, last + 1)
        await database.transaction([("DELETE FROM record WHERE seq < ?", (first,))])
