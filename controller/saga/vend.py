"""The vend saga: reserve, authorise, dispense, settle, change; each an intent, an act, an outcome.

``advance`` looks only at the folded saga and takes the next step; it is called after every
outcome and, at boot, for every open saga, so recovery runs the very steps that selling runs.
Compensators run in reverse order and only ever act on what the fold says is still held: card,
then cash, then the payout, and last the claim.
"""

from __future__ import annotations

from typing import Final

from controller.domain.stock import Refusal
from controller.domain.tubes import can_change
from controller.faults import FaultCode
from controller.journal import records as rec
from controller.machine.desk import READERS, Desk
from controller.machine.effects import (
    Beep,
    CancelApproval,
    CheckSensor,
    Failed,
    ReportCashSale,
    RequestApproval,
    Settle,
    Wake,
)
from controller.machine.table import Mode, Trigger
from controller.panel.view import Message
from controller.ports import (
    Approved,
    Charged,
    Denied,
    DeviceName,
    DispenseOutcome,
    DispenseResult,
    ReaderInfo,
    RefundErrorReport,
    RefundOutcome,
    RequestGivenUpReport,
    SensorCheck,
    SettleOutcome,
    Tone,
)
from controller.saga import age, basket_rules, dispensing, escrow, late_card, revalue, rights
from controller.saga.escrow import Secured
from controller.saga.give_back import give_back, open_claim
from controller.saga.strategy import REFUSALS
from controller.state.saga import Saga

_CARD_ACTS: Final = ("approval", "settle")  # a refund error may come of either
REFUSED: Final = {
    Refusal.OUT_OF_ORDER: Message.UNAVAILABLE,
    Refusal.UNHEALTHY: Message.TOO_WARM,
}


# ------------------------------------------------------------------------------------ begin


def select(desk: Desk, selection: str) -> Saga | None:
    """A customer keyed a selection: open a vend, or say why not."""
    column = desk.planogram.find(selection)
    if column is None:
        desk.tell(Message.INVALID_SELECTION, selection=selection)
        desk.do(Beep(Tone.ERROR))
        return None
    candidates = rights.candidates(desk, selection)
    if isinstance(candidates, Refusal):
        desk.live.tried = True
        desk.tell(
            REFUSED.get(candidates, Message.SOLD_OUT),
            selection=selection,
            price=column.price,
        )
        desk.do(Beep(Tone.ERROR))
        return None
    if age.missing(desk, selection):
        desk.live.tried = True
        age.ask(desk, selection)
        return None
    right = rights.best(desk, selection)
    price, free = column.price, desk.state.credit.total
    price -= 0 if right is None else right.worth(price)
    bill = escrow.waiting(desk) if free < price else None  # else it is not needed
    credit = free + (0 if bill is None else bill.value)
    reader = None if credit >= price else _reader_for(desk)
    basket, place, of = basket_rules.place(desk)
    first = bill is not None and reader is not None and escrow.stacked_first(desk, reader)
    if first and bill is not None and not escrow.worth_returnable(desk, bill):
        reader = None  # the card could not be undone, nor the bill: coins may pay the rest
    if credit < price and reader is None:
        if credit:
            escrow.make_room(desk)
            desk.tell(Message.INSERT_MORE, selection=selection, price=price, amount=price - credit)
        else:
            desk.tell(Message.PRICE, selection=selection, price=price)
        return None
    change = max(0, min(credit - price, credit - desk.state.credit.product))
    alone = not desk.policy.multi_vend and not basket  # else its change is not paid now
    desk.live.tried = True
    if change and alone and not can_change(change, desk.tubes()):
        desk.tell(Message.EXACT_CHANGE_ONLY, selection=selection, price=price)
        desk.do(Beep(Tone.ERROR))
        desk.asks_tubes()
        return None
    saga = desk.open(
        rec.VendOpened(
            selection=selection,
            column=candidates[0],
            product=column.product,
            price=column.price,
            item=column.item,
            bill=0 if bill is None else min(bill.value, price - free),
            basket=basket,
            place=place,
            of=of,
            offer=column.offer,
            discount=column.discount,
        )
    )
    desk.step(Trigger.SELECT)
    if right is not None:
        rights.hold(desk, saga, right)
    cash = desk.state.credit.pick(min(free, price))
    if cash is not None and cash.amount:
        desk.write(
            rec.CreditAuthorised(
                coins=cash.coins, bills=cash.bills, lots=cash.lots, product=cash.product
            ),
            saga.vend,
        )
    if reader is not None and first:
        desk.live.asks_after_bill[saga.vend] = reader
    elif reader is not None:
        saga = _request_approval(desk, saga, reader)
    advance(desk, saga)
    return saga


def open_test(desk: Desk, column: str, by: str) -> Saga:
    """A technician's test vend: everything but the money."""
    found = desk.planogram.columns[column]
    saga = desk.open(
        rec.VendOpened(
            selection=column, column=column, product=found.product, price=0, item=found.item,
            test=True, by=by,
        )
    )  # fmt: skip
    advance(desk, saga)
    return saga


def give_credit_back(desk: Desk, reason: str) -> Saga | None:
    """Give all credit back without a vend; None when nothing has to be paid out."""
    basket_rules.give_up(desk)  # what it lacks would be bought with the next customer's money
    amount = desk.state.credit.total
    if not amount and not rights.tokens(desk):
        escrow.hand_back(desk, reason)
        return None
    saga = desk.open(rec.CreditReturnOpened(amount=amount, reason=reason))
    advance(desk, saga)
    return saga


def held(saga: Saga) -> int:
    """Return the credit that is locked for a vend, in minor units."""
    return saga.held_coins + saga.held_bills + saga.held_product


def due(saga: Saga) -> int:
    """Return what of the price neither credit, a bill in escrow nor a right covers yet."""
    return saga.price - saga.right_worth - held(saga) - saga.bill_due


def enough(desk: Desk, selection: str) -> bool:
    """Tell whether credit and rights cover a selection's price."""
    price = desk.planogram.columns[selection].price
    right = rights.best(desk, selection)
    return desk.credit >= price - (0 if right is None else right.worth(price))


def _reader_for(desk: Desk) -> DeviceName | None:
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
        and desk.state.credit.total >= due(saga)
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


def _request_approval(desk: Desk, saga: Saga, reader: DeviceName) -> Saga:
    amount = due(saga)
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
    return saga


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


# ---------------------------------------------------------------------------------- advance


def advance(desk: Desk, saga: Saga) -> None:
    """Take the saga's next step, or none while an act of its is under way."""
    if saga.intent or saga.vend in desk.live.busy:
        return
    if saga.kind == "late":
        late_card.advance(desk, saga)
        return
    if saga.kind == "revalue":
        revalue.advance(desk, saga)
        return
    if saga.kind == "vend":
        if saga.dispensed:
            if not _settle(desk, saga):
                return
        elif not saga.failed:
            _pay(desk, saga)
            return
        elif not _compensate(desk, saga):
            return
    give_back(desk, saga)


def _pay(desk: Desk, saga: Saga) -> None:
    """Dispense once the whole price is locked or approved; or see to what is missing."""
    match escrow.secure(desk, saga):
        case Secured.ON_ITS_WAY:
            return
        case Secured.GONE:
            advance(desk, saga)
            return
        case Secured.YES if desk.live.asks_after_bill.pop(saga.vend, None) is None:
            _dispense(desk, saga)
            return
        case Secured.YES if dispensing.next_column(desk, saga) is None:
            _dispense(desk, saga)  # which says why: this card could not be undone
            return
        case Secured.YES:
            pass
    reader = _reader_for(desk)
    if reader is None:  # the card was taken away while its bill was stacked
        desk.write(rec.DispenseRefused(column=saga.column, reason="no reader"), saga.vend)
        advance(desk, saga)
    else:
        _request_approval(desk, saga, reader)


def _dispense(desk: Desk, saga: Saga) -> None:
    column = dispensing.next_column(desk, saga)
    if column is None:
        held = dispensing.held_back(desk, saga, saga.column)
        reason = saga.turns[-1][1] if saga.turns else held
        desk.write(rec.DispenseRefused(column=saga.column, reason=reason), saga.vend)
        advance(desk, saga)
        return
    desk.step(Trigger.DISPENSE)
    again = bool(saga.turns)
    first = Message.VENDING_CARD if saga.card == "approved" else Message.VENDING
    message = Message.TRYING_AGAIN if again else first
    desk.tell(message, selection=saga.selection, seconds=30.0)
    if again and column == saga.turns[-1][0]:
        # No check before the extra turn: it would clear the latch, and with it a late drop.
        dispensing.turn(desk, saga, column, "ready", extra=True)
        return
    desk.live.busy[saga.vend] = "check"
    desk.do(CheckSensor(saga.vend, column, again))


def _settle(desk: Desk, saga: Saga) -> bool:
    """Earn the money. False while the reader is being told."""
    if desk.mode is not Mode.PAYING_OUT:
        desk.step(Trigger.SETTLE)
    if saga.card == "approved":
        _tell_reader(desk, saga, success=True)
        return False
    cash = saga.held_coins + saga.held_bills
    rights.use(desk, saga)
    if held(saga):
        desk.write(
            rec.VendSettled(cash=cash, lots=tuple(saga.lots), product=saga.held_product),
            saga.vend,
        )
        for name in READERS:
            info = desk.live.ready.get(name)
            if cash and isinstance(info, ReaderInfo) and info.cash_sale:
                desk.do(ReportCashSale(name, cash, saga.item))
    return True


def _compensate(desk: Desk, saga: Saga) -> bool:
    """Undo in reverse. False while the reader is being told."""
    if desk.mode is not Mode.PAYING_OUT:
        if desk.mode.vending and saga.failed not in REFUSALS:
            desk.tell(Message.NOT_DISPENSED, selection=saga.selection, seconds=30.0)
        desk.step(Trigger.COMPENSATE)
    if saga.card == "approved":
        _tell_reader(desk, saga, success=False)
        return False
    if saga.card == "lost" and saga.card_amount:
        # Card money never becomes coins: what the reader can't give back is a claim.
        open_claim(desk, saga, saga.card_amount, "card", "the reader could not refund")
    if held(saga):
        desk.write(
            rec.CreditRestored(
                coins=saga.held_coins,
                bills=saga.held_bills,
                lots=tuple(saga.lots),
                product=saga.held_product,
            ),
            saga.vend,
        )
    rights.give_back(desk, saga)
    return True


def _tell_reader(desk: Desk, saga: Saga, *, success: bool) -> None:
    desk.write(
        rec.SettleIntended(
            device=saga.device, success=success, item=saga.item, amount=saga.card_amount
        ),
        saga.vend,
    )
    desk.do(Settle(saga.vend, DeviceName(saga.device), success, saga.item))


# -------------------------------------------------------------------------------- outcomes


def approval_finished(desk: Desk, saga: Saga, result: Approved | Denied | Charged | Failed) -> None:
    """VEND REQUEST was answered, or not."""
    if saga.intent != "approval":
        return
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
    advance(desk, saga)


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


def sensor_checked(desk: Desk, saga: Saga, column: str, result: SensorCheck | Failed) -> None:
    """The drop sensor can see, or the vend ends here."""
    desk.live.busy.pop(saga.vend, None)
    if saga.failed or saga.dispensed or saga.intent:
        return
    if isinstance(result, Failed) or result is SensorCheck.BLIND:
        desk.raise_fault("sensor", FaultCode.SENSOR_BLIND)
        desk.write(rec.DispenseRefused(column=column, reason="sensor blind"), saga.vend)
        advance(desk, saga)
        return
    if dispensing.held_back(desk, saga, column):
        advance(desk, saga)  # since the sensor was looked at, which may take seconds
        return
    dispensing.turn(desk, saga, column, result.value, extra=False)


def turn_finished(desk: Desk, saga: Saga, column: str, result: DispenseResult | Failed) -> None:
    """The motor has stopped."""
    if saga.intent != "dispense":
        return
    if isinstance(result, Failed):
        result = DispenseResult(DispenseOutcome.UNKNOWN, detail=result.detail)
    outcome = result.outcome
    unturned = outcome is DispenseOutcome.BLIND and not result.run_s and not saga.turns
    desk.write(
        rec.DispenseFinished(
            column=column,
            outcome=outcome.value,
            drops=result.drops,
            run_ms=round(result.run_s * 1000),
            detail=result.detail[:100],
            trouble="" if result.trouble is None else result.trouble.value,
        ),
        saga.vend,
    )
    if unturned:  # no column has turned for this vend: whatever the sensor saw was not for it
        desk.raise_fault("sensor", FaultCode.SENSOR_BLIND)
        desk.write(rec.DispenseRefused(column=column, reason="sensor blind"), saga.vend)
    else:
        dispensing.judge_turn(desk, saga, column, outcome)
    if outcome is DispenseOutcome.DROPPED and result.trouble is None:
        dispensing.works_again(desk, column)
    if result.trouble is not None:
        dispensing.blame(desk, column, result.trouble)  # it would go on giving two for one
    if result.drops > 1:
        desk.flag("double drop", saga.vend)
    advance(desk, saga)


def settle_finished(
    desk: Desk, saga: Saga, *, success: bool, result: SettleOutcome | RefundOutcome | Failed
) -> None:
    """VEND SUCCESS or VEND FAILURE was heard, or not."""
    if book_settle(desk, saga, success=success, result=result):
        advance(desk, saga)


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


def approval_timed_out(desk: Desk, saga: Saga) -> None:
    """The reader has not answered in the time that the owner gives it."""
    if saga.intent == "approval":
        desk.live.timed_out.add(saga.vend)
        cancel_approval(desk, saga)


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


def cancel_approval(desk: Desk, saga: Saga) -> None:
    """The customer (or a time-out) ends a request that has no answer yet.

    One from before a restart is recovery's, which has a cancel of its own under way.
    """
    if saga.intent == "approval" and saga.intent_boot == desk.state.boot:
        desk.live.cancelling.add(saga.vend)
        if not saga.cancel_intended:
            desk.write(rec.ApprovalCancelIntended(device=saga.device), saga.vend)
        desk.do(CancelApproval(saga.vend, DeviceName(saga.device)))
