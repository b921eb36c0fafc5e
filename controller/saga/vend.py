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
    CheckSensor,
    Failed,
    ReportCashSale,
)
from controller.machine.table import Mode, Trigger
from controller.panel.view import Message
from controller.ports import (
    Approved,
    Charged,
    Denied,
    DispenseOutcome,
    DispenseResult,
    ReaderInfo,
    RefundOutcome,
    SensorCheck,
    SettleOutcome,
    Tone,
)
from controller.saga import age, basket_rules, cards, dispensing, escrow, late_card, revalue, rights
from controller.saga.escrow import Secured
from controller.saga.give_back import give_back, open_claim
from controller.saga.strategy import REFUSALS
from controller.state.saga import Saga

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
    reader = None if credit >= price else cards.reader_for(desk)
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
        cards.request(desk, saga, reader)
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


def enough(desk: Desk, selection: str) -> bool:
    """Tell whether credit and rights cover a selection's price."""
    price = desk.planogram.columns[selection].price
    right = rights.best(desk, selection)
    return desk.credit >= price - (0 if right is None else right.worth(price))


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
    if not saga.bill_asked and dispensing.next_column(desk, saga) is None:
        _dispense(desk, saga)  # which says why: a bill that waits for it goes back itself
        return
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
    stops = desk.mode is Mode.STOPPING  # nothing new is begun, and nobody may come for a minute
    reader = None if stops else cards.reader_for(desk)
    if reader is None:  # the card was taken away while its bill was stacked
        why = "stopping" if stops else "no reader"
        desk.write(rec.DispenseRefused(column=saga.column, reason=why), saga.vend)
        advance(desk, saga)
    else:
        cards.request(desk, saga, reader)


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
        cards.tell_outcome(desk, saga, success=True)
        return False
    cash = saga.held_coins + saga.held_bills
    rights.use(desk, saga)
    if saga.held:
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
        cards.tell_outcome(desk, saga, success=False)
        return False
    if saga.card == "lost" and saga.card_amount:
        # Card money never becomes coins: what the reader can't give back is a claim.
        open_claim(desk, saga, saga.card_amount, "card", "the reader could not refund")
    if saga.held:
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


# -------------------------------------------------------------------------------- outcomes


def approval_finished(desk: Desk, saga: Saga, result: Approved | Denied | Charged | Failed) -> None:
    """VEND REQUEST was answered, or not."""
    if cards.book_approval(desk, saga, result):
        advance(desk, saga)


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
    if cards.book_settle(desk, saga, success=success, result=result):
        advance(desk, saga)
