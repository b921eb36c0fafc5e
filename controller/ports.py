"""What the brain asks of the hands: protocols that drivers implement, and the values they exchange.

Amounts are ``int`` minor units of the machine's one currency (a device whose currency differs is
refused when it is identified); scaling factors and decimal places end in the drivers.
Expected failure is a returned value. A method that acts on the world raises
``LinkError`` only when nothing can have happened, ``EffectUnknownError`` when something may.
"""

from __future__ import annotations

from asyncio import Future
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Protocol

from controller.faults import FaultCode

# --------------------------------------------------------------------------- what devices are


class DeviceName(StrEnum):
    """The peripherals a machine may have; the name used in records, config and commands."""

    CHANGER = "changer"
    BILL = "bill"
    CASHLESS1 = "cashless1"
    CASHLESS2 = "cashless2"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a peripheral says it is; blanks and zero padding stripped."""

    manufacturer: str = ""
    serial: str = ""
    model: str = ""
    software: str = ""


@dataclass(frozen=True, slots=True)
class CoinKind:
    """One coin type of the changer."""

    type: int  # 0..15
    value: int  # minor units; 0 for a vend token
    in_tube: bool  # this type can be routed to a tube, so it can be paid out
    token: bool = False


@dataclass(frozen=True, slots=True)
class ChangerInfo:
    """What SETUP and IDENTIFICATION told, kept in the journal for recovery's questions."""

    level: int  # 2 or 3
    scaling: int
    decimals: int
    coins: tuple[CoinKind, ...]
    pays_by_value: bool = False  # level 3 with alternative payout enabled
    identity: Identity = Identity()


@dataclass(frozen=True, slots=True)
class BillKind:
    """One bill type of the validator."""

    type: int  # 0..15
    value: int  # minor units; 0 for a vend token
    token: bool = False


@dataclass(frozen=True, slots=True)
class BillInfo:
    """What the validator's SETUP and IDENTIFICATION told."""

    level: int
    scaling: int
    decimals: int
    bills: tuple[BillKind, ...]
    has_escrow: bool
    stacker_capacity: int
    identity: Identity = Identity()
    recycles: tuple[int, ...] = ()  # types that go to the recycler and are paid out again


@dataclass(frozen=True, slots=True)
class ReaderInfo:
    """What a card reader's configuration told."""

    level: int  # the level in use, 1..3
    scaling: int
    decimals: int
    can_refund: bool
    multivend: bool
    cash_sale: bool
    always_idle: bool = False  # enabled, not merely offered
    expanded: bool = False  # expanded currency mode in use
    max_response_s: float = 5.0
    identity: Identity = Identity()


@dataclass(frozen=True, slots=True)
class LinkCapabilities:
    """What the line to the bus can do."""

    withholds_ack: bool  # False: an adapter acknowledges by itself
    bus_reset: bool = True


# ------------------------------------------------------------------ what devices report: money


class CoinRoute(StrEnum):
    """Where a deposited coin went."""

    CASHBOX = "cashbox"
    TUBE = "tube"
    REJECT = "reject"


@dataclass(frozen=True, slots=True)
class DepositedCoin:
    """A coin that reached the cash box or a tube: the customer's credit."""

    type: int
    value: int  # minor units; 0 for a token
    route: CoinRoute
    tube_count: int  # coins in that tube now; meaningless without a tube
    token: bool = False


@dataclass(frozen=True, slots=True)
class ManualCoins:
    """Coins that a technician let out by the changer's own switches."""

    type: int
    value: int
    count: int
    left: int


@dataclass(frozen=True, slots=True)
class CoinsReport:
    """The *new* money items of one changer poll answer (repeats are already taken out).

    ``answer`` is the whole answer's item bytes (no checksum), repeats included: it is stored with
    the record so that the driver can tell the repeat after a restart. ``suspect`` says that after
    a restart an identical cash-box coin could not be told from a repeat and was left out.
    """

    device: DeviceName
    answer: bytes
    deposited: tuple[DepositedCoin, ...] = ()
    manual: tuple[ManualCoins, ...] = ()
    suspect: int = 0  # cash-box coins taken for repeats without proof, or events that were lost
    doubt: str = ""  # why they are suspect, where it is nothing of that: the words of the flag
    note: bool = False  # keep ``answer`` even without money: this device has no acknowledgement


class BillEventKind(StrEnum):
    """What happened to a bill (MDB/ICP 4.2, section 6, POLL)."""

    ESCROWED = "escrowed"
    STACKED = "stacked"
    RETURNED = "returned"
    RECYCLED = "recycled"  # into the recycler: ours, and to be paid out again
    REJECTED = "rejected"
    FILLED = "filled"  # put into the recycler by staff
    DISPENSED = "dispensed"  # let out of the recycler by staff
    MOVED = "moved"  # from the recycler to the stacker


@dataclass(frozen=True, slots=True)
class BillEvent:
    """One bill event of a validator's poll answer."""

    kind: BillEventKind
    type: int
    value: int


@dataclass(frozen=True, slots=True)
class BillsReport:
    """The *new* bill events of one validator poll answer, in order."""

    device: DeviceName
    answer: bytes
    events: tuple[BillEvent, ...]
    note: bool = False  # keep ``answer`` even without a bill: this device has no acknowledgement


@dataclass(frozen=True, slots=True)
class RefundErrorReport:
    """A reader told that the money of a failed vend did not go back (MALFUNCTION Cx).

    It says so once; a link that can withholds the acknowledgement until it is recorded.
    """

    device: DeviceName
    code: int  # C0 to CF
    amount: int | None = None  # what its approval had taken; None: not told, or to an earlier life


@dataclass(frozen=True, slots=True)
class LateApprovalReport:
    """A reader approved a request that nobody waits for any more.

    The card's money has been taken, and the reader's next reset makes that final: it waits for
    ``CardReader.vend_failure``, and the driver resets nothing before. Told once, and so recorded
    before its acknowledgement where the link can.
    """

    device: DeviceName
    amount: int | None  # taken from the medium; None: not told (an electronic token)


MoneyReport = CoinsReport | BillsReport | RefundErrorReport | LateApprovalReport


# ------------------------------------------------------------- what devices report: the rest


@dataclass(frozen=True, slots=True)
class DeviceReady:
    """A device has been initialised (again) and works; ``info`` is journaled if it changed."""

    device: DeviceName
    info: ChangerInfo | BillInfo | ReaderInfo


@dataclass(frozen=True, slots=True)
class DeviceLost:
    """A device has been silent for its non-response time."""

    device: DeviceName


@dataclass(frozen=True, slots=True)
class DeviceWasReset:
    """A device reported JUST RESET that nobody here asked for."""

    device: DeviceName


@dataclass(frozen=True, slots=True)
class FaultRaised:
    """Something is wrong with a part; raised once per cause."""

    part: str  # a DeviceName, a column ("A1"), "door", "sensor", ...
    code: FaultCode
    detail: str = ""


@dataclass(frozen=True, slots=True)
class FaultCleared:
    """The cause is gone."""

    part: str
    code: FaultCode


@dataclass(frozen=True, slots=True)
class EscrowLever:
    """The customer pressed the coin return lever (or its button)."""

    device: DeviceName


@dataclass(frozen=True, slots=True)
class SessionBegun:
    """A card was presented. ``funds`` is None when unknown or not to be shown.

    Never refuse a selection for low funds: the reader decides (MDB/ICP 4.2, section 7).
    """

    device: DeviceName
    funds: int | None
    language: str = ""
    refundable: bool | None = None  # the card's own word, overrides the reader's


@dataclass(frozen=True, slots=True)
class SessionCancelRequested:
    """The reader asks to end the session (card pulled, cancel key)."""

    device: DeviceName


@dataclass(frozen=True, slots=True)
class SessionEnded:
    """END SESSION arrived, asked for or not."""

    device: DeviceName


@dataclass(frozen=True, slots=True)
class ReaderDisplay:
    """The reader wants text on our display for a while."""

    device: DeviceName
    text: str
    seconds: float


@dataclass(frozen=True, slots=True)
class KeyPressed:
    """A key of the panel: "0".."9", "A".."D", "*" (cancel / coin return) or "#" (enter)."""

    key: str


@dataclass(frozen=True, slots=True)
class DoorChanged:
    """The service door was opened or closed."""

    open: bool


@dataclass(frozen=True, slots=True)
class TemperatureRead:
    """A thermometer was read at ``at_s`` (monotonic); ``celsius`` None: it did not say, ``why``."""

    sensor: str
    celsius: float | None
    at_s: float
    why: str = ""


class ClimatePart(StrEnum):
    """What the climate switches."""

    COMPRESSOR = "compressor"
    DEFROST = "defrost"
    HEATER = "heater"
    LIGHT = "light"


@dataclass(frozen=True, slots=True)
class OutputCut:
    """An output of the climate was switched off from outside (its longest on-time, a hang)."""

    part: ClimatePart
    why: str


DeviceEvent = (
    DeviceReady | DeviceLost | DeviceWasReset | FaultRaised | FaultCleared | EscrowLever
    | SessionBegun | SessionCancelRequested | SessionEnded | ReaderDisplay | KeyPressed
    | DoorChanged | TemperatureRead | OutputCut
)  # fmt: skip


class DeviceSink(Protocol):
    """Where drivers put what they hear; the controller's one queue stands behind it."""

    def money(self, report: MoneyReport) -> Future[None]:
        """Hand money over; the future is done when its record is durable.

        A link that can hold back an acknowledgement acknowledges only then. The future fails with
        ``JournalError`` when the record could not be written: do not acknowledge.
        """
        ...

    def notify(self, event: DeviceEvent) -> None:
        """Hand anything else over; never blocks."""
        ...


# ---------------------------------------------------------------------------- MDB devices


@dataclass(frozen=True, slots=True)
class Known:
    """What the journal remembers of a device, given to its driver before the first word."""

    info: ChangerInfo | BillInfo | ReaderInfo | None = None
    last_answer: bytes = b""  # items of the last money answer whose acknowledgement is not proved
    tubes: tuple[int, ...] = ()  # believed count per coin (or recycled bill) type behind it
    stacker: int | None = None  # believed bills in the stacker; None: never counted


@dataclass(frozen=True, slots=True)
class Greeting:
    """What the first contact found, before any RESET."""

    present: bool
    just_reset: bool = False  # the device itself reported a reset: power was cut, or a bus break


class MdbDevice(Protocol):
    """The life of a peripheral: greet (never resets) -> recovery's questions -> start."""

    @property
    def name(self) -> DeviceName:
        """Return which peripheral this is."""
        ...

    async def greet(self, known: Known) -> Greeting:
        """Poll without RESET for up to the non-response time; reports money through the sink."""
        ...

    async def start(self) -> None:
        """RESET, initialise, then keep polling, re-initialise after silence or a reset; for ever.

        Runs until cancelled. Ready and lost are told to the sink.
        """
        ...


@dataclass(frozen=True, slots=True)
class TubeCounts:
    """TUBE STATUS: lower bounds of what is really there (each capped at ``cap``)."""

    counts: tuple[int, ...]  # 16, by coin type; of a defective tube any number
    full: frozenset[int] = frozenset()
    defective: frozenset[int] = frozenset()
    cap: int = 255  # a count this high says nothing of coins beyond it


@dataclass(frozen=True, slots=True)
class PayoutOrder:
    """What to pay. ``by_value`` lets a level 3 changer pick the coins of ``amount`` itself."""

    amount: int
    coins: tuple[tuple[int, int], ...]  # (type, count), the plan
    by_value: bool = False


@dataclass(frozen=True, slots=True)
class PayoutEvidence:
    """What is known after a payout; the controller reconciles it with the believed tubes.

    ``status`` is PAYOUT STATUS per coin type (None: not held, not asked, or level 2). ``tubes`` is
    TUBE STATUS read afterwards (None: the changer does not answer). ``was_reset`` means JUST RESET
    was seen: the payout is over and unfinished, and the status was lost with it.
    """

    idle: bool  # the changer is known to have stopped paying
    status: tuple[int, ...] | None = None
    tubes: TubeCounts | None = None
    was_reset: bool = False


class Changer(MdbDevice, Protocol):
    """A coin changer, level 2 or 3."""

    @property
    def info(self) -> ChangerInfo | None:
        """Return what it is, or None before it was ever identified."""
        ...

    async def tubes(self) -> TubeCounts:
        """Ask TUBE STATUS. Raises LinkError."""
        ...

    async def payout(self, order: PayoutOrder) -> PayoutEvidence:
        """Pay, wait until the changer is idle, and bring the evidence.

        Raises:
            LinkError: No payout command can have left; nothing was paid.

        Never repeats a payout command whose ACK was not seen (MDB/ICP 4.2, section 5).
        """
        ...

    async def payout_evidence(self) -> PayoutEvidence:
        """After a restart: poll until idle, then PAYOUT STATUS if still held, and the tubes."""
        ...

    async def pour(self, type_: int, count: int) -> TubeCounts:
        """Note coins that staff put into a store that can't count them; then tell its counts.

        Args:
            type_: Coin type.
            count: How many; negative for coins that were taken out.

        Raises:
            LinkError: This store counts by itself, holds no such coin, or not that many.
        """
        ...

    def accept(self, types: frozenset[int], *, manual: bool = False) -> None:
        """Want these coin types accepted (empty: none); applied at the next free slot and kept."""
        ...


@dataclass(frozen=True, slots=True)
class StackerCount:
    """STACKER, and BILL DISPENSE STATUS of a validator that recycles."""

    bills: int
    full: bool
    known: bool = True  # False: this validator doesn't count; ``bills`` says nothing
    recycler: TubeCounts | None = None  # bills by type; None: it recycles none


class BillValidator(MdbDevice, Protocol):
    """A bill validator; one that recycles pays bills out as a changer does coins."""

    @property
    def info(self) -> BillInfo | None:
        """Return what it is, or None before it was ever identified."""
        ...

    async def stacker(self) -> StackerCount:
        """Ask STACKER, and how many bills the recycler holds. Raises LinkError."""
        ...

    async def payout(self, order: PayoutOrder) -> PayoutEvidence:
        """Pay bills of one type out of the recycler; as ``Changer.payout``.

        ``tubes`` of the evidence are the recycler's counts by bill type.

        Raises:
            LinkError: No payout command can have left; nothing was paid.
        """
        ...

    async def payout_evidence(self) -> PayoutEvidence:
        """After a restart: poll until idle, then PAYOUT STATUS if still held, and the counts."""
        ...

    async def stack(self) -> None:
        """Ask to stack the bill in escrow; its result comes as a ``BillsReport``.

        Raises LinkError (never acknowledged and the validator answers) or EffectUnknownError.
        """
        ...

    async def return_bill(self) -> None:
        """Ask to return the bill in escrow; as ``stack``."""
        ...

    def accept(self, types: frozenset[int]) -> None:
        """Want these bill types accepted (into escrow where there is one)."""
        ...


@dataclass(frozen=True, slots=True)
class Approved:
    """VEND APPROVED; ``amount`` is what was taken from the medium (None: an electronic token)."""

    amount: int | None


@dataclass(frozen=True, slots=True)
class Denied:
    """VEND DENIED, or the request ended without an approval; nothing is charged.

    ``review``: it ended with the reader's reset or death, which a person may want to look into.
    """

    reason: str = ""
    review: bool = False


class SettleOutcome(StrEnum):
    """What became of VEND SUCCESS."""

    DONE = "done"
    ALREADY = "already"  # out of sequence, session idle: an earlier one was heard
    RESET = "reset"  # the reader was reset meanwhile, which counts as success
    UNKNOWN = "unknown"  # silent to the end; its reset counts as success too


class RefundOutcome(StrEnum):
    """What became of VEND FAILURE."""

    REFUNDED = "refunded"  # ACK to a poll after it, from a reader of level >= 2 that can refund
    REFUSED = "refused"  # malfunction Cx, or a reader that says it cannot refund
    ALREADY = "already"  # out of sequence, vend over without a reset: an earlier one was heard
    CHARGED = "charged"  # the reader had been reset: the charge stands
    UNKNOWN = "unknown"  # silent to the end


class CancelOutcome(StrEnum):
    """What became of VEND CANCEL for a request that was not answered."""

    CANCELLED = "cancelled"  # denied came, nothing charged
    APPROVED = "approved"  # the approval had already come; it was answered with VEND FAILURE
    UNKNOWN = "unknown"


class AgeAnswer(StrEnum):
    """What came of a question for somebody's age."""

    PROVED = "proved"
    NOT_PROVED = "not_proved"  # too young, or the card knows no age
    CANCELLED = "cancelled"
    UNSUPPORTED = "unsupported"  # this reader can't tell, or is gone


class CardReader(MdbDevice, Protocol):
    """A cashless device of level 1 to 3, classic or always idle."""

    @property
    def info(self) -> ReaderInfo | None:
        """Return what it is, or None before it was ever identified."""
        ...

    def enable(self, on: bool) -> None:
        """Want the reader enabled or disabled; a running session goes on to its end."""
        ...

    def set_prices(self, lowest: int, highest: int) -> None:
        """Tell the price range, now and after each initialisation.

        A price that is no whole number of the reader's units is reported as
        ``DEVICE_UNSUITABLE``; it is never rounded.
        """
        ...

    async def request_vend(self, price: int, item: int) -> Approved | Denied:
        """Ask for approval; in always-idle mode waits for the card until ``cancel_vend``.

        Raises LinkError (the request was never acknowledged and the reader is not in a vend) or
        EffectUnknownError (no answer in time and the cancel was not confirmed either).
        """
        ...

    async def cancel_vend(self) -> CancelOutcome:
        """End a request that has no answer yet (VEND CANCEL); also after a restart."""
        ...

    async def vend_success(self, item: int) -> SettleOutcome:
        """Report the product as delivered; repeated within the non-response time."""
        ...

    async def vend_failure(self) -> RefundOutcome:
        """Report the failed delivery and learn whether the money went back."""
        ...

    async def end_session(self) -> None:
        """SESSION COMPLETE, wait for END SESSION; the driver resets a reader that never sends it.

        Raises LinkError.
        """
        ...

    async def cash_sale(self, price: int, item: int) -> None:
        """Report a cash sale for the reader's audit; does nothing if it does not want them."""
        ...

    async def verify_age(self, age: int) -> AgeAnswer:
        """Ask for a card that proves an age (1 to 99); waits for it until ``cancel_age``."""
        ...

    async def cancel_age(self) -> None:
        """End a question for an age."""
        ...

    async def revalue_limit(self) -> int | None:
        """Ask how much may be put on the card; None when not possible now."""
        ...

    async def revalue(self, amount: int) -> bool:
        """Put money on the card; False when denied. Raises EffectUnknownError."""
        ...


# ------------------------------------------------------------------------------ dispenser


class SensorCheck(StrEnum):
    """The drop sensor before a vend."""

    READY = "ready"  # self-test passed, latch cleared and read back
    BLIND = "blind"  # emitter off is not seen, or the latch can't be cleared
    NOT_FITTED = "not_fitted"


class DispenseOutcome(StrEnum):
    """What one motor run did, told apart as the field does."""

    DROPPED = "dropped"
    JAMMED = "jammed"  # started, then stood still (current sense or stuck off home)
    NO_START = "no_start"  # never left home
    NO_HOME = "no_home"  # turned, and home never came within the maximum on-time
    NOT_SEEN = "not_seen"  # a full turn, nothing fell past the sensor
    EMPTY = "empty"  # the column's own switch says so; not turned
    BLIND = "blind"  # the sensor died in mid vend
    DOOR_OPENED = "door_opened"
    UNKNOWN = "unknown"  # no sensor fitted: a full turn, and nobody saw


@dataclass(frozen=True, slots=True)
class DispenseResult:
    """Outcome with what was measured."""

    outcome: DispenseOutcome
    run_s: float = 0.0  # motor on-time
    drops: int = 0  # products seen by the sensor in this run (two: double drop)
    detail: str = ""
    trouble: DispenseOutcome | None = None  # DROPPED, and yet the turn did not end as it should


@dataclass(frozen=True, slots=True)
class DispenseEvidence:
    """What the hardware still knows after vendd died in a turn."""

    latched: bool | None  # drop latch: True fell, False not; None not fitted, blind or power lost
    at_home: bool | None  # home switch now; None without one


class Dispenser(Protocol):
    """All columns of the cabinet."""

    async def check_sensor(self, column: str) -> SensorCheck:
        """Self-test the drop sensor, clear its latch and read it back; before the intent."""
        ...

    async def turn(self, column: str, *, extra: bool = False) -> DispenseResult:
        """Run one column's motor one turn. Outputs are off on every way out, cancellation too."""
        ...

    async def evidence(self, column: str) -> DispenseEvidence:
        """Read latch and home switch without moving anything."""
        ...

    def all_off(self) -> None:
        """Drive every output to its safe level, now."""
        ...


# --------------------------------------------------------------------------------- panel


class Display(Protocol):
    """Four lines of twenty characters."""

    def show(self, lines: Sequence[str]) -> None:
        """Show lines; never blocks, only the newest text is kept. Faults are told to the sink."""
        ...


class Tone(StrEnum):
    """What the buzzer says."""

    KEY = "key"
    OK = "ok"
    ERROR = "error"
    CLAIM = "claim"


class Buzzer(Protocol):
    """The panel's voice."""

    def beep(self, tone: Tone) -> None:
        """Sound; never blocks, with a maximum on-time."""
        ...


@dataclass(frozen=True, slots=True)
class ClimateOutputs:
    """What should be on."""

    compressor: bool = False
    defrost: bool = False
    heater: bool = False
    light: bool = False

    def names(self) -> list[str]:
        """Return what is on."""
        return [part.value for part in ClimatePart if getattr(self, part.value)]

    def without(self, part: ClimatePart) -> ClimateOutputs:
        """Return the same with one part off."""
        return replace(self, **{part.value: False})


class Climate(Protocol):
    """Compressor, defrost, heater and light."""

    def switch(self, outputs: ClimateOutputs) -> None:
        """Switch what differs, what goes off first; never blocks. Tells ``OutputCut``."""
        ...


class Heartbeat(Protocol):
    """Feeds the guard and the service manager from the actor's loop."""

    def beat(self) -> None:
        """Say that the loop is alive."""
        ...


class Spool(Protocol):
    """Where requests lie that another program picks up."""

    async def put(self, name: str, content: bytes) -> None:
        """Write a file that is whole or not there, and durable.

        Raises:
            LinkError: It is not there.
            EffectUnknownError: Nobody can say.
        """
        ...

    async def has(self, name: str) -> bool:
        """Tell whether it is (still) there. Raises LinkError."""
        ...


@dataclass(slots=True)
class Hands:
    """Everything the brain may move; a missing device is None (the machine sells with the rest)."""

    dispenser: Dispenser
    display: Display
    buzzer: Buzzer
    changer: Changer | None = None
    bill: BillValidator | None = None
    readers: dict[DeviceName, CardReader] = field(default_factory=dict)
    climate: Climate | None = None
    spool: Spool | None = None
