"""Records of coins and bills: in, held in escrow, counted, collected; of credit without a vend."""

from __future__ import annotations

from typing import ClassVar, Final, Literal

from controller.domain import accounts as acc
from controller.journal.envelope import RecordData
from controller.journal.records.lines import Lines, Lots, lines_of


class CoinsDeposited(RecordData):
    """Coins of one changer answer reached a tube or the cash box: one lot.

    ``coins`` are (type, value, "tube" | "cashbox", coins in that tube now).
    """

    type: ClassVar[str] = "coins.deposited"
    device: str
    answer: str  # hex of the whole answer's items: what a repeat is recognised by
    coins: tuple[tuple[int, int, str, int], ...]
    suspect: int = 0
    owner: Literal["customer", "operator"] = "customer"  # operator: fill mode

    def postings(self) -> Lines:
        """Tubes and cash box grow, and so does the customer's credit (or the operator's float)."""
        tube = sum(c[1] for c in self.coins if c[2] == "tube")
        box = sum(c[1] for c in self.coins if c[2] == "cashbox")
        whose = acc.CREDIT_COINS if self.owner == "customer" else acc.OPERATOR
        return lines_of((acc.CASH_TUBES, tube), (acc.CASH_CASHBOX, box), (whose, -tube - box))


class CoinsReleased(RecordData):
    """Staff let coins out by the changer's own switches: (type, value, count, left)."""

    type: ClassVar[str] = "coins.released"
    device: str
    answer: str
    coins: tuple[tuple[int, int, int, int], ...]

    def postings(self) -> Lines:
        """Tubes shrink; the operator has it."""
        total = sum(value * count for _, value, count, _ in self.coins)
        return lines_of((acc.CASH_TUBES, -total), (acc.OPERATOR, total))


class BillEscrowed(RecordData):
    """A bill is held and still the customer's."""

    type: ClassVar[str] = "bill.escrowed"
    device: str
    answer: str
    bill: int
    value: int

    def postings(self) -> Lines:
        """Held, owed."""
        return lines_of((acc.CASH_ESCROW, self.value), (acc.ESCROW_OWED, -self.value))


class StackIntended(RecordData):
    """ESCROW stack is about to be sent; ``stacker`` is STACKER's count before it."""

    type: ClassVar[str] = "stack.intended"
    device: str
    bill: int
    value: int
    stacker: int


class BillReturnIntended(RecordData):
    """ESCROW return is about to be sent."""

    type: ClassVar[str] = "bill.return_intended"
    device: str
    bill: int
    value: int
    reason: str


class BillStacked(RecordData):
    """A bill is ours: one lot. ``escrowed`` says that it came out of escrow.

    ``into`` says where it lies: one in the recycler can be paid out again.
    """

    type: ClassVar[str] = "bill.stacked"
    device: str
    answer: str
    bill: int
    value: int
    escrowed: bool
    proof: Literal["reported", "counted"] = "reported"
    claimed: bool = False  # its customer already has a claim for it
    into: Literal["stacker", "recycler"] = "stacker"

    def postings(self) -> Lines:
        """The stacker grows, and so does the customer's credit (unless a claim stands for it)."""
        place = acc.CASH_RECYCLER if self.into == "recycler" else acc.CASH_STACKER
        lines: Lines = ((place, self.value),)
        if self.escrowed:
            lines += ((acc.CASH_ESCROW, -self.value),)
        if not self.claimed:
            lines += ((acc.CREDIT_BILLS, -self.value),)
            if self.escrowed:
                lines += ((acc.ESCROW_OWED, self.value),)
        return lines_of(*lines)


class BillReturned(RecordData):
    """The bill in escrow went back to the customer."""

    type: ClassVar[str] = "bill.returned"
    device: str
    answer: str
    bill: int
    value: int
    escrowed: bool = True
    proof: Literal["reported", "counted", "none"] = "reported"
    claimed: bool = False  # its customer already has a claim for it: paid twice, so missing

    def postings(self) -> Lines:
        """No longer held, no longer owed."""
        if not self.escrowed:
            return ()
        owed = acc.MISSING if self.claimed else acc.ESCROW_OWED
        return lines_of((acc.CASH_ESCROW, -self.value), (owed, self.value))


class TubesCounted(RecordData):
    """TUBE STATUS was compared with the ledger: (type, value, counted, believed) per tube.

    The difference posts to ``operator`` at the first start and after staff filled or emptied,
    else a surplus to ``unclaimed`` and a shortage to ``missing``.
    """

    type: ClassVar[str] = "tubes.counted"
    cause: Literal["first_start", "boot", "payout", "fill", "check"]
    tubes: tuple[tuple[int, int, int, int], ...]
    by: str = ""

    def postings(self) -> Lines:
        """Make the ledger equal the count."""
        up = sum(v * (c - b) for _, v, c, b in self.tubes if c > b)
        down = sum(v * (b - c) for _, v, c, b in self.tubes if c < b)
        if self.cause in ("first_start", "fill"):
            return lines_of((acc.CASH_TUBES, up - down), (acc.OPERATOR, down - up))
        return lines_of((acc.CASH_TUBES, up - down), (acc.UNCLAIMED, -up), (acc.MISSING, down))


class StackerCounted(RecordData):
    """STACKER was compared with the journal. Bills nobody explains have no known value."""

    type: ClassVar[str] = "stacker.counted"
    cause: Literal["first_start", "boot", "check"]
    counted: int
    believed: int


class CashCollected(RecordData):
    """Staff emptied (part of) the machine; counted against what the ledger expects."""

    type: ClassVar[str] = "cash.collected"
    version: ClassVar[int] = 2  # with ``stacker_opening``
    cashbox_counted: int
    cashbox_expected: int
    stacker_counted: int
    stacker_expected: int
    bills_taken: int = 0  # how many bills left the stacker
    by: str = ""
    recycler_emptied: bool = False  # else its bills stay, as the tubes' coins do
    recycler_counted: int = 0
    recycler_expected: int = 0
    stacker_opening: int = 0  # of what was counted there: bills from before the first start

    def postings(self) -> Lines:
        """The operator has what was counted; differences show.

        Bills from before the first start are an opening balance: put in by the operator, too.
        """
        counted = self.cashbox_counted + self.stacker_counted + self.recycler_counted
        counted -= self.stacker_opening
        expected = self.cashbox_expected + self.stacker_expected + self.recycler_expected
        difference = counted - expected
        return lines_of(
            (acc.CASH_CASHBOX, -self.cashbox_expected),
            (acc.CASH_STACKER, -self.stacker_expected),
            (acc.CASH_RECYCLER, -self.recycler_expected),
            (acc.OPERATOR, counted),
            (acc.UNCLAIMED if difference > 0 else acc.MISSING, -difference),
        )


class CreditGranted(RecordData):
    """Staff gave a customer credit (goodwill, a redeemed cash claim): one lot."""

    type: ClassVar[str] = "credit.granted"
    amount: int
    reason: str
    by: str

    def postings(self) -> Lines:
        """The operator pays."""
        return lines_of((acc.OPERATOR, self.amount), (acc.CREDIT_COINS, -self.amount))


class CreditKept(RecordData):
    """Credit that nobody came back for: the operator's, as unclaimed money."""

    type: ClassVar[str] = "credit.kept"
    coins: int
    bills: int
    lots: Lots
    product: int = 0

    def postings(self) -> Lines:
        """Credit becomes unclaimed."""
        return lines_of(
            (acc.CREDIT_COINS, self.coins),
            (acc.CREDIT_BILLS, self.bills),
            (acc.CREDIT_PRODUCT, self.product),
            (acc.UNCLAIMED, -self.coins - self.bills - self.product),
        )


ALL: Final[tuple[type[RecordData], ...]] = (
    CoinsDeposited,
    CoinsReleased,
    BillEscrowed,
    StackIntended,
    BillReturnIntended,
    BillStacked,
    BillReturned,
    TubesCounted,
    StackerCounted,
    CashCollected,
    CreditGranted,
    CreditKept,
)
