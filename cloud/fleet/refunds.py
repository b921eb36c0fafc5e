"""Refunds: what machines have asked for and could not pay themselves, and how it ended.

A machine asks; the money is its payer's operator's to give back, and a person says when it was. A
payment is known by its reference: who is asked for it again pays once.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import and_, exists, insert, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.contract.topics import Address
from cloud.fleet import schema as t
from cloud.fleet.database import FleetDatabase
from cloud.fleet.orders import OrderRefusedError, machine_id_of
from cloud.fleet.projections.fitting import fitted
from cloud.fleet.reports import Page, page

_ROW = t.refund.c
_END = t.refund_end.c
_BEFORE = t.refund.alias("before")
_ENDED = and_(
    _END.machine_id == _ROW.machine_id,
    _END.tender == _ROW.tender,
    _END.reference == _ROW.reference,
)
_AGAIN = exists().where(
    _BEFORE.c.machine_id == _ROW.machine_id,
    _BEFORE.c.tender == _ROW.tender,
    _BEFORE.c.reference == _ROW.reference,
    or_(
        _BEFORE.c.journal_id < _ROW.journal_id,
        and_(_BEFORE.c.journal_id == _ROW.journal_id, _BEFORE.c.seq < _ROW.seq),
    ),
)


async def refunds(
    database: FleetDatabase,
    address: Address | None = None,
    *,
    ended: bool = False,
    limit: int | None = None,
) -> Page:
    """Return what is asked for, the newest first; with ``ended`` also what was."""
    query = (
        select(
            t.machine.c.tenant,
            t.machine.c.name.label("machine"),
            t.machine.c.currency,
            _ROW.seq.label("refund"),
            t.journal.c.uid.label("journal"),
            _ROW.vend,
            _ROW.tender,
            _ROW.reference,
            _ROW.amount,
            _ROW.reason,
            _ROW.requested_ms.label("opened_ms"),
            _ROW.uncertain,
            _END.ended_ms,
            _END.how,
            _AGAIN.label("again"),
        )
        .join(t.machine, t.machine.c.id == _ROW.machine_id)
        .join(t.journal, t.journal.c.id == _ROW.journal_id)
        .outerjoin(t.refund_end, _ENDED)
    )
    still_open = _END.ended_ms.is_(None)
    if not ended:
        query = query.where(still_open)
    if address is not None:
        query = query.where(
            t.machine.c.tenant == address.tenant, t.machine.c.name == address.machine
        )
    lines = await page(
        database,
        query,
        is_open=still_open,
        at=_ROW.requested_ms,
        newest=("opened_ms", "refund"),
        limit=limit,
    )
    for line in lines:
        line["journal"] = bytes(line["journal"]).hex()
        line["how"] = line["how"] or ""
        again = line.pop("again")
        line["state"] = "ended" if line["ended_ms"] else "asked again" if again else "open"
    return lines


async def end(
    database: FleetDatabase, address: Address, reference: str, how: str, now_ms: int
) -> int:
    """Note that a payment went back, and how; returns the amount that was asked for.

    Raises:
        OrderRefusedError: No such machine, it asked for no such refund, or that has ended.
    """
    async with database.writing() as connection:
        machine_id = await machine_id_of(connection, address)
        await database.alone(connection, machine_id)
        found = await _asked(connection, machine_id, reference)
        if not found:
            raise OrderRefusedError(f"{address} asked for no refund of {reference!r}")
        if found[0].ended_ms is not None:
            raise OrderRefusedError(f"the refund of {reference!r} has ended: {found[0].how}")
        for tender in sorted({row.tender for row in found}):
            values = {
                "machine_id": machine_id,
                "tender": tender,
                "reference": reference,
                "ended_ms": now_ms,
                "how": how,
            }
            await connection.execute(insert(t.refund_end).values(fitted(t.refund_end, values)))
    return int(found[0].amount)


async def _asked(connection: AsyncConnection, machine_id: int, reference: str) -> list[Any]:
    query = (
        select(_ROW.tender, _ROW.amount, _END.ended_ms, _END.how)
        .outerjoin(t.refund_end, _ENDED)
        .where(_ROW.machine_id == machine_id, _ROW.reference == reference)
        .order_by(_ROW.journal_id, _ROW.seq)
    )
    return list((await connection.execute(query)).all())
