"""Records of claims: our promises, and what became of them."""

from __future__ import annotations

from typing import ClassVar, Final, Literal

from controller.domain import accounts as acc
from controller.journal.envelope import RecordData
from controller.journal.records.lines import Lines, Lots, lines_of

# How a claim ended that the fleet has taken over, because its code was keyed in elsewhere: it is
# owed on, and honoured wherever the fleet confirms it, here as well.
MOVED: Final = "keyed in elsewhere: held by the fleet"


class ClaimOpened(RecordData):
    """A promise for what could not be given back here and now; its code is on the panel."""

    type: ClassVar[str] = "claim.opened"
    amount: int
    tender: Literal["cash", "card", "token"]
    code: str
    reason: str
    device: str = ""
    flagged: bool = False
    lots: Lots = ()
    escrow: bool = False  # for the bill stuck in escrow, not for coins owed
    product: bool = False  # for credit that only buys and was not used: its card claim, anew
    right: int = 0  # the token that it is for
    inherited: bool = False  # for card money that a broken journal held

    def postings(self) -> Lines:
        """Owed (or held, for a card) becomes a claim."""
        if self.tender == "token":
            return ((acc.TOKENS_CREDIT, 1), (acc.TOKENS_CLAIMS, -1))
        if self.product:
            return lines_of((acc.CREDIT_PRODUCT, self.amount), (acc.CLAIMS_CARD, -self.amount))
        if self.escrow:
            return lines_of((acc.ESCROW_OWED, self.amount), (acc.CLAIMS_CASH, -self.amount))
        if self.tender == "cash":
            return lines_of((acc.PAYOUT_OWED, self.amount), (acc.CLAIMS_CASH, -self.amount))
        return lines_of((acc.HELD_CARD, self.amount), (acc.CLAIMS_CARD, -self.amount))


class ClaimClosed(RecordData):
    """Staff paid a claim from outside the machine."""

    type: ClassVar[str] = "claim.closed"
    claim: int  # seq of claim.opened
    amount: int
    tender: Literal["cash", "card", "token"]
    how: str
    by: str = ""
    origin: str = ""  # of a claim that an older journal promised: that one's id, unless told again
    number: int = 0  # and its record there, or here where it was told again; 0: ``claim`` itself

    def postings(self) -> Lines:
        """The operator has paid it."""
        if self.tender == "token":
            return ((acc.TOKENS_CLAIMS, 1), (acc.TOKENS_USED, -1))
        account = acc.CLAIMS_CASH if self.tender == "cash" else acc.CLAIMS_CARD
        return lines_of((account, self.amount), (acc.OPERATOR, -self.amount))


class ClaimRedeemed(RecordData):
    """A claim's code was keyed in here: its amount is credit again; a card's only buys."""

    type: ClassVar[str] = "claim.redeemed"
    claim: int  # seq of claim.opened
    amount: int
    tender: Literal["cash", "card", "token"]
    origin: str = ""  # as in ``claim.closed``
    number: int = 0

    def postings(self) -> Lines:
        """The claim becomes credit."""
        if self.tender == "token":
            return ((acc.TOKENS_CLAIMS, 1), (acc.TOKENS_CREDIT, -1))
        if self.tender == "cash":
            return lines_of((acc.CLAIMS_CASH, self.amount), (acc.CREDIT_COINS, -self.amount))
        return lines_of((acc.CLAIMS_CARD, self.amount), (acc.CREDIT_PRODUCT, -self.amount))


class ClaimAsked(RecordData):
    """A whole code was keyed in that is none of ours: the fleet is asked, for as long as it waits.

    The code itself stands in no record here; the fleet knows its own by digest and end.
    """

    type: ClassVar[str] = "claim.asked"
    digest: str  # SHA-256 of its digits, hex
    end: str  # its last four digits
    waits_ms: int  # on the monotonic clock
    days: int  # for so long a claim is honoured here


class ClaimGranted(RecordData):
    """The fleet confirmed a claim of another machine: credit here; a card's only buys."""

    type: ClassVar[str] = "claim.granted"
    asked: int  # seq of claim.asked
    amount: int
    tender: Literal["cash", "card", "token"]
    machine: str  # that promised it

    def postings(self) -> Lines:
        """The operator owes us what it took over from the other machine."""
        if self.tender == "token":
            return ((acc.TOKENS_USED, 1), (acc.TOKENS_CREDIT, -1))
        credit = acc.CREDIT_COINS if self.tender == "cash" else acc.CREDIT_PRODUCT
        return lines_of((acc.OPERATOR, self.amount), (credit, -self.amount))


class ClaimRefused(RecordData):
    """A code was keyed in that is none of ours, was honoured before, or is too old."""

    type: ClassVar[str] = "claim.refused"
    reason: Literal["unknown", "expired", "paid", "fleet"]  # paid before; only by the fleet


ALL: Final[tuple[type[RecordData], ...]] = (
    ClaimOpened,
    ClaimClosed,
    ClaimRedeemed,
    ClaimRefused,
    ClaimAsked,
    ClaimGranted,
)
