"""What the fleet's tables say, as plain rows for people and programs. Reads, and writes nothing."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final

from sqlalchemy import BigInteger, ColumnElement, Select, and_, case, cast, func, or_, select

from cloud.contract.journal import records as rec
from cloud.contract.topics import Address
from cloud.fleet import schema as t
from cloud.fleet.database import FleetDatabase
from cloud.fleet.reported import reported

Line = dict[str, Any]

_CASH: Final = "cash."
_MACHINE: Final = (t.machine.c.tenant, t.machine.c.name.label("machine"))


class Page(list[Line]):
    """Lines, and how many there are in all."""

    def __init__(self, lines: Iterable[Line], total: int) -> None:
        """Keep the number beside them."""
        super().__init__(lines)
        self.total = total

    @property
    def more(self) -> int:
        """Return how many are not here."""
        return self.total - len(self)

    def with_open(self, others: list[Line], newest: tuple[str, ...], limit: int | None) -> Page:
        """Return it with other lines that are open, as ``page`` would have ordered them all."""
        if not others:
            return self
        lines = [*self, *others]
        if limit is not None and len(lines) > limit:
            lines.sort(key=lambda line: _urgency(line, newest[0]))
            del lines[limit:]
        lines.sort(key=lambda line: [line[name] for name in newest], reverse=True)
        return Page(lines, self.total + len(others))


def _urgency(line: Line, at: str) -> tuple[bool, int]:
    """Order what is open first, the oldest first, and then what has ended, the newest first."""
    ended = line.get("closed_ms", line.get("ended_ms")) is not None
    return ended, -line[at] if ended else line[at]


async def page(
    database: FleetDatabase,
    query: Select[Any],
    *,
    is_open: ColumnElement[bool],
    at: ColumnElement[int],
    newest: tuple[str, ...],
    limit: int | None,
) -> Page:
    """Return a query's lines, the newest first; not all of them when there are more than ``limit``.

    Then what is open goes before what has ended, and of what is open the oldest goes first: nothing
    that waits for somebody is hidden by what came later.

    Args:
        database: Where they are.
        query: Says which, in no order.
        is_open: Whether somebody has to do something about a line.
        at: When it was.
        newest: The fields that order them.
        limit: None: all of them.
    """
    chosen = query
    if limit is not None:
        order = case((is_open, at), else_=-at)
        chosen = query.order_by(case((is_open, 0), else_=1), order).limit(limit)
    lines = await _lines(database, chosen)
    total = len(lines)
    if total == limit:
        async with database.reading() as connection:
            counting = select(func.count()).select_from(query.subquery())
            total = (await connection.execute(counting)).scalar_one()
    lines.sort(key=lambda line: [line[name] for name in newest], reverse=True)
    return Page(lines, total)


async def _lines(database: FleetDatabase, query: Select[Any]) -> list[Line]:
    async with database.reading() as connection:
        return [dict(row._mapping) for row in await connection.execute(query)]  # noqa: SLF001 - its public name


def _of(query: Select[Any], address: Address | None) -> Select[Any]:
    if address is None:
        return query
    return query.where(t.machine.c.tenant == address.tenant, t.machine.c.name == address.machine)


def _sum(amount: ColumnElement[int]) -> ColumnElement[int]:
    """Return a sum of minor units; PostgreSQL's own is a decimal, which is no money and no JSON."""
    return cast(func.coalesce(func.sum(amount), 0), BigInteger)


async def machines(database: FleetDatabase, address: Address | None = None) -> list[Line]:
    """Return every machine: online or not, how far it is stored, what it runs."""
    query = (
        select(
            *_MACHINE,
            t.machine.c.online,
            t.machine.c.seen_ms,
            t.machine.c.currency,
            t.machine.c.software,
            t.machine.c.state,
            t.journal.c.uid.label("journal"),
            (t.journal.c.next_seq - 1).label("records"),
            t.journal.c.quarantine,
        )
        .outerjoin(t.journal, t.journal.c.id == t.machine.c.active_journal)
        .order_by(t.machine.c.tenant, t.machine.c.name)
    )
    lines = await _lines(database, _of(query, address))
    for line in lines:
        line["journal"] = bytes(line["journal"]).hex() if line["journal"] else ""
        line["records"] = line["records"] or 0
        line["quarantine"] = line["quarantine"] or ""
        line["state"] = json.loads(line["state"]) if line["state"] else None
    return lines


async def journals(database: FleetDatabase, address: Address) -> list[Line]:
    """Return every journal of a machine, the oldest first."""
    query = (
        select(
            t.journal.c.uid.label("journal"),
            (t.journal.c.next_seq - 1).label("records"),
            t.journal.c.adopted,
            t.journal.c.quarantine,
            t.journal.c.previous_uid,
            t.journal.c.previous_seq,
        )
        .join(t.machine, t.machine.c.id == t.journal.c.machine_id)
        .order_by(t.journal.c.id)
    )
    lines = await _lines(database, _of(query, address))
    for line in lines:
        line["journal"] = bytes(line["journal"]).hex()
        line["previous_uid"] = bytes(line["previous_uid"]).hex() if line["previous_uid"] else ""
    return lines


async def sales(
    database: FleetDatabase, address: Address | None = None, *, limit: int | None = None
) -> Page:
    """Return the sagas, the newest first: what was sold, refunded or claimed, and how."""
    query = select(
        *_MACHINE,
        t.machine.c.currency,
        t.saga.c.vend,
        t.saga.c.kind,
        t.saga.c.opened_ms,
        t.saga.c.uncertain,
        t.saga.c.column,
        t.saga.c.product,
        t.saga.c.price,
        t.saga.c.cash,
        t.saga.c.card,
        t.saga.c.app,
        t.saga.c.by_right,
        t.saga.c.paid_back,
        t.saga.c.refunded,
        t.saga.c.claimed,
        t.saga.c.result,
        t.saga.c.flags,
    ).join(t.machine, t.machine.c.id == t.saga.c.machine_id)
    lines = await page(
        database,
        _of(query, address),
        is_open=t.saga.c.closed_ms.is_(None),
        at=t.saga.c.opened_ms,
        newest=("opened_ms", "vend"),
        limit=limit,
    )
    for line in lines:
        line["tender"] = _tender(line)
    return lines


def _tender(line: Line) -> str:
    """Return with what a vend was paid, in words; one that is free has none but that."""
    paid = [name for name in ("cash", "card") if line[name] > 0]
    return " + ".join([*paid, *([line["by_right"]] if line["by_right"] else [])])


async def totals(database: FleetDatabase, address: Address | None = None) -> list[Line]:
    """Return each machine's vends and earnings."""
    sold = func.count().filter(t.saga.c.result == "sold")

    def sold_for(right: str) -> ColumnElement[int]:
        return func.count().filter(t.saga.c.result == "sold", t.saga.c.by_right == right)

    query = (
        select(
            *_MACHINE,
            t.machine.c.currency,
            sold.label("sold"),
            func.count().filter(t.saga.c.result.in_(("refunded", "claimed"))).label("failed"),
            func.count().filter(t.saga.c.closed_ms.is_(None)).label("open"),
            _sum(t.saga.c.cash).label("cash"),
            _sum(t.saga.c.card).label("card"),
            _sum(t.saga.c.app).label("app"),
            sold_for("token").label("tokens"),
            sold_for("free").label("free"),
        )
        .join(t.machine, t.machine.c.id == t.saga.c.machine_id)
        .group_by(t.machine.c.tenant, t.machine.c.name, t.machine.c.currency)
        .order_by(t.machine.c.tenant, t.machine.c.name)
    )
    return await _lines(database, _of(query, address))


async def stock(database: FleetDatabase, address: Address | None = None) -> list[Line]:
    """Return every column: what is in it, and what to bring (where rules are set)."""
    rule = t.stock_rule
    query = (
        select(
            *_MACHINE,
            t.machine.c.currency,
            t.stock.c.column,
            t.stock.c.product,
            t.stock.c.price,
            t.stock.c.count.label("left"),
            t.stock.c.disabled,
            rule.c.capacity,
            rule.c.reorder_at,
        )
        .join(t.machine, t.machine.c.id == t.stock.c.machine_id)
        .outerjoin(
            rule,
            (rule.c.machine_id == t.stock.c.machine_id) & (rule.c.column == t.stock.c.column),
        )
        .order_by(t.machine.c.tenant, t.machine.c.name, t.stock.c.column)
    )
    lines = await _lines(database, _of(query, address))
    for line in lines:
        low = line["reorder_at"] is not None and line["left"] <= line["reorder_at"]
        line["reorder"] = low
        line["bring"] = max(0, line["capacity"] - line["left"]) if line["capacity"] else 0
    return lines


async def samples(
    database: FleetDatabase, address: Address, *, limit: int | None = None
) -> list[Line]:
    """Return what a machine has measured last, the newest first."""
    query = (
        select(t.sample.c.received_ms, t.sample.c.at_ms, t.sample.c.samples)
        .join(t.machine, t.machine.c.id == t.sample.c.machine_id)
        .order_by(t.sample.c.received_ms.desc())
        .limit(limit)
    )
    lines = await _lines(database, _of(query, address))
    return [{**line, "samples": json.loads(line["samples"])} for line in lines]


async def cash(database: FleetDatabase, address: Address | None = None) -> list[Line]:
    """Return where each machine's money is: what a collector will find."""
    query = (
        select(*_MACHINE, t.machine.c.currency, t.balance.c.account, t.balance.c.amount)
        .join(t.machine, t.machine.c.id == t.balance.c.machine_id)
        .where(t.balance.c.account.like(f"{_CASH}%"))
        .order_by(t.machine.c.tenant, t.machine.c.name, t.balance.c.account)
    )
    return await _lines(database, _of(query, address))


async def balances(database: FleetDatabase, address: Address) -> dict[str, int]:
    """Return a machine's whole ledger, zero balances left out."""
    query = (
        select(t.balance.c.account, t.balance.c.amount)
        .join(t.machine, t.machine.c.id == t.balance.c.machine_id)
        .where(t.balance.c.amount != 0)
    )
    lines = await _lines(database, _of(query, address))
    return {line["account"]: line["amount"] for line in lines}


async def claims(
    database: FleetDatabase,
    address: Address | None = None,
    *,
    closed: bool = False,
    limit: int | None = None,
) -> Page:
    """Return the open claims; all of them with ``closed``. Of a code only its end is known here.

    One that only an urgent copy tells of is ``reported``: nothing is paid for it yet. One that the
    fleet has taken over, as its code was keyed in elsewhere, is ``held``, and owed on.
    """
    moved = t.claim_move.c
    query = (
        select(
            *_MACHINE,
            t.machine.c.currency,
            t.claim.c.seq.label("claim"),
            t.journal.c.uid.label("journal"),
            t.claim.c.vend,
            t.claim.c.amount,
            t.claim.c.tender,
            t.claim.c.code_end,
            t.claim.c.reason,
            t.claim.c.flagged,
            t.claim.c.opened_ms,
            t.claim.c.uncertain,
            t.claim.c.closed_ms,
            t.claim.c.how,
            moved.paid_ms,
            moved.how.label("paid"),
        )
        .join(t.machine, t.machine.c.id == t.claim.c.machine_id)
        .join(t.journal, t.journal.c.id == t.claim.c.journal_id)
        .outerjoin(
            t.claim_move,
            and_(moved.journal_id == t.claim.c.journal_id, moved.seq == t.claim.c.seq),
        )
    )
    held = and_(t.claim.c.how == rec.MOVED, moved.paid_ms.is_(None))
    still_open = or_(t.claim.c.closed_ms.is_(None), held)
    if not closed:
        query = query.where(still_open)
    newest = ("opened_ms", "claim")
    lines = await page(
        database,
        _of(query, address),
        is_open=still_open,
        at=t.claim.c.opened_ms,
        newest=newest,
        limit=limit,
    )
    for line in lines:
        line["journal"] = bytes(line["journal"]).hex()
        line["reported"] = False
        paid_ms, paid = line.pop("paid_ms"), line.pop("paid")
        line["state"] = "closed" if line["closed_ms"] else "open"
        if line["how"] == rec.MOVED:
            line["state"] = "held" if paid_ms is None else "closed"
            line["how"] = paid or line["how"]
    return lines.with_open(await _claims_ahead(database, address), newest, limit)


async def _claims_ahead(database: FleetDatabase, address: Address | None) -> list[Line]:
    return [
        {
            **whose,
            "claim": record.seq,
            "vend": record.vend,
            "amount": record.data.amount,
            "tender": record.data.tender,
            "code_end": record.data.code[-4:],
            "reason": record.data.reason,
            "flagged": record.data.flagged,
            "opened_ms": record.at_ms,
            "uncertain": not record.confirmed,
            "closed_ms": None,
            "how": "",
            "reported": True,
            "state": "reported",
        }
        for whose, record in await reported(database, rec.ClaimOpened.type, address)
        if isinstance(record.data, rec.ClaimOpened)
    ]


async def alerts(
    database: FleetDatabase,
    address: Address | None = None,
    *,
    closed: bool = False,
    limit: int | None = None,
) -> Page:
    """Return what is wrong now; with ``closed`` also what was."""
    query = (
        select(
            *_MACHINE,
            t.alert.c.cause,
            t.alert.c.detail,
            t.alert.c.raised_ms,
            t.alert.c.closed_ms,
        ).outerjoin(t.machine, t.machine.c.id == t.alert.c.machine_id)  # the server's own have none
    )
    still_open = t.alert.c.closed_ms.is_(None)
    if not closed:
        query = query.where(still_open)
    return await page(
        database,
        _of(query, address),
        is_open=still_open,
        at=t.alert.c.raised_ms,
        newest=("raised_ms",),
        limit=limit,
    )


async def commands(
    database: FleetDatabase,
    address: Address | None = None,
    *,
    command_id: str = "",
    limit: int | None = None,
) -> Page:
    """Return what machines were asked, the newest first, and what they answered; or one of them."""
    query = select(
        *_MACHINE,
        t.command.c.id,
        t.command.c.kind,
        t.command.c.target,
        t.command.c.counter,
        t.command.c.args,
        t.command.c.issuer,
        t.command.c.issued_ms,
        t.command.c.expires_ms,
        t.command.c.outcome,
        t.command.c.detail,
        t.command.c.result,
        t.command.c.ended_ms,
        t.command.c.progress,
        t.command.c.progress_ms,
    ).join(t.machine, t.machine.c.id == t.command.c.machine_id)
    if command_id:
        query = query.where(t.command.c.id == command_id)
    lines = await page(
        database,
        _of(query, address),
        is_open=t.command.c.outcome == "",
        at=t.command.c.issued_ms,
        newest=("issued_ms", "counter"),
        limit=limit,
    )
    for line in lines:
        line["args"] = json.loads(line["args"])
        line["result"] = json.loads(line["result"]) if line["result"] else {}
        line["progress"] = json.loads(line["progress"]) if line["progress"] else None
    return lines


async def desired(database: FleetDatabase, address: Address) -> Line | None:
    """Return the newest configuration that the fleet wants of a machine."""
    query = (
        select(
            t.desired.c.revision,
            t.desired.c.settings,
            t.desired.c.issuer,
            t.desired.c.issued_ms,
            t.desired.c.outcome,
            t.desired.c.detail,
            t.desired.c.ended_ms,
        )
        .join(t.machine, t.machine.c.id == t.desired.c.machine_id)
        .order_by(t.desired.c.revision.desc())
        .limit(1)
    )
    lines = await _lines(database, _of(query, address))
    if not lines:
        return None
    return {**lines[0], "settings": json.loads(lines[0]["settings"])}


async def dead_letters(
    database: FleetDatabase, *, every: bool = False, limit: int | None = None
) -> Page:
    """Return what could not be read or not be understood, the newest first; ``every``: or was."""
    query = select(
        t.dead_letter.c.id,
        *_MACHINE,
        t.dead_letter.c.seq,
        t.dead_letter.c.topic,
        t.dead_letter.c.reason,
        t.dead_letter.c.at_ms,
        t.dead_letter.c.replayed_ms,
        t.dead_letter.c.discarded_ms,
    ).outerjoin(t.machine, t.machine.c.id == t.dead_letter.c.machine_id)
    still_open = t.dead_letter.c.replayed_ms.is_(None) & t.dead_letter.c.discarded_ms.is_(None)
    if not every:
        query = query.where(still_open)
    return await page(
        database, query, is_open=still_open, at=t.dead_letter.c.id, newest=("id",), limit=limit
    )


async def dead_letter(database: FleetDatabase, number: int) -> Line | None:
    """Return one dead letter with its bytes: of the message, or of the record that is stored."""
    letter = t.dead_letter
    query = (
        select(
            letter.c.id,
            letter.c.reason,
            letter.c.topic,
            letter.c.seq,
            letter.c.at_ms,
            letter.c.message,
            t.record.c.body,
        )
        .outerjoin(
            t.record,
            (t.record.c.journal_id == letter.c.journal_id) & (t.record.c.seq == letter.c.seq),
        )
        .where(letter.c.id == number)
    )
    lines = await _lines(database, query)
    if not lines:
        return None
    line = lines[0]
    raw = bytes(line.pop("message") or line["body"] or b"")
    del line["body"]
    return {**line, "bytes": raw.decode("utf-8", "backslashreplace")}
