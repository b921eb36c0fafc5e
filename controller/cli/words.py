"""Records in a few words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from controller.cli.amounts import full

Data = dict[str, Any]
_Say = Callable[[Data, Callable[[int], str]], str]


def summary(record: dict[str, Any], currency: str) -> str:
    """Return what a record says, short; one that is not known here as its fields."""
    data: Data = record["data"]
    say = _WORDS.get(record["type"])
    if say is not None:
        try:
            return say(data, lambda amount: full(amount, currency))
        except (KeyError, TypeError, ValueError):
            pass  # written by another version: its fields tell
    return ", ".join(f"{name}={value}" for name, value in data.items() if value not in ("", None))


def _coins(data: Data, money: Callable[[int], str]) -> str:
    words = ", ".join(f"{money(value)} to the {route}" for _, value, route, _ in data["coins"])
    return f"{words} (fill mode)" if data.get("owner") == "operator" else words


def _paid(data: Data, money: Callable[[int], str]) -> str:
    paid = sum(value * count for _, value, count in data["paid"])
    coins = ", ".join(f"{count} × {money(value)}" for _, value, count in data["paid"])
    doubt = "" if data["certain"] else ", not certain"
    return f"paid {money(paid)} of {money(data['ordered'])} ({coins or 'nothing'}{doubt})"


def _claim(data: Data, money: Callable[[int], str]) -> str:
    return f"{money(data['amount'])} {data['tender']}, code {data['code']}: {data['reason']}"


def _settled(data: Data, money: Callable[[int], str]) -> str:
    what = "VEND SUCCESS" if data["success"] else "VEND FAILURE"
    return f"{data['device']}: {what} {money(data['amount'])}: {data['outcome']}"


def _settling(data: Data, money: Callable[[int], str]) -> str:
    what = "VEND SUCCESS" if data["success"] else "VEND FAILURE"
    return f"{data['device']}: {what} {money(data['amount'])}"


def _identified(data: Data, _: Callable[[int], str]) -> str:
    identity = data["info"].get("identity") or {}
    parts = (identity.get(name, "") for name in ("manufacturer", "model", "serial"))
    return " ".join(part for part in (f"{data['device']}:", *parts) if part)


def _tubes(data: Data, _: Callable[[int], str]) -> str:
    off = sum(counted != believed for _, _, counted, believed in data["tubes"])
    return f"{data['cause']}, {len(data['tubes'])} tubes, {off} differ{_by(data)}"


def _recycler(data: Data, _: Callable[[int], str]) -> str:
    off = sum(counted != believed for _, _, counted, believed in data["bills"])
    return f"{data['cause']}, {len(data['bills'])} bill types, {off} differ"


def _collected(data: Data, money: Callable[[int], str]) -> str:
    places = ("cashbox", "stacker", "recycler")  # the last since it is there
    counted = sum(data.get(f"{place}_counted", 0) for place in places)
    expected = sum(data.get(f"{place}_expected", 0) for place in places)
    opening = data.get("stacker_opening", 0)  # the same
    old = f", {money(opening)} from before the first start" if opening else ""
    return f"{money(counted)} counted, {money(expected)} expected{old}, by {data['by']}"


def _locked(data: Data) -> int:
    return int(data["coins"] + data["bills"] + data.get("product", 0))  # the last since it is there


def _into(data: Data) -> str:
    return ", into the recycler" if data.get("into") == "recycler" else ""


def _of(data: Data) -> str:
    return ", in bills" if data.get("device") == "bill" else ""


def _test(data: Data) -> str:
    return ", a test" if data.get("test") else ""


def _by(data: Data) -> str:
    return f" by {data['by']}" if data.get("by") else ""


def _yes(approved: bool) -> str:
    return "approved" if approved else "denied"


_WORDS: Final[dict[str, _Say]] = {
    "boot.started": lambda d, _: f"start {d['boot']}, {d['software']}",
    "journal.begun": lambda d, _: f"{d['machine']}, {d['currency']}: {d['reason']}{_by(d)}",
    "device.identified": _identified,
    "device.noted": lambda d, _: f"{d['device']} heard up to {d['answer']}",
    "boot.finished": lambda d, _: f"{len(d['sagas'])} open vends ended",
    "fault.raised": lambda d, _: f"{d['part']}: {d['code']} {d['detail']}".rstrip(),
    "fault.cleared": lambda d, _: f"{d['part']}: {d['code']}{_by(d)}",
    "review.flagged": lambda d, _: d["reason"],
    "coins.deposited": _coins,
    "coins.released": lambda d, m: ", ".join(f"{n} × {m(v)}" for _, v, n, _ in d["coins"]),
    "bill.escrowed": lambda d, m: f"{m(d['value'])} held",
    "stack.intended": lambda d, m: f"{m(d['value'])}, stacker {d['stacker']}",
    "bill.return_intended": lambda d, m: f"{m(d['value'])}: {d['reason']}",
    "bill.stacked": lambda d, m: f"{m(d['value'])} ({d['proof']}){_into(d)}",
    "bill.moved": lambda d, m: f"{m(d['value'])} {d['how']}",
    "bill.returned": lambda d, m: f"{m(d['value'])} ({d['proof']})",
    "tubes.counted": _tubes,
    "recycler.counted": _recycler,
    "stacker.counted": lambda d, _: f"{d['cause']}: {d['counted']}, believed {d['believed']}",
    "cash.collected": _collected,
    "vend.opened": lambda d, m: (
        f"{d['selection']} {d['product']} {m(d['price'])}{_test(d)}{_by(d)}"
    ),
    "credit.authorised": lambda d, m: f"{m(_locked(d))} locked",
    "credit.restored": lambda d, m: f"{m(_locked(d))} unlocked",
    "credit.granted": lambda d, m: f"{m(d['amount'])} by {d['by']}: {d['reason']}",
    "approval.requested": lambda d, m: f"{d['device']}: VEND REQUEST {m(d['amount'])}",
    "approval.cancel_intended": lambda d, _: f"{d['device']}: the request is ended",
    "approval.finished": lambda d, m: f"{d['device']}: {d['outcome']} {m(d['amount'])}",
    "dispense.intended": lambda d, _: f"{d['column']}, turn {d['attempt']}",
    "dispense.finished": lambda d, _: f"{d['column']}: {d['outcome']} after {d['run_ms']} ms",
    "dispense.decided": lambda d, _: f"{d['column']}: nobody saw it, {d['policy']}",
    "dispense.refused": lambda d, _: f"{d['column']}: {d['reason']}",
    "settle.intended": _settling,
    "settle.finished": _settled,
    "vend.settled": lambda d, m: f"{m(d['cash'] + d.get('product', 0))} earned",
    "vend.closed": lambda d, _: " ".join((d["result"], *d["flags"])),
    "credit_return.opened": lambda d, m: f"{m(d['amount'])}: {d['reason']}",
    "late_approval.opened": lambda d, _: f"{d['device']} approved what nobody waits for",
    "revalue.opened": lambda d, m: f"{m(d['amount'])} for the card in {d['device']}",
    "revalue.intended": lambda d, m: f"{d['device']}: REVALUE REQUEST {m(d['amount'])}",
    "revalue.finished": lambda d, m: f"{d['device']}: {d['outcome']} {m(d['coins'] + d['bills'])}",
    "revalue.heard": lambda d, _: f"{d['device']} answered late: {_yes(d['approved'])}",
    "payout.intended": lambda d, m: f"{m(d['amount'])}: {d['reason']}{_of(d)}",
    "payout.finished": _paid,
    "shortfall.booked": lambda d, m: f"{m(d['coins'] + d['bills'])} cannot be paid out",
    "claim.opened": _claim,
    "claim.closed": lambda d, m: f"{m(d['amount'])} {d['tender']} by {d['by']}: {d['how']}",
    "stock.set": lambda d, _: f"{d['column']}: {d['before']} → {d['count']} ({d['cause']}){_by(d)}",
    "price.set": lambda d, m: f"{d['column']}: {m(d['before'])} → {m(d['price'])} by {d['by']}",
    "column.enabled": lambda d, _: f"{d['column']}{_by(d)}",
    "column.disabled": lambda d, _: f"{d['column']}: {d['reason']}{_by(d)}",
    "service.entered": lambda d, _: d["by"],
    "service.left": lambda d, _: d["by"],
    "reader.switched": lambda d, _: f"{d['device']} {'on' if d['on'] else 'off'} by {d['by']}",
    "refund.refused": lambda d, _: f"{d['device']} says {d['code']:02X}: the money did not go back",
    "machine.locked": lambda d, _: f"by {d['by']}: {d['reason']}",
    "machine.unlocked": lambda d, _: f"by {d['by']}: {d['reason']}",
    "message.shown": lambda d, _: f"{d['text']!r} for {d['lives_ms'] // 1000} s, by {d['by']}",
    "update.requested": lambda d, _: f"{d['software']} by {d['by']} ({d['id']})",
    "update.intended": lambda d, _: d["id"],
    "update.finished": lambda d, _: f"{d['outcome']} {d['detail']}".rstrip(),
    "operator.acted": lambda d, _: f"{d['by']}: {d['what']}",
    "command.started": lambda d, _: f"{d['kind']} {d['target']} by {d['issuer']} ({d['id']})",
    "command.finished": lambda d, _: f"{d['kind']}: {d['outcome']} {d['detail']}".rstrip(),
    "message.refused": lambda d, _: f"{d['topic']}: {d['reason']} (× {d['count']})",
    "config.applied": lambda d, _: f"revision {d['revision']} by {d['by']}, on trial",
    "config.confirmed": lambda d, _: f"revision {d['revision']} is good",
    "config.refused": lambda d, _: f"revision {d['revision']}: {'; '.join(d['reasons'])}{_by(d)}",
    "config.rolled_back": lambda d, _: f"revision {d['revision']} → {d['to']}: {d['reason']}",
    "planogram.applied": lambda d, _: f"{', '.join(d['columns'])} by {d['by']}",
    "time.confirmed": lambda d, _: f"by {d['source']}, {d['offset_ms']} ms off",
    "checkpoint.signed": lambda d, _: d["reason"],
    "checkpoint.countersigned": lambda d, _: f"the fleet vouches for records to {d['seq']}",
    "record.carried": lambda d, _: f"record {d['seq']} of journal {d['journal'][:8]}…",
    "journal.forked": lambda d, _: f"the fleet holds another chain behind record {d['seq']}",
}
