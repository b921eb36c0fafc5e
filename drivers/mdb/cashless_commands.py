"""What the VMC says to a cashless device: commands and request payloads.

Pure. A payload begins with the address byte (10-17 or 60-67) and has no checksum. Amounts are
scaled and have 16 bits, in expanded currency mode 32 bits; a command of either form is told by its
length alone. Answers are in `cashless_codec`.

Source: MDB/ICP 4.2, section 7.
"""

from dataclasses import dataclass, fields
from enum import IntEnum, unique
from typing import Final

from drivers.mdb.blocks import COMMAND_MASK, Address, BlockFault, MdbBlockError, check_address
from drivers.mdb.fields import (
    IDENTIFICATION_BYTES,
    Identification,
    ascii_field,
    bcd_bytes,
    bcd_number,
    decode_identification,
    encode_identification,
    number,
    unsigned,
)
from drivers.mdb.ftl_codec import (
    FTL_SUB_FIRST,
    FTL_SUB_LAST,
    FtlMessage,
    OkToSend,
    ReqToReceive,
    ReqToSend,
    RetryDeny,
    SendBlock,
    decode_sub_command,
    encode_sub_command,
    sub_command_length,
)
from drivers.mdb.money import CurrencyCode, decode_currency, encode_currency

READERS: Final = (Address.CASHLESS_1, Address.CASHLESS_2)

ITEM_UNDEFINED: Final = 0xFFFF
"""Item number of a selection that has none."""
PRICE_UNKNOWN_MAX: Final = 0xFFFF
PRICE_UNKNOWN_MIN: Final = 0x0000
DATA_ENTRY_KEYS: Final = 8
AGE_TAG: Final = b"DRAVP"
_AGE_HEAD: Final = b"\x05\x06"

CASH_SALE_FREE: Final = 1 << 15
CASH_SALE_TEST: Final = 1 << 14
CASH_SALE_NEGATIVE: Final = 1 << 13
CASH_SALE_TOKEN: Final = 1 << 12
CASH_SALE_ITEM_MASK: Final = 0x0FFF


@unique
class Command(IntEnum):
    """Lower three bits of the first byte."""

    RESET = 0
    SETUP = 1
    POLL = 2
    VEND = 3
    READER = 4
    REVALUE = 5
    EXPANSION = 7


@dataclass(frozen=True, slots=True)
class Reset:
    """The reader ends a running transaction, ejects the medium, goes to Inactive.

    An approved vend that got neither success nor failure counts as sold.
    """


@dataclass(frozen=True, slots=True)
class SetupConfig:
    """Our level and display. Owed: `ReaderConfig`."""

    level: int
    columns: int
    """0: no display for the reader."""
    rows: int
    display: int
    """Low three bits: 0 digits, capitals, blank, point; 1 full ASCII."""


@dataclass(frozen=True, slots=True)
class SetupPrices:
    """Highest and lowest price, scaled; unknown is FFFF and 0000. With a currency: long form."""

    maximum: int
    minimum: int
    currency: CurrencyCode | None = None


@dataclass(frozen=True, slots=True)
class Poll:
    """Answer: ACK or messages."""


@dataclass(frozen=True, slots=True)
class VendRequest:
    """Owed: `VendApproved` or `VendDenied`."""

    price: int
    item: int
    expanded: bool = False


@dataclass(frozen=True, slots=True)
class VendCancel:
    """Only before the request was answered. Owed: `VendDenied`."""


@dataclass(frozen=True, slots=True)
class VendSuccess:
    """The product was delivered."""

    item: int


@dataclass(frozen=True, slots=True)
class VendFailure:
    """The product was not delivered; poll for the outcome of the refund."""


@dataclass(frozen=True, slots=True)
class SessionComplete:
    """Owed: `EndSession`."""


@dataclass(frozen=True, slots=True)
class CashSale:
    """Audit of a cash sale. With a currency: long form."""

    price: int
    item: int
    """`ITEM_UNDEFINED`, or 12 bits of number and the CASH_SALE_* flags."""
    currency: CurrencyCode | None = None

    @property
    def item_number(self) -> int | None:
        """The number without flags, None when undefined."""
        return None if self.item == ITEM_UNDEFINED else self.item & CASH_SALE_ITEM_MASK

    @property
    def flags(self) -> int:
        """The CASH_SALE_* flags; none when the item is undefined (FFFF is not four flags)."""
        return 0 if self.item == ITEM_UNDEFINED else self.item & ~CASH_SALE_ITEM_MASK


@dataclass(frozen=True, slots=True)
class NegativeVendRequest:
    """The customer returns an item (level 3, option b3). Owed: as `VendRequest`."""

    value: int
    item: int
    expanded: bool = False


@dataclass(frozen=True, slots=True)
class ReaderDisable:
    """No new session; a running one goes on to its end."""


@dataclass(frozen=True, slots=True)
class ReaderEnable:
    """Cards are welcome."""


@dataclass(frozen=True, slots=True)
class ReaderCancel:
    """Only meaningful in Enabled. Owed: `Cancelled`."""


@dataclass(frozen=True, slots=True)
class DataEntryResponse:
    """Keys the customer pressed, at most eight; None: cancelled (level 3, option b4)."""

    keys: bytes | None


@dataclass(frozen=True, slots=True)
class RevalueRequest:
    """Put money on the medium. Owed: `RevalueApproved` or `RevalueDenied`."""

    amount: int
    expanded: bool = False


@dataclass(frozen=True, slots=True)
class RevalueLimitRequest:
    """Owed: `RevalueLimit` or `RevalueDenied`."""


@dataclass(frozen=True, slots=True)
class RequestId:
    """Who we are. Owed: `PeripheralId`."""

    identification: Identification


@dataclass(frozen=True, slots=True)
class ReadUserFile:
    """Obsolete: don't use."""

    file: int


@dataclass(frozen=True, slots=True)
class WriteUserFile:
    """Obsolete: don't use."""

    data: bytes


@dataclass(frozen=True, slots=True)
class WriteTimeDate:
    """Our clock; None is "not supported"."""

    year: int | None
    """Two digits."""
    month: int | None
    day: int | None
    hour: int | None
    minute: int | None
    second: int | None
    weekday: int | None = None
    """1-7, Monday is 1."""
    week: int | None = None
    """1-53."""
    summertime: int | None = None
    """0 or 1."""
    holiday: int | None = None
    """0 or 1."""


@dataclass(frozen=True, slots=True)
class EnableOptions:
    """Level 3. Only bits the reader offered and we can parse."""

    options: int


@dataclass(frozen=True, slots=True)
class AgeRequest:
    """Age verification inside a reader: the age to ask for (1-99), 0 turns it off."""

    age: int


@dataclass(frozen=True, slots=True)
class ManufacturerDiagnostics:
    """Whatever the manufacturer agreed with itself; of free length."""

    data: bytes


CashlessCommand = (
    Reset
    | SetupConfig
    | SetupPrices
    | Poll
    | VendRequest
    | VendCancel
    | VendSuccess
    | VendFailure
    | SessionComplete
    | CashSale
    | NegativeVendRequest
    | ReaderDisable
    | ReaderEnable
    | ReaderCancel
    | DataEntryResponse
    | RevalueRequest
    | RevalueLimitRequest
    | RequestId
    | ReadUserFile
    | WriteUserFile
    | WriteTimeDate
    | EnableOptions
    | AgeRequest
    | ManufacturerDiagnostics
    | FtlMessage
)

_BARE: Final[dict[bytes, CashlessCommand]] = {
    b"\x00": Reset(),
    b"\x02": Poll(),
    b"\x03\x01": VendCancel(),
    b"\x03\x03": VendFailure(),
    b"\x03\x04": SessionComplete(),
    b"\x04\x00": ReaderDisable(),
    b"\x04\x01": ReaderEnable(),
    b"\x04\x02": ReaderCancel(),
    b"\x05\x01": RevalueLimitRequest(),
}
"""Commands without data, by command number and sub-command."""
_BARE_BODIES: Final = {command: body for body, command in _BARE.items()}

_LENGTHS: Final[dict[bytes, tuple[int, int]]] = {
    **{body: (len(body), len(body)) for body in _BARE},
    b"\x01\x00": (6, 6),
    b"\x01\x01": (6, 12),
    b"\x03\x00": (6, 8),
    b"\x03\x02": (4, 4),
    b"\x03\x05": (6, 10),
    b"\x03\x06": (6, 8),
    b"\x04\x03": (10, 10),
    b"\x05\x00": (4, 6),
    b"\x07\x00": (2 + IDENTIFICATION_BYTES, 2 + IDENTIFICATION_BYTES),
    b"\x07\x01": (3, 3),
    b"\x07\x03": (12, 12),
    b"\x07\x04": (6, 6),
}
"""Payload length in 16-bit and in expanded currency mode."""


def command_length(head: bytes, *, expanded: bool = False) -> int | None:
    """Payload length of the request that begins with `head`, for a peripheral on the wire.

    Args:
        head: What has arrived, from the address byte on.
        expanded: Expanded currency mode is enabled. (The first SETUP of prices after a reset is
            always the short form, because options are off then.)

    Returns:
        Bytes, checksum not counted; None when `head` does not tell it yet, the command is unknown,
        or its length is free (diagnostics, file blocks, user files).
    """
    if not head:
        return None
    body = bytes((head[0] & COMMAND_MASK,))
    lengths = _LENGTHS.get(body)
    if lengths is None:
        if len(head) < 2:
            return None
        if body[0] == Command.EXPANSION:
            ftl = sub_command_length(head[1])
            if ftl is not None:
                return 1 + ftl
        lengths = _LENGTHS.get(body + head[1:2])
    return None if lengths is None else lengths[expanded]


def encode_command(command: CashlessCommand, device: int = Address.CASHLESS_1) -> bytes:
    """The request's payload for the reader at `device` (10 or 60).

    Raises:
        MdbBlockError: A field out of range.
    """
    body = _BARE_BODIES.get(command)
    if body is None:
        body = _body(command)
    return bytes((device | body[0],)) + body[1:]


def _body(command: CashlessCommand) -> bytes:
    match command:
        case SetupConfig() | SetupPrices():
            return bytes((Command.SETUP,)) + _setup_fields(command)
        case VendRequest() | VendSuccess() | CashSale() | NegativeVendRequest():
            return bytes((Command.VEND,)) + _vend_fields(command)
        case RevalueRequest(amount, expanded):
            return bytes((Command.REVALUE, 0)) + _money(amount, expanded, "revalue amount")
        case DataEntryResponse(keys):
            return bytes((Command.READER, 3)) + _keys(keys)
        case ReqToReceive() | RetryDeny() | SendBlock() | OkToSend() | ReqToSend():
            return bytes((Command.EXPANSION,)) + encode_sub_command(command)
        case _:
            return bytes((Command.EXPANSION,)) + _expansion_fields(command)


def _setup_fields(command: SetupConfig | SetupPrices) -> bytes:
    match command:
        case SetupConfig(level, columns, rows, display):
            names = ("level", "display columns", "display rows", "display type")
            values = (level, columns, rows, display)
            return b"\x00" + b"".join(
                unsigned(value, 1, name) for name, value in zip(names, values, strict=True)
            )
        case SetupPrices(maximum, minimum, currency):
            long = currency is not None
            limits = _money(maximum, long, "highest price") + _money(minimum, long, "lowest price")
            return b"\x01" + limits + _currency(currency)


def _vend_fields(command: VendRequest | VendSuccess | CashSale | NegativeVendRequest) -> bytes:
    item = unsigned(command.item, 2, "item number")
    match command:
        case VendRequest(price, _, expanded):
            return b"\x00" + _money(price, expanded, "price") + item
        case VendSuccess():
            return b"\x02" + item
        case CashSale(price, _, currency):
            price_bytes = _money(price, currency is not None, "price")
            return b"\x05" + price_bytes + item + _currency(currency)
        case NegativeVendRequest(value, _, expanded):
            return b"\x06" + _money(value, expanded, "value") + item


def _expansion_fields(command: CashlessCommand) -> bytes:
    match command:
        case RequestId(identification):
            return b"\x00" + encode_identification(identification)[:IDENTIFICATION_BYTES]
        case ReadUserFile(file):
            return b"\x01" + unsigned(file, 1, "file number")
        case WriteUserFile(data):
            return b"\x02" + data
        case WriteTimeDate():
            values = [(item.name, getattr(command, item.name)) for item in fields(command)]
            return b"\x03" + b"".join(
                b"\xff" if value is None else bcd_bytes(value, 1, name) for name, value in values
            )
        case EnableOptions(options):
            return b"\x04" + unsigned(options, 4, "option bits")
        case AgeRequest(age):
            return b"\xff" + _AGE_HEAD + unsigned(age, 1, "age") + AGE_TAG
        case ManufacturerDiagnostics(data):
            return b"\xff" + data
        case _:
            raise MdbBlockError(BlockFault.BAD_VALUE, f"not a cashless command: {command!r}")


def _money(amount: int, expanded: bool, name: str) -> bytes:
    return unsigned(amount, 4 if expanded else 2, name)


def _currency(code: CurrencyCode | None) -> bytes:
    return b"" if code is None else encode_currency(code)


def _keys(keys: bytes | None) -> bytes:
    if keys is None:
        return b"\xff" * DATA_ENTRY_KEYS
    if len(keys) > DATA_ENTRY_KEYS:
        raise MdbBlockError(BlockFault.TOO_LONG, "at most eight keys", keys)
    return ascii_field(keys.decode("latin-1"), DATA_ENTRY_KEYS, "keys", fill=b"\0")


def decode_command(payload: bytes) -> CashlessCommand:
    """The command in a request's payload; the form of its amounts follows from its length.

    Raises:
        MdbBlockError: Not a reader's address, an unknown command, or a wrong length.
    """
    check_address(payload, *READERS)
    body = bytes((payload[0] & COMMAND_MASK,)) + payload[1:]
    bare = _BARE.get(body)
    if bare is not None:
        return bare
    lengths = _LENGTHS.get(body[:1]) or _LENGTHS.get(body[:2])
    if lengths is not None and len(body) not in lengths:
        least, most = lengths
        wanted = str(least) if least == most else f"{least} or {most}"
        reason = BlockFault.TRUNCATED if len(body) < least else BlockFault.WRONG_LENGTH
        name = f"cashless command {payload[:2].hex(' ')}"
        raise MdbBlockError(reason, f"{name} has {wanted} bytes, not {len(body)}", payload)
    if len(body) < 2:
        reason = BlockFault.UNKNOWN if body[0] == 6 else BlockFault.TRUNCATED
        raise MdbBlockError(reason, "cashless command without sub-command", payload)
    match body[0]:
        case Command.SETUP if body[1] <= 1:
            return _decode_setup(body)
        case Command.VEND if body[1] <= 6:
            return _decode_vend(body)
        case Command.READER if body[1] == 3:
            keys = body[2:]
            gone = keys == b"\xff" * DATA_ENTRY_KEYS
            return DataEntryResponse(None if gone else keys.rstrip(b"\0"))
        case Command.REVALUE if body[1] == 0:
            return RevalueRequest(number(body, 2, len(body) - 2), len(body) == 6)
        case Command.EXPANSION:
            return _decode_expansion(body, payload)
        case _:
            raise MdbBlockError(BlockFault.UNKNOWN, "unknown cashless command", payload)


def _decode_setup(body: bytes) -> SetupConfig | SetupPrices:
    if body[1] == 0:
        return SetupConfig(body[2], body[3], body[4], body[5])
    if len(body) == 6:
        return SetupPrices(number(body, 2, 2), number(body, 4, 2))
    return SetupPrices(number(body, 2, 4), number(body, 6, 4), decode_currency(body[10:12]))


def _decode_vend(body: bytes) -> VendRequest | VendSuccess | CashSale | NegativeVendRequest:
    if body[1] == 2:
        return VendSuccess(number(body, 2, 2))
    expanded = len(body) > 6
    size = 4 if expanded else 2
    amount, item = number(body, 2, size), number(body, 2 + size, 2)
    if body[1] == 0:
        return VendRequest(amount, item, expanded)
    if body[1] == 5:
        return CashSale(amount, item, decode_currency(body[8:10]) if expanded else None)
    return NegativeVendRequest(amount, item, expanded)


def _decode_expansion(body: bytes, payload: bytes) -> CashlessCommand:
    sub = body[1]
    match sub:
        case 0x00:
            return RequestId(decode_identification(body[2:]))
        case 0x01:
            return ReadUserFile(body[2])
        case 0x02:
            return WriteUserFile(body[2:])
        case 0x03:
            return WriteTimeDate(*(_bcd_or_none(body[at : at + 1], payload) for at in range(2, 12)))
        case 0x04:
            return EnableOptions(number(body, 2, 4))
        case 0xFF if len(body) == 10 and body[2:4] == _AGE_HEAD and body[5:] == AGE_TAG:
            return AgeRequest(body[4])
        case 0xFF:
            return ManufacturerDiagnostics(body[2:])
        case _ if FTL_SUB_FIRST <= sub <= FTL_SUB_LAST:
            return decode_sub_command(body[1:])
        case _:
            raise MdbBlockError(
                BlockFault.UNKNOWN, f"unknown EXPANSION sub-command {sub:02X}", payload
            )


def _bcd_or_none(data: bytes, payload: bytes) -> int | None:
    if data == b"\xff":
        return None
    value = bcd_number(data)
    if value is None:
        raise MdbBlockError(BlockFault.BAD_VALUE, f"{data.hex()} is not BCD", payload)
    return value
