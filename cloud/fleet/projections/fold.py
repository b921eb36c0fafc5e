"""Records of one journal -> what changes in the projections. Pure: no database, no clock.

A fold begins with what the tables hold for its machine (open sagas, balances, stock, faults, open
claims), takes records in order, and knows afterwards which rows changed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final

from cloud.contract.batch import Row
from cloud.contract.journal import GENESIS, Record, RecordData, UnknownData
from cloud.contract.journal import records as rec
from cloud.fleet.ingest.reading import record_of
from cloud.fleet.projections.episodes import CONFIG, Episodes, begun_by, of_claim, of_fault

Fault = tuple[str, str]  # (part, code)
# A claim is the same one in every journal that it outlives: it is known by the record that told of
# it, (journal's id in hex, "" for the one that is folded; seq).
ClaimKey = tuple[str, int]
# Sagas of an older journal that were told again have numbers below zero, those of the one before
# that below this, and so on: no two share one.
_OLDER: Final = 2**40
_BIGINT: Final = 2**63 - 1


@dataclass(slots=True)
class Saga:
    """A vend or a return of credit."""

    vend: int
    kind: str
    opened_ms: int
    uncertain: bool = False  # nobody had confirmed the time
    closed_ms: int | None = None
    column: str = ""
    product: str = ""
    price: int = 0
    cash: int = 0
    card: int = 0
    app: int = 0
    by_right: str = ""  # app, token or free: what was used
    paid_back: int = 0
    refunded: int = 0
    claimed: int = 0
    result: str = ""
    flags: str = ""


@dataclass(slots=True)
class Shelf:
    """A column."""

    product: str = ""
    price: int = 0
    count: int = 0
    disabled: str = ""


@dataclass(slots=True)
class Claim:
    """A promise of a machine; ``seq`` is that of the record that opened it."""

    seq: int
    vend: int | None
    amount: int
    tender: str
    code_end: str
    reason: str
    flagged: bool
    opened_ms: int
    uncertain: bool = False  # nobody had confirmed the time
    closed_ms: int | None = None
    how: str = ""
    journal_id: int = 0  # the fleet's number of its journal; 0: the one that is folded


@dataclass(slots=True)
class Raised:
    """A fault that is open, and the record that raised it."""

    detail: str
    raised_ms: int
    journal: str = ""  # in hex
    seq: int = 0


@dataclass(slots=True)
class Review:
    """A person is asked to look."""

    seq: int
    vend: int | None
    reason: str
    amount: int
    at_ms: int


@dataclass(slots=True)
class Refund:
    """Money that its payer's operator is asked to give back."""

    seq: int
    vend: int | None
    tender: str
    reference: str
    amount: int
    reason: str
    requested_ms: int
    uncertain: bool  # nobody had confirmed the time


@dataclass(slots=True)
class DeadLetter:
    """A record that is stored and not understood."""

    seq: int
    at_ms: int
    reason: str


@dataclass(slots=True)
class Stated:
    """A checkpoint, and what the records say right before it."""

    seq: int  # of its record
    data: rec.CheckpointSigned
    before_seq: int
    before_hash: bytes
    balances: dict[str, int]


@dataclass(slots=True)
class Revision:
    """What became of a revision of the configuration at the machine."""

    revision: int
    outcome: str
    detail: str
    ended_ms: int


@dataclass(slots=True)
class Changed:
    """Which rows differ from what the tables hold."""

    balances: set[str] = field(default_factory=set)
    sagas: dict[int, Saga] = field(default_factory=dict)
    shelves: set[str] = field(default_factory=set)
    claims: dict[ClaimKey, Claim] = field(default_factory=dict)
    faults: dict[Fault, Raised | None] = field(default_factory=dict)
    reviews: list[Review] = field(default_factory=list)
    refunds: list[Refund] = field(default_factory=list)
    dead: list[DeadLetter] = field(default_factory=list)
    results: list[tuple[int, rec.CommandFinished]] = field(default_factory=list)  # with its ms
    stated: list[Stated] = field(default_factory=list)
    currency: str = ""
    revisions: list[Revision] = field(default_factory=list)  # in order
    asked: list[Record] = field(default_factory=list)  # codes of others' claims
    granted: list[tuple[str, int]] = field(default_factory=list)  # to which question: it was given
    episodes: Episodes = field(default_factory=Episodes)
    restart: bool = False  # the journal begins its own balances, perhaps with inherited ones


class Fold:
    """The projections of one machine, as far as its records change them."""

    def __init__(
        self,
        *,
        balances: dict[str, int] | None = None,
        sagas: dict[int, Saga] | None = None,
        shelves: dict[str, Shelf] | None = None,
        claims: dict[ClaimKey, Claim] | None = None,
        faults: dict[Fault, Raised] | None = None,
    ) -> None:
        """Begin with what the tables hold."""
        self.balances = balances or {}
        self.sagas = sagas or {}
        self.shelves = shelves or {}
        self.claims = claims or {}
        self.inside: list[tuple[str, int, int]] = []  # records told again: journal, seq, seq here
        self.known: frozenset[tuple[str, int]] = frozenset()  # told again, and counted already
        self.faults = faults or {}
        self.changed = Changed()
        self.head: tuple[int, bytes] = 0, GENESIS  # the last record before, and its hash
        self.journal = ""  # the id of the folded journal, in hex

    def take(self, record: Record) -> None:
        """Take one record, in order."""
        data = record.data
        if isinstance(data, rec.CheckpointSigned):
            self.changed.stated.append(
                Stated(record.seq, data, *self.head, {k: n for k, n in self.balances.items() if n})
            )
        elif self.sagas and min(self.sagas) < 0 and not isinstance(data, rec.RecordCarried):
            self._inherited()
        self._take(record)
        self.head = record.seq, record.hash

    def _inherited(self) -> None:
        """End what was told again and has no end there: it goes on as credit and claims here."""
        for vend in [vend for vend in self.sagas if vend < 0]:
            saga = self.changed.sagas[vend] = self.sagas.pop(vend)
            saga.result, saga.closed_ms = "inherited", saga.opened_ms

    def _take(self, record: Record) -> None:
        for account, amount in record.postings:
            self.balances[account] = self.balances.get(account, 0) + amount
            self.changed.balances.add(account)
        data = record.data
        if isinstance(data, UnknownData):
            self.changed.dead.append(
                DeadLetter(record.seq, record.at_ms, f"{data.type} v{data.version}: {data.reason}")
            )
            return
        taker = _TAKERS.get(type(data))
        if taker is None:
            return
        try:
            taker(self, record, data)
        except Exception as error:  # noqa: BLE001 - one record that fits no saga stops no other
            self.changed.dead.append(
                DeadLetter(record.seq, record.at_ms, f"{record.type}: {error!r}")
            )

    def renumber(self, key: ClaimKey, record: Record, vend: int | None) -> None:
        """Know an open claim by the record that tells of it again: so its machine names it now."""
        old = self.claims.pop(key, None)
        if old is None:
            return
        new = replace(old, seq=record.seq, vend=vend, journal_id=0)
        self.claims["", record.seq] = self.changed.claims["", record.seq] = new
        old.closed_ms, old.how = record.at_ms, "told again by the next journal"
        self.changed.claims[key] = old
        self.end_claim(key, record)
        words = f"{new.amount} minor units, {new.tender}: {new.reason}"
        place = self.journal, record.seq
        self.changed.episodes.begin(of_claim(*place), words, place)

    def carry(self, record: Record) -> None:
        """Take what an older journal told, which stands inside a record of this one."""
        self._take(record)

    # ---------------------------------------------------------------------------- helpers

    def saga(self, record: Record) -> Saga:
        """Return the saga that a record belongs to; one whose opening is not here is made up."""
        assert record.vend is not None, "asked of records of a saga"
        found = self.sagas.get(record.vend)
        if found is None:
            found = self.sagas[record.vend] = Saga(record.vend, "vend", record.at_ms)
            found.uncertain = not record.confirmed
        self.changed.sagas[record.vend] = found
        return found

    def place(self, record: Record) -> tuple[str, int]:
        """Return (journal, seq) by which a record is known wherever it is told again."""
        if not self.inside:
            return self.journal, record.seq
        journal, seq, _ = self.inside[-1]
        return journal, min(seq, _BIGINT)

    def begin(self, record: Record, data: RecordData, place: tuple[str, int]) -> None:
        """Something is wrong from this record on."""
        found = begun_by(data, place)
        assert found is not None, f"asked of {record.type}"
        self.changed.episodes.begin(*found, place)

    def end_claim(self, key: ClaimKey, record: Record) -> None:
        """End what an open claim has raised."""
        journal, seq = key
        at = self.journal, record.seq
        self.changed.episodes.heal(of_claim(journal or self.journal, seq), at)

    def heal(self, key: Fault, record: Record) -> None:
        """End a fault, if it is open."""
        raised = self.faults.pop(key, None)
        if raised is None:
            return
        self.changed.faults[key] = None
        self.changed.episodes.heal(
            of_fault(*key), self.place(record), (raised.journal, raised.seq), raised.detail
        )

    def claim_key(self, origin: str, number: int) -> ClaimKey:
        """Return by which record a claim is known that a record names.

        Inside a record that was told again the numbers are its own journal's: what was told again
        with it is known by its new number (the rows are told without a gap), what was not by both.
        """
        for journal, was, now in reversed(self.inside):
            if origin:
                break
            told = number - was + now
            origin, number = ("", told) if told > 1 else (journal, number)
        return origin, number

    def shelf(self, column: str) -> Shelf:
        """Return a column, to be changed."""
        self.changed.shelves.add(column)
        return self.shelves.setdefault(column, Shelf())


Taker = Callable[[Fold, Record, Any], None]


def _begun(fold: Fold, record: Record, data: rec.JournalBegun) -> None:
    # Also one that names no other: a new disk begins with empty books, whatever the last one held.
    fold.changed.currency = data.currency
    fold.changed.restart = True
    fold.balances = dict(data.inherited)
    fold.changed.balances |= set(fold.balances)
    if data.previous is None or not data.previous[1]:
        for key in list(fold.faults):  # it knows of none, and tells of those that are still there
            fold.heal(key, record)


def _vend_opened(fold: Fold, record: Record, data: rec.VendOpened) -> None:
    saga = fold.saga(record)
    saga.kind = "test" if data.test else "vend"
    saga.opened_ms = record.at_ms
    saga.column, saga.product, saga.price = data.column, data.product, data.price
    shelf = fold.shelf(data.column)
    shelf.product, shelf.price = data.product, data.price


def _return_opened(fold: Fold, record: Record, data: rec.CreditReturnOpened) -> None:
    saga = fold.saga(record)
    saga.kind, saga.opened_ms, saga.price = "credit_return", record.at_ms, data.amount


def _late_opened(fold: Fold, record: Record, _: rec.LateApprovalOpened) -> None:
    saga = fold.saga(record)
    saga.kind, saga.opened_ms = "late_approval", record.at_ms


def _revalue_opened(fold: Fold, record: Record, data: rec.RevalueOpened) -> None:
    saga = fold.saga(record)
    saga.kind, saga.opened_ms, saga.price = "revalue", record.at_ms, data.amount


def _dispensed(fold: Fold, record: Record, data: rec.DispenseFinished) -> None:
    if record.vend is not None:
        saga = fold.saga(record)
        saga.column = data.column
    taken = max(data.drops, data.outcome == "dropped")
    if taken:
        shelf = fold.shelf(data.column)
        shelf.count = max(0, shelf.count - taken)
    elif data.outcome == "empty":
        fold.shelf(data.column).count = 0


def _decided(fold: Fold, _: Record, data: rec.DispenseDecided) -> None:
    shelf = fold.shelf(data.column)
    shelf.count = max(0, shelf.count - 1)  # nobody knows; the machine counts it as gone


def _settle_finished(fold: Fold, record: Record, data: rec.SettleFinished) -> None:
    saga = fold.saga(record)
    if data.success:
        saga.card += data.amount
    elif data.outcome in rec.REFUNDED:
        saga.refunded += data.amount


def _settled(fold: Fold, record: Record, data: rec.VendSettled) -> None:
    saga = fold.saga(record)
    saga.cash += data.cash
    saga.card += data.product


def _right_used(fold: Fold, record: Record, data: rec.RightUsed) -> None:
    saga = fold.saga(record)
    saga.by_right = data.kind
    if data.kind == "app":
        saga.app += data.worth


def _paid(fold: Fold, record: Record, data: rec.PayoutFinished) -> None:
    if record.vend is not None:
        fold.saga(record).paid_back += data.amount


def _closed(fold: Fold, record: Record, data: rec.VendClosed) -> None:
    saga = fold.saga(record)
    saga.result, saga.closed_ms, saga.flags = data.result, record.at_ms, ", ".join(data.flags)
    del fold.sagas[saga.vend]


def _claim_opened(fold: Fold, record: Record, data: rec.ClaimOpened) -> None:
    claim = Claim(
        seq=record.seq,
        vend=record.vend,
        amount=data.amount,
        tender=data.tender,
        code_end=data.code[-4:],
        reason=data.reason,
        flagged=data.flagged,
        opened_ms=record.at_ms,
        uncertain=not record.confirmed,
    )
    key = ("", record.seq)
    fold.claims[key] = fold.changed.claims[key] = claim
    if fold.inside:  # a copy of it may have come ahead
        fold.end_claim(fold.inside[-1][:2], record)
    fold.begin(record, data, (fold.journal, record.seq))
    if record.vend is not None:
        fold.saga(record).claimed += data.amount


def _claim_ended(fold: Fold, record: Record, data: rec.ClaimClosed | rec.ClaimRedeemed) -> None:
    key = fold.claim_key(data.origin, data.number or data.claim)
    claim = fold.claims.pop(key, None)
    if claim is not None:
        claim.closed_ms = record.at_ms
        claim.how = data.how if isinstance(data, rec.ClaimClosed) else "at the machine"
        fold.changed.claims[key] = claim
        if claim.how != rec.MOVED:  # the fleet owes that one on, and says itself when it does not
            fold.end_claim(key, record)


def _claim_asked(fold: Fold, record: Record, _: rec.ClaimAsked) -> None:
    if not fold.inside:  # nobody waits any more for what an older journal asked
        fold.changed.asked.append(record)


def _claim_granted(fold: Fold, _: Record, data: rec.ClaimGranted) -> None:
    asked_in = fold.inside[-1][0] if fold.inside else fold.journal
    fold.changed.granted.append((asked_in, data.asked))


def _fault_raised(fold: Fold, record: Record, data: rec.FaultRaised) -> None:
    key = (data.part, data.code)
    raised = fold.faults.get(key)
    if raised is None:
        place = fold.place(record)
        raised = Raised(data.detail, record.at_ms, *place)
        fold.begin(record, data, place)
    fold.faults[key] = fold.changed.faults[key] = replace(raised, detail=data.detail)


def _fault_cleared(fold: Fold, record: Record, data: rec.FaultCleared) -> None:
    fold.heal((data.part, data.code), record)


def _flagged(fold: Fold, record: Record, data: rec.ReviewFlagged) -> None:
    fold.changed.reviews.append(
        Review(record.seq, record.vend, data.reason, data.amount, record.at_ms)
    )


def _asked_back(fold: Fold, record: Record, data: rec.RefundRequested) -> None:
    fold.changed.refunds.append(
        Refund(
            record.seq,
            record.vend,
            data.tender,
            data.reference,
            data.amount,
            data.reason,
            record.at_ms,
            not record.confirmed,
        )
    )


def _stock_set(fold: Fold, _: Record, data: rec.StockSet) -> None:
    fold.shelf(data.column).count = data.count


def _price_set(fold: Fold, _: Record, data: rec.PriceSet) -> None:
    fold.shelf(data.column).price = data.price


def _shelved(
    fold: Fold,
    _: Record,
    data: rec.PlanogramApplied | rec.ConfigApplied | rec.ConfigRolledBack,
) -> None:
    others = data.others if isinstance(data, rec.ConfigApplied) else {}
    for name, column in {**others, **data.columns}.items():
        shelf = fold.shelf(name)
        shelf.product, shelf.price = column.product, column.price


def _revised(
    fold: Fold,
    record: Record,
    data: rec.ConfigApplied | rec.ConfigConfirmed | rec.ConfigRefused | rec.ConfigRolledBack,
) -> None:
    detail = ""
    match data:
        case rec.ConfigApplied():
            _shelved(fold, record, data)
        case rec.ConfigRefused(reasons=reasons):
            detail = "\n".join(reasons)
        case rec.ConfigRolledBack(reason=reason):
            _shelved(fold, record, data)
            detail = reason
    outcome = record.type.partition(".")[2]
    fold.changed.revisions.append(Revision(data.revision, outcome, detail, record.at_ms))
    place = fold.place(record)
    fold.changed.episodes.heal(CONFIG, place)
    if isinstance(data, rec.ConfigRefused | rec.ConfigRolledBack):
        words = f"revision {data.revision} {outcome.replace('_', ' ')}: {detail}"
        fold.changed.episodes.begin(CONFIG, words, place)


def _enabled(fold: Fold, _: Record, data: rec.ColumnEnabled) -> None:
    fold.shelf(data.column).disabled = ""


def _disabled(fold: Fold, _: Record, data: rec.ColumnDisabled) -> None:
    fold.shelf(data.column).disabled = data.reason


def _carried(fold: Fold, record: Record, data: rec.RecordCarried) -> None:
    """Take in what an older journal wrote; its sagas have numbers below zero here."""
    if not data.verified:
        what = f"record {data.seq} of journal {data.journal} stood at or behind its damage: kept"
        fold.changed.dead.append(DeadLetter(record.seq, record.at_ms, f"{what}, and not counted"))
        return
    inner = record_of(Row(record.seq, data.boot, data.body.encode(), record.hash))
    if isinstance(inner.data, rec.JournalBegun):
        return  # the balances are those that this journal began with
    vend = None if inner.vend is None else -inner.vend - _OLDER * len(fold.inside)
    if (data.journal, data.seq) in fold.known:
        fold.renumber((data.journal, data.seq), record, vend)
        return
    fold.inside.append((data.journal, data.seq, record.seq))
    try:
        fold.carry(replace(inner, vend=vend, postings=()))
    finally:
        fold.inside.pop()


def _command_ended(fold: Fold, record: Record, data: rec.CommandFinished) -> None:
    fold.changed.results.append((record.at_ms, data))


_TAKERS: Final[dict[type[RecordData], Taker]] = {
    rec.JournalBegun: _begun,
    rec.VendOpened: _vend_opened,
    rec.CreditReturnOpened: _return_opened,
    rec.LateApprovalOpened: _late_opened,
    rec.RevalueOpened: _revalue_opened,
    rec.DispenseFinished: _dispensed,
    rec.DispenseDecided: _decided,
    rec.SettleFinished: _settle_finished,
    rec.VendSettled: _settled,
    rec.RightUsed: _right_used,
    rec.PayoutFinished: _paid,
    rec.VendClosed: _closed,
    rec.ClaimOpened: _claim_opened,
    rec.ClaimClosed: _claim_ended,
    rec.ClaimRedeemed: _claim_ended,
    rec.ClaimAsked: _claim_asked,
    rec.ClaimGranted: _claim_granted,
    rec.FaultRaised: _fault_raised,
    rec.FaultCleared: _fault_cleared,
    rec.ReviewFlagged: _flagged,
    rec.RefundRequested: _asked_back,
    rec.StockSet: _stock_set,
    rec.PriceSet: _price_set,
    rec.ColumnEnabled: _enabled,
    rec.ColumnDisabled: _disabled,
    rec.PlanogramApplied: _shelved,
    rec.ConfigApplied: _revised,
    rec.ConfigConfirmed: _revised,
    rec.ConfigRefused: _revised,
    rec.ConfigRolledBack: _revised,
    rec.RecordCarried: _carried,
    rec.CommandFinished: _command_ended,
}


def values_of(row: Any) -> dict[str, Any]:
    """Return a projected row's fields by name."""
    return {name: getattr(row, name) for name in _NAMES[type(row)]}


_NAMES: Final[dict[type, tuple[str, ...]]] = {
    kind: tuple(field.name for field in fields(kind))
    for kind in (Saga, Shelf, Claim, Raised, Review, Refund, DeadLetter)
}
