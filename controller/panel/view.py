"""What the panel should say, as a value: decided by the machine, put into words by ``render``."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Message(StrEnum):
    """The one thing that the customer is told at a moment."""

    STARTING = "starting"  # booting or recovering
    WELCOME = "welcome"
    CREDIT = "credit"  # money is in; choose
    CREDIT_CARD = "credit_card"  # the same; a key puts it on the card
    SESSION = "session"  # a card is in; choose (amount: its balance, where it may be shown)
    MUST_VEND = "must_vend"  # money comes back only after a vend was tried
    PRICE = "price"  # of the selection that was keyed
    INSERT_MORE = "insert_more"  # the credit does not cover the price; amount: what is missing
    SOLD_OUT = "sold_out"
    UNAVAILABLE = "unavailable"  # the column has a fault
    TOO_WARM = "too_warm"  # the health timer holds it back
    INVALID_SELECTION = "invalid_selection"
    EXACT_CHANGE_ONLY = "exact_change_only"  # this sale would need change that is not there
    BILL_REFUSED = "bill_refused"  # no change for it
    BILL_BACK = "bill_back"  # the bill itself comes back
    CARD_PRESENT = "card_present"  # hold it to the reader
    CARD_REST = "card_rest"  # the same for what credit leaves; amount: what is missing
    CARD_WAIT = "card_wait"  # the reader decides
    CARD_WAIT_REST = "card_wait_rest"  # the same; amount: what credit leaves for the card
    CARD_APPROVED = "card_approved"
    CARD_DECLINED = "card_declined"
    REVALUE_WAIT = "revalue_wait"  # amount: is being put on the card
    REVALUED = "revalued"  # amount: is on the card
    REVALUE_REFUSED = "revalue_refused"  # no card, no cash, or the reader does not want to
    CARD_TEXT = "card_text"  # what the reader wants shown, in ``product``
    NOTICE = "notice"  # what the operator wants shown, in ``product``, while nobody has begun
    LOCKED = "locked"  # out of service by the operator's word
    VENDING = "vending"
    VENDING_CARD = "vending_card"  # the same, on a card that has just been approved
    TRYING_AGAIN = "trying_again"  # not seen to drop
    TAKE_PRODUCT = "take_product"
    NOT_DISPENSED = "not_dispensed"  # given up; what is given back is said next, or kept
    PAYING_CHANGE = "paying_change"
    COIN_RETURN = "coin_return"
    REFUND_COINS = "refund_coins"
    REFUND_CARD = "refund_card"
    CODE_ENTRY = "code_entry"  # digits of a claim's code so far, in ``code``
    CODE_WRONG = "code_wrong"
    CODE_PAID = "code_paid"  # honoured here before, or paid by the operator otherwise
    CODE_FLEET = "code_fleet"  # only the operator can say whether it is still owed
    CODE_ASKED = "code_asked"  # the fleet is asked about another machine's code
    CODE_LATER = "code_later"  # owed, or nobody could say; not to be had here now
    CODE_THERE = "code_there"  # the same; it may be had at the machine in ``product``
    CODE_PAUSE = "code_pause"  # too many wrong codes
    REFUND_APP = "refund_app"  # amount: goes back to the app that granted it
    VEND_COIN = "vend_coin"  # a vend token is in; choose
    APP_CREDIT = "app_credit"  # amount: waits for the selection that it was granted for
    FREE_VEND = "free_vend"  # one product is free: of the selection, if one is named
    CLAIM_PRODUCT = "claim_product"  # code of a promise for a product
    AGE_PROVE = "age_prove"  # a card that proves an age (code: years) is asked for
    AGE_REFUSED = "age_refused"  # it did not
    AGE_UNKNOWN = "age_unknown"  # nobody here can check
    BASKET = "basket"  # selections so far (code: how many), and their price
    CLAIM = "claim"  # amount and code of a promise
    OUT_OF_SERVICE = "out_of_service"
    OWED = "owed"  # out of service with a customer's money in the books
    SERVICE = "service"  # a technician is at work


@dataclass(frozen=True, slots=True)
class PanelView:
    """Everything that may stand on the display; amounts are minor units of ``currency``."""

    message: Message
    currency: str
    language: str | None = None  # None: the machine's first
    selection: str = ""  # keyed so far, or being sold
    product: str = ""
    price: int | None = None
    credit: int = 0
    amount: int | None = None  # missing, paid back or owed, as the message says
    code: str = ""  # of a claim
    exact_change: bool = False
    cards: bool = True  # a reader works
    cash: bool = True  # coins or bills are taken
    key: str = ""  # shows another language, or puts credit on a card; "": none does
    other: str = ""  # that language
