"""Cashless device messages: bytes on one side, values on the other, both ways.

Pure: no port, no clock, no log. One message at a time here; `cashless_parser` cuts an answer, which
may hold several, into them. What the VMC says is in `cashless_commands`.

Source: MDB/ICP 4.2, section 7.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum, unique
from typing import Final

from drivers.mdb.blocks import MAX_PAYLOAD_BYTES, BlockFault, MdbBlockError
from drivers.mdb.cashless_words import MALFUNCTION_WORDS, malfunction_class, malfunction_words
from drivers.mdb.fields import (
    Identification,
    ascii_field,
    ascii_text,
    encode_identification,
    unsigned,
)
from drivers.mdb.ftl_codec import FtlMessage
from drivers.mdb.ftl_codec import encode_message as encode_ftl
from drivers.mdb.money import CurrencyCode, Scale, encode_currency

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
    """Bits as the CAN_* properties read them."""
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

_BARE: Final[dict[type[ReaderMessage], Code]] = {
    JustReset: Code.JUST_RESET,
    SessionCancelRequest: Code.SESSION_CANCEL_REQUEST,
    VendDenied: Code.VEND_DENIED,
    EndSession: Code.END_SESSION,
    Cancelled: Code.CANCELLED,
    ObsoleteBusy: Code.OBSOLETE_BUSY,
    RevalueApproved: Code.REVALUE_APPROVED,
    RevalueDenied: Code.REVALUE_DENIED,
    TimeDateRequest: Code.TIME_DATE_REQUEST,
    DataEntryCancel: Code.DATA_ENTRY_CANCEL,
}


def encode_message(message: ReaderMessage, context: CashlessContext) -> bytes:
    """One message in the lengths of `context`; fields a level lacks are left out.

    Raises:
        MdbBlockError: A field out of range, or an amount that only the "none" mark could carry.
    """
    bare = _BARE.get(type(message))
    if bare is not None:
        return bytes((bare,))
    match message:
        case BeginSession():
            return _begin_session(message, context)
        case VendApproved(amount):
            return bytes((Code.VEND_APPROVED,)) + _amount(amount, context)
        case RevalueLimit(amount):
            size = context.money_bytes
            return bytes((Code.REVALUE_LIMIT,)) + unsigned(amount, size, "revalue limit")
        case PeripheralId(identification):
            return _peripheral_id(identification, context)
        case Malfunction(code):
            return bytes((Code.MALFUNCTION,)) + unsigned(code, 1, "malfunction code")
        case OutOfSequence(state):
            known = context.level_in_use >= 2
            tail = unsigned(state or 0, 1, "state") if known else b""
            return bytes((Code.OUT_OF_SEQUENCE,)) + tail
        case ReaderConfig():
            return _reader_config(message)
        case _:
            return _rare_message(message)


def encode_messages(messages: Iterable[ReaderMessage], context: CashlessContext) -> bytes:
    """An answer of several messages; empty (a lone ACK) without any.

    Raises:
        MdbBlockError: A field out of range, or more than 35 bytes.
    """
    payload = b"".join(encode_message(message, context) for message in messages)
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise MdbBlockError(BlockFault.TOO_LONG, "an answer holds 35 bytes", payload)
    return payload


def _amount(amount: int | None, context: CashlessContext) -> bytes:
    size = context.money_bytes
    if amount is None:
        return b"\xff" * size
    if amount == (1 << 8 * size) - 1:
        raise MdbBlockError(BlockFault.BAD_VALUE, f"{amount} means that there is no amount")
    return unsigned(amount, size, "amount")


def _begin_session(message: BeginSession, context: CashlessContext) -> bytes:
    head = bytes((Code.BEGIN_SESSION,)) + _amount(message.funds, context)
    if context.level_in_use < 2:
        return head
    media = 0xFFFFFFFF if message.media_id is None else message.media_id
    payment = (
        unsigned(media, 4, "media id")
        + unsigned(message.payment_type, 1, "payment type")
        + unsigned(message.payment_data, 2, "payment data")
    )
    if not context.expanded:
        return head + payment
    currency = message.currency or CurrencyCode(0xFFFF)
    return (
        head
        + payment
        + ascii_field(message.language or "", 2, "language", fill=b"\0")
        + encode_currency(currency)
        + unsigned(message.card_options or 0, 1, "card options")
    )


def _peripheral_id(identification: Identification, context: CashlessContext) -> bytes:
    body = encode_identification(identification)
    if context.level_in_use >= 3 and identification.options is None:
        body += bytes(4)
    elif context.level_in_use < 3:
        body = body[:29]
    return bytes((Code.PERIPHERAL_ID,)) + body


def _reader_config(message: ReaderConfig) -> bytes:
    return (
        bytes((Code.READER_CONFIG,))
        + unsigned(message.level | message.battery << 7, 1, "level")
        + encode_currency(message.currency)
        + unsigned(message.scaling, 1, "scaling factor")
        + unsigned(message.decimals, 1, "decimal places")
        + unsigned(message.max_response_s, 1, "maximum response time")
        + unsigned(message.options, 1, "reader options")
    )


def _rare_message(message: ReaderMessage) -> bytes:
    match message:
        case DisplayRequest(tenths, characters):
            head = bytes((Code.DISPLAY_REQUEST,)) + unsigned(tenths, 1, "display time")
            return head + characters
        case DataEntryRequest(keys, repeated):
            if not 0 <= keys <= 0x7F:
                raise MdbBlockError(BlockFault.BAD_VALUE, f"0 to 127 keys, not {keys}")
            return bytes((Code.DATA_ENTRY_REQUEST, repeated << 7 | keys))
        case UserFileData(file, data):
            head = bytes((Code.USER_FILE_DATA,)) + unsigned(file, 1, "file number")
            return head + unsigned(len(data), 1, "length") + data
        case SelectionRequest(data):
            return bytes((Code.SELECTION_REQUEST,)) + data
        case FtlReceived(ftl):
            return encode_ftl(ftl)
        case AgeFeatures(features):
            return AGE_FEATURES_HEAD + unsigned(features, 1, "features") + AGE_FEATURES_TAG
        case AgeResult(status, feature):
            state = unsigned(status, 1, "age status") + unsigned(feature, 1, "age feature")
            return AGE_RESULT_HEAD + state + AGE_RESULT_TAG
        case DiagnosticsResponse(data):
            return bytes((Code.DIAGNOSTICS,)) + data
        case _:
            raise MdbBlockError(BlockFault.BAD_VALUE, f"not a reader's message: {message!r}")


def decode_text(data: bytes) -> str | None:
    """Two letters of a language, None when they are not printable ASCII."""
    text = ascii_text(data)
    return text if text and "?" not in text else None
