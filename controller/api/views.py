"""State and records as the API's shapes. Pure."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, Final

from controller.api import shapes
from controller.api.service import JournalView, Live, MachineService, WatchEvent
from controller.domain import accounts as acc
from controller.domain.stock import Refusal
from controller.faults import FaultCode, part_and_code
from controller.journal.envelope import Record
from controller.state.claims import Claim
from controller.state.config import drift
from controller.state.saga import Closed, Saga
from controller.state.state import State

_LAST_VENDS: Final = 8  # as many as a technician's screen has room for
_DEVICES: Final = ("changer", "bill", "cashless1", "cashless2")


# ----------------------------------------------------------------------------- the machine


def status(service: MachineService) -> shapes.StatusShape:
    """Return the machine at a glance."""
    state, live, planogram = service.state, service.live(), service.planogram
    sold_out = [
        name
        for name in planogram.columns
        if state.stock.candidates(planogram, name) is Refusal.SOLD_OUT
    ]
    disabled = {name: _disabled(state, name) for name in sorted(planogram.columns)}
    return {
        "machine": state.machine,
        "currency": state.currency,
        "software": live.software,
        "mode": live.mode,
        "promise": live.promise,
        "service_by": state.service_by,
        "lock": _lock(state),
        "boot": state.boot if live.counted else None,
        "up_s": int(live.up_s),
        "journal": journal(service.journal),
        "credit": state.credit.total,
        "escrow": 0 if state.escrow is None else state.escrow.value,
        "exact_change_only": live.exact_change_only,
        "display": list(live.display),
        "devices": devices(state, live),
        "faults": faults(state),
        "sold_out": sold_out,
        "disabled": {name: reason for name, reason in disabled.items() if reason},
        "claims": [claim(one) for one in state.claims.values()],
        "open": [open_vend(saga) for saga in state.sagas.values()],
        "last": [closed_vend(one) for one in state.closed[-_LAST_VENDS:]],
        "cash": cash(state),
        "counters": {
            name: getattr(state.counters, name) for name in sorted(type(state.counters).__slots__)
        },
        "lines": lines(live),
    }


def _lock(state: State) -> shapes.LockShape | None:
    lock = state.orders.lock
    if lock is None:
        return None
    at = datetime.fromtimestamp(lock.at_ms / 1000, UTC).isoformat(timespec="seconds")
    return {"by": lock.by, "reason": lock.reason, "at": at}


def _disabled(state: State, column: str) -> str:
    """Return why a column does not sell: it is off, or the health timer holds it back."""
    if column in state.climate.unhealthy:
        return FaultCode.HEALTH_EXCEEDED.value
    return state.stock.of(column).disabled


def devices(state: State, live: Live) -> list[shapes.DeviceShape]:
    """Return the peripherals that are configured or have ever been there."""
    found = []
    for name in _DEVICES:
        info = state.devices.get(name)
        if info is None and name not in live.devices:
            continue
        identity: dict[str, Any] = (info or {}).get("identity") or {}
        found.append(
            shapes.DeviceShape(
                name=name,
                title=live.titles.get(name, ""),
                state=live.devices.get(name, "unknown"),
                level=(info or {}).get("level"),
                manufacturer=str(identity.get("manufacturer", "")),
                model=str(identity.get("model", "")),
                serial=str(identity.get("serial", "")),
                software=str(identity.get("software", "")),
                info={} if info is None else info,
                oddities=dict(live.drivers.oddities.get(name, {})),
            )
        )
    return found


def lines(live: Live) -> list[shapes.LineShape]:
    """Return the buses, with what they have counted."""
    return [
        {
            "name": line.name,
            "down": line.down or "",
            "counts": dict(line.counts),
            "devices": {name: dict(misses) for name, misses in line.parts.items()},
        }
        for line in live.drivers.lines
    ]


def bus(service: MachineService) -> shapes.BusShape:
    """Return what was counted on the buses and by the devices' drivers."""
    live = service.live()
    return {
        "up_s": int(live.up_s),
        "lines": lines(live),
        "devices": devices(service.state, live),
    }


def faults(state: State) -> list[shapes.FaultShape]:
    """Return what is wrong now."""
    found = []
    for key, detail in sorted(state.faults.items()):
        part, code = part_and_code(key)
        found.append(shapes.FaultShape(part=part, code=code, detail=detail))
    return found


def cash(state: State) -> shapes.CashShape:
    """Return what must be in the machine."""
    return {
        "tubes": state.ledger.balance(acc.CASH_TUBES),
        "cashbox": state.ledger.balance(acc.CASH_CASHBOX),
        "stacker": state.ledger.balance(acc.CASH_STACKER),
        "escrow": state.ledger.balance(acc.CASH_ESCROW),
        "bills": state.stacker,
        "bills_unknown": state.stacker_unknown,
        "recycler": state.ledger.balance(acc.CASH_RECYCLER),
    }


def stock(service: MachineService) -> shapes.StockShape:
    """Return all columns."""
    state, planogram = service.state, service.planogram
    return {
        "currency": state.currency,
        "columns": [
            {
                "column": name,
                "product": column.product,
                "name": planogram.products[column.product].name,
                "price": column.price,
                "list_price": column.price + column.discount,
                "offer": column.offer,
                "count": state.stock.of(name).count,
                "capacity": column.capacity,
                "uncertain": state.stock.of(name).uncertain,
                "disabled": _disabled(state, name),
            }
            for name, column in planogram.columns.items()
        ],
    }


def config(service: MachineService) -> shapes.ConfigShape:
    """Return what holds of the fleet's configuration."""
    known = service.state.config
    differs = drift(known.held, service.planogram)
    return {
        "revision": known.held.revision,
        "trial": known.trial,
        "settings": known.held.settings,
        "seen": known.seen,
        "outcome": known.outcome,
        "errors": list(known.errors),
        "waits": service.live().revision_waits,
        "drift": [
            {"key": key, "wanted": one["wanted"], "found": one["found"], "by": one["by"]}
            for key, one in differs.items()
        ],
    }


def credit(state: State) -> shapes.CreditShape:
    """Return what a customer can spend or get back."""
    escrow = state.escrow
    return {
        "currency": state.currency,
        "total": state.credit.total,
        "coins": state.credit.coins,
        "bills": state.credit.bills,
        "held": state.credit.held,
        "lots": [
            {"seq": lot.seq, "pocket": lot.pocket.value, "free": lot.free, "held": lot.held}
            for lot in state.credit.lots
        ],
        "escrow": None
        if escrow is None
        else {"device": escrow.device, "value": escrow.value, "asked": escrow.asked},
        "rights": [
            {
                "seq": one.seq,
                "kind": one.kind,
                "amount": one.amount,
                "column": one.column,
                "id": one.id,
                "vend": one.vend,
            }
            for one in state.rights.values()
        ],
        "claims": [claim(one) for one in state.claims.values()],
    }


def coins(service: MachineService) -> shapes.CoinsShape:
    """Return what can be paid out."""
    state, live = service.state, service.live()
    info = state.devices.get("changer") or {}
    tubes: list[shapes.TubeShape] = []
    for kind in info.get("coins", ()):
        count = state.tubes.get(kind["type"], 0) if kind["in_tube"] else 0
        tubes.append(
            {
                "type": kind["type"],
                "value": kind["value"],
                "in_tube": kind["in_tube"],
                "count": count,
                "total": count * kind["value"],
                "defective": kind["type"] in live.defective_tubes,
            }
        )
    bills: list[shapes.TubeShape] = [
        {
            "type": type_,
            "value": value,
            "in_tube": True,
            "count": n,
            "total": n * value,
            "defective": type_ in live.defective_bills,
        }
        for type_, value, n in state.recycler_bills()
    ]
    return {
        "currency": state.currency,
        "state": live.devices.get("changer", "unknown"),
        "tubes": tubes,
        "bills": bills,
        "total": sum(tube["total"] for tube in (*tubes, *bills)),
        "exact_change_only": live.exact_change_only,
    }


def ledger(state: State) -> shapes.LedgerShape:
    """Return the trial balance."""
    books = state.ledger
    rows = [row for row in books.trial_balance() if row.account not in acc.TOKENS]
    return {
        "currency": state.currency,
        "seq": state.seq,
        "accounts": [
            {"account": row.account, "debit": row.debit, "credit": row.credit} for row in rows
        ],
        "debit": sum(row.debit for row in rows),
        "credit": sum(row.credit for row in rows),
        "tokens": [{"account": name, "pieces": books.balance(name)} for name in acc.TOKENS],
        "cash": books.cash(),
        "owed": books.owed(),
    }


def claim(one: Claim) -> shapes.ClaimShape:
    """Return an open claim."""
    return {
        "seq": one.seq,
        "vend": one.vend,
        "code": one.code,
        "amount": one.amount,
        "tender": one.tender,
        "reason": one.reason,
        "flagged": one.flagged,
    }


def open_vend(saga: Saga) -> shapes.VendShape:
    """Return a saga that has not ended."""
    return {
        "vend": saga.vend,
        "kind": saga.kind,
        "selection": saga.selection,
        "column": saga.column,
        "price": saga.price,
        "result": "open",
        "paid_back": saga.paid_back,
        "claimed": saga.claimed,
        "flags": list(saga.flags),
    }


def closed_vend(one: Closed) -> shapes.VendShape:
    """Return a saga that has ended."""
    return {
        "vend": one.vend,
        "kind": one.kind,
        "selection": one.selection,
        "column": one.column,
        "price": one.price,
        "result": one.result,
        "paid_back": one.paid_back,
        "claimed": one.claimed,
        "flags": list(one.flags),
    }


# ----------------------------------------------------------------------------- the journal


def journal(view: JournalView) -> shapes.JournalShape:
    """Return where the facts are."""
    return {"id": view.id, "first": view.first, "last": view.last}


def moment(record: Record) -> str:
    """Return a record's time label: UTC, ISO 8601, milliseconds."""
    return utc(record.at_ms)


def utc(at_ms: int) -> str:
    """Return a time given in ms since 1970 as people read it: UTC, ISO 8601, milliseconds."""
    seconds, milliseconds = divmod(at_ms, 1000)
    # A label may be any number that fits the journal; the calendar's may not.
    try:
        whole = datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return f"@{at_ms}"
    return f"{whole:%Y-%m-%dT%H:%M:%S}.{milliseconds:03d}Z"


def record(one: Record, *, exact: bool = False) -> shapes.RecordShape:
    """Return a record; ``exact`` adds the text that its hash covers."""
    shape: shapes.RecordShape = {
        "seq": one.seq,
        "boot": one.boot,
        "at": moment(one),
        "confirmed": one.confirmed,
        "mono_ms": one.mono_ms,
        "type": one.type,
        "version": one.version,
        "vend": one.vend,
        "data": json.loads(one.body)["data"],  # what was written, known to us or not
        "postings": [(account, amount) for account, amount in one.postings],
        "hash": one.hash.hex(),
    }
    if exact:
        shape["body"] = one.body.decode()
    return shape


# ------------------------------------------------------------------------------- watching


def watch_record(one: Record) -> WatchEvent:
    """Return the event "a record is durable"."""
    return {"kind": "record", "record": record(one)}


def watch_mode(mode: str) -> WatchEvent:
    """Return the event "the machine's mode changed"."""
    return {"kind": "mode", "mode": mode}


def watch_display(lines: tuple[str, ...]) -> WatchEvent:
    """Return the event "the customer sees another text"."""
    return {"kind": "display", "lines": list(lines)}
