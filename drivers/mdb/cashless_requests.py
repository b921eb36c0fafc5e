"""Cashless commands to request payloads and back.

Pure. A payload begins with the address byte (10-17 or 60-67) and has no checksum; a command with
16-bit or 32-bit amounts is told by its length alone.

Source: MDB/ICP 4.2, section 7.
"""

from dataclasses import fields
from typing import Final

from drivers.mdb.blocks import COMMAND_MASK, Address, BlockFault, MdbBlockError, check_address
from drivers.mdb.cashless_commands import (
    AGE_HEAD,
    AGE_TAG,
    DATA_ENTRY_KEYS,
    READERS,
    AgeRequest,
    CashlessCommand,
    CashSale,
    Command,
    DataEntryResponse,
    EnableOptions,
    ManufacturerDiagnostics,
    NegativeVendRequest,
    Poll,
    ReaderCancel,
    ReaderDisable,
    ReaderEnable,
    ReadUserFile,
    RequestId,
    Reset,
    RevalueLimitRequest,
    RevalueRequest,
    SessionComplete,
    SetupConfig,
    SetupPrices,
    VendCancel,
    VendFailure,
    VendRequest,
    VendSuccess,
    WriteTimeDate,
    WriteUserFile,
)
from drivers.mdb.fields import (
    IDENTIFICATION_BYTES,
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
            return b"\xff" + AGE_HEAD + unsigned(age, 1, "age") + AGE_TAG
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
        case 0xFF if len(body) == 10 and body[2:4] == AGE_HEAD and body[5:] == AGE_TAG:
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
