"""Writing a cashless device's answers: the far side of `cashless_parser`, to play a reader.

Pure: no port, no clock, no log.

Source: MDB/ICP 4.2, section 7.
"""

from collections.abc import Iterable
from typing import Final

from drivers.mdb.blocks import MAX_PAYLOAD_BYTES, BlockFault, MdbBlockError
from drivers.mdb.cashless_codec import (
    AGE_FEATURES_HEAD,
    AGE_FEATURES_TAG,
    AGE_RESULT_HEAD,
    AGE_RESULT_TAG,
    AgeFeatures,
    AgeResult,
    BeginSession,
    Cancelled,
    CashlessContext,
    Code,
    DataEntryCancel,
    DataEntryRequest,
    DiagnosticsResponse,
    DisplayRequest,
    EndSession,
    FtlReceived,
    JustReset,
    Malfunction,
    ObsoleteBusy,
    OutOfSequence,
    PeripheralId,
    ReaderConfig,
    ReaderMessage,
    RevalueApproved,
    RevalueDenied,
    RevalueLimit,
    SelectionRequest,
    SessionCancelRequest,
    TimeDateRequest,
    UserFileData,
    VendApproved,
    VendDenied,
)
from drivers.mdb.fields import Identification, ascii_field, encode_identification, unsigned
from drivers.mdb.ftl_codec import encode_message as encode_ftl
from drivers.mdb.money import CurrencyCode, encode_currency

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
