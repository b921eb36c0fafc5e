"""A vend, or a return of credit, as long as it is open; and what is kept of it afterwards."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Intent = Literal["", "approval", "dispense", "settle", "payout", "revalue"]


MAX_CLOSED = 32  # ended sagas kept for `status` and `watch`; older ones are in the journal


@dataclass(slots=True)
class Saga:
    """One vend (or one return of credit) between its opening and its closing record."""

    vend: int
    # late: an approval that nobody waits for; revalue: cash credit goes to a card
    kind: Literal["vend", "return", "late", "revalue"]
    opened_mono_ms: int = 0
    boot: int = 0
    # what was selected
    selection: str = ""
    column: str = ""
    product: str = ""
    price: int = 0
    item: int = 0
    test: bool = False
    # cash locked for it
    held_coins: int = 0
    held_bills: int = 0
    held_product: int = 0
    lots: list[tuple[int, int]] = field(default_factory=list)
    bill_due: int = 0  # of the price: to be locked once the bill in escrow is stacked
    bill_asked: bool = False  # its stacking was ordered
    cash_settled: bool = False
    # the right that it uses: a token, a free vend or an app's credit
    right: int = 0
    right_kind: str = ""
    right_worth: int = 0  # how much of the price it covers
    right_amount: int = 0  # an app's whole credit
    app_refunded: int = 0
    discount: int = 0  # an offer's
    # card part
    device: str = ""
    card_amount: int = 0
    card: Literal["", "approved", "denied", "settled", "refunded", "lost"] = ""
    card_token: bool = False
    card_refundable: bool | None = None  # the card's own word, as its session told
    cancel_intended: bool = False  # the request is being ended before it has an answer
    refund_refused: bool = False  # the reader has told a refund error, whatever it says later
    kept_known: bool = False  # and on record is how much it had approved, and so keeps
    revalued: int = 0  # put on the card
    # the act that has an intent and no outcome yet
    intent: Intent = ""
    intent_success: bool = True  # settle: VEND SUCCESS or VEND FAILURE
    intent_boot: int = 0
    # dispensing: (column, outcome) per turn
    turns: list[tuple[str, str]] = field(default_factory=list)
    at_fault: dict[str, bool] = field(default_factory=dict)  # what each column's last turn told
    dispensed: bool = False
    failed: str = ""  # why it will not be delivered; "" while it still may
    # paying out
    owed: int = 0  # ordered and not known to have left
    paying: str = "changer"  # the device that pays it
    ordered: int = 0  # the amount of the payout under way
    plan: list[tuple[int, int]] = field(default_factory=list)
    by_value: bool = False
    payouts: int = 0  # orders so far
    short_payouts: int = 0  # those that paid less than they ordered
    payout_certain: bool = True
    payout_lots: list[tuple[int, int]] = field(default_factory=list)
    reason: str = ""
    # what came out
    paid_back: int = 0
    claimed: int = 0
    tokens_claimed: int = 0
    flags: list[str] = field(default_factory=list)

    @property
    def held(self) -> int:
        """Return the credit that is locked for it, in minor units."""
        return self.held_coins + self.held_bills + self.held_product

    @property
    def due(self) -> int:
        """Return what of the price neither credit, a bill in escrow nor a right covers yet."""
        return self.price - self.right_worth - self.held - self.bill_due


@dataclass(slots=True)
class Closed:
    """What became of an ended saga, for people who look at the machine now."""

    vend: int
    kind: str
    selection: str
    column: str
    price: int
    result: str
    paid_back: int
    claimed: int
    flags: list[str]
