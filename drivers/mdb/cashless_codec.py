"""Cashless device messages as values.

Pure: no port, no clock, no log. `cashless_parser` cuts an answer, which may hold several, into
them; `cashless_encoder` writes them. What the VMC says is in `cashless_commands`.

Source: MDB/ICP 4.2, section 7.
"""

from dataclasses import dataclass, field
from enum import IntEnum, unique
from typing import Final

from drivers.mdb.cashless_words import MALFUNCTION_WORDS, malfunction_class, malfunction_words
from drivers.mdb.fields import (
    Identification,
)
from drivers.mdb.ftl_codec import FtlMessage
from drivers.mdb.money import CurrencyCode, Scale

MAX_DISPLAY_CHARACTERS: Final = 32
"""Most characters of a DISPLAY REQUEST, whatever our display has."""

OPTION_FTL: Final = 1 << 0
OPTION_MONEY_32: Final = 1 << 1
OPTION_MULTI_CURRENCY: Final = 1 << 2
OPTION_NEGATIVE_VEND: Final = 1 << 3
OPTION_DATA_ENTRY: Final = 1 << 4
OPTION_ALWAYS_IDLE: Final = 1 << 5
OPTIONS_EXPANDED: Final = OPTION_MONEY_32 | OPTION_MULTI_CURRENCY
"""Either of them enabled means expanded currency mode."""


@unique
class Code(IntEnum):
    """First byte of a message. 1B-1F are File Transport Layer messages."""

    JUST_RESET = 0x00
    READER_CONFIG = 0x01
    DISPLAY_REQUEST = 0x02
    BEGIN_SESSION = 0x03
    SESSION_CANCEL_REQUEST = 0x04
    VEND_APPROVED = 0x05
    VEND_DENIED = 0x06
    END_SESSION = 0x07
    CANCELLED = 0x08
    PERIPHERAL_ID = 0x09
    MALFUNCTION = 0x0A
    OUT_OF_SEQUENCE = 0x0B
    OBSOLETE_BUSY = 0x0C
    REVALUE_APPROVED = 0x0D
    REVALUE_DENIED = 0x0E
    REVALUE_LIMIT = 0x0F
    USER_FILE_DATA = 0x10
    TIME_DATE_REQUEST = 0x11
    DATA_ENTRY_REQUEST = 0x12
    DATA_ENTRY_CANCEL = 0x13
    SELECTION_REQUEST = 0x14
    DIAGNOSTICS = 0xFF


@unique
class ReaderState(IntEnum):
    """States of a reader, as COMMAND OUT OF SEQUENCE names them."""

    INACTIVE = 1
    DISABLED = 2
    ENABLED = 3
    SESSION_IDLE = 4
    VEND = 5
    REVALUE = 6
    NEGATIVE_VEND = 7


@dataclass(frozen=True, slots=True)
class CashlessContext:
    """The lengths in use between VMC and reader.

    Attributes:
        level: The lower of both levels; None when it is not known (trace decoder).
        expanded: Expanded currency mode is enabled.
        display_characters: Columns x rows of our SETUP; None when not known.
    """

    level: int | None = None
    expanded: bool = False
    display_characters: int | None = None

    @property
    def level_in_use(self) -> int:
        """The level to read by: 1 when unknown, unless expanded currency mode shows level 3."""
        return self.level or (3 if self.expanded else 1)

    @property
    def money_bytes(self) -> int:
        """Size of an amount."""
        return 4 if self.expanded else 2


@dataclass(frozen=True, slots=True)
class JustReset:
    """The reader reset itself or was reset: initialise it, send no RESET."""

    raw: bytes = field(default=b"", compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class ReaderConfig:
    """READER CONFIG DATA, the answer to our SETUP."""

    level: int
    """Battery flag removed."""
    currency: CurrencyCode
    scaling: int
    decimals: int
    max_response_s: int
    """Application maximum response time; counts only when larger than 5 s."""
    options: int
    """Option bits (Z8); the properties below read them."""
    battery: bool = False
    """Bit 7 of the level: battery-operated variant."""
    raw: bytes = field(default=b"", compare=False, repr=False)

    @property
    def scale(self) -> Scale:
        """For exact money. Raises ScaleError when the factor is 0."""
        return Scale(self.scaling, self.decimals)

    @property
    def can_refund(self) -> bool:
        """It can put the money of a failed vend back."""
        return bool(self.options & 1)

    @property
    def multivend(self) -> bool:
        """Several vends in one session are possible."""
        return bool(self.options & 2)

    @property
    def has_display(self) -> bool:
        """It has a display of its own."""
        return bool(self.options & 4)

    @property
    def cash_sale(self) -> bool:
        """It wants to be told of cash sales."""
        return bool(self.options & 8)


@dataclass(frozen=True, slots=True)
class DisplayRequest:
    """Show `text` for a while; the reader has padded it to our display."""

    tenths: int
    """Time in 0.1 s."""
    characters: bytes
    raw: bytes = field(default=b"", compare=False, repr=False)

    @property
    def text(self) -> str:
        """The characters, with `?` for what is not printable ASCII."""
        return "".join(chr(byte) if 0x20 <= byte < 0x7F else "?" for byte in self.characters)


@dataclass(frozen=True, slots=True)
class BeginSession:
    """A card is there. Never decide on `funds`: the reader answers the VEND REQUEST."""

    funds: int | None
    """Scaled; None: not yet determined, or not to be shown (FFFF)."""
    media_id: int | None = None
    """None at level 1, and when the reader says unknown (FFFFFFFF)."""
    payment_type: int = 0
    """Bit 7 free-vend card, bit 6 test media, low 6 bits kind (`PAYMENT_KIND_WORDS`)."""
    payment_data: int = 0
    """Two bytes, read according to the kind."""
    language: str | None = None
    """Two letters of ISO 639, expanded currency mode only."""
    currency: CurrencyCode | None = None
    card_options: int | None = None
    """Expanded currency mode only."""
    raw: bytes = field(default=b"", compare=False, repr=False)

    @property
    def free_vend(self) -> bool:
        """The card vends for nothing."""
        return bool(self.payment_type & 0x80)

    @property
    def test_media(self) -> bool:
        """A technician's card."""
        return bool(self.payment_type & 0x40)

    @property
    def payment_kind(self) -> int:
        """0 normal prices; 1-4 groups, discount, surcharge."""
        return self.payment_type & 0x3F

    @property
    def hide_credit(self) -> bool:
        """The credit must not be shown."""
        return bool((self.card_options or 0) & 1)

    @property
    def refundable(self) -> bool | None:
        """The card's own word on refunds, overrides the reader's; None when it has none."""
        return None if self.card_options is None else bool(self.card_options & 2)

    @property
    def revaluable(self) -> bool | None:
        """The card's own word on revalue and negative vend; None when it has none."""
        return None if self.card_options is None else bool(self.card_options & 4)


@dataclass(frozen=True, slots=True)
class SessionCancelRequest:
    """Please end the session; a running vend is finished first."""

    raw: bytes = field(default=b"", compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class VendApproved:
    """What was taken from the medium; it may differ from the price. We owe success or failure."""

    amount: int | None
    """Scaled; None: an electronic token was used (FFFF)."""
    raw: bytes = field(default=b"", compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class VendDenied:
    """Nothing was taken."""

    raw: bytes = field(default=b"", compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class EndSession:
    """The session is over."""

    raw: bytes = field(default=b"", compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Cancelled:
    """READER CANCEL was done."""

    raw: bytes = field(default=b"", compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class PeripheralId:
    """Who the reader is; with option bits between level 3 partners."""

    identification: Identification
    raw: bytes = field(default=b"", compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Malfunction:
    """Something is wrong with reader or medium."""

    code: int
    raw: bytes = field(default=b"", compare=False, repr=False)

    @property
    def kind(self) -> str:
        """The high nibble in words."""
        return MALFUNCTION_WORDS[self.code >> 4]

    @property
    def words(self) -> str:
        """The whole code in words."""
        return malfunction_words(self.code)

    @property
    def error_class(self) -> int | None:
        """1 transient; 2 lasting, reader works; 3 lasting, reader does not; None not classed."""
        return malfunction_class(self.code)

    @property
    def is_refund_error(self) -> bool:
        """The money of a failed or cancelled vend could not go back and is lost there."""
        return self.code >> 4 == 0x0C


@dataclass(frozen=True, slots=True)
class OutOfSequence:
    """A command that the reader acknowledged but could not execute in its state."""

    state_code: int | None = None
    """None at level 1."""
    raw: bytes = field(default=b"", compare=False, repr=False)

    @property
    def state(self) -> ReaderState | None:
        """The state, None when it was not sent or is not defined."""
        code = self.state_code
        return ReaderState(code) if code is not None and 1 <= code <= 7 else None


@dataclass(frozen=True, slots=True)
class ObsoleteBusy:
    """BUSY of before 1998; ignore it."""

    raw: bytes = field(default=b"", compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class RevalueApproved:
    """The medium was credited; our credit is gone."""

    raw: bytes = field(default=b"", compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class RevalueDenied:
    """The medium was not credited."""

    raw: bytes = field(default=b"", compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class RevalueLimit:
    """Most that may be credited, scaled."""

    amount: int
    raw: bytes = field(default=b"", compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class UserFileData:
    """Obsolete."""

    file: int
    data: bytes
    raw: bytes = field(default=b"", compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class TimeDateRequest:
    """Tell the time by EXPANSION 03."""

    raw: bytes = field(default=b"", compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class DataEntryRequest:
    """The reader wants keys from our panel."""

    keys: int
    """How many, 0-127."""
    repeated: bool = False
    raw: bytes = field(default=b"", compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class DataEntryCancel:
    """The reader gave the data entry up."""

    raw: bytes = field(default=b"", compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class SelectionRequest:
    """Remote vend of version 4.3, which we never enable: consumed and logged."""

    data: bytes
    """Eleven bytes if the reader kept to the form we know: funds (2), media id (4), payment type,
    payment data (2), item number (2)."""
    raw: bytes = field(default=b"", compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class FtlReceived:
    """A File Transport Layer message; fills the whole answer."""

    message: FtlMessage
    raw: bytes = field(default=b"", compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class AgeFeatures:
    """Answer to an age request: what the reader can check."""

    features: int
    raw: bytes = field(default=b"", compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class AgeResult:
    """What a card said about the customer's age; good for about 30 s."""

    status: int
    feature: int
    raw: bytes = field(default=b"", compare=False, repr=False)

    @property
    def old_enough(self) -> bool:
        """The customer has the age that was asked for."""
        return bool(self.status & 0x10)

    @property
    def age_known(self) -> bool:
        """The card knows an age."""
        return bool(self.status & 0x02)

    @property
    def busy(self) -> bool:
        """The check is still going on."""
        return bool(self.status & 0x40)

    @property
    def card_in(self) -> bool:
        """A card is in the reader."""
        return bool(self.status & 0x80)


@dataclass(frozen=True, slots=True)
class DiagnosticsResponse:
    """Manufacturer diagnostics; takes the rest of the block."""

    data: bytes
    raw: bytes = field(default=b"", compare=False, repr=False)


ReaderMessage = (
    JustReset
    | ReaderConfig
    | DisplayRequest
    | BeginSession
    | SessionCancelRequest
    | VendApproved
    | VendDenied
    | EndSession
    | Cancelled
    | PeripheralId
    | Malfunction
    | OutOfSequence
    | ObsoleteBusy
    | RevalueApproved
    | RevalueDenied
    | RevalueLimit
    | UserFileData
    | TimeDateRequest
    | DataEntryRequest
    | DataEntryCancel
    | SelectionRequest
    | FtlReceived
    | AgeFeatures
    | AgeResult
    | DiagnosticsResponse
)

AGE_FEATURES_HEAD: Final = b"\xff\x05\x06"
AGE_RESULT_HEAD: Final = b"\xff\x06\x07"
AGE_FEATURES_TAG: Final = b"DRAVP"
AGE_RESULT_TAG: Final = b"DRAVS"
