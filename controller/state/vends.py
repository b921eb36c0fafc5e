"""The part of the fold that follows a vend: credit held for it, turns, settlement, its end."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from controller.journal import records as rec
from controller.state.saga import MAX_CLOSED, Closed, Saga

if TYPE_CHECKING:
    from controller.journal.envelope import Record, RecordData
    from controller.state.state import State

# Outcomes (and troubles) of a turn that tell of a fault of its column.
COLUMN_FAULTS: Final = ("jammed", "no_start", "no_home", "not_seen")


def _vend_opened(s: State, r: Record, d: rec.VendOpened) -> None:
    s.sagas[r.seq] = Saga(
        vend=r.seq, kind="vend", opened_mono_ms=r.mono_ms, boot=r.boot, selection=d.selection,
        column=d.column, product=d.product, price=d.price, item=d.item, test=d.test,
        bill_due=d.bill, discount=d.discount,
    )  # fmt: skip


def _credit_return_opened(s: State, r: Record, d: rec.CreditReturnOpened) -> None:
    s.sagas[r.seq] = Saga(
        vend=r.seq, kind="return", opened_mono_ms=r.mono_ms, boot=r.boot, reason=d.reason
    )


def _credit_authorised(s: State, r: Record, d: rec.CreditAuthorised) -> None:
    saga = s.saga_of(r)
    s.credit.lock(d.lots)
    saga.held_coins += d.coins
    saga.held_bills += d.bills
    saga.held_product += d.product
    saga.lots.extend(d.lots)
    if saga.bill_asked:
        saga.bill_due = 0


def _credit_restored(s: State, r: Record, d: rec.CreditRestored) -> None:
    saga = s.saga_of(r)
    s.credit.restore(d.lots)
    saga.held_coins -= d.coins
    saga.held_bills -= d.bills
    saga.held_product -= d.product
    saga.lots = []


def _dispense_intended(s: State, r: Record, d: rec.DispenseIntended) -> None:
    saga = s.saga_of(r)
    saga.intent, saga.intent_boot, saga.column = "dispense", r.boot, d.column


def _dispense_finished(s: State, r: Record, d: rec.DispenseFinished) -> None:
    saga = s.saga_of(r)
    saga.intent = ""
    saga.turns.append((d.column, d.outcome))
    _note_fault(saga, d)
    if d.outcome == "dropped":
        saga.dispensed = True
    taken = max(d.drops, d.outcome == "dropped")
    if taken:
        s.stock.take(d.column, taken)
        if d.trouble:
            s.stock.question(d.column)
    elif d.outcome == "empty":
        s.stock.found_empty(d.column)


def _note_fault(saga: Saga, d: rec.DispenseFinished) -> None:
    """Note what a turn tells of its column; one that an end cut off tells nothing.

    The latch keeps that a product fell, and not that the motor came home behind it.
    """
    saga.at_fault.pop(d.column, None)
    told = d.trouble or d.outcome  # it may have delivered, and yet not come home
    if d.proof == "watched" and told in (*COLUMN_FAULTS, "dropped"):
        saga.at_fault[d.column] = told in COLUMN_FAULTS


def _dispense_decided(s: State, r: Record, d: rec.DispenseDecided) -> None:
    saga = s.saga_of(r)
    s.stock.doubt(d.column)
    if d.policy == "charge":
        saga.dispensed = True
    else:
        saga.failed = saga.failed or "unknown"


def _dispense_refused(s: State, r: Record, d: rec.DispenseRefused) -> None:
    saga = s.saga_of(r)
    saga.failed = saga.failed or d.reason


def _vend_settled(s: State, r: Record, d: rec.VendSettled) -> None:
    saga = s.saga_of(r)
    s.credit.earn(d.lots)
    saga.cash_settled = True
    saga.held_coins = saga.held_bills = saga.held_product = 0


def _vend_closed(s: State, r: Record, d: rec.VendClosed) -> None:
    saga = s.saga_of(r)
    s.basket_due = d.kept
    del s.sagas[saga.vend]
    if d.result == "sold":
        s.counters.vends += 1
        given = saga.right_worth if saga.right_kind in ("free", "token") else 0
        s.counters.value += saga.price - given
        s.counters.value_given += saga.discount
        s.counters.vends_card += saga.card == "settled"
        s.counters.vends_free += not saga.price
        s.counters.vends_cash += saga.cash_settled and saga.card != "settled"
    elif d.result == "tested":
        s.counters.tests += 1
    elif saga.kind == "vend":
        s.counters.refunds += 1
    if saga.kind == "vend" and not saga.test:
        _count_failures(s, saga, d.result)
    _count_faults(s, saga)
    s.closed.append(
        Closed(
            saga.vend, saga.kind, saga.selection, saga.column, saga.price, d.result,
            saga.paid_back, saga.claimed, list(dict.fromkeys([*saga.flags, *d.flags])),
        )
    )  # fmt: skip
    del s.closed[:-MAX_CLOSED]


def _count_faults(s: State, saga: Saga) -> None:
    """Count each column that a vend found at fault; one that works, in a test too, ends its row."""
    for column, at_fault in saga.at_fault.items():
        if not at_fault:
            s.column_faults.pop(column, None)
        elif not saga.test:
            s.column_faults[column] = s.column_faults.get(column, 0) + 1


def _count_failures(s: State, saga: Saga, result: str) -> None:
    """A column that failed counts one more; any sale ends the machine's row."""
    if result == "sold":
        s.failures_machine = 0
        s.failures.pop(saga.column, None)
    elif saga.turns:
        s.failures_machine += 1
        for column in {column for column, _ in saga.turns}:
            s.failures[column] = s.failures.get(column, 0) + 1


FOLDS: Final[dict[type[RecordData], Callable[[State, Record, Any], None]]] = {
    rec.VendOpened: _vend_opened,
    rec.CreditReturnOpened: _credit_return_opened,
    rec.CreditAuthorised: _credit_authorised,
    rec.CreditRestored: _credit_restored,
    rec.DispenseIntended: _dispense_intended,
    rec.DispenseFinished: _dispense_finished,
    rec.DispenseDecided: _dispense_decided,
    rec.DispenseRefused: _dispense_refused,
    rec.VendSettled: _vend_settled,
    rec.VendClosed: _vend_closed,
}
