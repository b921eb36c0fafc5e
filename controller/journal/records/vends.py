"""Records of a vend, or of a return of credit: opened, credit held for it, turns, its end."""

from __future__ import annotations

from typing import ClassVar, Final, Literal

from controller.domain import accounts as acc
from controller.journal.envelope import RecordData
from controller.journal.records.lines import Lines, Lots, lines_of


class VendOpened(RecordData):
    """A customer's selection was accepted and its column reserved: opens the saga."""

    type: ClassVar[str] = "vend.opened"
    selection: str
    column: str
    product: str
    price: int
    item: int
    test: bool = False  # a technician's test vend: nothing is paid
    bill: int = 0  # the part of the price that the bill in escrow is to pay
    by: str = ""
    basket: int = 0  # seq of the first vend of its basket; 0: bought alone
    place: int = 0  # in the basket, from 1
    of: int = 0  # items of the basket
    offer: str = ""  # that held, by its name
    discount: int = 0  # what it took off the list price


class CreditReturnOpened(RecordData):
    """The customer asked for the credit back without buying: opens a saga of its own."""

    type: ClassVar[str] = "credit_return.opened"
    amount: int
    reason: str


class CreditAuthorised(RecordData):
    """Credit was locked for this vend."""

    type: ClassVar[str] = "credit.authorised"
    coins: int
    bills: int
    lots: Lots
    product: int = 0

    def postings(self) -> Lines:
        """Credit becomes held."""
        return lines_of(
            (acc.CREDIT_COINS, self.coins),
            (acc.CREDIT_BILLS, self.bills),
            (acc.CREDIT_PRODUCT, self.product),
            (acc.HELD_CASH, -self.coins - self.bills - self.product),
        )


class CreditRestored(RecordData):
    """What was locked is credit again."""

    type: ClassVar[str] = "credit.restored"
    coins: int
    bills: int
    lots: Lots
    product: int = 0

    def postings(self) -> Lines:
        """Held becomes credit."""
        return lines_of(
            (acc.CREDIT_COINS, -self.coins),
            (acc.CREDIT_BILLS, -self.bills),
            (acc.CREDIT_PRODUCT, -self.product),
            (acc.HELD_CASH, self.coins + self.bills + self.product),
        )


class DispenseIntended(RecordData):
    """The motor is about to turn; the drop latch was cleared and read back before."""

    type: ClassVar[str] = "dispense.intended"
    column: str
    attempt: int
    extra: bool = False
    sensor: str = "ready"


class DispenseFinished(RecordData):
    """What the turn did, as the sensors tell it (``proof`` says which)."""

    type: ClassVar[str] = "dispense.finished"
    column: str
    outcome: str  # controller.ports.DispenseOutcome
    drops: int = 0
    run_ms: int = 0
    proof: Literal["watched", "latch", "home", "none"] = "watched"
    detail: str = ""
    trouble: str = ""  # dropped, and yet the motor jammed or ran on: more may have fallen


class DispenseDecided(RecordData):
    """Nobody can say whether the product fell: the configured policy decided."""

    type: ClassVar[str] = "dispense.decided"
    column: str
    policy: Literal["refund", "charge"]


class DispenseRefused(RecordData):
    """The vend fails before the motor turns (a blind sensor, a closed column)."""

    type: ClassVar[str] = "dispense.refused"
    column: str
    reason: str


class VendSettled(RecordData):
    """What was locked is earned; ``product`` is the part that a card once paid."""

    type: ClassVar[str] = "vend.settled"
    cash: int
    lots: Lots
    product: int = 0

    def postings(self) -> Lines:
        """Held becomes revenue."""
        return lines_of(
            (acc.HELD_CASH, self.cash + self.product),
            (acc.REVENUE_CASH, -self.cash),
            (acc.REVENUE_CARD, -self.product),
        )


class VendClosed(RecordData):
    """The saga has ended."""

    type: ClassVar[str] = "vend.closed"
    result: Literal["sold", "refunded", "claimed", "kept", "refused", "tested", "revalued"]
    flags: tuple[str, ...] = ()
    compensation: str = ""  # controller.saga.strategy.Strategy
    kept: bool = False  # the credit that it would return waits for the rest of its basket


ALL: Final[tuple[type[RecordData], ...]] = (
    VendOpened,
    CreditReturnOpened,
    CreditAuthorised,
    CreditRestored,
    DispenseIntended,
    DispenseFinished,
    DispenseDecided,
    DispenseRefused,
    VendSettled,
    VendClosed,
)
