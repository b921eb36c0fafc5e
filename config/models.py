"""The sections of a machine's configuration file, one model each.

Amounts are whole minor units of the machine's currency (cents). Units end each key's name. Defaults
stand here once; the files under ``config/machines`` show them with their reasons.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from config.pins import Pin


class Section(BaseModel):
    """What all sections share: nothing unknown, nothing converted, nothing changed later."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def between(low: float, high: float, unit: str = "") -> AfterValidator:
    """Bound a number, both ends included, with an error that names the whole range."""

    def check(value: Any) -> Any:  # int or float, which the field's own type has settled
        if not low <= value <= high:  # said this way round, NaN is refused as well
            raise PydanticCustomError(
                "between",
                "is out of range; allowed: {low} to {high}{unit}",
                {"low": low, "high": high, "unit": f" {unit}" if unit else ""},
            )
        return value

    return AfterValidator(check)


def shaped(pattern: str, words: str) -> AfterValidator:
    """Hold a text to a pattern, with an error that says the pattern in words."""
    form = re.compile(pattern)

    def check(value: str) -> str:
        if form.fullmatch(value) is None:
            raise PydanticCustomError("shape", "is malformed; allowed: {words}", {"words": words})
        return value

    return AfterValidator(check)


def _no_empty_path(value: Any) -> Any:
    if value == "":  # which Path takes for the folder that relative paths stand below
        raise PydanticCustomError("empty", "is empty; allowed: a path")
    return value


FilePath = Annotated[Path, BeforeValidator(_no_empty_path)]
"""Of a file, a folder or a socket; a relative one stands below ``machine.home``."""


def _without_repeats(values: tuple[Any, ...]) -> tuple[Any, ...]:
    twice = sorted({value for value in values if values.count(value) > 1})
    if twice:
        raise PydanticCustomError(
            "repeats", "names {twice} twice; allowed: each once", {"twice": twice[0]}
        )
    return values


Amount = Annotated[int, between(0, 99_999_999, "minor units")]
Price = Annotated[int, between(0, 9_999_999, "minor units")]  # 0: free
CoinOrBill = Annotated[int, between(1, 9_999_999, "minor units")]
Values = Annotated[tuple[CoinOrBill, ...], AfterValidator(_without_repeats)]
Language = Annotated[str, shaped(r"[a-z]{2}", 'two small letters, e.g. "de"')]
Selection = Annotated[
    str, shaped(r"[A-D][0-9]{1,2}|[0-9]{1,3}", 'what a customer can key, e.g. "A3" or "14"')
]
ProductId = Annotated[
    str, shaped(r"[a-z0-9][a-z0-9-]{0,31}", "small letters, digits and dashes, 32 at most")
]


class Machine(Section):
    """Who the machine is and where it stands."""

    id: Annotated[
        str, shaped(r"[a-z0-9][a-z0-9-]{0,31}", "small letters, digits and dashes, 32 at most")
    ]
    currency: Annotated[str, shaped(r"[A-Z]{3}", 'an ISO 4217 code, e.g. "EUR"')]
    locale: Annotated[str, shaped(r"[a-z]{2}(_[A-Z]{2})?", 'a locale, e.g. "de_DE"')] = "en"
    languages: Annotated[
        tuple[Language, ...], Field(min_length=1), AfterValidator(_without_repeats)
    ] = ("en",)  # the panel's; the first is shown unasked
    # Shows the next language. None: the last of A to D that is there and begins no selection; "":
    # no key does.
    language_key: Annotated[str, shaped(r"[A-D]?", 'A, B, C or D, or "" for none')] | None = None
    # Puts credit on a card, under policy.revalue. None: the last of A to D that is there, begins no
    # selection and shows no language.
    revalue_key: Annotated[str, shaped(r"[A-D]", "A, B, C or D")] | None = None
    timezone: Annotated[str, shaped(r"[A-Za-z0-9_+/-]+", 'e.g. "Europe/Berlin"')] = "UTC"
    # There while NTP keeps the clock right (systemd-timesyncd); till then no time counts as known.
    ntp_marker: FilePath = Path("/run/systemd/timesync/synchronized")
    ntp_kernel: bool = False  # or ask the kernel: chrony and ntpd leave no marker
    # Relative paths of the file stand below it; ~ is expanded.
    home: FilePath = Path("/var/lib/vendd")
    # Changes at each power-up and at nothing else: tells a restart from a power cut.
    system_boot: FilePath = Path("/proc/sys/kernel/random/boot_id")


class Journal(Section):
    """Where the facts are kept."""

    folder: FilePath = Path("journal")  # the database, its id, the machine's keys, the ballast
    # Days that records stay which the fleet has; without [cloud] nothing is ever dropped.
    keep_days: Annotated[int, between(7, 3_650)] = 90


class Api(Section):
    """The technician's door."""

    socket: FilePath = Path("vendd.sock")
    read_group: str | None = None  # may look; None: root and vendd's own user alone
    act_group: str | None = None  # may act as well


class Changer(Section):
    """The coin changer."""

    enabled: bool = False
    accept: Values | None = None  # None: every coin it knows
    keep: Mapping[CoinOrBill, Annotated[int, between(0, 255, "coins")]] = Field(
        default_factory=dict
    )


class Bill(Section):
    """The bill validator."""

    enabled: bool = False
    accept: Values | None = None  # None: every bill it knows
    max_value: Amount | None = None  # the largest bill taken; None: no bound
    high_security: Values | None = None  # validated strictly; None: as the validator likes
    recycle: Values = ()  # kept in the recycler, and paid out as change; (): every bill is stacked


class Cashless(Section):
    """One card reader."""

    enabled: bool = False
    level: Annotated[int, between(1, 3)] = 3  # the highest to speak, the reader's own may be lower
    always_idle: bool = True  # where the reader offers it
    # What vendctl calls it beside "cashless1".
    name: Annotated[str, shaped(r".{1,20}", "1 to 20 characters")] = "Card"


class Mdb(Section):
    """The bus of the money devices."""

    link: Literal["adapter", "native"] = "adapter"
    port: FilePath
    baud: Annotated[int, between(9_600, 1_000_000, "baud")] = 115_200  # of an adapter's serial port
    changer: Changer = Changer()
    bill: Bill = Bill()
    cashless1: Cashless = Cashless()
    cashless2: Cashless = Cashless()


CcTalkAddress = Annotated[int, between(2, 255)]


class CcTalkAcceptor(Section):
    """A coin acceptor on ccTalk."""

    address: CcTalkAddress = 2
    checksum: Literal["sum", "crc"] = "sum"
    unit: Literal["minor", "main"] = "minor"  # what the values of its coin ids count
    accept: Values | None = None  # None: every coin it knows


class CcTalkHopper(Section):
    """A hopper on ccTalk: it pays one coin, and is one of the changer's tubes."""

    address: CcTalkAddress
    value: CoinOrBill  # its coin
    checksum: Literal["sum", "crc"] = "sum"
    content: Annotated[int, between(0, 65_000, "coins")] = 0  # inside at the first start
    capacity: Annotated[int, between(1, 65_000, "coins")] = 500
    keep: Annotated[int, between(0, 65_000, "coins")] = 0  # never paid out
    path: Annotated[int, between(1, 8)] | None = None  # the sorter path that ends in it
    dispense: Literal["auto", "serial", "no_cipher", "plain"] = "auto"  # how a payout is proved


class CcTalkBill(Section):
    """A bill validator on ccTalk."""

    address: CcTalkAddress = 40
    checksum: Literal["sum", "crc"] = "crc"
    accept: Values | None = None  # None: every bill it knows
    max_value: Amount | None = None  # the largest bill taken; None: no bound


class CcTalk(Section):
    """The line of ccTalk devices; instead of the changer or the validator of ``mdb``, or both."""

    port: FilePath
    acceptor: CcTalkAcceptor | None = None
    hoppers: Annotated[tuple[CcTalkHopper, ...], Field(max_length=8)] = ()
    bill: CcTalkBill | None = None


Pulses = Annotated[int, between(1, 255, "pulses")]


class Pulse(Section):
    """A coin acceptor that tells its coins by pulses; instead of the changer of ``mdb``."""

    pin: Pin  # in: on during a pulse
    enable: Pin | None = None  # out: on while coins may be taken; off, its safe level, inhibits
    return_lever: Pin | None = None  # in: on while the coin return is pressed
    # How many pulses stand for which value: { 1 = 50, 2 = 100, 4 = 200 }
    coins: Annotated[Mapping[Pulses, CoinOrBill], Field(min_length=1, max_length=16)]
    accept: Values | None = None  # None: every coin it tells
    pulse_min_ms: Annotated[int, between(5, 500, "ms")] = 20  # a shorter one is noise
    pulse_max_ms: Annotated[int, between(10, 2_000, "ms")] = 200  # a longer one: the line is stuck
    gap_ms: Annotated[int, between(20, 5_000, "ms")] = 300  # a longer pause ends the coin
    bounce_ms: Annotated[int, between(1, 50, "ms")] = 3  # a level counts when it has stood so long


class Policy(Section):
    """What the owner decides."""

    max_credit: Amount = 5_000  # acceptors are inhibited above it
    max_change: Amount = 2_000  # the most a vend may have to pay back
    on_unknown: Literal["refund", "charge"] = "refund"  # the drop was not seen and can't be asked
    credit_timeout_s: Annotated[float, between(0, 3_600, "s")] = 0.0  # 0: credit stays
    exact_change_margin: Amount = 100  # "exact change only" if this much can't be paid back
    bill_needs_change: bool = True  # False: a bill is taken whatever the tubes can pay
    escrow: Literal["auto", "hold", "keep"] = "auto"  # a bill waits for its vend, or is kept
    after_failure: Literal["refund", "keep"] = "refund"  # keep: the customer may choose again
    on_credit_timeout: Literal["pay", "keep"] = "pay"  # keep: as unclaimed money, with a record
    column_retries: Annotated[int, between(0, 5)] = 0  # a column with a fault is tried on; 0: off
    column_refunds_max: Annotated[int, between(0, 100)] = 3  # failed in a row: column off; 0: never
    machine_refunds_max: Annotated[int, between(0, 100)] = 6  # failed in a row: machine off
    claim_days: Annotated[int, between(7, 3_650, "days")] = 90  # a claim's code is honoured
    multi_vend: bool = False  # change is returned after each vend
    basket: bool = False  # several selections, then "#" buys them all
    must_vend: bool = False  # inserted money is returned only after a vend was tried
    session_timeout_s: Annotated[float, between(5, 600, "s")] = 60.0  # a card without a selection
    approval_timeout_s: Annotated[float, between(5, 600, "s")] = 60.0  # always idle: to show a card
    refund_deadline_s: Annotated[float, between(1, 600, "s")] = 30.0  # then it becomes a claim
    revalue: bool = False  # cash credit may be put on a card, where reader and card can


_Minute = Annotated[str, shaped(r"([01][0-9]|2[0-3]):[0-5][0-9]", 'a time of day, e.g. "17:30"')]
_Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


class Offer(Section):
    """A discount, or a free vend, by time of day; only while the time is known."""

    name: Annotated[str, shaped(r"[a-z0-9][a-z0-9-]{0,31}", "small letters, digits and dashes")]
    percent: Annotated[int, between(1, 100, "percent")]  # off the price; 100: free
    start: _Minute
    end: _Minute  # not after start: on the next day
    days: Annotated[tuple[_Weekday, ...], AfterValidator(_without_repeats)] = (
        "mon", "tue", "wed", "thu", "fri", "sat", "sun",
    )  # fmt: skip
    products: Annotated[tuple[ProductId, ...], AfterValidator(_without_repeats)] = ()
    columns: Annotated[tuple[Selection, ...], AfterValidator(_without_repeats)] = ()  # none: all
    step: CoinOrBill = 5  # prices are rounded down to a multiple of it, but not to 0, minor units


class Tokens(Section):
    """Vend tokens in the coin slot: each buys one product, whatever it costs."""

    products: Annotated[tuple[ProductId, ...], AfterValidator(_without_repeats)] = ()
    columns: Annotated[tuple[Selection, ...], AfterValidator(_without_repeats)] = ()


class Product(Section):
    """What is sold."""

    id: ProductId
    name: Annotated[str, shaped(r"\S(.{0,38}\S)?", "1 to 40 characters, no blanks around")]
    price: Price | None = None  # of its columns that name none
    # Sold out when all of its columns are, which stand in for each other; or each by itself.
    sold_out: Literal["product", "column"] = "product"
    min_age: Annotated[int, between(0, 99, "years")] = 0  # a reader proves it before a sale


class DirectMotor(Section):
    """A motor with a pin of its own."""

    type: Literal["direct"]
    pin: Pin


class MatrixMotor(Section):
    """A motor at a crossing of ``gpio.rows`` and ``gpio.columns``, each counted from 0."""

    type: Literal["matrix"]
    row: Annotated[int, between(0, 31)]
    column: Annotated[int, between(0, 31)]


class Column(Section):
    """A motor and what it holds."""

    selection: Selection
    product: ProductId
    price: Price | None = None  # None: the product's
    capacity: Annotated[int, between(1, 999, "products")]
    item_number: Annotated[int, between(1, 65_534)]  # the reader's name for it in VEND REQUEST
    motor: Annotated[DirectMotor | MatrixMotor, Field(discriminator="type")]
    home: Pin | None = None  # the cam's switch, on at home; columns of a matrix may share one
    empty: Pin | None = None  # the column's own switch, on when it is empty
    turn_s: Annotated[float, between(0.1, 20, "s")] = 2.5  # one turn, as measured
    max_on_s: Annotated[float, between(0.1, 30, "s")] = 6.0  # no turn is longer; a burnt motor is
    extra_turn: bool = True  # once more if nothing was seen to drop
    # Sold out at a count of zero; or not before its switch, or a turn without a drop, says so.
    sold_out: Literal["count", "sensor"] = "count"


class Gpio(Section):
    """The pins' chip, and the lines that the motors of a matrix share."""

    pin_factory: Annotated[
        str, shaped(r"[a-z][a-z0-9_]*", "a factory that gpiozero knows, e.g. lgpio or vendsim")
    ] = "lgpio"
    factory_arguments: Mapping[str, str | int] = Field(
        default_factory=dict
    )  # "./x" is a path below home
    rows: tuple[Pin, ...] = ()
    columns: tuple[Pin, ...] = ()


class DropSensor(Section):
    """The light barrier under the columns, with a latch outside of this computer."""

    fitted: bool = False
    latch: Pin | None = None  # in: on when something fell since the last clear
    clear: Pin | None = None  # out: clears the latch
    test: Pin | None = None  # out: switches the emitter off, for the self-test
    settle_ms: Annotated[int, between(0, 5_000, "ms")] = 400  # a product's fall after the turn


class CurrentSense(Section):
    """A comparator on the motors' supply."""

    pin: Pin  # in: on when a motor draws the current of one that stands still


class Door(Section):
    """The service door."""

    pin: Pin  # in: on when the door is open


class Buzzer(Section):
    """The panel's voice."""

    pin: Pin


_Key = Annotated[str, shaped(r"[0-9A-D*#]", "0 to 9, A to D, * (coin return) or # (enter)")]

# Linux input event codes of the keys that a `gpio-matrix-keypad` overlay usually names:
# 1..9, 0, A..D, Esc and the keypad's asterisk for coin return, Enter for enter.
_KERNEL_KEYS: Final[Mapping[int, str]] = MappingProxyType(
    {code: str(code - 1) for code in range(2, 11)}
    | {11: "0", 30: "A", 48: "B", 46: "C", 32: "D", 1: "*", 55: "*", 28: "#"}
)


class MatrixKeypad(Section):
    """Keys scanned by vendd."""

    kind: Literal["gpio-matrix"]
    rows: Annotated[tuple[Pin, ...], Field(min_length=1, max_length=8)]  # out, one at a time
    columns: Annotated[tuple[Pin, ...], Field(min_length=1, max_length=8)]  # in
    layout: tuple[str, ...] = ("123A", "456B", "789C", "*0#D")  # a line per row
    debounce_ms: Annotated[int, between(5, 200, "ms")] = 30
    scan_ms: Annotated[int, between(2, 50, "ms")] = 10


class KernelKeypad(Section):
    """Keys scanned by the kernel and read from its input device."""

    kind: Literal["evdev"]
    path: FilePath  # /dev/input/by-path/...
    codes: Mapping[int, _Key] = Field(default_factory=lambda: dict(_KERNEL_KEYS))


class Display(Section):
    """The customer's display."""

    kind: Literal["hd44780-i2c"] = "hd44780-i2c"
    bus: Annotated[
        str,
        shaped(r"/dev/i2c-\d+|socket:.+", '/dev/i2c-N, or "socket:PATH" of a simulator'),
    ] = "/dev/i2c-1"
    address: Annotated[int, between(0x03, 0x77)] = 0x27  # of its PCF8574 expander
    cols: Literal[16, 20, 40] = 20
    rows: Literal[2, 4] = 4


class Guard(Section):
    """The parent process that turns outputs off when vendd can't."""

    heartbeat_timeout_ms: Annotated[int, between(100, 10_000, "ms")] = 500


class Recorder(Section):
    """The flight recorder: what happened around a fault or a disputed vend, beside the journal."""

    enabled: bool = True


class Cloud(Section):
    """The fleet that this machine belongs to. Without this section it lives alone."""

    tenant: Annotated[
        str, shaped(r"[a-z0-9]([a-z0-9-]{0,46}[a-z0-9])?", "small letters, digits and dashes")
    ]
    host: Annotated[str, Field(min_length=1)]
    # "auto": MQTT, and HTTPS while MQTT can't be reached.
    transport: Literal["mqtt", "https", "auto"] = "mqtt"
    port: Annotated[int, between(1, 65_535)] = 8883
    version: Literal[3, 5] = 5  # of MQTT: 5, or 3 for 3.1.1
    https_port: Annotated[int, between(1, 65_535)] = 8443  # certificates are renewed there, too
    proxy: Annotated[str, shaped(r"(https?://\S+)?", "http://HOST:PORT or nothing")] = ""
    tls: bool = True  # off only for a broker on this computer
    ca: FilePath | None = None
    certificate: FilePath | None = None
    key: FilePath | None = None
    root_key: Annotated[str, shaped(r"[0-9a-f]{64}", "64 small hex digits")]
    state_minutes: Annotated[int, between(1, 1_440, "minutes")] = 15  # it says how it is so often
    sample_minutes: Annotated[int, between(0, 1_440, "minutes")] = 5  # it measures; 0: never


class Update(Section):
    """Where a version that the fleet wants is handed over; without it none is taken."""

    spool: FilePath  # a folder; whatever installs software picks requests up there


class Log(Section):
    """What is said."""

    level: Literal["debug", "info", "warning", "error"] = "info"
