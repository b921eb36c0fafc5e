"""Records told again by a later journal that the fleet has counted already, from the older one.

A machine tells again what nobody had acknowledged when its journal broke; the acknowledgement may
have been lost, and not the records. Equal bytes under the same number of a journal that counts are
the same record; behind a fork the numbers are the same and the bytes are not.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.contract.batch import Row
from cloud.contract.journal import Record
from cloud.contract.journal import records as rec
from cloud.fleet import schema as t
from cloud.fleet.ingest.reading import record_of

_DEEP: Final = 8  # journals that tell again what another told again: a disk is not so unlucky


async def counted_already(
    connection: AsyncConnection, records: Iterable[Record]
) -> frozenset[tuple[str, int]]:
    """Return (journal, seq) of those records inside others that were counted where they stood."""
    told: dict[str, dict[int, bytes]] = defaultdict(dict)
    for record in records:
        _collect(record, told, _DEEP)
    found: set[tuple[str, int]] = set()
    for uid, bodies in told.items():
        try:
            journal = bytes.fromhex(uid)
        except ValueError:
            continue
        rows = await connection.execute(
            select(t.record.c.seq, t.record.c.body)
            .join(t.journal, t.journal.c.id == t.record.c.journal_id)
            .where(
                t.journal.c.uid == journal,
                t.journal.c.adopted,
                t.record.c.seq.between(min(bodies), max(bodies)),
                t.record.c.seq <= t.journal.c.projected_seq,
            )
        )
        found |= {(uid, row.seq) for row in rows if bodies.get(row.seq) == bytes(row.body)}
    return frozenset(found)


def _collect(record: Record, told: dict[str, dict[int, bytes]], deep: int) -> None:
    data = record.data
    if not isinstance(data, rec.RecordCarried) or not data.verified or not deep:
        return
    body = data.body.encode()
    told[data.journal][data.seq] = body
    _collect(record_of(Row(data.seq, data.boot, body, b"")), told, deep - 1)
