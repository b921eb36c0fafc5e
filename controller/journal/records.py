"""One versioned model per record type, with the ledger lines that it makes.

Types are ``noun.past_participle``. Amounts are minor units of the journal's currency. A record
that names a physical act comes in two: ``…intended``/``…requested`` before the act and
``…finished`` after it; an intent without its outcome is what recovery works on.
``lots`` are pairs ``(seq of the record that took the money, amount used of it)``, so that each
cent's way can be followed. Models only ever gain optional fields; a change that is more than that
raises ``version`` and keeps the old reader.
"""

from __future__ import annotations

from typing import ClassVar, Final, Literal

from pydantic import Field

from controller.domain import accounts as acc
from controller.journal import records_age, records_climate, records_config, records_rights
from controller.journal.envelope import RecordData
from controller.journal.records_card import CARD
from controller.journal.records_link import LINK
from controller.journal.records_orders import ORDERS
from controller.journal.records_recycler import BillMoved, RecyclerCounted

Lots = tuple[tuple[int, int], ...]  # (lot's seq, amount)
Coins = tuple[tuple[int, int], ...]  # (coin type, count)
Lines = tuple[tuple[str, int], ...]
Pocket = Literal["coins", "bills", "product"]

REFUNDED: Final = ("refunded", "already")  # outcomes of VEND FAILURE that undo the approval


def _lines(*lines: tuple[str, int]) -> Lines:
    """Drop zero lines; the envelope checks that the rest sums to zero."""
    return tuple(line for line in lines if line[1])


# ------------------------------------------------------------------------------- the journal


class JournalBegun(RecordData):
    """The first record of every journal."""

    type: ClassVar[str] = "journal.begun"
    journal: str
    machine: str
    currency: str
    previous: tuple[str, int] | None = None  # (journal id, its last readable seq)
    reason: str = "first start"
    by: str = ""
    inherited: Lines = ()  # the balances it begins with, where it replaces another


class BootStarted(RecordData):
    """The daemon has started. ``system_boot`` tells a restart from a power cut."""

    type: ClassVar[str] = "boot.started"
    boot: int
    software: str
    config_digest: str = ""
    system_boot: str = ""


class BootFinished(RecordData):
    """Recovery has ended every saga it found; ``sagas`` names them."""

    type: ClassVar[str] = "boot.finished"
    sagas: tuple[int, ...] = ()


class StopRequested(RecordData):
    """The daemon was asked to stop and has ended or compensated what was open."""

    type: ClassVar[str] = "stop.requested"
    reason: str


# --------------------------------------------------------------------------- devices, faults


class DeviceIdentified(RecordData):
    """A device told who it is and how it counts; recovery's questions need it before SETUP."""

    type: ClassVar[str] = "device.identified"
    device: str
    info: dict[str, object]


class DeviceNoted(RecordData):
    """How far a device without acknowledgements was heard: what is new is told from here on."""

    type: ClassVar[str] = "device.noted"
    device: str
    answer: str  # hex, as in "coins.deposited"


class FaultRaised(RecordData):
    """Something is wrong with a part; once per cause."""

    type: ClassVar[str] = "fault.raised"
    part: str
    code: str
    detail: str = ""


class FaultCleared(RecordData):
    """The cause is gone."""

    type: ClassVar[str] = "fault.cleared"
    part: str
    code: str
    by: str = ""


class ReviewFlagged(RecordData):
    """Evidence was missing and a rule decided: a person should look at it."""

    type: ClassVar[str] = "review.flagged"
    reason: str
    amount: int = 0


# ------------------------------------------------------------------------------------- cash


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
        return _lines((acc.CASH_TUBES, tube), (acc.CASH_CASHBOX, box), (whose, -tube - box))


class CoinsReleased(RecordData):
    """Staff let coins out by the changer's own switches: (type, value, count, left)."""

    type: ClassVar[str] = "coins.released"
    device: str
    answer: str
    coins: tuple[tuple[int, int, int, int], ...]

    def postings(self) -> Lines:
        """Tubes shrink; the operator has it."""
        total = sum(value * count for _, value, count, _ in self.coins)
        return _lines((acc.CASH_TUBES, -total), (acc.OPERATOR, total))


class BillEscrowed(RecordData):
    """A bill is held and still the customer's."""

    type: ClassVar[str] = "bill.escrowed"
    device: str
    answer: str
    bill: int
    value: int

    def postings(self) -> Lines:
        """Held, owed."""
        return _lines((acc.CASH_ESCROW, self.value), (acc.ESCROW_OWED, -self.value))


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
        return _lines(*lines)


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
        return _lines((acc.CASH_ESCROW, -self.value), (owed, self.value))


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
            return _lines((acc.CASH_TUBES, up - down), (acc.OPERATOR, down - up))
        return _lines((acc.CASH_TUBES, up - down), (acc.UNCLAIMED, -up), (acc.MISSING, down))


class StackerCounted(RecordData):
    """STACKER was compared with the journal. Bills nobody explains have no known value."""

    type: ClassVar[str] = "stacker.counted"
    cause: Literal["first_start", "boot", "check"]
    counted: int
    believed: int


class CashCollected(RecordData):
    """Staff emptied (part of) the machine; counted against what the ledger expects."""

    type: ClassVar[str] = "cash.collected"
    cashbox_counted: int
    cashbox_expected: int
    stacker_counted: int
    stacker_expected: int
    bills_taken: int = 0  # how many bills left the stacker
    by: str = ""
    recycler_emptied: bool = False  # else its bills stay, as the tubes' coins do
    recycler_counted: int = 0
    recycler_expected: int = 0

    def postings(self) -> Lines:
        """The operator has what was counted; differences show."""
        counted = self.cashbox_counted + self.stacker_counted + self.recycler_counted
        expected = self.cashbox_expected + self.stacker_expected + self.recycler_expected
        difference = counted - expected
        return _lines(
            (acc.CASH_CASHBOX, -self.cashbox_expected),
            (acc.CASH_STACKER, -self.stacker_expected),
            (acc.CASH_RECYCLER, -self.recycler_expected),
            (acc.OPERATOR, counted),
            (acc.UNCLAIMED if difference > 0 else acc.MISSING, -difference),
        )


# ------------------------------------------------------------------------------------- vend


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


class CreditAuthorised(RecordData):
    """Credit was locked for this vend."""

    type: ClassVar[str] = "credit.authorised"
    coins: int
    bills: int
    lots: Lots
    product: int = 0

    def postings(self) -> Lines:
        """Credit becomes held."""
        return _lines(
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
        return _lines(
            (acc.CREDIT_COINS, -self.coins),
            (acc.CREDIT_BILLS, -self.bills),
            (acc.CREDIT_PRODUCT, -self.product),
            (acc.HELD_CASH, self.coins + self.bills + self.product),
        )


class ApprovalRequested(RecordData):
    """VEND REQUEST is about to be sent."""

    type: ClassVar[str] = "approval.requested"
    device: str
    amount: int
    item: int


class ApprovalFinished(RecordData):
    """What the reader said. ``amount`` is what it took from the medium."""

    type: ClassVar[str] = "approval.finished"
    device: str
    outcome: Literal["approved", "denied", "cancelled", "not_sent", "charged", "unknown"]
    amount: int = 0
    token: bool = False
    detail: str = ""

    def postings(self) -> Lines:
        """An approval (or a charge we could not stop) is money the acquirer owes us."""
        return _lines((acc.CARD_RECEIVABLE, self.amount), (acc.HELD_CARD, -self.amount))


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


class SettleIntended(RecordData):
    """VEND SUCCESS or VEND FAILURE is about to be sent."""

    type: ClassVar[str] = "settle.intended"
    device: str
    success: bool
    item: int
    amount: int


class SettleFinished(RecordData):
    """What became of it."""

    type: ClassVar[str] = "settle.finished"
    device: str
    success: bool
    outcome: str  # SettleOutcome | RefundOutcome
    amount: int

    def postings(self) -> Lines:
        """Success earns; a refund undoes the approval; else it stays held until the claim."""
        if self.success:
            return _lines((acc.HELD_CARD, self.amount), (acc.REVENUE_CARD, -self.amount))
        if self.outcome in REFUNDED:
            return _lines((acc.HELD_CARD, self.amount), (acc.CARD_RECEIVABLE, -self.amount))
        return ()


class VendSettled(RecordData):
    """What was locked is earned; ``product`` is the part that a card once paid."""

    type: ClassVar[str] = "vend.settled"
    cash: int
    lots: Lots
    product: int = 0

    def postings(self) -> Lines:
        """Held becomes revenue."""
        return _lines(
            (acc.HELD_CASH, self.cash + self.product),
            (acc.REVENUE_CASH, -self.cash),
            (acc.REVENUE_CARD, -self.product),
        )


class VendClosed(RecordData):
    """The saga has ended."""

    type: ClassVar[str] = "vend.closed"
    result: Literal["sold", "refunded", "claimed", "kept", "refused", "tested"]
    flags: tuple[str, ...] = ()
    compensation: str = ""  # controller.saga.strategy.Strategy
    kept: bool = False  # the credit that it would return waits for the rest of its basket


class CreditReturnOpened(RecordData):
    """The customer asked for the credit back without buying: opens a saga of its own."""

    type: ClassVar[str] = "credit_return.opened"
    amount: int
    reason: str


# ------------------------------------------------------------------------------------ payout


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
        return _lines(
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
        return _lines((place, -paid), (acc.PAYOUT_OWED, due), (acc.MISSING, paid - due))


class ShortfallBooked(RecordData):
    """Credit that no coins are there for: owed, and about to become a claim."""

    type: ClassVar[str] = "shortfall.booked"
    coins: int
    bills: int
    lots: Lots

    def postings(self) -> Lines:
        """Credit becomes owed."""
        return _lines(
            (acc.CREDIT_COINS, self.coins),
            (acc.CREDIT_BILLS, self.bills),
            (acc.PAYOUT_OWED, -self.coins - self.bills),
        )


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
            return _lines((acc.CREDIT_PRODUCT, self.amount), (acc.CLAIMS_CARD, -self.amount))
        if self.escrow:
            return _lines((acc.ESCROW_OWED, self.amount), (acc.CLAIMS_CASH, -self.amount))
        if self.tender == "cash":
            return _lines((acc.PAYOUT_OWED, self.amount), (acc.CLAIMS_CASH, -self.amount))
        return _lines((acc.HELD_CARD, self.amount), (acc.CLAIMS_CARD, -self.amount))


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
        return _lines((account, self.amount), (acc.OPERATOR, -self.amount))


class CreditKept(RecordData):
    """Credit that nobody came back for: the operator's, as unclaimed money."""

    type: ClassVar[str] = "credit.kept"
    coins: int
    bills: int
    lots: Lots
    product: int = 0

    def postings(self) -> Lines:
        """Credit becomes unclaimed."""
        return _lines(
            (acc.CREDIT_COINS, self.coins),
            (acc.CREDIT_BILLS, self.bills),
            (acc.CREDIT_PRODUCT, self.product),
            (acc.UNCLAIMED, -self.coins - self.bills - self.product),
        )


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
            return _lines((acc.CLAIMS_CASH, self.amount), (acc.CREDIT_COINS, -self.amount))
        return _lines((acc.CLAIMS_CARD, self.amount), (acc.CREDIT_PRODUCT, -self.amount))


class ClaimRefused(RecordData):
    """A code was keyed in that is none of ours, was honoured before, or is too old."""

    type: ClassVar[str] = "claim.refused"
    reason: Literal["unknown", "expired", "paid", "fleet"]  # paid otherwise; only by the fleet


# --------------------------------------------------------------------------------- operators


class StockSet(RecordData):
    """A column's count as somebody says it is."""

    type: ClassVar[str] = "stock.set"
    column: str
    count: int
    before: int
    cause: Literal["opening", "fill", "set"] = "set"
    by: str = ""


class PriceSet(RecordData):
    """A column's price, from now on."""

    type: ClassVar[str] = "price.set"
    column: str
    price: int
    before: int
    by: str = ""


class ColumnEnabled(RecordData):
    """A column sells again."""

    type: ClassVar[str] = "column.enabled"
    column: str
    by: str = ""


class ColumnDisabled(RecordData):
    """A column is off."""

    type: ClassVar[str] = "column.disabled"
    column: str
    reason: str
    by: str = ""


class ServiceEntered(RecordData):
    """A technician took the machine out of sale."""

    type: ClassVar[str] = "service.entered"
    by: str


class ServiceLeft(RecordData):
    """And gave it back."""

    type: ClassVar[str] = "service.left"
    by: str


class OperatorActed(RecordData):
    """Any acting call that changes nothing above: who, what, with which arguments."""

    type: ClassVar[str] = "operator.acted"
    by: str
    what: str
    arguments: dict[str, object] = Field(default_factory=dict)


class CreditGranted(RecordData):
    """Staff gave a customer credit (goodwill, a redeemed cash claim): one lot."""

    type: ClassVar[str] = "credit.granted"
    amount: int
    reason: str
    by: str

    def postings(self) -> Lines:
        """The operator pays."""
        return _lines((acc.OPERATOR, self.amount), (acc.CREDIT_COINS, -self.amount))


ALL: Final[tuple[type[RecordData], ...]] = (
    JournalBegun, BootStarted, BootFinished, StopRequested, DeviceIdentified, DeviceNoted,
    FaultRaised, FaultCleared, ReviewFlagged, CoinsDeposited, CoinsReleased, BillEscrowed,
    StackIntended, BillReturnIntended, BillStacked, BillReturned, TubesCounted, StackerCounted,
    RecyclerCounted, BillMoved,
    CashCollected, VendOpened, CreditAuthorised, CreditRestored, ApprovalRequested,
    ApprovalFinished, DispenseIntended, DispenseFinished, DispenseDecided, DispenseRefused,
    SettleIntended, SettleFinished, VendSettled, VendClosed, CreditReturnOpened, PayoutIntended,
    PayoutFinished, ShortfallBooked, ClaimOpened, ClaimClosed, ClaimRedeemed, ClaimRefused,
    StockSet, PriceSet, ColumnEnabled, ColumnDisabled, ServiceEntered, ServiceLeft,
    OperatorActed, CreditGranted, CreditKept, *CARD, *LINK, *records_rights.ALL, *records_age.ALL,
    *records_climate.ALL, *records_config.ALL, *ORDERS,
)  # fmt: skip
REGISTRY: Final[dict[str, type[RecordData]]] = {model.type: model for model in ALL}
