"""The end of a saga: what is owed goes back in coins, and last becomes a claim.

Nothing here moves money on belief: `proofs` books a payout by its evidence, and what the evidence
leaves open is a flagged claim that a person looks at before more leaves the machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from controller.domain.credit import Picked
from controller.domain.tubes import NOTHING as NO_PLAN
from controller.domain.tubes import (
    PayoutPlan,
    TubeCoins,
    best_partial,
    can_change,
    left_by_greatest_first,
)
from controller.journal import records as rec
from controller.machine import languages
from controller.machine.desk import Desk
from controller.machine.effects import (
    Beep,
    Payout,
    Wake,
)
from controller.machine.promises import promise, show_again
from controller.machine.table import Trigger
from controller.money import minor_units
from controller.panel.view import Message
from controller.ports import (
    ChangerInfo,
    DeviceName,
    PayoutOrder,
    Tone,
)
from controller.saga import age, basket_rules, escrow, jackpot, patience, rights
from controller.saga.proofs import PAYOUT_RETRY_S, payer_ready
from controller.saga.strategy import REFUSALS, Strategy, strategy_of
from controller.state.saga import Saga

SHORT_PAYOUTS_MAX: Final = 4  # orders that pay too little; a full one leaves a smaller debt
MAX_UNITS: Final = 255  # one byte of scaling factors (MDB/ICP 4.2, section 5, PAYOUT)
_COUNTING_S: Final = 10.0  # no two counts agree while a hand goes on filling the tubes
_PAYING_S: Final = 30.0  # "your change" is shown so long; a recycler takes that for each bill
NOTHING: Final = Picked((), 0, 0)


def _returns_credit(desk: Desk, saga: Saga) -> bool:
    """Tell whether this saga's end gives the remaining credit back."""
    if saga.kind == "return":
        return True
    if saga.test:
        return False
    if saga.dispensed:
        return not desk.policy.multi_vend
    if desk.policy.after_failure == "keep":
        return False
    return saga.failed not in REFUSALS  # then the customer may choose again


def _wants_credit(desk: Desk, saga: Saga) -> bool:
    """Tell whether credit goes back, be it that an earlier item of its basket left some."""
    return _returns_credit(desk, saga) or (saga.kind == "vend" and desk.state.basket_due)


def _waits_for_the_rest(desk: Desk, saga: Saga) -> bool:
    """Tell whether there is credit that this end would return, but for the rest of its basket."""
    goes_on = _wants_credit(desk, saga) and basket_rules.goes_on(desk, saga)
    return goes_on and desk.credit > 0


def give_back(desk: Desk, saga: Saga) -> None:
    """Pay what is owed and what credit this end returns, then close; or none while one is paid."""
    returns = _wants_credit(desk, saga) and not basket_rules.goes_on(desk, saga)
    if returns:
        escrow.hand_back(desk, saga.reason or "end of the vend")
    credit = desk.state.credit.cash if returns else 0
    total = saga.owed + credit
    if not total:
        _claim_rest(desk, saga)
        _close(desk, saga)
        return
    desk.step(Trigger.PAY_OUT)
    given_up = saga.short_payouts >= SHORT_PAYOUTS_MAX or not saga.payout_certain
    if not given_up and patience.pauses(desk, saga):
        return
    plan = best_partial(total, desk.tubes())
    if plan.amount < total and not saga.short_payouts:
        wider = best_partial(total, desk.last_resort())
        plan = wider if wider.amount > plan.amount else plan
    if saga.short_payouts >= patience.SURE_TRIES and plan.bills and _bills_came_last(saga):
        coins = best_partial(total, desk.coins())  # rather than to ask the recycler once more
        plan = coins if coins.amount >= plan.amount else plan
    if plan.amount < total and not given_up and _counts_first(desk, saga):
        return
    if given_up or patience.overdue(desk, saga):
        plan = _last_coins(desk, saga, total)
    if _wait_for_payers(desk, saga, plan, total):
        return
    device, order = _next_order(desk, saga, plan)
    picked = desk.state.credit.pick_cash() if credit else NOTHING
    if not order.amount:
        if credit:
            desk.write(
                rec.ShortfallBooked(coins=picked.coins, bills=picked.bills, lots=picked.lots),
                saga.vend,
            )
        reason = "payout uncertain" if not saga.payout_certain else "not enough coins"
        open_claim(desk, saga, saga.owed, "cash", reason)
        _claim_rest(desk, saga)
        _close(desk, saga)
        return
    desk.write(
        rec.PayoutIntended(
            amount=order.amount,
            plan=order.coins,
            by_value=order.by_value,
            coins=picked.coins,
            bills=picked.bills,
            lots=picked.lots,
            tubes=tuple(desk.state.pieces_of(device.value)),
            reason=saga.reason or ("change" if saga.dispensed else "refund"),
            attempt=saga.payouts + 1,
            device=device.value,
        ),
        saga.vend,
    )
    patience.ordered(desk, saga)
    desk.live.held_then[saga.vend] = tuple(desk.state.pieces_of(device.value))
    desk.do(Payout(saga.vend, order, device))
    desk.tell(_on_payout(saga), amount=plan.amount, seconds=_PAYING_S)


def _counts_first(desk: Desk, saga: Saga) -> bool:
    """Ask the tubes, once, before what can't be paid becomes a claim; the count goes on with it."""
    if saga.vend in desk.live.recounted:
        return False
    desk.live.recounted.add(saga.vend)
    if not desk.asks_tubes():
        return False
    # A line that has just gone answers late, and the debt's time runs on.
    desk.live.settling_since.setdefault(saga.vend, desk.now)
    desk.do(Wake(f"payout {saga.vend}", _COUNTING_S))
    return True


def _bills_came_last(saga: Saga) -> bool:
    return saga.paying == DeviceName.BILL.value


def _last_coins(desk: Desk, saga: Saga, total: int) -> PayoutPlan:
    """Return what is paid before the rest becomes a claim: coins, if a recycler was tried last.

    Nothing where it is not certain what was paid: a person must look before more leaves.
    """
    if saga.payout_certain and saga.short_payouts and _bills_came_last(saga):
        return best_partial(total, desk.coins())
    return NO_PLAN


def _next_order(desk: Desk, saga: Saga, plan: PayoutPlan) -> tuple[DeviceName, PayoutOrder]:
    """Return what to order first: the bills of greatest value, and coins when no bill is left.

    One command an order: after a restart PAYOUT STATUS tells of the last one alone. Where a changer
    that picks coins itself paid too little it is told which, every other time: it may offer what
    it does not do, and it may know of a tube what we don't.
    """
    values = {type_: value for type_, value, _ in desk.state.recycler_bills()}
    for type_, count in plan.bills:
        order = PayoutOrder(values[type_] * count, ((type_, count),))
        return DeviceName.BILL, order
    info = desk.live.ready.get(DeviceName.CHANGER)
    if not isinstance(info, ChangerInfo) or not info.pays_by_value:
        return DeviceName.CHANGER, PayoutOrder(plan.amount, plan.coins)
    most = minor_units(
        MAX_UNITS, scaling=info.scaling, decimals=info.decimals, currency=desk.state.currency
    )
    part = plan
    if plan.amount > most:
        part = _part_of(plan, most, {coins.type: coins.value for coins in desk.tubes()})
    by_value = not saga.short_payouts % 2 and _picks_well(
        desk, part.amount, plan.amount - part.amount
    )
    pays = part if by_value else plan
    return DeviceName.CHANGER, PayoutOrder(pays.amount, pays.coins, by_value=by_value)


def _picks_well(desk: Desk, amount: int, later: int) -> bool:
    """Tell whether a changer that picks coins itself pays this, and leaves what pays the rest.

    It knows nothing of the owner's reserve.
    """
    bad, kept = desk.live.defective_tubes, dict(desk.policy.tubes_kept)
    pieces = desk.state.pieces_of(DeviceName.CHANGER.value)
    tubes = [TubeCoins(*piece) for piece in pieces if piece[0] not in bad]
    reserve = {coins.type: min(coins.count, kept.get(coins.value, 0)) for coins in tubes}
    unpaid, left = left_by_greatest_first(amount, tubes)
    spare = [TubeCoins(one.type, one.value, one.count - reserve[one.type]) for one in left]
    return not unpaid and all(one.count >= 0 for one in spare) and can_change(later, spare)


def _part_of(plan: PayoutPlan, most: int, values: Mapping[int, int]) -> PayoutPlan:
    """Return what of a plan one command can order: its own coins, the greatest first.

    Another set of coins, though nearer to the limit, could leave a rest that no coins pay.
    """
    left, part = most, []
    for type_, count in plan.coins:
        if taken := min(count, left // values[type_]):
            left -= taken * values[type_]
            part.append((type_, taken))
    return PayoutPlan(most - left, tuple(part))


def _claim_rest(desk: Desk, saga: Saga) -> None:
    """What only buys is not wanted now: it becomes claims."""
    if saga.kind == "return" and desk.state.credit.product:
        _claim_product(desk, saga)
    if saga.kind == "return":
        rights.claim_tokens(desk, saga)


def _claim_product(desk: Desk, saga: Saga) -> None:
    """Credit that only buys and is not wanted now: its card claim, anew."""
    picked = desk.state.credit.pick_product()
    code = desk.mint(desk.journal.next_seq, picked.amount)
    desk.write(
        rec.ClaimOpened(
            amount=picked.amount,
            tender="card",
            code=code,
            reason="not used",
            lots=picked.lots,
            product=True,
        ),
        saga.vend,
    )
    promise(desk, Message.CLAIM, code, picked.amount)


def _on_payout(saga: Saga) -> Message:
    """Return what is said while coins fall: nobody is sorry for a return that was asked for."""
    if saga.dispensed:
        return Message.PAYING_CHANGE
    return Message.REFUND_COINS if saga.kind == "vend" else Message.COIN_RETURN


def _wait_for_payers(desk: Desk, saga: Saga, plan: PayoutPlan, total: int) -> bool:
    """Give an absent changer or recycler until the deadline before its debt becomes a claim.

    Nobody waits for one that the others can do without.
    """
    held = desk.state.escrow
    stacking = held is not None and not held.claimed  # a recycler pays nothing meanwhile
    if not (plan.bills and stacking) and (
        plan.amount == total or not _payer_away(desk, total - plan.amount)
    ):
        desk.live.settling_since.pop(saga.vend, None)
        return False
    left_s = patience.for_absent_s(desk, saga)
    if left_s <= 0:
        desk.live.timed_out.add(saga.vend)
        return False
    desk.do(Wake(f"payout {saga.vend}", min(PAYOUT_RETRY_S, left_s)))
    desk.tell(Message.STARTING, seconds=PAYOUT_RETRY_S * 2)
    return True


def _payer_away(desk: Desk, lacking: int) -> bool:
    """Tell whether a device that could pay more of this has been there and does not answer."""
    state = desk.state
    if DeviceName.CHANGER.value in state.devices and not payer_ready(desk, DeviceName.CHANGER):
        return True
    could = any(count > 0 and value <= lacking for _, value, count in state.recycler_bills())
    return could and not payer_ready(desk, DeviceName.BILL)


def _close(desk: Desk, saga: Saga) -> None:
    if saga.test:
        result = "tested"
    elif saga.dispensed:
        result = "sold"
    elif saga.claimed or saga.tokens_claimed:
        result = "claimed"
    elif saga.kind == "vend" and saga.failed in REFUSALS:
        result = "refused"
    else:
        result = "refunded"
    timed_out = saga.vend in desk.live.timed_out
    strategy = strategy_of(saga, timed_out=timed_out)
    desk.write(
        rec.VendClosed.model_validate(
            {
                "result": result,
                "flags": tuple(saga.flags),
                "compensation": strategy.value,
                "kept": _waits_for_the_rest(desk, saga),
            }
        ),
        saga.vend,
    )
    if desk.state.credit.total or rights.tokens(desk):
        desk.credit_is_new()  # its customer was here just now
    if saga.dispensed or saga.kind == "return":
        age.gone(desk)
    patience.forget(desk, saga)
    desk.live.asks_after_bill.pop(saga.vend, None)
    desk.live.cancelling.discard(saga.vend)
    jackpot.guard(desk, dict.fromkeys(column for column, _ in saga.turns))
    desk.answer(
        f"vend {saga.vend}",
        {
            "vend": saga.vend,
            "result": result,
            "turns": [{"column": c, "outcome": o} for c, o in saga.turns],
            "reason": saga.failed,
            "paid_back": saga.paid_back,
            "claimed": saga.claimed,
        },
    )
    desk.live.revalue_asked = False  # a card may have paid: its limit is another one now
    if saga.device and not basket_rules.keeps_session(desk, saga):
        desk.end_session(DeviceName(saga.device))
    basket_rules.closed(desk, saga)
    _farewell(desk, saga)
    if desk.mode.vending:
        desk.fire(Trigger.FINISH)
    if timed_out and saga.failed == "cancelled" and desk.mode.selling:
        escrow.make_room(desk)  # nobody came with a card for the rest


def _farewell(desk: Desk, saga: Saga) -> None:
    """Say what came of it; a claim's code stays on the display."""
    languages.done(desk)
    shown = show_again(desk, saga)
    if shown or saga.claimed or saga.tokens_claimed:
        return
    if saga.dispensed:
        desk.tell(Message.TAKE_PRODUCT, selection=saga.selection)
        desk.do(Beep(Tone.OK))
    elif saga.failed in ("denied",):
        desk.tell(Message.CARD_DECLINED, selection=saga.selection, price=saga.price)
        desk.do(Beep(Tone.ERROR))
    elif saga.card == "refunded":
        desk.tell(Message.REFUND_CARD, amount=saga.card_amount or None)
        desk.do(Beep(Tone.ERROR))
    elif saga.paid_back and saga.kind == "vend":
        desk.tell(Message.REFUND_COINS, amount=saga.paid_back)
        desk.do(Beep(Tone.ERROR))
    elif saga.paid_back:
        desk.tell(Message.COIN_RETURN, amount=saga.paid_back)
    elif saga.app_refunded:
        desk.tell(Message.REFUND_APP, amount=saga.app_refunded)
        desk.do(Beep(Tone.ERROR))
    elif saga.kind == "vend" and saga.failed not in REFUSALS and not saga.test:
        desk.tell(Message.NOT_DISPENSED, selection=saga.selection)  # what it was to cost is kept
        desk.do(Beep(Tone.ERROR))
    else:
        desk.live.notice = None


def open_claim(
    desk: Desk, saga: Saga, amount: int, tender: str, reason: str, *, escrow: bool = False
) -> None:
    """Promise what can't be given back now: "cash" that is owed, or "card" money that is held."""
    code = desk.mint(desk.journal.next_seq, amount)
    flagged = bool(saga.flags) or not saga.payout_certain
    desk.write(
        rec.ClaimOpened(
            amount=amount,
            tender="card" if tender == "card" else "cash",
            code=code,
            reason=reason,
            device=saga.device if tender == "card" else "",
            flagged=flagged,
            lots=tuple(saga.payout_lots) if tender == "cash" else (),
            escrow=escrow,
        ),
        saga.vend,
    )
    promise(desk, Message.CLAIM, code, amount)


def claim_escrow(desk: Desk, amount: int, doubt: str = "") -> None:
    """A bill is stuck in escrow: its customer gets a claim for it (field lesson: weak stacker).

    ``doubt`` says why the bill may come back to the customer all the same.
    """
    saga = desk.open(rec.CreditReturnOpened(amount=0, reason="bill stuck in escrow"))
    if doubt:
        desk.flag(doubt, saga.vend, amount)
    open_claim(desk, saga, amount, "cash", "bill stuck in escrow", escrow=True)
    desk.write(rec.VendClosed(result="claimed", compensation=Strategy.TIME_OUT.value), saga.vend)


def claim_inherited(desk: Desk) -> None:
    """Card money that a broken journal held: its reader can't be told any more, so it is owed."""
    for device, amount, unknown in list(desk.state.cards_owed):
        saga = desk.open(rec.CreditReturnOpened(amount=0, reason="a new journal began"))
        if unknown:
            desk.flag("approval unknown", saga.vend, amount)
        code = desk.mint(desk.journal.next_seq, amount)
        desk.write(
            rec.ClaimOpened(
                amount=amount,
                tender="card",
                code=code,
                reason="the journal broke",
                device=device,
                flagged=unknown,
                inherited=True,
            ),
            saga.vend,
        )
        desk.write(rec.VendClosed(result="claimed"), saga.vend)
        promise(desk, Message.CLAIM, code, amount)
