"""What a technician may have done: one value per acting call.

Amounts are ``int`` minor units of the machine's currency. A command is carried out by the actor,
between two inputs like any other, and journaled with who called.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class FillStock:
    """A column was filled up to its capacity; None: every column."""

    column: str | None = None


@dataclass(frozen=True, slots=True)
class SetStock:
    """A column was counted."""

    column: str
    count: int


@dataclass(frozen=True, slots=True)
class SetPrice:
    """A column's price from now on."""

    column: str
    price: int


@dataclass(frozen=True, slots=True)
class EnableColumn:
    """Sell from a column again; its faults count as repaired."""

    column: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class DisableColumn:
    """Sell no more from a column."""

    column: str
    reason: str


@dataclass(frozen=True, slots=True)
class ReturnCredit:
    """Pay the customer's credit back, as the coin return key does."""

    reason: str = ""


@dataclass(frozen=True, slots=True)
class Echo:
    """Answer with the same text."""

    text: str


@dataclass(frozen=True, slots=True)
class GrantCredit:
    """Give credit that nobody paid in: goodwill, or a claim honoured at the machine."""

    amount: int
    reason: str


@dataclass(frozen=True, slots=True)
class GrantAppCredit:
    """Credit that was paid in an app: bound to ``id``, for one vend of a column ("": of any).

    It runs once: a repeat of the id gets the recorded result. It lives ``lives_s`` of the
    machine's monotonic clock, and any restart ends it. What is not used goes back to the app.
    """

    id: str
    amount: int
    lives_s: float
    column: str = ""


@dataclass(frozen=True, slots=True)
class GiveFreeVend:
    """One vend for nothing, of a column or ("") of any; else as ``GrantAppCredit``."""

    id: str
    lives_s: float
    reason: str
    column: str = ""


@dataclass(frozen=True, slots=True)
class EndGrant:
    """End app credit or a free vend before its time."""

    id: str


@dataclass(frozen=True, slots=True)
class Collect:
    """Cash box and stacker were emptied and counted; the ledger's differences are booked."""

    cashbox: int
    stacker: int
    bills: int  # how many bills were taken out of the stacker
    recycler: int | None = None  # counted in the recycler; None: its bills stay
    tokens: int | None = None  # vend tokens in the cash box; None: nobody looked
    expected: int | None = None  # in all of these, as whoever counted was told; None: not told


@dataclass(frozen=True, slots=True)
class TryVend:
    """Deliver one product without payment; service mode only."""

    column: str


@dataclass(frozen=True, slots=True)
class TryMotor:
    """Turn a column's motor once and say what the sensors saw; service mode only."""

    column: str


@dataclass(frozen=True, slots=True)
class PayCoins:
    """Pay ``amount`` out of the tubes to staff; service mode only."""

    amount: int


@dataclass(frozen=True, slots=True)
class CountTubes:
    """Ask the changer what is in its tubes and book the difference to what was believed."""


@dataclass(frozen=True, slots=True)
class PourCoins:
    """Coins of a value were put into a hopper, which can't count them; negative: taken out."""

    value: int
    count: int


@dataclass(frozen=True, slots=True)
class FillCoins:
    """Begin or end coin fill mode, where coins go to the tubes and are no credit; service mode."""

    on: bool


@dataclass(frozen=True, slots=True)
class EnableReader:
    """Let a card reader take cards, or not."""

    device: str
    on: bool


@dataclass(frozen=True, slots=True)
class ServeHealth:
    """What the health timer held back was replaced: sell it again; None: every such column."""

    column: str | None = None


@dataclass(frozen=True, slots=True)
class KeepRecording:
    """Keep what the flight recorder has of the last vends: somebody disputes one."""


@dataclass(frozen=True, slots=True)
class SyncNow:
    """Bring the fleet up to date at once, whatever the link waits for."""


@dataclass(frozen=True, slots=True)
class EnterService:
    """Take the machine out of sale."""


@dataclass(frozen=True, slots=True)
class LeaveService:
    """Give it back."""


@dataclass(frozen=True, slots=True)
class CloseClaim:
    """Staff settled a claim from outside the machine; ``how`` says in what way."""

    code: str
    how: str


@dataclass(frozen=True, slots=True)
class BeginJournal:
    """Begin a new journal after the old one was lost or damaged; it names the old one."""

    reason: str


@dataclass(frozen=True, slots=True)
class ConfirmTime:
    """The fleet's time: it was ``true_ms`` (UTC) when the monotonic clock said ``at_s``.

    ``first``: the fleet has seen no other disk of this machine.
    """

    true_ms: int
    at_s: float
    first: bool = False


@dataclass(frozen=True, slots=True)
class NoteRefused:
    """``count`` messages under ``topic`` were not signed, not for us or not readable."""

    topic: str
    reason: str
    count: int


@dataclass(frozen=True, slots=True)
class LockMachine:
    """Sell nothing until unlocked; what a customer has in comes back."""

    reason: str


@dataclass(frozen=True, slots=True)
class UnlockMachine:
    """Sell again; ``reason`` is asked of whoever overrules the fleet."""

    reason: str = ""


@dataclass(frozen=True, slots=True)
class ShowMessage:
    """A text on the idle display for ``seconds``, or until ``until_ms`` (UTC), if that is sooner.

    An empty text takes the last one back.
    """

    text: str
    seconds: float
    until_ms: int | None = None


@dataclass(frozen=True, slots=True)
class SettleClaim:
    """The fleet has paid a claim: of ``journal`` ("": the one in use), told there by ``number``."""

    number: int
    journal: str
    how: str


@dataclass(frozen=True, slots=True)
class AnswerClaim:
    """The fleet's answer to a code of another machine: to record ``asked`` of ``journal``.

    Only with ``granted`` it names an amount (minor units), a tender, and the ``machine`` that
    promised it; with ``later`` the machine alone.
    """

    journal: str
    asked: int
    answer: Literal["granted", "unknown", "paid", "later"]
    amount: int = 0
    tender: Literal["cash", "card", "token"] = "cash"
    machine: str = ""


@dataclass(frozen=True, slots=True)
class NoteFleet:
    """Whether the fleet can be asked now; in no record."""

    hears: bool


@dataclass(frozen=True, slots=True)
class ReadAudit:
    """Report the counters that an operator reads."""


@dataclass(frozen=True, slots=True)
class UpdateSoftware:
    """Hand a version over to the updater at the next quiet moment; ``id`` is the command's."""

    id: str
    version: str
    digest: str
    artefact: str
    expires_ms: int


@dataclass(frozen=True, slots=True)
class EndRemote:
    """What was carried out beside the machine has ended: a command that began ``outside``."""

    id: str
    outcome: Literal["done", "refused", "interrupted"]
    detail: str = ""


@dataclass(frozen=True, slots=True)
class KeepCountersignature:
    """The fleet's word for the checkpoint of ``seq``, verified by the link; signatures are hex."""

    seq: int
    body: str
    kid: str
    signature: str
    key: str
    key_signature: str


@dataclass(frozen=True, slots=True)
class Remote:
    """A verified command of the fleet; it runs at most once for its ``id``.

    ``command`` None: nothing is left to do here; ``outside``: the link does it, and tells its end
    with ``EndRemote``; ``refused``: why this machine does not do it; ``replaced``: a later one of
    its kind and target takes its place.
    """

    id: str
    kind: str
    target: str
    counter: int
    issuer: str
    expires_ms: int
    command: Command | None = None
    refused: str = ""
    outside: bool = False
    issued_ms: int = 0
    replaced: bool = True


@dataclass(frozen=True, slots=True)
class ApplyConfig:
    """Have a revision of the fleet's configuration hold, as soon as no customer is served.

    ``errors``: what is wrong with it already. ``waits``: answer when it holds, not at once.
    """

    revision: int
    digest: str  # of its settings
    settings: Mapping[str, Any]
    errors: tuple[str, ...] = ()
    waits: bool = False


@dataclass(frozen=True, slots=True)
class ApplyPlanogram:
    """Have products and columns changed as one, as soon as no customer is served."""

    planogram: Mapping[str, Any]  # "currency", "products" by id, "columns" by selection


Command = (
    FillStock | SetStock | SetPrice | EnableColumn | DisableColumn | ReturnCredit | GrantCredit
    | Collect | TryVend | TryMotor | PayCoins | CountTubes | PourCoins | FillCoins | EnableReader
    | EnterService | LeaveService | CloseClaim | BeginJournal | GrantAppCredit | GiveFreeVend
    | ApplyConfig | ApplyPlanogram
    | KeepRecording | EndGrant | ServeHealth | ConfirmTime | NoteRefused | Remote | LockMachine
    | UnlockMachine | SettleClaim | ShowMessage | ReadAudit | UpdateSoftware | EndRemote
    | KeepCountersignature | SyncNow | Echo | AnswerClaim | NoteFleet
)  # fmt: skip
