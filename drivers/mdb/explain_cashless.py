"""A cashless device's exchange in words, byte by byte.

Pure. Source: MDB/ICP 4.2, section 7.
"""

from collections.abc import Callable
from typing import Final

from drivers.explanation import counted
from drivers.mdb import cashless_codec as codec
from drivers.mdb.blocks import COMMAND_MASK, BlockFault, MdbBlockError
from drivers.mdb.cashless_codec import CashlessContext, Code
from drivers.mdb.cashless_commands import AGE_HEAD, AGE_TAG, ITEM_UNDEFINED, Command
from drivers.mdb.cashless_parser import decode_messages, message_lengths
from drivers.mdb.cashless_words import (
    AGE_STATUS_WORDS,
    CARD_OPTION_WORDS,
    OPTION_WORDS,
    PAYMENT_KIND_WORDS,
    READER_OPTION_WORDS,
    STATE_WORDS,
    malfunction_words,
)
from drivers.mdb.explain_parts import Scribe, factors, ftl_fields, ftl_name, identification
from drivers.mdb.ftl_codec import FTL_SUB_FIRST, FTL_SUB_LAST, FTL_SUB_OFFSET, FtlCode, is_ftl_code
from drivers.mdb.money import CurrencyCode

COMMAND_NAMES: Final[dict[int, str]] = {
    Command.RESET: "RESET",
    Command.SETUP: "SETUP",
    Command.POLL: "POLL",
    Command.VEND: "VEND",
    Command.READER: "READER",
    Command.REVALUE: "REVALUE",
    Command.EXPANSION: "EXPANSION",
}
SUB_NAMES: Final[dict[tuple[int, int], str]] = {
    (Command.SETUP, 0): "SETUP CONFIG DATA",
    (Command.SETUP, 1): "SETUP MAX/MIN PRICES",
    (Command.VEND, 0): "VEND REQUEST",
    (Command.VEND, 1): "VEND CANCEL",
    (Command.VEND, 2): "VEND SUCCESS",
    (Command.VEND, 3): "VEND FAILURE",
    (Command.VEND, 4): "SESSION COMPLETE",
    (Command.VEND, 5): "CASH SALE",
    (Command.VEND, 6): "NEGATIVE VEND REQUEST",
    (Command.READER, 0): "READER DISABLE",
    (Command.READER, 1): "READER ENABLE",
    (Command.READER, 2): "READER CANCEL",
    (Command.READER, 3): "DATA ENTRY RESPONSE",
    (Command.REVALUE, 0): "REVALUE REQUEST",
    (Command.REVALUE, 1): "REVALUE LIMIT REQUEST",
    (Command.EXPANSION, 0x00): "EXPANSION REQUEST ID",
    (Command.EXPANSION, 0x01): "EXPANSION READ USER FILE (obsolete)",
    (Command.EXPANSION, 0x02): "EXPANSION WRITE USER FILE (obsolete)",
    (Command.EXPANSION, 0x03): "EXPANSION WRITE TIME/DATE",
    (Command.EXPANSION, 0x04): "EXPANSION ENABLE OPTIONS",
    (Command.EXPANSION, 0xFF): "EXPANSION DIAGNOSTICS",
}
_VERSION_4_3: Final = {(Command.VEND, 7), (Command.VEND, 8)}

_LATER: Final = "; the answer follows at a later POLL, within max(5 s, the reader's own time)"
_ACK_WORDS: Final[dict[tuple[int, int | None], str]] = {
    (Command.RESET, None): "accepted; JUST RESET follows at a later POLL",
    (Command.POLL, None): (
        "nothing to report; after VEND FAILURE: refunded, if the reader can refund"
    ),
    (Command.SETUP, 0): "accepted, READER CONFIG DATA is owed" + _LATER,
    (Command.VEND, 0): "accepted, VEND APPROVED or DENIED is owed" + _LATER,
    (Command.VEND, 1): "accepted, VEND DENIED is owed" + _LATER,
    (Command.VEND, 3): "accepted; poll for the outcome of the refund",
    (Command.VEND, 4): "accepted, END SESSION is owed" + _LATER,
    (Command.VEND, 6): "accepted, VEND APPROVED or DENIED is owed" + _LATER,
    (Command.READER, 2): "accepted, CANCELLED is owed" + _LATER,
    (Command.REVALUE, 0): "accepted, REVALUE APPROVED or DENIED is owed" + _LATER,
    (Command.REVALUE, 1): "accepted, the limit or REVALUE DENIED is owed" + _LATER,
    (Command.EXPANSION, 0x00): "accepted, PERIPHERAL ID is owed" + _LATER,
}

_MESSAGE_NAMES: Final[dict[int, str]] = {
    Code.JUST_RESET: "JUST RESET",
    Code.READER_CONFIG: "READER CONFIG DATA",
    Code.DISPLAY_REQUEST: "DISPLAY REQUEST",
    Code.BEGIN_SESSION: "BEGIN SESSION",
    Code.SESSION_CANCEL_REQUEST: "SESSION CANCEL REQUEST",
    Code.VEND_APPROVED: "VEND APPROVED",
    Code.VEND_DENIED: "VEND DENIED",
    Code.END_SESSION: "END SESSION",
    Code.CANCELLED: "CANCELLED",
    Code.PERIPHERAL_ID: "PERIPHERAL ID",
    Code.MALFUNCTION: "MALFUNCTION / ERROR",
    Code.OUT_OF_SEQUENCE: "COMMAND OUT OF SEQUENCE",
    Code.OBSOLETE_BUSY: "BUSY (obsolete)",
    Code.REVALUE_APPROVED: "REVALUE APPROVED",
    Code.REVALUE_DENIED: "REVALUE DENIED",
    Code.REVALUE_LIMIT: "REVALUE LIMIT AMOUNT",
    Code.USER_FILE_DATA: "USER FILE DATA (obsolete)",
    Code.TIME_DATE_REQUEST: "TIME/DATE REQUEST",
    Code.DATA_ENTRY_REQUEST: "DATA ENTRY REQUEST",
    Code.DATA_ENTRY_CANCEL: "DATA ENTRY CANCEL",
    Code.SELECTION_REQUEST: "SELECTION REQUEST (4.3)",
    Code.DIAGNOSTICS: "DIAGNOSTICS RESPONSE",
}
_MESSAGE_WORDS: Final[dict[int, str]] = {
    Code.JUST_RESET: "the reader must be initialised",
    Code.SESSION_CANCEL_REQUEST: "the reader asks to end the session",
    Code.VEND_APPROVED: "VEND SUCCESS or VEND FAILURE is owed",
    Code.VEND_DENIED: "nothing was taken",
    Code.END_SESSION: "the session is over",
    Code.CANCELLED: "READER CANCEL was done",
    Code.OUT_OF_SEQUENCE: "a command the reader could not execute in its state; RESET it",
    Code.OBSOLETE_BUSY: "ignore it",
    Code.REVALUE_APPROVED: "the medium was credited",
    Code.REVALUE_DENIED: "the medium was not credited",
    Code.TIME_DATE_REQUEST: "answer with EXPANSION WRITE TIME/DATE",
    Code.DATA_ENTRY_CANCEL: "the reader gave the entry up",
    Code.SELECTION_REQUEST: "remote vend; its layout is not part of MDB/ICP 4.2",
}


def ack_words(key: tuple[int, int | None]) -> str | None:
    """What a lone ACK says as the answer to this request."""
    return _ACK_WORDS.get(key, "accepted")


def explain_request(scribe: Scribe) -> None:
    """Everything behind the address byte of a request."""
    command = scribe.data[0] & COMMAND_MASK
    if command in (Command.RESET, Command.POLL):
        return
    if command not in COMMAND_NAMES:
        scribe.errors.append(f"{scribe.data[0]:02X} is not used by a cashless device")
        return
    sub = scribe.take(1, "sub-command", lambda value: _sub_words(command, value))
    match command:
        case Command.SETUP:
            _explain_setup(scribe, sub)
        case Command.VEND:
            _explain_vend(scribe, sub)
        case Command.READER if sub == 3:
            _explain_keys(scribe)
        case Command.REVALUE if sub == 0:
            scribe.take(_size(scribe, 2), "amount", factors, money=True)
        case Command.EXPANSION:
            _explain_expansion(scribe, sub)
        case _:
            pass
    if (command, sub) not in SUB_NAMES and not _is_ftl(command, sub):
        version = ", of version 4.3," if (command, sub) in _VERSION_4_3 else ""
        scribe.errors.append(f"sub-command {sub:02X}{version} is not defined in MDB/ICP 4.2")
        scribe.unread("data of an unknown command")


def _sub_words(command: int, sub: int) -> str:
    if _is_ftl(command, sub):
        return ftl_name(FtlCode(sub - FTL_SUB_OFFSET))
    return SUB_NAMES.get((command, sub), "unknown")


def _is_ftl(command: int, sub: int) -> bool:
    return command == Command.EXPANSION and FTL_SUB_FIRST <= sub <= FTL_SUB_LAST


def _size(scribe: Scribe, short_rest: int) -> int:
    """Bytes of an amount: four when more is left than the 16-bit form has."""
    return 4 if scribe.left > short_rest else 2


def _explain_setup(scribe: Scribe, sub: int) -> None:
    if sub == 0:
        scribe.take(1, "VMC level", lambda level: f"level {level}")
        scribe.take(1, "display columns", lambda n: f"{n}" if n else "0: no display")
        scribe.take(1, "display rows")
        scribe.take(1, "display type", _display_words)
    elif sub == 1:
        expanded = scribe.left > 4
        size = 4 if expanded else 2
        scribe.amount(size, "highest price", "unknown")
        scribe.take(size, "lowest price", factors, money=True)
        if expanded:
            scribe.take(2, "currency", lambda v: str(CurrencyCode(v)))


def _display_words(kind: int) -> str:
    names = {0: "digits, capitals, blank, point", 1: "full ASCII"}
    return names.get(kind & 7, "undefined")


def _explain_vend(scribe: Scribe, sub: int) -> None:
    match sub:
        case 0:
            scribe.take(_size(scribe, 4), "price", factors, money=True)
            scribe.take(2, "item number", _item_words)
        case 2:
            scribe.take(2, "item number", _item_words)
        case 5:
            expanded = scribe.left > 4
            scribe.take(4 if expanded else 2, "price", factors, money=True)
            scribe.take(2, "item number", _cash_sale_item_words)
            if expanded:
                scribe.take(2, "currency", lambda v: str(CurrencyCode(v)))
        case 6:
            scribe.take(_size(scribe, 4), "value", factors, money=True)
            scribe.take(2, "item number", _item_words)
        case _:
            pass


def _item_words(item: int) -> str:
    return "undefined" if item == ITEM_UNDEFINED else f"item {item}"


_CASH_SALE_FLAGS: Final = {15: "free vend", 14: "test vend", 13: "negative vend", 12: "token vend"}


def _cash_sale_item_words(item: int) -> str:
    if item == ITEM_UNDEFINED:
        return "undefined"
    flags = [words for bit, words in _CASH_SALE_FLAGS.items() if item >> bit & 1]
    return ", ".join([f"item {item & 0x0FFF}", *flags])


def _explain_keys(scribe: Scribe) -> None:
    keys = scribe.data[scribe.at : scribe.at + 8]
    if keys == b"\xff" * 8:
        scribe.take(8, "keys", "cancelled by the VMC")
    else:
        scribe.text(8, "keys")


def _explain_expansion(scribe: Scribe, sub: int) -> None:
    match sub:
        case 0x00:
            identification(scribe, None)
        case 0x01:
            scribe.take(1, "file number")
        case 0x02:
            scribe.blob(scribe.left, "data", "file number, length and data")
        case 0x03:
            _explain_clock(scribe)
        case 0x04:
            scribe.options(4, "options", OPTION_WORDS)
        case 0xFF if scribe.data[2:4] == AGE_HEAD and scribe.data[5:] == AGE_TAG:
            scribe.blob(2, "age verification", "request")
            scribe.take(1, "age", lambda age: counted(age, "year") if age else "off")
            scribe.text(5, "tag")
        case 0xFF:
            scribe.blob(scribe.left, "data", "defined by the manufacturer")
        case _ if _is_ftl(Command.EXPANSION, sub):
            ftl_fields(scribe, FtlCode(sub - FTL_SUB_OFFSET))
        case _:
            pass


def _explain_clock(scribe: Scribe) -> None:
    for name in _CLOCK_FIELDS:
        if scribe.left and scribe.data[scribe.at] == 0xFF:
            scribe.take(1, name, "not supported")
        else:
            scribe.bcd(1, name, str)


_CLOCK_FIELDS: Final = (
    "year", "month", "day", "hour", "minute", "second", "weekday (Monday 1)", "week",
    "summertime", "holiday",
)  # fmt: skip


def explain_messages(scribe: Scribe, context: CashlessContext) -> None:
    """Every message of an answer, cut as `cashless_parser` does.

    Raises:
        CutShort: The last message is cut short; everything is noted.
    """
    answer = decode_messages(scribe.data, context)
    for message in answer.messages:
        _explain_message(scribe, message.raw)
    if answer.other_lengths and context.level is not None:
        scribe.notes.append("the answer comes out only with other lengths than those in use")
    if answer.error is not None:
        _explain_leftover(scribe, answer.error, context)
    elif scribe.left:
        scribe.begin("filler")
        scribe.take(1, "filler", "FF at the very end")


def _explain_leftover(scribe: Scribe, error: MdbBlockError, context: CashlessContext) -> None:
    """What could not be cut; of a message cut short, the fields that are there.

    Raises:
        CutShort: At the end of the bytes, all of them noted.
    """
    if is_ftl_code(scribe.data[0]):
        _explain_message(scribe, scribe.data)
        return
    if error.reason is BlockFault.TRUNCATED:
        whole = message_lengths(scribe.data, scribe.at, context)[0]
        _explain_message(scribe, scribe.data[scribe.at :].ljust(whole, b"\0"))
    scribe.begin("leftover")
    scribe.unread(error.message)


def _explain_message(scribe: Scribe, raw: bytes) -> None:
    code = raw[0]
    if is_ftl_code(code):
        ftl = FtlCode(code)
        scribe.begin(ftl_name(ftl), "fills the whole answer")
        scribe.take(1, "message", ftl_name(ftl))
        ftl_fields(scribe, ftl)
        return
    name = _MESSAGE_NAMES[code]
    words = _MESSAGE_WORDS.get(code, "")
    scribe.begin(name, words)
    scribe.take(1, "message", f"{name}: {words}" if words else name)
    fields = _MESSAGE_FIELDS.get(code)
    if fields is not None:
        fields(scribe, raw)


def _config_fields(scribe: Scribe, _raw: bytes) -> None:
    scribe.take(1, "reader level", _reader_level_words)
    currency = CurrencyCode(scribe.take(2, "currency", lambda v: str(CurrencyCode(v))))
    factor = scribe.take(1, "scaling factor", lambda v: f"every amount is a multiple of {v}")
    decimals = scribe.take(1, "decimal places")
    complaint = scribe.money.learn(factor, decimals, currency)
    if complaint:
        scribe.errors.append(complaint)
    scribe.take(1, "maximum response time", lambda s: f"{s} s")
    scribe.options(1, "options", READER_OPTION_WORDS)
    smallest = scribe.money.text(1)
    if smallest:
        scribe.notes.append(f"one unit is {smallest}")


def _reader_level_words(level: int) -> str:
    return f"level {level & 0x7F}" + (", battery-operated variant" if level & 0x80 else "")


def _display_fields(scribe: Scribe, raw: bytes) -> None:
    scribe.take(1, "display time", lambda tenths: f"{tenths // 10}.{tenths % 10} s")
    if len(raw) > 2:
        scribe.text(len(raw) - 2, "characters")


def _begin_fields(scribe: Scribe, raw: bytes) -> None:
    expanded = len(raw) == 17
    scribe.amount(4 if expanded else 2, "funds available", "not yet determined, or not to be shown")
    if len(raw) == 3:
        return
    scribe.take(4, "payment media id", lambda i: "unknown" if i == 0xFFFFFFFF else f"{i:08X}")
    kind = scribe.take(1, "payment type", _payment_words)
    scribe.take(2, "payment data", lambda data: _payment_data_words(kind & 0x3F, data))
    if expanded:
        scribe.text(2, "language")
        scribe.take(2, "currency", lambda v: str(CurrencyCode(v)))
        scribe.options(1, "card options", CARD_OPTION_WORDS)


def _payment_words(kind: int) -> str:
    words = [PAYMENT_KIND_WORDS.get(kind & 0x3F, f"undefined kind {kind & 0x3F}")]
    if kind & 0x80:
        words.append("free-vend card")
    if kind & 0x40:
        words.append("test media")
    return ", ".join(words)


def _payment_data_words(kind: int, data: int) -> str:
    first, second = data >> 8, data & 0xFF
    match kind:
        case 0:
            return "none"
        case 1:
            return f"user group {first}, price list {second}"
        case 2:
            return f"user group {first}, discount group {second}"
        case 3:
            return f"discount {second} %"
        case 4:
            return f"surcharge {second} %"
        case _:
            return f"{first:02X} {second:02X}"


def _approved_fields(scribe: Scribe, raw: bytes) -> None:
    scribe.amount(len(raw) - 1, "amount taken", "an electronic token was used")


def _limit_fields(scribe: Scribe, raw: bytes) -> None:
    scribe.take(len(raw) - 1, "limit", factors, money=True)


def _id_fields(scribe: Scribe, raw: bytes) -> None:
    identification(scribe, OPTION_WORDS if len(raw) == 34 else None)


def _malfunction_fields(scribe: Scribe, _raw: bytes) -> None:
    scribe.take(1, "error code", malfunction_words)


def _sequence_fields(scribe: Scribe, raw: bytes) -> None:
    if len(raw) > 1:
        scribe.take(1, "state", lambda s: STATE_WORDS.get(s, "undefined"))


def _file_fields(scribe: Scribe, raw: bytes) -> None:
    scribe.take(1, "file number")
    scribe.take(1, "length", lambda n: counted(n, "byte"))
    scribe.blob(len(raw) - 3, "file data", counted(len(raw) - 3, "byte"))


def _entry_fields(scribe: Scribe, _raw: bytes) -> None:
    scribe.take(1, "keys wanted", _entry_words)


def _entry_words(keys: int) -> str:
    return counted(keys & 0x7F, "key") + (", asked again" if keys & 0x80 else "")


def _rest_fields(scribe: Scribe, raw: bytes) -> None:
    scribe.blob(len(raw) - 1, "data", counted(len(raw) - 1, "byte"))


def _diagnostics_fields(scribe: Scribe, raw: bytes) -> None:
    if len(raw) == 9 and raw.startswith(codec.AGE_FEATURES_HEAD) and raw.endswith(AGE_TAG):
        scribe.blob(2, "age verification", "features")
        scribe.take(1, "features", lambda bits: f"{bits:08b}")
        scribe.text(5, "tag")
    elif (
        len(raw) == 10
        and raw.startswith(codec.AGE_RESULT_HEAD)
        and raw.endswith(codec.AGE_RESULT_TAG)
    ):
        scribe.blob(2, "age verification", "result")
        scribe.options(1, "status", AGE_STATUS_WORDS)
        scribe.take(1, "feature")
        scribe.text(5, "tag")
    else:
        scribe.blob(len(raw) - 1, "data", "defined by the manufacturer")


_MESSAGE_FIELDS: Final[dict[int, Callable[[Scribe, bytes], None]]] = {
    Code.READER_CONFIG: _config_fields,
    Code.DISPLAY_REQUEST: _display_fields,
    Code.BEGIN_SESSION: _begin_fields,
    Code.VEND_APPROVED: _approved_fields,
    Code.PERIPHERAL_ID: _id_fields,
    Code.MALFUNCTION: _malfunction_fields,
    Code.OUT_OF_SEQUENCE: _sequence_fields,
    Code.REVALUE_LIMIT: _limit_fields,
    Code.USER_FILE_DATA: _file_fields,
    Code.DATA_ENTRY_REQUEST: _entry_fields,
    Code.SELECTION_REQUEST: _rest_fields,
    Code.DIAGNOSTICS: _diagnostics_fields,
}
