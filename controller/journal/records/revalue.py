"""Records of a revalue: cash credit that is moved to the card in a reader."""

from __future__ import annotations

from typing import ClassVar, Final, Literal

from controller.domain import accounts as acc
from controller.journal.envelope import RecordData
from controller.journal.records.lines import Lines, Lots, lines_of

RevalueOutcome = Literal["approved", "denied", "not_sent", "unknown"]


class RevalueOpened(RecordData):
    """A customer asked for cash credit to be put on the card: opens a saga of its own."""

    type: ClassVar[str] = "revalue.opened"
    device: str
    amount: int  # that was asked for; what is sent may be less
    bill: int = 0  # the value of the bill in escrow that is stacked before


class RevalueIntended(RecordData):
    """REVALUE REQUEST is about to be sent; its money is locked."""

    type: ClassVar[str] = "revalue.intended"
    device: str
    amount: int
    coins: int
    bills: int
    lots: Lots
    limit: int  # that the reader told

    def postings(self) -> Lines:
        """Credit becomes held."""
        return lines_of(
            (acc.CREDIT_COINS, self.coins),
            (acc.CREDIT_BILLS, self.bills),
            (acc.HELD_CASH, -self.coins - self.bills),
        )


class RevalueFinished(RecordData):
    """What the reader said, or that nobody knows."""

    type: ClassVar[str] = "revalue.finished"
    device: str
    outcome: RevalueOutcome
    coins: int
    bills: int
    lots: Lots
    detail: str = ""

    @property
    def amount(self) -> int:
        """What it was about, in minor units."""
        return self.coins + self.bills

    def postings(self) -> Lines:
        """Put on the card: its acquirer gets so much less from us, or more. Else owed, or credit.

        The cash is the operator's and the card's money its issuer's debt, so what the acquirer
        owes the operator falls by it (below zero: the operator owes it to the acquirer).
        """
        held = (acc.HELD_CASH, self.amount)
        match self.outcome:
            case "approved":
                return lines_of(held, (acc.CARD_RECEIVABLE, -self.amount))
            case "unknown":
                return lines_of(held, (acc.PAYOUT_OWED, -self.amount))
            case _:
                return lines_of(
                    held, (acc.CREDIT_COINS, -self.coins), (acc.CREDIT_BILLS, -self.bills)
                )


class RevalueHeard(RecordData):
    """A reader answered a revalue that nobody waits for: one that was given up as unknown."""

    type: ClassVar[str] = "revalue.heard"
    device: str
    approved: bool


ALL: Final[tuple[type[RecordData], ...]] = (
    RevalueOpened,
    RevalueIntended,
    RevalueFinished,
    RevalueHeard,
)
