"""Current state as a fold over the journal: nothing here is true that a record did not say.

``State.apply`` is the only writer. Snapshots are an encoded ``State``; deleting them changes
nothing, because folding again gives the same one (a test says so).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Literal, cast

from pydantic import PlainSerializer, PlainValidator, TypeAdapter

from controller import (
    climate_state,
    state_audit,
    state_config,
    state_inherit,
    state_orders,
    state_rights,
)
from controller.climate_state import ClimateState
from controller.domain import accounts as acc
from controller.domain.credit import Credit, Pocket
from controller.domain.ledger import Ledger
from controller.domain.rights import Grant, Right
from controller.domain.stock import Stock
from controller.journal import records as rec
from controller.journal import records_card as card_rec
from controller.journal import records_link
from controller.journal.envelope import Postings, Record, RecordData, UnknownData
from controller.journal.records_recycler import BillMoved, RecyclerCounted
from controller.state_audit import Audit
from controller.state_config import Configuration
from controller.state_orders import Orders
from controller.state_remote import Remote

Intent = Literal["", "approval", "dispense", "settle", "payout"]

MAX_ENDED = 512  # ended claims remembered, to say so to whoever keys in their codes
MAX_CLOSED = 32  # ended sagas kept for `status` and `watch`; older ones are in the journal


@dataclass(slots=True)
class Saga:
    """One vend (or one return of credit) between its opening and its closing record."""

    vend: int
    kind: Literal["vend", "return", "late"]  # late: an approval that nobody waits for
    opened_mono_ms: int = 0
    boot: int = 0
    # what was selected
    selection: str = ""
    column: str = ""
    product: str = ""
    price: int = 0
    item: int = 0
    test: bool = False
    # cash locked for it
    held_coins: int = 0
    held_bills: int = 0
    held_product: int = 0
    lots: list[tuple[int, int]] = field(default_factory=list)
    bill_due: int = 0  # of the price: to be locked once the bill in escrow is stacked
    bill_asked: bool = False  # its stacking was ordered
    cash_settled: bool = False
    # the right that it uses: a token, a free vend or an app's credit
    right: int = 0
    right_kind: str = ""
    right_worth: int = 0  # how much of the price it covers
    right_amount: int = 0  # an app's whole credit
    app_refunded: int = 0
    discount: int = 0  # an offer's
    # card part
    device: str = ""
    card_amount: int = 0
    card: Literal["", "approved", "denied", "settled", "refunded", "lost"] = ""
    card_token: bool = False
    refund_refused: bool = False  # the reader has told a refund error, whatever it says later
    # the act that has an intent and no outcome yet
    intent: Intent = ""
    intent_success: bool = True  # settle: VEND SUCCESS or VEND FAILURE
    intent_boot: int = 0
    # dispensing: (column, outcome) per turn
    turns: list[tuple[str, str]] = field(default_factory=list)
    dispensed: bool = False
    failed: str = ""  # why it will not be delivered; "" while it still may
    # paying out
    owed: int = 0  # ordered and not known to have left
    paying: str = "changer"  # the device that pays it
    ordered: int = 0  # the amount of the payout under way
    plan: list[tuple[int, int]] = field(default_factory=list)
    by_value: bool = False
    payouts: int = 0  # orders so far
    short_payouts: int = 0  # those that paid less than they ordered
    payout_certain: bool = True
    payout_lots: list[tuple[int, int]] = field(default_factory=list)
    reason: str = ""
    # what came out
    paid_back: int = 0
    claimed: int = 0
    tokens_claimed: int = 0
    flags: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Claim:
    """An open promise."""

    seq: int
    vend: int
    amount: int
    tender: Literal["cash", "card", "token"]
    code: str
    reason: str
    flagged: bool
    at_ms: int = 0  # UTC label of its record
    confirmed: bool = False  # that label was confirmed when it was written
    # A claim is the same one in every journal that it outlives: it is known by the record that told
    # the fleet of it. ``seq`` is where it is kept here; below zero for one that was inherited.
    origin: str = ""  # the journal of that record; "": this one
    number: int = 0  # its seq; 0: ``seq``
    fleet_only: bool = False  # the other chain of a fork may have honoured it

    @property
    def identity(self) -> tuple[str, int]:
        """Return the journal ("": this one) and the seq of the record that told of it."""
        return self.origin, self.number or self.seq

    def named(self) -> dict[str, Any]:
        """Return what a record about it says beside ``claim``."""
        return {"origin": self.origin, "number": self.number}


@dataclass(slots=True)
class Ended:
    """A claim that is no promise any more."""

    code: str
    how: str  # "": its code was keyed in here


@dataclass(slots=True)
class Escrow:
    """A bill that is held and not ours."""

    device: str
    bill: int
    value: int
    asked: Literal["", "stack", "return"] = ""
    stacker: int = 0  # STACKER's count in the intent
    claimed: bool = False  # it is stuck, and its customer has a claim for it
    vend: int = 0  # it is stacked for this vend

    @property
    def waits(self) -> bool:
        """Tell whether it is credit: nothing was asked about it, and nothing is promised for it."""
        return not self.asked and not self.claimed


@dataclass(slots=True)
class Closed:
    """What became of an ended saga, for people who look at the machine now."""

    vend: int
    kind: str
    selection: str
    column: str
    price: int
    result: str
    paid_back: int
    claimed: int
    flags: list[str]


@dataclass(slots=True)
class Counters:
    """Totals since the journal began (EVA-DTS names them; the export maps them)."""

    vends: int = 0
    vends_cash: int = 0
    vends_card: int = 0
    vends_free: int = 0
    vends_token: int = 0
    vends_app: int = 0
    value: int = 0  # sold, minor units
    value_app: int = 0  # of it paid in an app
    value_given: int = 0  # by tokens, free vends and offers: list prices less what was paid
    refunds: int = 0
    claims: int = 0
    tests: int = 0
    flagged: int = 0
    power_cuts: int = 0


def _credit(value: Any) -> Credit:
    return value if isinstance(value, Credit) else Credit.from_json(value)


def _ledger(value: Any) -> Ledger:
    return value if isinstance(value, Ledger) else Ledger(value)


def _stock(value: Any) -> Stock:
    return value if isinstance(value, Stock) else Stock.from_json(value)


@dataclass(slots=True)
class State:
    """Everything the machine knows, after the record ``seq``."""

    seq: int = 0
    journal: str = ""
    machine: str = ""
    currency: str = ""
    boot: int = 0
    system_boot: str = ""
    power_was_cut: bool = False  # this boot began with another system boot than the last one
    power_boot: int = 0  # the first boot after the last power cut
    recovered: bool = False
    ledger: Annotated[Ledger, PlainValidator(_ledger), PlainSerializer(Ledger.to_json)] = field(
        default_factory=Ledger
    )
    credit: Annotated[Credit, PlainValidator(_credit), PlainSerializer(Credit.to_json)] = field(
        default_factory=Credit
    )
    tubes: dict[int, int] = field(default_factory=dict)
    tubes_counted: bool = False
    stacker: int = 0
    stacker_counted: bool = False
    recycler: dict[int, int] = field(default_factory=dict)  # bills by type
    recycler_counted: bool = False
    escrow: Escrow | None = None
    devices: dict[str, dict[str, Any]] = field(default_factory=dict)
    last_answers: dict[str, str] = field(default_factory=dict)
    sagas: dict[int, Saga] = field(default_factory=dict)
    closed: list[Closed] = field(default_factory=list)
    claims: dict[int, Claim] = field(default_factory=dict)
    ended: dict[str, Ended] = field(default_factory=dict)  # the last ones: "journal number" ->
    stock: Annotated[Stock, PlainValidator(_stock), PlainSerializer(Stock.to_json)] = field(
        default_factory=Stock
    )
    stock_known: bool = False  # the opening counts were recorded
    prices: dict[str, int] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)  # "part code" -> detail
    failures: dict[str, int] = field(default_factory=dict)  # failed vends in a row, per column
    failures_machine: int = 0
    column_faults: dict[str, int] = field(default_factory=dict)  # vends in a row, per column
    cards_asked: dict[str, tuple[int, int]] = field(default_factory=dict)
    """By reader, its last request if that was given up or refused: the vend, and what was asked. An
    approval that comes all the same is owed to its customer."""
    readers_off: list[str] = field(default_factory=list)  # by staff; sorted
    cards_owed: list[tuple[str, int, bool]] = field(default_factory=list)
    """Of a broken journal: device, amount, and whether nobody knows that it was charged."""
    service_by: str = ""
    wrong_codes: int = 0  # keyed in since the last right one
    counters: Counters = field(default_factory=Counters)
    rights: dict[int, Right] = field(default_factory=dict)
    basket_due: bool = False  # credit waits for the rest of a basket, then it goes back
    grants: dict[str, Grant] = field(default_factory=dict)  # by the id that runs only once
    mono_ms: int = 0  # of the last record: vendd lived then
    climate: ClimateState = field(default_factory=ClimateState)
    remote: Remote = field(default_factory=Remote)
    config: Configuration = field(default_factory=Configuration)
    orders: Orders = field(default_factory=Orders)
    audit: Audit = field(default_factory=Audit)
    proved_seq: int = 0  # the fleet has countersigned the books up to here
    previous: tuple[str, int] | None = None  # the journal that this one follows, and its last seq
    begun_with: dict[str, int] = field(default_factory=dict)  # balances taken over from it

    # ------------------------------------------------------------------ questions

    def tube_value(self, type_: int) -> int:
        """Return a coin type's value as the changer last told it; 0 when it never did."""
        info = self.devices.get("changer")
        for coin in info["coins"] if info else ():
            if coin["type"] == type_:
                return cast("int", coin["value"])
        return 0

    def tube_coins(self) -> list[tuple[int, int, int]]:
        """Return (type, value, believed count) of each coin type that has a tube."""
        info = self.devices.get("changer")
        if not info:
            return []
        return [
            (c["type"], c["value"], self.tubes.get(c["type"], 0))
            for c in info["coins"]
            if c["in_tube"]
        ]

    def recycler_bills(self) -> list[tuple[int, int, int]]:
        """Return (type, value, believed count) of each bill type that is paid out again."""
        info = self.devices.get("bill")
        if not info:
            return []
        recycles = info.get("recycles", ())
        return [
            (b["type"], b["value"], self.recycler.get(b["type"], 0))
            for b in info["bills"]
            if b["type"] in recycles
        ]

    def pieces_of(self, device: str) -> list[tuple[int, int, int]]:
        """Return (type, value, believed count) of what a device pays out."""
        return self.recycler_bills() if device == "bill" else self.tube_coins()

    def prune_floor(self) -> int:
        """Return the lowest seq that must stay readable: sagas, claims, lots, the fleet's word."""
        needed = [*self.sagas, *self.claims, *self.rights, *(lot.seq for lot in self.credit.lots)]
        needed += [seq for saga in self.sagas.values() for seq, _ in saga.payout_lots]
        if self.proved_seq:
            # What vouches for the pruned records stays: the newest countersigned checkpoint.
            needed.append(self.proved_seq + 1)
        # What was inherited is in this journal's first base, and in every later one.
        return min((seq for seq in needed if seq > 0), default=self.seq + 1)

    # -------------------------------------------------------------------- folding

    def apply(self, record: Record) -> None:
        """Fold one record in. Unknown types still post to the ledger and move ``seq``."""
        self.seq = record.seq
        if record.postings:
            self.ledger.post(record.postings)
        fold = _FOLDS.get(record.type)
        state_audit.follow(self, record)
        if fold is not None and not isinstance(record.data, UnknownData):
            fold(self, record, record.data)
        self.mono_ms = record.mono_ms

    def encode(self) -> bytes:
        """Return the snapshot's bytes."""
        return _ADAPTER.dump_json(self)

    @classmethod
    def decode(cls, raw: bytes) -> State:
        """Read a snapshot. Raises ValueError when it is none."""
        return _ADAPTER.validate_json(raw)

    @classmethod
    def initial(cls) -> State:
        """Return the state before the first record."""
        return cls()

    def power_cut_since(self, saga: Saga) -> bool:
        """Tell whether the power went after the saga's last intent, this boot's or an earlier's.

        A boot that died within recovery has used up what devices told of the cut.
        """
        return saga.intent_boot < self.power_boot

    @property
    def latch_lost(self) -> bool:
        """Tell whether the drop latch may have been cleared under a turn without an outcome."""
        return self.power_was_cut or any(
            saga.intent == "dispense" and self.power_cut_since(saga) for saga in self.sagas.values()
        )

    def saga_of(self, record: Record) -> Saga:
        """Return the open saga a record belongs to. Raises ValueError when there is none."""
        if record.vend is None or record.vend not in self.sagas:
            raise ValueError(f"record {record.seq} ({record.type}) belongs to no open saga")
        return self.sagas[record.vend]


_Fold = Callable[[State, "Record", Any], None]


def _journal_begun(s: State, _r: Record, d: rec.JournalBegun) -> None:
    s.journal, s.machine, s.currency = d.journal, d.machine, d.currency
    s.remote.begun(replaces=d.previous is not None)
    s.previous, s.begun_with = d.previous, dict(d.inherited)


def _boot_started(s: State, r: Record, d: rec.BootStarted) -> None:
    cut = bool(s.system_boot) and s.system_boot != d.system_boot
    known = s.system_boot == d.system_boot  # the clock of before goes on
    s.climate.booted(r.mono_ms, s.mono_ms if known else None)
    s.config.booted(cut=cut)
    s.power_was_cut = cut
    if cut:
        s.power_boot = d.boot
    s.counters.power_cuts += cut
    s.boot, s.system_boot, s.recovered = d.boot, d.system_boot, False


def _boot_finished(s: State, _r: Record, _d: rec.BootFinished) -> None:
    s.recovered = True


def _stop_requested(s: State, _r: Record, _d: rec.StopRequested) -> None:
    s.config.stopped = True


def _device_identified(s: State, _r: Record, d: rec.DeviceIdentified) -> None:
    s.devices[d.device] = dict(d.info)


def _device_noted(s: State, _r: Record, d: rec.DeviceNoted) -> None:
    s.last_answers[d.device] = d.answer


def _fault_raised(s: State, _r: Record, d: rec.FaultRaised) -> None:
    s.faults[f"{d.part} {d.code}"] = d.detail


def _fault_cleared(s: State, _r: Record, d: rec.FaultCleared) -> None:
    s.faults.pop(f"{d.part} {d.code}", None)


def _review_flagged(s: State, r: Record, d: rec.ReviewFlagged) -> None:
    s.counters.flagged += 1
    if r.vend is not None and r.vend in s.sagas:
        s.sagas[r.vend].flags.append(d.reason)


def _coins_deposited(s: State, r: Record, d: rec.CoinsDeposited) -> None:
    s.last_answers[d.device] = d.answer
    total = 0
    for type_, value, route, _ in d.coins:
        total += value
        if route == "tube":
            s.tubes[type_] = s.tubes.get(type_, 0) + 1
    if total and d.owner == "customer":
        s.credit.deposit(r.seq, Pocket.COINS, total)


def _coins_released(s: State, _r: Record, d: rec.CoinsReleased) -> None:
    s.last_answers[d.device] = d.answer
    for type_, _, count, _ in d.coins:
        s.tubes[type_] = s.tubes.get(type_, 0) - count


def _bill_escrowed(s: State, _r: Record, d: rec.BillEscrowed) -> None:
    s.last_answers[d.device] = d.answer
    s.escrow = Escrow(d.device, d.bill, d.value)


def _stack_intended(s: State, r: Record, d: rec.StackIntended) -> None:
    claimed = s.escrow is not None and s.escrow.claimed
    s.escrow = Escrow(d.device, d.bill, d.value, "stack", d.stacker, claimed, r.vend or 0)
    if r.vend is not None and r.vend in s.sagas:
        s.sagas[r.vend].bill_asked = True


def _bill_return_intended(s: State, _r: Record, d: rec.BillReturnIntended) -> None:
    claimed = s.escrow is not None and s.escrow.claimed
    s.escrow = Escrow(d.device, d.bill, d.value, "return", s.stacker, claimed)


def _bill_stacked(s: State, r: Record, d: rec.BillStacked) -> None:
    if d.answer:
        s.last_answers[d.device] = d.answer
    if d.into == "recycler":
        s.recycler[d.bill] = s.recycler.get(d.bill, 0) + 1
    else:
        s.stacker += 1
    if d.escrowed:
        s.escrow = None
    if d.value and not d.claimed:
        s.credit.deposit(r.seq, Pocket.BILLS, d.value)


def _bill_returned(s: State, _r: Record, d: rec.BillReturned) -> None:
    if d.answer:
        s.last_answers[d.device] = d.answer
    if d.escrowed:
        s.escrow = None


def _tubes_counted(s: State, _r: Record, d: rec.TubesCounted) -> None:
    s.tubes_counted = True
    for type_, _, counted, _ in d.tubes:
        s.tubes[type_] = counted


def _stacker_counted(s: State, _r: Record, d: rec.StackerCounted) -> None:
    s.stacker_counted = True
    s.stacker = d.counted


def _recycler_counted(s: State, _r: Record, d: RecyclerCounted) -> None:
    s.recycler_counted = True
    for type_, _, counted, _ in d.bills:
        s.recycler[type_] = counted


def _bill_moved(s: State, _r: Record, d: BillMoved) -> None:
    s.last_answers[d.device] = d.answer
    s.recycler[d.bill] = s.recycler.get(d.bill, 0) + (1 if d.how == "filled" else -1)
    s.stacker += d.how == "moved"


def _cash_collected(s: State, _r: Record, d: rec.CashCollected) -> None:
    s.stacker -= d.bills_taken
    if d.recycler_emptied:
        s.recycler = {}


def _vend_opened(s: State, r: Record, d: rec.VendOpened) -> None:
    s.sagas[r.seq] = Saga(
        vend=r.seq, kind="vend", opened_mono_ms=r.mono_ms, boot=r.boot, selection=d.selection,
        column=d.column, product=d.product, price=d.price, item=d.item, test=d.test,
        bill_due=d.bill, discount=d.discount,
    )  # fmt: skip


def _credit_return_opened(s: State, r: Record, d: rec.CreditReturnOpened) -> None:
    s.sagas[r.seq] = Saga(
        vend=r.seq, kind="return", opened_mono_ms=r.mono_ms, boot=r.boot, reason=d.reason
    )


def _credit_authorised(s: State, r: Record, d: rec.CreditAuthorised) -> None:
    saga = s.saga_of(r)
    s.credit.lock(d.lots)
    saga.held_coins += d.coins
    saga.held_bills += d.bills
    saga.held_product += d.product
    saga.lots.extend(d.lots)
    if saga.bill_asked:
        saga.bill_due = 0


def _credit_restored(s: State, r: Record, d: rec.CreditRestored) -> None:
    saga = s.saga_of(r)
    s.credit.restore(d.lots)
    saga.held_coins -= d.coins
    saga.held_bills -= d.bills
    saga.held_product -= d.product
    saga.lots = []


def _approval_requested(s: State, r: Record, d: rec.ApprovalRequested) -> None:
    saga = s.saga_of(r)
    saga.intent, saga.intent_boot = "approval", r.boot
    saga.device, saga.card_amount, saga.refund_refused = d.device, d.amount, False
    s.cards_asked[d.device] = r.seq if r.vend is None else r.vend, d.amount


def _approval_finished(s: State, r: Record, d: rec.ApprovalFinished) -> None:
    saga = s.saga_of(r)
    saga.intent = ""
    saga.card_amount, saga.card_token = d.amount, d.token
    if d.outcome == "approved":
        saga.card = "approved"
        s.cards_asked.pop(d.device, None)
    elif d.outcome in ("charged", "unknown"):
        saga.card, saga.failed = "lost", saga.failed or d.outcome
        s.cards_asked.pop(d.device, None)  # it becomes a claim
    else:
        saga.card, saga.failed = "denied", saga.failed or d.outcome


def _dispense_intended(s: State, r: Record, d: rec.DispenseIntended) -> None:
    saga = s.saga_of(r)
    saga.intent, saga.intent_boot, saga.column = "dispense", r.boot, d.column


def _dispense_finished(s: State, r: Record, d: rec.DispenseFinished) -> None:
    saga = s.saga_of(r)
    saga.intent = ""
    saga.turns.append((d.column, d.outcome))
    if d.outcome == "dropped":
        saga.dispensed = True
    taken = max(d.drops, d.outcome == "dropped")
    if taken:
        s.stock.take(d.column, taken)
        if d.trouble:
            s.stock.question(d.column)
    elif d.outcome == "empty":
        s.stock.found_empty(d.column)


def _dispense_decided(s: State, r: Record, d: rec.DispenseDecided) -> None:
    saga = s.saga_of(r)
    s.stock.doubt(d.column)
    if d.policy == "charge":
        saga.dispensed = True
    else:
        saga.failed = saga.failed or "unknown"


def _dispense_refused(s: State, r: Record, d: rec.DispenseRefused) -> None:
    saga = s.saga_of(r)
    saga.failed = saga.failed or d.reason


def _settle_intended(s: State, r: Record, d: rec.SettleIntended) -> None:
    saga = s.saga_of(r)
    saga.intent, saga.intent_boot, saga.intent_success = "settle", r.boot, d.success


def _settle_finished(s: State, r: Record, d: rec.SettleFinished) -> None:
    saga = s.saga_of(r)
    saga.intent = ""
    if d.success:
        saga.card = "settled"
    else:
        saga.card = "refunded" if d.outcome in rec.REFUNDED else "lost"
        saga.paid_back += d.amount if saga.card == "refunded" else 0


def _refund_refused(s: State, r: Record, d: card_rec.RefundRefused) -> None:
    if r.vend is not None and r.vend in s.sagas:
        saga = s.sagas[r.vend]
        saga.refund_refused = True
        if saga.intent == "approval" and d.amount is not None:
            saga.card_amount = d.amount  # and not what was asked for: a discount


def _late_approval_opened(s: State, r: Record, d: card_rec.LateApprovalOpened) -> None:
    s.sagas[r.seq] = Saga(
        vend=r.seq, kind="late", opened_mono_ms=r.mono_ms, boot=r.boot, device=d.device,
        failed="late approval",
    )  # fmt: skip


def _reader_switched(s: State, _r: Record, d: card_rec.ReaderSwitched) -> None:
    others = {device for device in s.readers_off if device != d.device}
    s.readers_off = sorted(others if d.on else {*others, d.device})


def _vend_settled(s: State, r: Record, d: rec.VendSettled) -> None:
    saga = s.saga_of(r)
    s.credit.earn(d.lots)
    saga.cash_settled = True
    saga.held_coins = saga.held_bills = saga.held_product = 0


def _payout_intended(s: State, r: Record, d: rec.PayoutIntended) -> None:
    saga = s.saga_of(r)
    s.credit.withdraw(d.lots)
    saga.intent, saga.intent_boot = "payout", r.boot
    saga.owed += d.coins + d.bills
    saga.paying = d.device
    saga.ordered, saga.plan, saga.by_value = d.amount, list(d.plan), d.by_value
    saga.payouts = d.attempt
    saga.payout_lots.extend(d.lots)


def _payout_finished(s: State, r: Record, d: rec.PayoutFinished) -> None:
    saga = s.saga_of(r)
    saga.intent = ""
    store = s.recycler if d.device == "bill" else s.tubes
    for type_, _, count in d.paid:
        store[type_] = store.get(type_, 0) - count
    saga.owed -= min(d.amount, d.ordered)
    saga.paid_back += d.amount
    saga.short_payouts += d.amount < d.ordered
    saga.payout_certain = saga.payout_certain and d.certain


def _shortfall_booked(s: State, r: Record, d: rec.ShortfallBooked) -> None:
    saga = s.saga_of(r)
    s.credit.withdraw(d.lots)
    saga.owed += d.coins + d.bills
    saga.payout_lots.extend(d.lots)


def _claim_opened(s: State, r: Record, d: rec.ClaimOpened) -> None:
    saga = s.saga_of(r)
    s.claims[r.seq] = Claim(
        r.seq, saga.vend, d.amount, d.tender, d.code, d.reason, d.flagged, r.at_ms, r.confirmed
    )
    s.counters.claims += 1
    saga.claimed += d.amount
    if d.tender == "token":
        saga.tokens_claimed += 1
        state_rights.claim_token(s, d.right)
    elif d.product:
        s.credit.withdraw(d.lots)
    elif d.escrow:
        if s.escrow is not None:
            s.escrow.claimed = True
    elif d.tender == "cash":
        saga.owed -= d.amount
    else:
        saga.card, saga.card_amount = "refunded", 0
    if d.inherited:
        del s.cards_owed[0]


def _end_claim(s: State, seq: int, how: str) -> None:
    claim = s.claims.pop(seq, None)
    if claim is None:
        return
    origin, number = claim.identity
    s.ended[f"{origin} {number}"] = Ended(claim.code, how)
    while len(s.ended) > MAX_ENDED:
        del s.ended[next(iter(s.ended))]


def _claim_closed(s: State, _r: Record, d: rec.ClaimClosed) -> None:
    _end_claim(s, d.claim, d.how or "by staff")


def _claim_redeemed(s: State, r: Record, d: rec.ClaimRedeemed) -> None:
    _end_claim(s, d.claim, "")
    s.wrong_codes = 0
    if d.tender == "token":
        state_rights.redeem_token(s, r.seq)
        return
    s.credit.deposit(r.seq, Pocket.COINS if d.tender == "cash" else Pocket.PRODUCT, d.amount)


def _claim_refused(s: State, _r: Record, d: rec.ClaimRefused) -> None:
    s.wrong_codes += d.reason in ("unknown", "expired")  # the others are no guesses


def _credit_kept(s: State, _r: Record, d: rec.CreditKept) -> None:
    s.credit.withdraw(d.lots)


def _vend_closed(s: State, r: Record, d: rec.VendClosed) -> None:
    saga = s.saga_of(r)
    s.basket_due = d.kept
    del s.sagas[saga.vend]
    if d.result == "sold":
        s.counters.vends += 1
        given = saga.right_worth if saga.right_kind in ("free", "token") else 0
        s.counters.value += saga.price - given
        s.counters.value_given += saga.discount
        s.counters.vends_card += saga.card == "settled"
        s.counters.vends_free += not saga.price
        s.counters.vends_cash += saga.cash_settled and saga.card != "settled"
    elif d.result == "tested":
        s.counters.tests += 1
    elif saga.kind == "vend":
        s.counters.refunds += 1
    if saga.kind == "vend" and not saga.test:
        _count_failures(s, saga, d.result)
        _count_faults(s, saga)
    s.closed.append(
        Closed(
            saga.vend, saga.kind, saga.selection, saga.column, saga.price, d.result,
            saga.paid_back, saga.claimed, list(dict.fromkeys([*saga.flags, *d.flags])),
        )
    )  # fmt: skip
    del s.closed[:-MAX_CLOSED]


def _count_faults(s: State, saga: Saga) -> None:
    """Count a column whose last turn of a vend told of a fault; a drop ends its row."""
    for column, outcome in dict(saga.turns).items():
        if outcome == "dropped":
            s.column_faults.pop(column, None)
        elif outcome in ("jammed", "no_start", "no_home", "not_seen"):
            s.column_faults[column] = s.column_faults.get(column, 0) + 1


def _count_failures(s: State, saga: Saga, result: str) -> None:
    """A column that failed counts one more; any sale ends the machine's row."""
    if result == "sold":
        s.failures_machine = 0
        s.failures.pop(saga.column, None)
    elif saga.turns:
        s.failures_machine += 1
        for column in {column for column, _ in saga.turns}:
            s.failures[column] = s.failures.get(column, 0) + 1


def _stock_set(s: State, r: Record, d: rec.StockSet) -> None:
    s.stock_known = True
    s.stock.set(d.column, d.count)
    if d.cause == "fill":
        s.climate.attended(r.mono_ms, d.column)


def _price_set(s: State, _r: Record, d: rec.PriceSet) -> None:
    s.prices[d.column] = d.price
    state_config.price_set(s.config, d.column, d.price, d.by)


def _column_enabled(s: State, _r: Record, d: rec.ColumnEnabled) -> None:
    s.stock.enable(d.column)
    s.failures.pop(d.column, None)
    s.column_faults.pop(d.column, None)


def _column_disabled(s: State, _r: Record, d: rec.ColumnDisabled) -> None:
    s.stock.disable(d.column, d.reason)


def _service_entered(s: State, r: Record, d: rec.ServiceEntered) -> None:
    s.service_by = d.by or "staff"
    s.climate.attended(r.mono_ms)


def _service_left(s: State, r: Record, _d: rec.ServiceLeft) -> None:
    s.service_by = ""
    s.climate.attended(r.mono_ms)
    s.failures_machine = 0  # a technician has looked


def _credit_granted(s: State, r: Record, d: rec.CreditGranted) -> None:
    s.credit.deposit(r.seq, Pocket.COINS, d.amount)


def _command_started(s: State, r: Record, d: records_link.CommandStarted) -> None:
    s.remote.started(r, d)


def _command_finished(s: State, r: Record, d: records_link.CommandFinished) -> None:
    s.remote.finished(r, d)


def _time_confirmed(s: State, r: Record, d: records_link.TimeConfirmed) -> None:
    s.remote.timed(r, d)


def _countersigned(s: State, _r: Record, d: records_link.CheckpointCountersigned) -> None:
    s.proved_seq = max(s.proved_seq, d.seq)


_FOLD_FUNCTIONS: Final[dict[type[RecordData], _Fold]] = {
    records_link.CommandStarted: _command_started,
    records_link.CommandFinished: _command_finished,
    records_link.TimeConfirmed: _time_confirmed,
    records_link.CheckpointCountersigned: _countersigned,
    rec.JournalBegun: _journal_begun,
    rec.BootStarted: _boot_started,
    rec.BootFinished: _boot_finished,
    rec.StopRequested: _stop_requested,
    rec.DeviceIdentified: _device_identified,
    rec.DeviceNoted: _device_noted,
    rec.FaultRaised: _fault_raised,
    rec.FaultCleared: _fault_cleared,
    rec.ReviewFlagged: _review_flagged,
    rec.CoinsDeposited: _coins_deposited,
    rec.CoinsReleased: _coins_released,
    rec.BillEscrowed: _bill_escrowed,
    rec.StackIntended: _stack_intended,
    rec.BillReturnIntended: _bill_return_intended,
    rec.BillStacked: _bill_stacked,
    rec.BillReturned: _bill_returned,
    rec.TubesCounted: _tubes_counted,
    rec.StackerCounted: _stacker_counted,
    RecyclerCounted: _recycler_counted,
    BillMoved: _bill_moved,
    rec.CashCollected: _cash_collected,
    rec.VendOpened: _vend_opened,
    rec.CreditAuthorised: _credit_authorised,
    rec.CreditRestored: _credit_restored,
    rec.ApprovalRequested: _approval_requested,
    rec.ApprovalFinished: _approval_finished,
    rec.DispenseIntended: _dispense_intended,
    rec.DispenseFinished: _dispense_finished,
    rec.DispenseDecided: _dispense_decided,
    rec.DispenseRefused: _dispense_refused,
    rec.SettleIntended: _settle_intended,
    rec.SettleFinished: _settle_finished,
    card_rec.RefundRefused: _refund_refused,
    card_rec.LateApprovalOpened: _late_approval_opened,
    card_rec.ReaderSwitched: _reader_switched,
    rec.VendSettled: _vend_settled,
    rec.VendClosed: _vend_closed,
    rec.CreditReturnOpened: _credit_return_opened,
    rec.PayoutIntended: _payout_intended,
    rec.PayoutFinished: _payout_finished,
    rec.ShortfallBooked: _shortfall_booked,
    rec.ClaimOpened: _claim_opened,
    rec.ClaimClosed: _claim_closed,
    rec.ClaimRedeemed: _claim_redeemed,
    rec.ClaimRefused: _claim_refused,
    rec.CreditKept: _credit_kept,
    rec.StockSet: _stock_set,
    rec.PriceSet: _price_set,
    rec.ColumnEnabled: _column_enabled,
    rec.ColumnDisabled: _column_disabled,
    rec.ServiceEntered: _service_entered,
    rec.ServiceLeft: _service_left,
    rec.CreditGranted: _credit_granted,
    **state_rights.FOLDS,
    **climate_state.FOLDS,
    **state_config.FOLDS,
    **state_orders.FOLDS,
}
_FOLDS: Final[dict[str, _Fold]] = {model.type: fold for model, fold in _FOLD_FUNCTIONS.items()}
_ADAPTER: Final[TypeAdapter[State]] = TypeAdapter(State)


class StateFold:
    """Makes states for the journal."""

    version: Final = 19  # rises with each change of State's shape; a test holds its schema

    def initial(self) -> State:
        """Return the state before the first record."""
        return State()

    def decode(self, raw: bytes, version: int) -> State:
        """Read a snapshot or a base, also an older one: a field it lacks has its default.

        Raises ValueError when it is newer, or none.
        """
        if version > self.version:
            raise ValueError(f"state version {version}, this software reads {self.version}")
        return State.decode(raw)

    def balances(self, state: State) -> Postings:
        """Return the balances that are not zero."""
        return tuple(
            (account, state.ledger.balance(account))
            for account in acc.ALL
            if state.ledger.balance(account)
        )

    def previous(self, state: State) -> tuple[str, int, Postings] | None:
        """Return which journal this one follows, behind which record, and what it began with."""
        if state.previous is None:
            return None
        return *state.previous, tuple(state.begun_with.items())

    def forked(self, state: State) -> None:
        """Let no code be keyed in that the other chain may have honoured: the fleet pays claims."""
        for claim in state.claims.values():
            claim.fleet_only = True

    def told_again(self, state: State, journal: str, numbers: Mapping[int, int]) -> None:
        """Know claims by the records that tell of them now: old seqs of ``journal`` to new ones."""
        for claim in state.claims.values():
            if claim.origin == journal and claim.number in numbers:
                claim.origin, claim.number = "", numbers[claim.number]

    def inherit(self, old: State) -> State:
        """Return what a new journal begins with after a broken one."""
        new = State.decode(old.encode())
        state_inherit.inherit(old, new)
        return new
