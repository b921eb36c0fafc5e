"""The words of the failure table: what breaks, for whom, when; what follows; one cell of them.

Data for people and for tests. The saga does not read it; it is what the saga must do.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from controller.saga.strategy import Strategy


class Tender(StrEnum):
    """How the customer pays."""

    COINS = "coins"
    BILL = "bill"
    CARD = "card"
    MIXED = "coins and card"
    BILL_CARD = "bill and card"  # the bill waits in escrow for the card's approval
    CLAIM = "a card's claim, redeemed"
    TOKEN = "a token"  # noqa: S105 - a coin without value, no secret
    FREE = "a free vend"
    HOUR = "nothing: it is free at that hour"
    APP = "credit from an app"
    BASKET = "coins, for two items"
    REVALUE = "coins, for a card"
    ANY = "any"  # nobody has paid yet, or it makes no difference


class Phase(StrEnum):
    """When it strikes."""

    IDLE = "before a vend"
    MONEY = "when the money is in"
    APPROVAL = "while the reader is asked"
    TURN = "while the motor turns"
    DROP = "when the product has fallen"
    SETTLE = "while the sale is settled"
    REFUND = "while a failed vend is given back"
    PAYOUT = "while coins or bills are paid"
    ESCROW = "while a bill is in escrow"
    REVALUE = "while a card is loaded"
    RECOVERY = "while an earlier end is recovered from"


class Gets(StrEnum):
    """What the customer ends up with."""

    PRODUCT = "the product"
    MONEY = "the money back"
    NOTHING_PAID = "nothing, and pays nothing"
    CLAIM = "a claim"
    PRODUCT_AND_CLAIM = "the product, and a claim for the change"
    CREDIT = "the credit to choose again"
    ON_CARD = "the money on the card"
    RIGHT = "the right to choose again"
    OTHER = "the other item, and the money for this one"
    ALL = "both items"
    APP_MONEY = "the money back in the app"
    BOTH = "the product and the money: nobody could see it fall"
    UNCLAIMED = "nothing at once: it stands in `unclaimed`, and staff pays it"
    LOST = "nothing at once: no record is left, and staff decides"
    ASKED = "the product; a person is asked about the coin that nobody could read"
    CHARGED = "nothing, and pays: a sensor said that it fell"
    FREE = "the product, and the money that could not be asked for"


class Next(StrEnum):
    """What the machine does next."""

    SELLS = "sells on"
    COLUMN_OFF = "sells on without the column"
    CASH_ONLY = "sells for cash, picks the reader up when it is back"
    OTHER_READER = "sells by the other reader, picks this one up when it is back"
    CARDS_ONLY = "sells by card, picks the changer up when it is back"
    NO_BILLS = "sells without bills until somebody has looked"
    STOPS = "stays out of service until the cause is gone"
    HELD_BACK = "sells on without what was too warm, until a technician has served it"
    RESTARTS = "starts again, ends what was open, sells on"
    ENDS = "ends in good order within its stop time; sells after the next start"
    STRANDED = "takes and pays nothing until the disk works; then ends what was open, sells on"
    BEGINS_ANEW = "stays out of service until a technician begins a new journal"


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell: what must come of ``failure`` for a customer who pays by ``tender``.

    Args:
        failure: Its name; also what the test breaks.
        tender: How the customer pays.
        phase: When it strikes.
        gets: What the customer ends up with.
        then: What the machine does next.
        journaled: Record types that tell of it, beside those of every vend.
        flagged: A person is asked to look, because the evidence was blinded.
        strategy: How the customer's saga was compensated.
        link: Where it comes to this on one of the bus's links alone: "native", or "adapter",
            which acknowledges by itself.
    """

    failure: str
    tender: Tender
    phase: Phase
    gets: Gets
    then: Next
    journaled: tuple[str, ...] = ()
    flagged: bool = False
    strategy: Strategy = Strategy.NONE
    link: str = ""

    @property
    def key(self) -> str:
        """Return the cell's stable name, by which runs count what they have hit."""
        key = cell_key(self.failure, self.tender, self.phase)
        return f"{key}/{self.link}" if self.link else key


def cell_key(failure: str, tender: Tender, phase: Phase) -> str:
    """Return the stable name of a cell, e.g. "motor-jams/coins/turn"."""
    return f"{failure.replace(' ', '-')}/{tender.name.lower()}/{phase.name.lower()}"


CASH: Final = (Tender.COINS, Tender.BILL)
PAYING: Final = (Tender.COINS, Tender.BILL, Tender.CARD, Tender.MIXED)
ALL: Final = (*PAYING, Tender.CLAIM)
BY_CARD: Final = (Tender.CARD, Tender.MIXED)
RIGHTS: Final = (Tender.TOKEN, Tender.FREE)
UNPAID: Final = (*RIGHTS, Tender.APP)  # nothing of it is money in the machine


def each(
    failure: str,
    tenders: tuple[Tender, ...],
    phase: Phase,
    gets: Gets,
    then: Next,
    *journaled: str,
    flagged: bool = False,
    strategy: Strategy = Strategy.NONE,
    link: str = "",
) -> tuple[Cell, ...]:
    """Return the same cell for several tenders."""
    return tuple(
        Cell(failure, tender, phase, gets, then, journaled, flagged, strategy, link)
        for tender in tenders
    )
