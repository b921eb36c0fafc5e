"""Records of money leaving, and of the part of it that could not."""

from __future__ import annotations

from typing import ClassVar, Final, Literal

from controller.domain import accounts as acc
from controller.journal.envelope import RecordData
from controller.journal.records.lines import Coins, Lines, Lots, lines_of


class PayoutIntended(RecordData):
    """Money is about to be paid. ``coins``/``bills`` are taken from credit (zero in a retry).

    ``device`` pays: coins of the changer, or bills of one type of the recycler; ``plan`` and
    ``tubes`` count in its own types.
    """

    type: ClassVar[str] = "payout.intended"
    amount: int
    plan: Coins
    by_value: bool
    coins: int
    bills: int
    lots: Lots
    tubes: tuple[tuple[int, int, int], ...]  # (type, value, believed count) before
    reason: str
    attempt: int = 1
    device: str = "changer"

    def postings(self) -> Lines:
        """Credit becomes owed."""
        return lines_of(
            (acc.CREDIT_COINS, self.coins),
            (acc.CREDIT_BILLS, self.bills),
            (acc.PAYOUT_OWED, -self.coins - self.bills),
        )


class PayoutFinished(RecordData):
    """What left the tubes, or the recycler: (type, value, count). Not ``certain``: in doubt."""

    type: ClassVar[str] = "payout.finished"
    ordered: int
    paid: tuple[tuple[int, int, int], ...]
    proof: Literal["status", "tubes", "both", "none"]
    certain: bool
    device: str = "changer"

    @property
    def amount(self) -> int:
        """What was paid, in minor units."""
        return sum(value * count for _, value, count in self.paid)

    def postings(self) -> Lines:
        """Paid is no longer owed; anything beyond the order is missing."""
        paid = self.amount
        due = min(paid, self.ordered)
        place = acc.CASH_RECYCLER if self.device == "bill" else acc.CASH_TUBES
        return lines_of((place, -paid), (acc.PAYOUT_OWED, due), (acc.MISSING, paid - due))


class ShortfallBooked(RecordData):
    """Credit that no coins are there for: owed, and about to become a claim."""

    type: ClassVar[str] = "shortfall.booked"
    coins: int
    bills: int
    lots: Lots

    def postings(self) -> Lines:
        """Credit becomes owed."""
        return lines_of(
            (acc.CREDIT_COINS, self.coins),
            (acc.CREDIT_BILLS, self.bills),
            (acc.PAYOUT_OWED, -self.coins - self.bills),
        )


ALL: Final[tuple[type[RecordData], ...]] = (
    PayoutIntended,
    PayoutFinished,
    ShortfallBooked,
)
