"""What a vend asks of a card reader: which one, VEND REQUEST and its end, and what came of both.

It writes what is wanted and what was answered. What follows for the vend, ``vend.advance`` decides.
"""

from __future__ import annotations

from typing import Final

from controller.journal import records as rec
from controller.machine.desk import READERS, Desk
from controller.machine.effects import CancelApproval, Failed, RequestApproval, Settle, Wake
from controller.machine.table import Mode, Trigger
from controller.panel.view import Message
from controller.ports import (
    Approved,
    Charged,
    Denied,
    DeviceName,
    ReaderInfo,
    RefundErrorReport,
    RefundOutcome,
    RequestGivenUpReport,
    SettleOutcome,
)
from controller.saga import dispensing
from controller.state.saga import Saga

_CARD_ACTS: Final = ("approval", "settle")  # a refund error may come of either


# -------------------------------------------------------------------------------------- ask


def reader_for(desk: Desk) -> DeviceName | None:
    """Return the reader to ask: the one with a session, else one that is always idle."""
    if _in_session(desk):
        return desk.live.session
    return next(iter(readers_that_wait(desk, always_idle=True)), None)


def _in_session(desk: Desk) -> bool:
    """Tell whether a card is in, and its session is not about to end."""
    return desk.live.session is not None and not desk.live.session_ends


def paid_meanwhile(desk: Desk) -> None:
    """Credit came while a card is waited for: one that may not be needed any more."""
    saga = desk.customer_saga()
    if (
        desk.mode is Mode.AUTHORISING
        and desk.live.session is None
        and saga is not None
        and saga.intent == "approval"
        and desk.state.credit.total >= saga.due
    ):
        desk.live.reselect = saga.selection
        cancel_approval(desk, saga)


def kept_still(desk: Desk) -> None:
    """The door was opened, or a column switched off: no card is asked on to pay for nothing.

    Its reader may not be able to undo it.
    """
    saga = desk.customer_saga()
    if saga is None or saga.intent != "approval":
        return
    if dispensing.next_column(desk, saga) is None:
        cancel_approval(desk, saga)


def readers_that_wait(desk: Desk, *, always_idle: bool = False) -> list[DeviceName]:
    """Return the readers that take a card now, or those of them that can be asked before one."""
    infos = {name: desk.live.ready.get(name) for name in READERS if desk.takes_cards(name)}
    return [
        name
        for name, info in infos.items()
        if isinstance(info, ReaderInfo) and (info.always_idle or not always_idle)
    ]


def request(desk: Desk, saga: Saga, reader: DeviceName) -> None:
    """Ask a reader for what the price of a vend still lacks."""
    amount = saga.due
    card = desk.live.session_refundable if _in_session(desk) else None
    desk.write(
        rec.ApprovalRequested(device=reader.value, amount=amount, item=saga.item, refundable=card),
        saga.vend,
    )
    desk.step(Trigger.AUTHORISE)
    desk.do(RequestApproval(saga.vend, reader, amount, saga.item))
    if _in_session(desk):
        reader_decides(desk, saga)
    else:
        _wants_card(desk, saga)


def _wants_card(desk: Desk, saga: Saga) -> None:
    desk.tell(
        Message.CARD_PRESENT, selection=saga.selection, price=saga.price, amount=saga.card_amount,
        seconds=desk.policy.approval_timeout_s,
    )  # fmt: skip
    desk.do(Wake(f"approval {saga.vend}", desk.policy.approval_timeout_s))


def reader_decides(desk: Desk, saga: Saga) -> None:
    """Say that a card is there, and its reader is being asked."""
    desk.tell(
        Message.CARD_WAIT, selection=saga.selection, price=saga.price, amount=saga.card_amount,
        seconds=60.0,
    )  # fmt: skip


def wait_for_card(desk: Desk, reader: DeviceName) -> None:
    """A session ended as its reader was asked: it may wait for a card now, as long as for any."""
    info = desk.live.ready.get(reader)
    waits = isinstance(info, ReaderInfo) and info.always_idle
    for saga in desk.state.sagas.values():
        if saga.intent != "approval" or saga.device != reader or saga.boot != desk.state.boot:
            continue
        if waits and saga.vend not in desk.live.cancelling:
            _wants_card(desk, saga)
        else:
            desk.do(Wake(f"approval {saga.vend}", desk.policy.approval_timeout_s))


def tell_outcome(desk: Desk, saga: Saga, *, success: bool) -> None:
    """Tell the reader what came of what it approved."""
    desk.write(
        rec.SettleIntended(
            device=saga.device, success=success, item=saga.item, amount=saga.card_amount
        ),
        saga.vend,
    )
    desk.do(Settle(saga.vend, DeviceName(saga.device), success, saga.item))


def approval_timed_out(desk: Desk, saga: Saga) -> None:
    """The reader has not answered in the time that the owner gives it."""
    if saga.intent == "approval":
        desk.live.timed_out.add(saga.vend)
        cancel_approval(desk, saga)


def cancel_approval(desk: Desk, saga: Saga) -> None:
    """The customer (or a time-out) ends a request that has no answer yet.

    One from before a restart is recovery's, which has a cancel of its own under way.
    """
    if saga.intent == "approval" and saga.intent_boot == desk.state.boot:
        desk.live.cancelling.add(saga.vend)
        if not saga.cancel_intended:
            desk.write(rec.ApprovalCancelIntended(device=saga.device), saga.vend)
        desk.do(CancelApproval(saga.vend, DeviceName(saga.device)))


# ------------------------------------------------------------------------------------ hear


def book_approval(desk: Desk, saga: Saga, result: Approved | Denied | Charged | Failed) -> bool:
    """Write down how VEND REQUEST was answered, or not; False if nobody waits for it."""
    if saga.intent != "approval":
        return False
    device = saga.device
    if isinstance(result, Approved):
        desk.live.reselect = ""  # the card was faster than the coins, or than one elsewhere
        if desk.live.session is not None and desk.live.session.value != device:
            desk.end_session(desk.live.session)
        desk.live.timed_out.discard(saga.vend)  # and than our own time-out
        # A token's worth is not told: it buys what was asked for, and that is what is owed for it.
        amount = result.amount if result.amount is not None else saga.card_amount
        data = rec.ApprovalFinished(
            device=device, outcome="approved", amount=amount, token=result.amount is None
        )
        desk.write(data, saga.vend)
        desk.tell(Message.CARD_APPROVED, selection=saga.selection, amount=amount, seconds=30.0)
    elif saga.refund_refused and _may_be_kept(saga, result):
        # It is over, and by its own words the reader has kept what it had taken.
        detail = result.detail if isinstance(result, Failed) else result.reason
        desk.write(
            rec.ApprovalFinished(
                device=device, outcome="charged", amount=saga.card_amount, detail=detail[:100]
            ),
            saga.vend,
        )
    elif isinstance(result, Denied):
        cancelled = result.reason == "cancelled"
        if result.review:
            desk.flag("reader gone while it was asked", saga.vend, saga.card_amount)
        desk.write(
            rec.ApprovalFinished(
                device=device,
                outcome="cancelled" if cancelled else "denied",
                detail=result.reason[:100],
            ),
            saga.vend,
        )
    elif isinstance(result, Charged):
        desk.write(charged(saga, result), saga.vend)
    elif result.unknown:
        # It may have been charged, and the reader's own reset will make that final.
        desk.flag("approval unknown", saga.vend, saga.card_amount)
        desk.write(
            rec.ApprovalFinished(
                device=device,
                outcome="unknown",
                amount=saga.card_amount,
                detail=result.detail[:100],
            ),
            saga.vend,
        )
    else:
        desk.write(
            rec.ApprovalFinished(device=device, outcome="not_sent", detail=result.detail[:100]),
            saga.vend,
        )
    return True


def _may_be_kept(saga: Saga, result: Denied | Charged | Failed) -> bool:
    """Tell whether a refund error would be of this request: a cancelled vend has them as well."""
    if isinstance(result, Failed):
        return result.unknown
    return isinstance(result, Denied) and saga.cancel_intended


def charged(saga: Saga, result: Charged) -> rec.ApprovalFinished:
    """Given up too late: what the reader keeps is owed, to the cent, and nothing is in doubt."""
    token = result.amount is None
    return rec.ApprovalFinished(
        device=saga.device, outcome="charged",
        amount=saga.card_amount if result.amount is None else result.amount,
        token=token, detail=result.reason[:100],
    )  # fmt: skip


def book_settle(
    desk: Desk, saga: Saga, *, success: bool, result: SettleOutcome | RefundOutcome | Failed
) -> bool:
    """Write down what the reader made of the outcome; False if nobody waits for it."""
    if saga.intent != "settle":
        return False
    outcome = "unknown" if isinstance(result, Failed) else result.value
    if not success and saga.refund_refused:
        outcome = RefundOutcome.REFUSED.value  # it said so, whatever else it says
    if success and outcome == SettleOutcome.DENIED:
        desk.flag("card denied after all", saga.vend, saga.card_amount)
    if not success and outcome in ("unknown", "already"):
        desk.flag(f"card refund {outcome}", saga.vend, saga.card_amount)
    desk.write(
        rec.SettleFinished(
            device=saga.device, success=success, outcome=outcome, amount=saga.card_amount
        ),
        saga.vend,
    )
    return True


def refund_refused(desk: Desk, report: RefundErrorReport) -> None:
    """The reader says that the money of a failed vend did not go back: it says so only once."""
    device = report.device.value
    saga = next(
        (s for s in desk.state.sagas.values() if s.device == device and s.intent in _CARD_ACTS),
        None,
    )
    if saga is None or not saga.refund_refused:
        vend = None if saga is None else saga.vend
        data = rec.RefundRefused(device=device, code=report.code, amount=report.amount)
        desk.write(data, vend)


def given_up(desk: Desk, report: RequestGivenUpReport) -> None:
    """A driver ends a request by itself: the intent, as for a cancel of ours."""
    device = report.device.value
    for saga in desk.state.sagas.values():
        if saga.intent == "approval" and saga.device == device and not saga.cancel_intended:
            desk.write(rec.ApprovalCancelIntended(device=device), saga.vend)
