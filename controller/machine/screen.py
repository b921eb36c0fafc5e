"""From what is true to what the customer reads and what the acceptors take. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from controller.faults import FaultCode
from controller.machine import languages, orders
from controller.machine.cash import changeable
from controller.machine.desk import READERS, Desk, Notice
from controller.machine.table import Mode
from controller.panel.view import Message, PanelView
from controller.ports import BillInfo, ChangerInfo, DeviceName
from controller.saga import revalue
from controller.saga.basket import price_of
from controller.saga.claims import grouped
from controller.saga.rights import takes_tokens


@dataclass(frozen=True, slots=True)
class Acceptance:
    """What may be taken now."""

    coins: frozenset[int] = frozenset()  # coin types
    bills: frozenset[int] = frozenset()  # bill types
    cards: bool = False
    manual: bool = False  # the changer's own dispense switches


NOTHING = Acceptance()
_NONE: Final[frozenset[int]] = frozenset()


class Acceptor:
    """Says what the acceptors should take; it is asked after every key, and seldom says another."""

    def __init__(self, desk: Desk) -> None:
        """Bind the desk; nothing was said."""
        self._desk = desk
        self._said = NOTHING
        # Types and values that the owner takes of what a device tells of; worked out once for both.
        self._coins: tuple[tuple[int, int], ...] = ()
        self._tokens: frozenset[int] = _NONE
        self._coins_of: tuple[object, object] = (None, None)
        self._bills: tuple[tuple[int, int], ...] = ()
        self._bills_of: tuple[object, object] = (None, None)

    def now(self) -> Acceptance:
        """Return what the acceptors should take in this state."""
        coins, bills, cards, manual = self._taken()
        said = self._said
        if (
            coins != said.coins
            or bills != said.bills
            or cards is not said.cards
            or manual is not said.manual
        ):
            self._said = Acceptance(coins, bills, cards, manual)
        return self._said

    def _taken(self) -> tuple[frozenset[int], frozenset[int], bool, bool]:
        desk, live = self._desk, self._desk.live
        mode = desk.mode
        if mode is Mode.SERVICE:
            changer = live.ready.get(DeviceName.CHANGER)
            filled = _NONE
            if isinstance(changer, ChangerInfo) and live.fill_mode:
                filled = frozenset(c.type for c in changer.coins if c.value)
            return filled, _NONE, False, True
        saga = desk.customer_saga() if mode is Mode.AUTHORISING else None
        choosing = saga is not None and saga.intent == "approval" and live.session is None
        if not (mode.selling or choosing):
            asked = live.session is not None or bool(live.asks_after_bill)
            return _NONE, self._bills_of_a_jam(), mode.vending and asked, False
        credit = desk.credit
        coins = bills = _NONE
        changer = live.ready.get(DeviceName.CHANGER)
        # Without its cassette a coin falls into the cash box, and nothing gives it back.
        if isinstance(changer, ChangerInfo) and live.tubes_checked and not desk.tubes_out:
            coins = self._coins_taken(changer, credit)
        validator = live.ready.get(DeviceName.BILL)
        if (
            isinstance(validator, BillInfo)
            and not choosing
            and not live.stacker_full
            and live.stacker_checked
            and ((jammed := jam_is_claimed(desk)) or desk.state.escrow is None)
        ):
            bills = self._bills_taken(validator, credit, jammed=jammed)
        return coins, bills, True, False

    def _bills_of_a_jam(self) -> frozenset[int]:
        """Return what a jammed validator is enabled for where nothing is sold: nothing is kept.

        A machine that has shut itself waits for days: who frees the bill meanwhile has the claim
        as well.
        """
        desk = self._desk
        validator = desk.live.ready.get(DeviceName.BILL)
        hears = desk.mode is Mode.OUT_OF_SERVICE and not desk.journal.read_only
        if not (hears and isinstance(validator, BillInfo) and validator.has_escrow):
            return _NONE
        if not (jam_is_claimed(desk) and desk.live.stacker_checked):
            return _NONE
        return _each(validator)

    def _coins_taken(self, changer: ChangerInfo, credit: int) -> frozenset[int]:
        desk, policy = self._desk, self._desk.policy
        if self._coins_of[0] is not changer or self._coins_of[1] is not policy:
            self._coins_of = (changer, policy)
            self._coins = tuple(
                (c.type, c.value)
                for c in changer.coins
                if not c.token and policy.takes_coin(c.value)
            )
            self._tokens = frozenset(c.type for c in changer.coins if c.token)
        room = policy.max_credit - credit
        coins = frozenset([type_ for type_, value in self._coins if value <= room])
        if self._tokens and room >= 0 and takes_tokens(desk):
            return coins | self._tokens
        return coins

    def _bills_taken(self, validator: BillInfo, credit: int, *, jammed: bool) -> frozenset[int]:
        desk, policy = self._desk, self._desk.policy
        if self._bills_of[0] is not validator or self._bills_of[1] is not policy:
            self._bills_of = (validator, policy)
            self._bills = tuple(
                (b.type, b.value) for b in validator.bills if policy.takes_bill(b.value)
            )
        most, limit = policy.max_credit, revalue.bill_limit(desk)
        bills = frozenset(
            [
                type_
                for type_, value in self._bills
                if credit + value <= most
                and (limit is None or value <= limit)
                and (not policy.bill_needs_change or changeable(desk, credit + value))
            ]
        )
        if jammed and not bills and validator.has_escrow:
            return _each(validator)
        return bills


def _each(validator: BillInfo) -> frozenset[int]:
    return frozenset([bill.type for bill in validator.bills])


def jam_is_claimed(desk: Desk) -> bool:
    """Tell whether a bill is jammed in escrow, and its customer has a claim for it.

    A jammed validator is disabled by itself. It goes on being enabled by us, even for bills that
    would not be taken, because only then its "disabled" tells that it is not mended yet. One that
    comes in the very moment of mending goes back.
    """
    held = desk.state.escrow
    if held is None or not held.claimed:
        return False
    return f"{held.device} {FaultCode.BILL_JAM.value}" in desk.state.faults


def exact_change_only(desk: Desk) -> bool:
    """Tell whether some accepted coin could leave a customer without change.

    That is so too when the owner's margin can't be paid, before the first customer finds out.
    """
    tubes = desk.tubes()
    if DeviceName.CHANGER not in desk.live.ready and not tubes:
        return False
    margin = desk.policy.exact_change_margin
    if margin and not desk.can_change(margin):
        return True
    return desk.change_rule().exact_change_only(tubes)


def view(desk: Desk) -> PanelView:
    """Return what to show now."""
    live, state = desk.live, desk.state
    currency = state.currency
    language = languages.shown(desk) or None
    credit = desk.credit
    cash = desk.takes_cash()
    cards = desk.takes_cards(READERS[0]) or desk.takes_cards(READERS[1])
    notice = live.notice
    if notice is not None and desk.now < notice.until_s:
        if notice.message is Message.INSERT_MORE:
            # As when it was reckoned: a bill that makes room is none until it is in the stacker.
            credit = (notice.price or 0) - (notice.amount or 0)
        message, amount, paid = _rest(desk, notice)
        cash = cash if message is not Message.CARD_REST else DeviceName.CHANGER in live.ready
        return PanelView(
            message,
            currency,
            language=language,
            selection=notice.selection,
            product=notice.text or _product(desk, notice.selection),
            price=notice.price,
            credit=credit if paid is None else paid,
            amount=amount,
            code=grouped(notice.code),
            cash=cash,
            cards=cards,
        )
    if live.code is not None and desk.mode.selling:
        return PanelView(Message.CODE_ENTRY, currency, language=language, code=grouped(live.code))
    basket = live.basket
    if basket.items and not basket.buying and desk.mode.selling:
        last = basket.items[-1]
        return PanelView(
            Message.BASKET, currency, language=language, selection=live.keyed or last,
            product="" if live.keyed else _product(desk, last), credit=credit,
            price=price_of(desk, basket.items), code=str(len(basket.items)),
        )  # fmt: skip
    match desk.mode:
        case Mode.BOOTING | Mode.RECOVERING:
            message = Message.STARTING
        case Mode.SERVICE:
            message = Message.SERVICE
        case Mode.OUT_OF_SERVICE if state.orders.lock is not None:
            message = Message.LOCKED
        case Mode.OUT_OF_SERVICE | Mode.STOPPING:
            message = _of_none(desk)
        case Mode.CREDIT if live.session is not None and not credit:
            message = Message.SESSION
        case Mode.CREDIT if not credit and state.rights:
            return _waiting_right(desk, language)
        case Mode.CREDIT:
            message = _of_credit(desk)
        case Mode.IDLE if live.ready and not (cash or cards or state.rights):
            message = Message.OUT_OF_SERVICE
        case Mode.IDLE if not live.keyed and (text := orders.notice(desk)):
            return PanelView(
                Message.NOTICE, currency, language=language, product=text,
                exact_change=exact_change_only(desk), cash=cash,
            )  # fmt: skip
        case Mode.IDLE:
            message = Message.WELCOME
        case _:
            message = Message.STARTING
    key, other = languages.offered(desk) if message is Message.WELCOME else ("", "")
    return PanelView(
        message,
        currency,
        language=language,
        selection=live.keyed,
        credit=credit,
        amount={Message.SESSION: live.session_funds, Message.OWED: credit}.get(message),
        exact_change=message in (Message.WELCOME, Message.CREDIT) and exact_change_only(desk),
        cash=cash,
        cards=cards,
        key=desk.policy.revalue_key if message is Message.CREDIT_CARD else key,
        other=other,
    )


def _of_none(desk: Desk) -> Message:
    """Return what is said where nothing is sold: whose credit waits sees it, and "*" returns it."""
    owes = desk.credit and desk.mode is Mode.OUT_OF_SERVICE
    return Message.OWED if owes else Message.OUT_OF_SERVICE


def _of_credit(desk: Desk) -> Message:
    return Message.CREDIT_CARD if revalue.offered(desk) else Message.CREDIT


def _rest(desk: Desk, notice: Notice) -> tuple[Message, int | None, int | None]:
    """Return what is said of a card, what it (or coins) must pay, and what the customer has paid.

    None paid: nothing is asked of a card, or all of the price is.
    """
    message, price, amount = notice.message, notice.price, notice.amount
    if message not in (Message.CARD_PRESENT, Message.CARD_WAIT) or amount is None or price is None:
        return message, amount, None
    held = price - amount
    if message is Message.CARD_WAIT:
        return (Message.CARD_WAIT_REST, amount, held) if held else (message, amount, None)
    paid = held + desk.state.credit.total  # coins are taken on, and may pay all of it
    return (Message.CARD_REST, max(0, price - paid), paid) if paid else (message, amount, None)


def _waiting_right(desk: Desk, language: str | None) -> PanelView:
    """Return what a customer without money sees: a token, a free vend or an app's credit."""
    right = min(desk.state.rights.values(), key=lambda one: (not one.column, one.seq))
    message = {
        "app": Message.APP_CREDIT,
        "free": Message.FREE_VEND,
        "token": Message.VEND_COIN,
    }[right.kind]
    return PanelView(
        message,
        desk.state.currency,
        language=language,
        selection=desk.live.keyed or right.column,
        product=_product(desk, right.column),
        amount=right.amount or None,
        cash=True,
    )


def _product(desk: Desk, selection: str) -> str:
    column = desk.planogram.find(selection)
    return desk.planogram.products[column.product].name if column is not None else ""
