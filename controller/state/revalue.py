"""The part of the fold that follows a revalue: cash credit that goes to the card in a reader."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from controller.journal import records as rec
from controller.state.saga import Saga

if TYPE_CHECKING:
    from controller.journal.envelope import Record, RecordData
    from controller.state.state import State


def _opened(s: State, r: Record, d: rec.RevalueOpened) -> None:
    s.sagas[r.seq] = Saga(
        vend=r.seq, kind="revalue", opened_mono_ms=r.mono_ms, boot=r.boot, device=d.device,
        card_amount=d.amount, bill_due=d.bill,
    )  # fmt: skip


def _intended(s: State, r: Record, d: rec.RevalueIntended) -> None:
    saga = s.saga_of(r)
    s.credit.lock(d.lots)
    saga.intent, saga.intent_boot = "revalue", r.boot
    saga.card_amount, saga.bill_due = d.amount, 0
    saga.held_coins, saga.held_bills, saga.lots = d.coins, d.bills, list(d.lots)


def _finished(s: State, r: Record, d: rec.RevalueFinished) -> None:
    saga = s.saga_of(r)
    saga.intent = ""
    saga.held_coins = saga.held_bills = 0
    saga.lots = []
    if d.outcome == "approved":
        s.credit.earn(d.lots)
        saga.revalued = d.amount
    elif d.outcome == "unknown":
        s.credit.earn(d.lots)
        saga.failed, saga.payout_certain = d.outcome, False
        saga.owed += d.amount
        saga.payout_lots.extend(d.lots)
    else:
        s.credit.restore(d.lots)
        saga.failed = d.outcome


FOLDS: Final[dict[type[RecordData], Callable[[State, Record, Any], None]]] = {
    rec.RevalueOpened: _opened,
    rec.RevalueIntended: _intended,
    rec.RevalueFinished: _finished,
}
