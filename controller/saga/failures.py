"""Every failure as one table: failure × tender × phase -> what the customer gets, and what follows.

Data for people and for tests: ``docs/failures.md`` is drawn from it, and a test plays each cell on
the byte-real machine (``tests/failures``). The saga does not read it; it is what the saga must do.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Tender(StrEnum):
    """How the customer pays."""

    COINS = "coins"
    BILL = "bill"
    CARD = "card"
    MIXED = "coins and card"
    BILL_CARD = "bill and card"  # the bill waits in escrow for the card's approval
    ANY = "any"  # nobody has paid yet, or it makes no difference


class Phase(StrEnum):
    """When it happens."""

    IDLE = "before a vend"
    APPROVAL = "while the reader is asked"
    TURN = "while the motor turns"
    DROP = "when the product has fallen"
    PAYOUT = "while coins are paid"
    ESCROW = "while a bill is in escrow"


class Gets(StrEnum):
    """What the customer ends up with."""

    PRODUCT = "the product"
    MONEY = "the money back"
    NOTHING_PAID = "nothing, and pays nothing"
    CLAIM = "a claim"
    PRODUCT_AND_CLAIM = "the product, and a claim for the change"
    CREDIT = "the credit to choose again"
    BOTH = "the product and the money: nobody could see it fall"


class Next(StrEnum):
    """What the machine does next."""

    SELLS = "sells on"
    COLUMN_OFF = "sells on without the column"
    CASH_ONLY = "sells for cash, picks the reader up when it is back"
    CARDS_ONLY = "sells by card, picks the changer up when it is back"
    NO_BILLS = "sells without bills until somebody has looked"
    STOPS = "stays out of service until the cause is gone"


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
    """

    failure: str
    tender: Tender
    phase: Phase
    gets: Gets
    then: Next
    journaled: tuple[str, ...] = ()
    flagged: bool = False


_PAYING: Final = (Tender.COINS, Tender.BILL, Tender.CARD, Tender.MIXED)
_BY_CARD: Final = (Tender.CARD, Tender.MIXED)


def _each(
    failure: str,
    tenders: tuple[Tender, ...],
    phase: Phase,
    gets: Gets,
    then: Next,
    *journaled: str,
    flagged: bool = False,
) -> tuple[Cell, ...]:
    """Return the same cell for several tenders."""
    return tuple(Cell(failure, t, phase, gets, then, journaled, flagged) for t in tenders)


_COLUMN: Final = ("dispense.finished", "fault.raised", "column.disabled")

TABLE: Final[tuple[Cell, ...]] = (
    # --------------------------------------------------------------------- the dispenser
    *_each("motor jams", _PAYING, Phase.TURN, Gets.MONEY, Next.COLUMN_OFF, *_COLUMN),
    *_each("motor does not start", _PAYING, Phase.TURN, Gets.MONEY, Next.COLUMN_OFF, *_COLUMN),
    *_each("motor is seized", _PAYING, Phase.TURN, Gets.MONEY, Next.COLUMN_OFF, *_COLUMN),
    *_each("product hangs", _PAYING, Phase.TURN, Gets.MONEY, Next.COLUMN_OFF, *_COLUMN),
    *_each("product hangs once", _PAYING, Phase.TURN, Gets.PRODUCT, Next.SELLS,
           "dispense.finished"),
    *_each("another column delivers", _PAYING, Phase.TURN, Gets.PRODUCT, Next.COLUMN_OFF,
           *_COLUMN),
    *_each("column is empty against the count", _PAYING, Phase.TURN, Gets.MONEY,
           Next.COLUMN_OFF, *_COLUMN),
    *_each("two products fall", _PAYING, Phase.DROP, Gets.PRODUCT, Next.SELLS),
    *_each("drop sensor is blind", _PAYING, Phase.IDLE, Gets.MONEY, Next.STOPS,
           "dispense.refused", "fault.raised"),
    *_each("something lies in the beam", _PAYING, Phase.IDLE, Gets.MONEY, Next.STOPS,
           "dispense.refused", "fault.raised"),
    *_each("drop latch is stuck", _PAYING, Phase.IDLE, Gets.MONEY, Next.STOPS,
           "dispense.refused", "fault.raised"),
    *_each("door is opened", _PAYING, Phase.TURN, Gets.MONEY, Next.STOPS, "dispense.finished"),
    # ------------------------------------------------------------------------ the reader
    *_each("card is declined", (Tender.CARD,), Phase.APPROVAL, Gets.NOTHING_PAID, Next.SELLS,
           "approval.finished"),
    *_each("card is declined", (Tender.MIXED,), Phase.APPROVAL, Gets.CREDIT, Next.SELLS,
           "approval.finished", "credit.restored"),
    *_each("reader answers late", _BY_CARD, Phase.APPROVAL, Gets.PRODUCT, Next.SELLS),
    *_each("customer cancels", (Tender.CARD,), Phase.APPROVAL, Gets.NOTHING_PAID, Next.SELLS,
           "approval.finished"),
    *_each("customer cancels", (Tender.MIXED,), Phase.APPROVAL, Gets.CREDIT, Next.SELLS,
           "approval.finished", "credit.restored"),
    *_each("reader dies when told of success", _BY_CARD, Phase.DROP, Gets.PRODUCT,
           Next.CASH_ONLY, "settle.finished"),
    *_each("reader can't refund", (Tender.CARD,), Phase.TURN, Gets.CLAIM, Next.COLUMN_OFF,
           "settle.finished", "claim.opened"),
    *_each("reader never says whether it refunded", (Tender.CARD,), Phase.TURN, Gets.CLAIM,
           Next.COLUMN_OFF, "settle.finished", "claim.opened", flagged=True),
    # ----------------------------------------------------------------------- the changer
    *_each("changer jams in payout", (Tender.COINS,), Phase.PAYOUT, Gets.PRODUCT, Next.SELLS,
           "payout.finished", "fault.raised"),
    *_each("changer pays too little", (Tender.COINS,), Phase.PAYOUT, Gets.PRODUCT, Next.SELLS,
           "payout.finished"),
    *_each("changer resets in payout", (Tender.COINS,), Phase.PAYOUT, Gets.PRODUCT, Next.SELLS,
           "payout.finished"),
    *_each("changer dies in payout", (Tender.COINS,), Phase.PAYOUT, Gets.PRODUCT_AND_CLAIM,
           Next.CARDS_ONLY, "payout.finished", "claim.opened", flagged=True),
    *_each("coins run out", (Tender.COINS,), Phase.IDLE, Gets.CLAIM, Next.SELLS,
           "shortfall.booked", "claim.opened"),
    # ----------------------------------------------------------------------------- bills
    *_each("bill is returned by force", (Tender.BILL,), Phase.ESCROW, Gets.NOTHING_PAID,
           Next.SELLS, "bill.returned"),
    *_each("validator resets in the stack", (Tender.BILL,), Phase.ESCROW, Gets.CREDIT,
           Next.SELLS, "bill.stacked"),
    *_each("stacker reports late", (Tender.BILL,), Phase.ESCROW, Gets.CREDIT, Next.SELLS,
           "bill.stacked"),
    # ----------------------------------------------------- a bill that waits for the card
    *_each("card is declined", (Tender.BILL_CARD,), Phase.APPROVAL, Gets.CREDIT, Next.SELLS,
           "bill.escrowed", "approval.finished"),
    *_each("customer cancels", (Tender.BILL_CARD,), Phase.APPROVAL, Gets.CREDIT, Next.SELLS,
           "bill.escrowed", "approval.finished"),
    *_each("bill is not stacked", (Tender.BILL_CARD,), Phase.ESCROW, Gets.MONEY, Next.SELLS,
           "bill.returned", "dispense.refused", "settle.finished"),
    *_each("motor jams", (Tender.BILL_CARD,), Phase.TURN, Gets.MONEY, Next.COLUMN_OFF,
           "bill.stacked", "settle.finished", "payout.finished", *_COLUMN),
    # ------------------------------------------------------------------- clock, keys, stop
    *_each("clock jumps back ten years", _PAYING, Phase.TURN, Gets.PRODUCT, Next.SELLS),
    *_each("clock jumps ahead ten years", _PAYING, Phase.TURN, Gets.PRODUCT, Next.SELLS),
    *_each("price is changed", _PAYING, Phase.TURN, Gets.PRODUCT, Next.SELLS, "price.set"),
    *_each("two keys at once", (Tender.COINS,), Phase.IDLE, Gets.PRODUCT, Next.SELLS),
    *_each("disk is slow (0.5 s)", _PAYING, Phase.TURN, Gets.PRODUCT, Next.SELLS),
    *_each("disk is slow (3 s)", _PAYING, Phase.TURN, Gets.PRODUCT, Next.SELLS),
    *_each("service manager stops vendd", _PAYING, Phase.TURN, Gets.PRODUCT, Next.STOPS,
           "stop.requested"),
)  # fmt: skip
