"""The part of the fold that follows card readers: approvals, settlements, late approvals."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from controller.journal import records as rec
from controller.state.saga import Saga

if TYPE_CHECKING:
    from controller.journal.envelope import Record, RecordData
    from controller.state.state import State


def _approval_requested(s: State, r: Record, d: rec.ApprovalRequested) -> None:
    saga = s.saga_of(r)
    saga.intent, saga.intent_boot = "approval", r.boot
    saga.device, saga.card_amount = d.device, d.amount
    saga.card_refundable = d.refundable
    saga.cancel_intended = saga.refund_refused = saga.kept_known = False
    s.cards_asked[d.device] = r.seq if r.vend is None else r.vend, d.amount


def _approval_cancel_intended(s: State, r: Record, _d: rec.ApprovalCancelIntended) -> None:
    s.saga_of(r).cancel_intended = True


def _approval_finished(s: State, r: Record, d: rec.ApprovalFinished) -> None:
    saga = s.saga_of(r)
    saga.intent = ""
    saga.card_amount, saga.card_token = d.amount, d.token
    if d.outcome == "approved":
        saga.card = "approved"
        s.cards_asked.pop(d.device, None)
    elif d.outcome in ("charged", "unknown"):
        saga.card, saga.failed = "lost", saga.failed or d.outcome
        s.cards_asked.pop(d.device, None)  # it becomes a claim
    else:
        saga.card, saga.failed = "denied", saga.failed or d.outcome


def _settle_intended(s: State, r: Record, d: rec.SettleIntended) -> None:
    saga = s.saga_of(r)
    saga.intent, saga.intent_boot, saga.intent_success = "settle", r.boot, d.success


def _settle_finished(s: State, r: Record, d: rec.SettleFinished) -> None:
    saga = s.saga_of(r)
    saga.intent = ""
    if d.success:
        saga.card = "settled"
    else:
        saga.card = "refunded" if d.outcome in rec.REFUNDED else "lost"
        saga.paid_back += d.amount if saga.card == "refunded" else 0


def _refund_refused(s: State, r: Record, d: rec.RefundRefused) -> None:
    if r.vend is not None and r.vend in s.sagas:
        saga = s.sagas[r.vend]
        saga.refund_refused = True
        if saga.intent == "approval" and d.amount is not None:
            saga.card_amount = d.amount  # and not what was asked for: a discount
            saga.kept_known = True


def _late_approval_opened(s: State, r: Record, d: rec.LateApprovalOpened) -> None:
    s.sagas[r.seq] = Saga(
        vend=r.seq, kind="late", opened_mono_ms=r.mono_ms, boot=r.boot, device=d.device,
        failed="late approval",
    )  # fmt: skip


def _reader_switched(s: State, _r: Record, d: rec.ReaderSwitched) -> None:
    others = {device for device in s.readers_off if device != d.device}
    s.readers_off = sorted(others if d.on else {*others, d.device})


FOLDS: Final[dict[type[RecordData], Callable[[State, Record, Any], None]]] = {
    rec.ApprovalRequested: _approval_requested,
    rec.ApprovalCancelIntended: _approval_cancel_intended,
    rec.ApprovalFinished: _approval_finished,
    rec.SettleIntended: _settle_intended,
    rec.SettleFinished: _settle_finished,
    rec.RefundRefused: _refund_refused,
    rec.LateApprovalOpened: _late_approval_opened,
    rec.ReaderSwitched: _reader_switched,
}
