"""The part of the fold that follows money leaving, and the part of it that could not."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from controller.journal import records as rec

if TYPE_CHECKING:
    from controller.journal.envelope import Record, RecordData
    from controller.state.state import State


def _payout_intended(s: State, r: Record, d: rec.PayoutIntended) -> None:
    saga = s.saga_of(r)
    s.credit.withdraw(d.lots)
    saga.intent, saga.intent_boot = "payout", r.boot
    saga.owed += d.coins + d.bills
    saga.paying = d.device
    saga.ordered, saga.plan, saga.by_value = d.amount, list(d.plan), d.by_value
    saga.payouts = d.attempt
    saga.payout_lots.extend(d.lots)


def _payout_finished(s: State, r: Record, d: rec.PayoutFinished) -> None:
    saga = s.saga_of(r)
    saga.intent = ""
    store = s.recycler if d.device == "bill" else s.tubes
    for type_, _, count in d.paid:
        store[type_] = store.get(type_, 0) - count
    saga.owed -= min(d.amount, d.ordered)
    saga.paid_back += d.amount
    saga.short_payouts += d.amount < d.ordered
    saga.payout_certain = saga.payout_certain and d.certain


def _shortfall_booked(s: State, r: Record, d: rec.ShortfallBooked) -> None:
    saga = s.saga_of(r)
    s.credit.withdraw(d.lots)
    saga.owed += d.coins + d.bills
    saga.payout_lots.extend(d.lots)


FOLDS: Final[dict[type[RecordData], Callable[[State, Record, Any], None]]] = {
    rec.PayoutIntended: _payout_intended,
    rec.PayoutFinished: _payout_finished,
    rec.ShortfallBooked: _shortfall_booked,
}
