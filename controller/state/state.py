"""Current state as a fold over the journal: nothing here is true that a record did not say.

``State.apply`` is the only writer. Snapshots are an encoded ``State``; deleting them changes
nothing, because folding again gives the same one (a test says so).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, Final

from pydantic import PlainSerializer, PlainValidator, TypeAdapter

from controller.domain.credit import Credit
from controller.domain.ledger import Ledger
from controller.domain.rights import Grant, Right
from controller.domain.stock import Stock
from controller.journal.envelope import Record, UnknownData
from controller.state import audit
from controller.state.audit import Audit
from controller.state.cash import Escrow
from controller.state.claims import Claim, Ended
from controller.state.climate import ClimateState
from controller.state.config import Configuration
from controller.state.orders import Orders
from controller.state.remote import Remote
from controller.state.saga import Closed, Saga
from controller.state.table import FOLDS


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
    stacker_unknown: int = 0  # bills of it that were there at the first start: nobody knows a value
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
    asked: int = 0  # the record of a code about which the fleet is asked; 0: of none
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
        fold = FOLDS.get(record.type)
        audit.follow(self, record)
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


_ADAPTER: Final[TypeAdapter[State]] = TypeAdapter(State)
