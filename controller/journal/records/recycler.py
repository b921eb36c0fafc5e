"""Records of a bill recycler, besides those that it shares with validator and changer."""

from __future__ import annotations

from typing import ClassVar, Final, Literal

from controller.domain import accounts as acc
from controller.journal.envelope import RecordData
from controller.journal.records.lines import Lines


class RecyclerCounted(RecordData):
    """BILL DISPENSE STATUS was compared with the ledger: (type, value, counted, believed).

    The difference posts to ``operator`` at the first start and after staff filled or emptied,
    else a surplus to ``unclaimed`` and a shortage to ``missing``.
    """

    type: ClassVar[str] = "recycler.counted"
    cause: Literal["first_start", "boot", "payout", "fill", "check"]
    bills: tuple[tuple[int, int, int, int], ...]

    def postings(self) -> Lines:
        """Make the ledger equal the count."""
        up = sum(v * (c - b) for _, v, c, b in self.bills if c > b)
        down = sum(v * (b - c) for _, v, c, b in self.bills if c < b)
        lines: Lines = ((acc.CASH_RECYCLER, up - down),)
        if self.cause in ("first_start", "fill"):
            lines += ((acc.OPERATOR, down - up),)
        else:
            lines += ((acc.UNCLAIMED, -up), (acc.MISSING, down))
        return tuple(line for line in lines if line[1])


class BillMoved(RecordData):
    """Staff, or the recycler itself, moved a bill into or out of the recycler."""

    type: ClassVar[str] = "bill.moved"
    device: str
    answer: str  # hex, as in "bill.stacked"
    bill: int
    value: int
    how: Literal["filled", "dispensed", "moved"]

    def postings(self) -> Lines:
        """Filled by staff, let out by staff, or moved to the stacker."""
        if not self.value:
            return ()
        if self.how == "filled":
            return ((acc.CASH_RECYCLER, self.value), (acc.OPERATOR, -self.value))
        other = acc.OPERATOR if self.how == "dispensed" else acc.CASH_STACKER
        return ((acc.CASH_RECYCLER, -self.value), (other, self.value))


ALL: Final[tuple[type[RecordData], ...]] = (RecyclerCounted, BillMoved)
