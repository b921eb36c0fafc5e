"""What is known by an urgent copy alone: told of, and counted nowhere until its record is here."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import and_, or_, select

from cloud.contract.batch import Row
from cloud.contract.journal import Record
from cloud.contract.topics import Address
from cloud.fleet import schema as t
from cloud.fleet.database import FleetDatabase
from cloud.fleet.ingest.reading import record_of

WORDS: Final = "reported, its record is not here yet"
_COPY: Final = t.urgent_copy.c


async def reported(
    database: FleetDatabase, kind: str, address: Address | None = None
) -> list[tuple[dict[str, Any], Record]]:
    """Return the records of a kind that only a copy tells of, each with whose it is.

    Of a journal that does not count (another machine's, one that nobody has adopted) none is told.
    """
    of_active = t.machine.c.active_journal == t.journal.c.id
    first_word = and_(t.journal.c.id.is_(None), t.machine.c.active_journal.is_(None))
    query = (
        select(
            t.machine.c.tenant,
            t.machine.c.name.label("machine"),
            t.machine.c.currency,
            _COPY.journal_uid,
            _COPY.seq,
            _COPY.boot,
            _COPY.body,
        )
        .join(t.machine, t.machine.c.id == _COPY.machine_id)
        .outerjoin(t.journal, t.journal.c.uid == _COPY.journal_uid)
        .where(
            _COPY.type == kind,
            _COPY.confirmed.is_(False),
            or_(and_(of_active, _COPY.seq >= t.journal.c.next_seq), first_word),
        )
        .order_by(_COPY.journal_uid, _COPY.seq)
    )
    if address is not None:
        query = query.where(
            t.machine.c.tenant == address.tenant, t.machine.c.name == address.machine
        )
    async with database.reading() as connection:
        found = (await connection.execute(query)).all()
    return [
        (
            {
                "tenant": row.tenant,
                "machine": row.machine,
                "currency": row.currency,
                "journal": bytes(row.journal_uid).hex(),
            },
            record_of(Row(row.seq, row.boot, bytes(row.body), b"")),
        )
        for row in found
    ]
