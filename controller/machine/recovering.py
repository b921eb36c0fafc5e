"""What comes of the questions that recovery asks."""

from __future__ import annotations

from typing import Any

from controller.machine import effects as fx
from controller.machine.desk import Desk
from controller.saga import cards, revalue
from controller.saga import recovery as boot


def outcome(desk: Desk, recovery: boot.Recovery | None, effect: fx.Effect, result: Any) -> None:
    """Take in the answer to a question about a saga of the life before."""
    vend_seq = getattr(effect, "vend", None)
    saga = desk.state.sagas.get(vend_seq) if vend_seq is not None else None
    if saga is None or vend_seq is None or recovery is None:
        return
    match effect:
        case fx.ReadEvidence():
            boot.evidence_read(desk, saga, result)
            if saga.dispensed:
                recovery.by_latch.append(saga.vend)
        case fx.CancelApproval(after_restart=True, begun=begun):
            boot.cancelled(desk, saga, result, begun=begun)
        case fx.Settle(success=success, after_restart=True):
            cards.book_settle(desk, saga, success=success, result=result)
        case fx.RevalueEvidence():
            revalue.told_after_restart(desk, saga, result)
        case fx.PayoutEvidenceAfterRestart():
            boot.payout_cleared(desk, saga, result)
        case _:
            return
    recovery.waiting.discard(f"saga {vend_seq}")
    boot.proceed(desk, recovery)


def counted(desk: Desk, recovery: boot.Recovery | None, what: str) -> None:
    """Take in that one of the counts at the start has ended."""
    if recovery is not None and recovery.phase is boot.Phase.COUNT:
        recovery.waiting.discard(what)
        boot.proceed(desk, recovery)
