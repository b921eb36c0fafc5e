"""The JSON shapes of the API's answers: what ``--json`` prints, and scripts may rely on.

Amounts are ``int`` minor units of ``currency``. Fields are only ever added.
"""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict


class FaultShape(TypedDict):
    """One thing that is wrong."""

    part: str
    code: str  # controller.faults.FaultCode
    detail: str


class DeviceShape(TypedDict):
    """One peripheral."""

    name: str  # controller.ports.DeviceName
    title: str  # what its owner calls it; "": nothing
    state: str  # "ready", "starting", "lost", "disabled" or "unknown"
    level: int | None
    manufacturer: str
    model: str
    serial: str
    software: str
    info: dict[str, Any]  # all that it told at set-up
    oddities: dict[str, int]  # what it told that is no money and no fault, since the start


class LineShape(TypedDict):
    """One bus, and what went wrong on it since the start."""

    name: str  # "mdb" or "cctalk"
    down: str  # why nothing can be said on it; "": it works
    counts: dict[str, float]
    devices: dict[str, dict[str, int]]  # at the line: what was missed with each


class BusShape(TypedDict):
    """All lines, and the devices' oddities."""

    up_s: int  # since when all is counted
    lines: list[LineShape]
    devices: list[DeviceShape]


class ClaimShape(TypedDict):
    """A promise that is still open."""

    seq: int
    vend: int
    code: str
    amount: int
    tender: str  # "cash", "card" or "token"
    reason: str
    flagged: bool


class VendShape(TypedDict):
    """A vend, or a return of credit (``kind``)."""

    vend: int
    kind: str  # "vend" or "return"
    selection: str
    column: str
    price: int
    result: str  # "open" until it has ended
    paid_back: int
    claimed: int
    flags: list[str]


class LotShape(TypedDict):
    """Money taken at once that is still credit."""

    seq: int
    pocket: str  # "coins" or "bills"
    free: int
    held: int  # locked for a vend that has not ended


class EscrowShape(TypedDict):
    """A bill that is held and not ours."""

    device: str
    value: int
    asked: str  # "", "stack" or "return"


class RightShape(TypedDict):
    """A token, a free vend or an app's credit that waits."""

    seq: int
    kind: str  # "token", "free" or "app"
    amount: int  # app: minor units
    column: str  # "": any
    id: str  # the grant's
    vend: int  # the vend that uses it just now; 0: none


class CreditShape(TypedDict):
    """What a customer can spend or get back."""

    currency: str
    total: int
    coins: int
    bills: int
    held: int
    lots: list[LotShape]
    escrow: EscrowShape | None
    rights: list[RightShape]
    claims: list[ClaimShape]


class CashShape(TypedDict):
    """What must be in the machine, by place."""

    tubes: int
    cashbox: int
    stacker: int
    escrow: int
    bills: int  # how many bills are in the stacker
    bills_unknown: int  # of them, from before the first start: their value is in no account
    recycler: int


class JournalShape(TypedDict):
    """Where the facts are."""

    id: str
    first: int
    last: int


class LockShape(TypedDict):
    """Who locked the machine, and why."""

    by: str
    reason: str
    at: str


class StatusShape(TypedDict):
    """The machine at a glance."""

    machine: str
    currency: str
    software: str
    mode: str
    promise: str
    service_by: str
    lock: LockShape | None  # nothing is sold, by the operator's word
    boot: int | None  # none: this start could write no record
    up_s: int
    journal: JournalShape
    credit: int
    escrow: int
    exact_change_only: bool
    display: list[str]
    devices: list[DeviceShape]
    faults: list[FaultShape]
    sold_out: list[str]
    disabled: dict[str, str]
    claims: list[ClaimShape]
    open: list[VendShape]
    last: list[VendShape]
    cash: CashShape
    counters: dict[str, int]
    lines: list[LineShape]


class ColumnShape(TypedDict):
    """One column."""

    column: str
    product: str
    name: str
    price: int  # in force now
    list_price: int
    offer: str  # that holds now; empty: none
    count: int
    capacity: int
    uncertain: bool
    disabled: str  # the reason; empty: it sells


class StockShape(TypedDict):
    """All columns."""

    currency: str
    columns: list[ColumnShape]


class DriftShape(TypedDict):
    """What differs from the fleet's revision."""

    key: str
    wanted: str | int
    found: str | int
    by: str  # who changed it


class ConfigShape(TypedDict):
    """The configuration that came from the fleet, and how the newest revision fared."""

    revision: int  # in force; 0: the machine's own file
    trial: bool  # and not yet found to be good
    settings: dict[str, Any]  # that lie over the file
    seen: int
    outcome: str  # of that one: "", "applied", "refused" or "rolled_back"
    errors: list[str]
    waits: int  # a revision, until nobody is served
    drift: list[DriftShape]


class TubeShape(TypedDict):
    """One coin type, or bill type of the recycler."""

    type: int
    value: int
    in_tube: bool
    count: int
    total: int
    defective: bool  # by the device's word: nothing is paid out of it


class CoinsShape(TypedDict):
    """What can be paid out."""

    currency: str
    state: str  # of the changer
    tubes: list[TubeShape]
    bills: list[TubeShape]  # of the recycler; empty without one
    total: int  # coins and bills
    exact_change_only: bool


class BalanceShape(TypedDict):
    """One account."""

    account: str
    debit: int
    credit: int


class PiecesShape(TypedDict):
    """One account of vend tokens."""

    account: str
    pieces: int  # signed as in the journal: what is owed is negative


class LedgerShape(TypedDict):
    """The trial balance; ``debit`` equals ``credit``."""

    currency: str
    seq: int  # after this record
    accounts: list[BalanceShape]
    debit: int
    credit: int
    tokens: list[PiecesShape]
    cash: int  # what must be in the machine
    owed: int  # what customers could ask for


class RecordShape(TypedDict):
    """One record."""

    seq: int
    boot: int
    at: str  # UTC, ISO 8601 with milliseconds
    confirmed: bool  # the fleet or NTP had confirmed the time
    mono_ms: int
    type: str
    version: int
    vend: int | None
    data: dict[str, Any]
    postings: list[tuple[str, int]]
    hash: str
    body: NotRequired[str]  # the exact text that the hash covers


class RecordsShape(TypedDict):
    """A page of records, ascending; ask again with ``after`` = the last seq."""

    journal: JournalShape
    currency: str
    records: list[RecordShape]


class SyncShape(TypedDict):
    """How far the fleet is with this machine's journal."""

    phase: str  # "offline", "catching up", "in sync", "forked", "quarantined"
    connected: bool
    transport: str
    journal: str
    acked: int  # the fleet's own database has all records to this one
    last: int  # the last durable one
    records: int  # not acknowledged yet
    bytes: int  # about: of those, from the size of the first ones
    oldest_s: float | None  # how long the oldest of them waits; None: nothing waits
    oldest_certain: bool  # both times behind that were confirmed
    heard: str | None  # fleet time of its last answer
    heard_age_s: float | None
    time_known: bool
    offset_ms: int | None  # fleet time less the system's clock
    retry_in_s: float | None  # until the next try to connect; None: it is connected, or trying
    vouched: int  # the fleet has countersigned the books to here
    error: str
    quarantined: str  # why the fleet keeps this journal apart


class LifeShape(TypedDict):
    """One journal of a machine's life."""

    journal: str
    follows: str  # the journal before it; empty when there is none, or nobody knows any more
    behind: int  # the record of that one behind which it begins
    base: int
    last_good: int
    records: int
    proved: int
    problem: str  # where it ends broken; the next one begins there


class VerifyShape(TypedDict):
    """What checking every byte of the journal found."""

    journal: str
    ok: bool
    problem: str  # empty when all is well
    wrong_journal: str  # where the first wrong record is
    wrong: int | None  # the first wrong record
    base: int  # records up to this one were pruned; the signed base stands for them
    last: int
    last_good: int  # up to here everything is right
    records: int  # how many were checked
    snapshots: int  # how many equal the fold
    unknown: int  # records that this software does not understand
    checkpoints: int  # the machine's signed statements, each compared with the records
    countersigned: int  # how many of them the fleet has countersigned
    proved: int  # the fleet vouches for all records to this one, the pruned ones too
    rooted: bool  # its word was checked to the root key that the machine pins
    journals: list[LifeShape]  # the one in use first, then those before it


class StepShape(TypedDict):
    """One leg of some money's way: which record moved how much from where to where."""

    seq: int
    at: str
    type: str
    vend: int | None
    amount: int
    source: str  # an account, or "customer"
    target: str
    words: str
    coins: NotRequired[list[tuple[int, int]]]  # (value, count) of a payout


class WayShape(TypedDict):
    """The way of one lot (or of one card payment), from where it came in to where it is."""

    lot: int  # seq of the record that took it in
    origin: str  # "coins", "bills", "card", "granted"
    amount: int
    words: str
    steps: list[StepShape]
    now: dict[str, int]  # where its cents are: "credit", "held", "earned", "paid back", ...


class TraceShape(TypedDict):
    """Each cent's way."""

    currency: str
    asked: int
    vend: VendShape | None
    ways: list[WayShape]
    records: list[RecordShape]
