"""Refunds: what machines have asked for and could not pay themselves, and how it ended.

A machine asks; the money is its payer's operator's to give back, and a person says when it was. A
payment is known by its reference: who is asked for it again pays once.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import and_, exists, insert, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.contract.journal import records as rec
from cloud.contract.topics import Address
from cloud.fleet import schema as t
from cloud.fleet.database import FleetDatabase
from cloud.fleet.orders import OrderRefusedError, machine_id_of
from cloud.fleet.projections.fitting import fitted
from cloud.fleet.reported import WORDS, reported
from cloud.fleet.reports import Line, Page, page

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
    """Return what is asked for, the newest first; with ``ended`` also what was.

    What only an urgent copy tells of is in the state ``reported``: nothing is paid for it yet.
    """
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
    newest = ("opened_ms", "refund")
    lines = await page(
        database,
        query,
        is_open=still_open,
        at=_ROW.requested_ms,
        newest=newest,
        limit=limit,
    )
    for line in lines:
        line["journal"] = bytes(line["journal"]).hex()
        line["how"] = line["how"] or ""
        again = line.pop("again")
        line["state"] = "ended" if line["ended_ms"] else "asked again" if again else "open"
    return lines.with_open(await _ahead(database, address), newest, limit)


async def _ahead(database: FleetDatabase, address: Address | None) -> list[Line]:
    return [
        {
            **whose,
            "refund": record.seq,
            "vend": record.vend,
            "tender": record.data.tender,
            "reference": record.data.reference,
            "amount": record.data.amount,
            "reason": record.data.reason,
            "opened_ms": record.at_ms,
            "uncertain": not record.confirmed,
            "ended_ms": None,
            "how": "",
            "state": "reported",
        }
        for whose, record in await reported(database, rec.RefundRequested.type, address)
        if isinstance(record.data, rec.RefundRequested)
    ]


async def end(
    database: FleetDatabase,
    address: Address,
    reference: str,
    how: str,
    now_ms: int,
    *,
    tender: str = "",
) -> int:
    """Note that a payment went back, and how; returns the amount that was asked for.

    Args:
        database: Where they are.
        address: The machine that asked.
        reference: The payment's.
        how: It went back.
        now_ms: UTC in ms since 1970.
        tender: What was paid with; empty: it is clear, as no other one has that reference.

    Raises:
        OrderRefusedError: No such machine, it asked for no such refund, that has ended, or it is
            not clear which one is meant.
    """
    which = f"{reference!r} ({tender})" if tender else f"{reference!r}"
    async with database.writing() as connection:
        machine_id = await machine_id_of(connection, address)
        await database.alone(connection, machine_id)
        found = await _asked(connection, machine_id, reference, tender)
        if not found:
            raise OrderRefusedError(await _why_not(database, address, reference, tender, which))
        tenders = sorted({row.tender for row in found})
        if len(tenders) > 1:
            raise OrderRefusedError(
                f"{address} asked for {which} under {' and '.join(tenders)}: say which, --tender"
            )
        if found[0].ended_ms is not None:
            raise OrderRefusedError(f"the refund of {which} has ended: {found[0].how}")
        values = {
            "machine_id": machine_id,
            "tender": tenders[0],
            "reference": reference,
            "ended_ms": now_ms,
            "how": how,
        }
        await connection.execute(insert(t.refund_end).values(fitted(t.refund_end, values)))
    return int(found[0].amount)


async def _why_not(
    database: FleetDatabase, address: Address, reference: str, tender: str, which: str
) -> str:
    ahead = any(
        line["reference"] == reference and tender in ("", line["tender"])
        for line in await _ahead(database, address)
    )
    return (
        f"the refund of {which}: {WORDS}" if ahead else f"{address} asked for no refund of {which}"
    )


async def _asked(
    connection: AsyncConnection, machine_id: int, reference: str, tender: str
) -> list[Any]:
    query = (
        select(_ROW.tender, _ROW.amount, _END.ended_ms, _END.how)
        .outerjoin(t.refund_end, _ENDED)
        .where(_ROW.machine_id == machine_id, _ROW.reference == reference)
        .order_by(_ROW.journal_id, _ROW.seq)
    )
    if tender:
        query = query.where(_ROW.tender == tender)
    return list((await connection.execute(query)).all())
