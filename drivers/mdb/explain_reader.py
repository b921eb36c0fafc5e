"""A cashless device's answers in words, message by message.

Pure. Source: MDB/ICP 4.2, section 7.
"""

from collections.abc import Callable
from typing import Final

from drivers.explanation import counted
from drivers.mdb import cashless_codec as codec
from drivers.mdb.blocks import BlockFault, MdbBlockError
from drivers.mdb.cashless_codec import CashlessContext, Code
from drivers.mdb.cashless_commands import AGE_TAG, Command
from drivers.mdb.cashless_parser import (
    SELECTION_REQUEST_BYTES,
    decode_messages,
    message_lengths,
)
from drivers.mdb.cashless_words import (
    AGE_STATUS_WORDS,
    CARD_OPTION_WORDS,
    OPTION_WORDS,
    PAYMENT_KIND_WORDS,
    READER_OPTION_WORDS,
    STATE_WORDS,
    malfunction_class,
    malfunction_words,
)
from drivers.mdb.explain_cashless import COMMAND_NAMES, SUB_NAMES
from drivers.mdb.explain_parts import (
    Scribe,
    factors,
    identification,
    item_words,
    lone_ftl,
    mixed_ftl,
)
from drivers.mdb.ftl_codec import is_ftl_code
from drivers.mdb.money import CurrencyCode

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
    Code.SELECTION_REQUEST: "remote vend, of version 4.3: not part of MDB/ICP 4.2",
}


_ANSWERS: Final[dict[int, tuple[tuple[Command, int], ...]]] = {
    Code.READER_CONFIG: ((Command.SETUP, 0),),
    Code.BEGIN_SESSION: (),
    Code.VEND_APPROVED: ((Command.VEND, 0), (Command.VEND, 6)),
    Code.VEND_DENIED: ((Command.VEND, 0), (Command.VEND, 1), (Command.VEND, 6)),
    Code.END_SESSION: ((Command.VEND, 4),),
    Code.CANCELLED: ((Command.READER, 2),),
    Code.PERIPHERAL_ID: ((Command.EXPANSION, 0x00),),
    Code.REVALUE_APPROVED: ((Command.REVALUE, 0),),
    Code.REVALUE_DENIED: ((Command.REVALUE, 0), (Command.REVALUE, 1)),
    Code.REVALUE_LIMIT: ((Command.REVALUE, 1),),
    Code.DIAGNOSTICS: ((Command.EXPANSION, 0xFF),),
}
"""The requests that a message answers, at once or by a later POLL; what is not here may come upon
any."""


def explain_messages(
    scribe: Scribe, context: CashlessContext, key: tuple[int, int | None] | None = None
) -> None:
    """Every message of an answer to the request of `key`, cut as `cashless_parser` does.

    Raises:
        CutShort: The last message is cut short; everything is noted.
    """
    answer = decode_messages(scribe.data, context)
    for message in answer.messages:
        if isinstance(message, codec.VendApproved) and key == _NEGATIVE_VEND:
            _explain_credit(scribe, message.raw)
        else:
            _explain_message(scribe, message.raw)
        _check_belongs(scribe, message.raw[0], key)
    if answer.other_lengths and context.level is not None:
        scribe.notes.append("the answer comes out only with other lengths than those in use")
    if answer.error is not None:
        _explain_leftover(scribe, answer.error, context)
    elif scribe.left:
        scribe.begin("filler")
        scribe.take(1, "filler", "FF at the very end")


def _check_belongs(scribe: Scribe, code: int, key: tuple[int, int | None] | None) -> None:
    """Say so when a message answers another request than the one that it came upon."""
    if key is None or key[0] not in COMMAND_NAMES or key[0] == Command.POLL:
        return
    owners = _ANSWERS.get(code)
    if owners is None or key in owners:
        return
    asked = SUB_NAMES.get((key[0], key[1] or 0), COMMAND_NAMES[key[0]])
    wanted = " or ".join(
        [", ".join(SUB_NAMES[one] for one in owners)] * bool(owners) + ["a later POLL"]
    )
    scribe.notes.append(
        f"{_MESSAGE_NAMES[code]} does not answer {asked} but {wanted}: late, or another device's"
    )


def _explain_leftover(scribe: Scribe, error: MdbBlockError, context: CashlessContext) -> None:
    """What could not be cut; of a message cut short, the fields that are there.

    Raises:
        CutShort: At the end of the bytes, all of them noted.
    """
    if is_ftl_code(scribe.data[0]):
        _explain_message(scribe, scribe.data)
        return
    if is_ftl_code(scribe.data[scribe.at]):
        mixed_ftl(scribe)
        return
    if error.reason is BlockFault.TRUNCATED:
        whole = message_lengths(scribe.data, scribe.at, context)[0]
        _explain_message(scribe, scribe.data[scribe.at :].ljust(whole, b"\0"))
    scribe.begin("leftover")
    scribe.unread(error.message)


def _explain_message(scribe: Scribe, raw: bytes) -> None:
    code = raw[0]
    if is_ftl_code(code):
        lone_ftl(scribe)
        return
    name = _MESSAGE_NAMES[code]
    words = _MESSAGE_WORDS.get(code, "")
    scribe.begin(name, words)
    scribe.take(1, "message", f"{name}: {words}" if words else name)
    fields = _MESSAGE_FIELDS.get(code)
    if fields is not None:
        fields(scribe, raw)


def _explain_credit(scribe: Scribe, raw: bytes) -> None:
    """The approval of a negative vend: the amount goes the other way."""
    name = "VEND APPROVED"
    words = "VEND SUCCESS, which writes the credit, or VEND FAILURE is owed"
    scribe.begin(name, words)
    scribe.take(1, "message", f"{name}: {words}")
    scribe.amount(len(raw) - 1, "credit to be written", "an electronic token")


_NEGATIVE_VEND: Final = (Command.VEND, 6)


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
    code = scribe.data[scribe.at] if scribe.left else 0
    detail = {"class": malfunction_class(code), "sub_code": code & 0x0F}
    scribe.take(1, "error code", malfunction_words, detail=detail)


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


def _selection_fields(scribe: Scribe, raw: bytes) -> None:
    if len(raw) != SELECTION_REQUEST_BYTES:
        scribe.blob(len(raw) - 1, "data", counted(len(raw) - 1, "byte"))
        return
    _begin_fields(scribe, raw[:_BEGIN_LONG_BYTES])
    scribe.take(2, "item number", item_words)


_BEGIN_LONG_BYTES: Final = 10
"""Of a BEGIN SESSION in its long 16-bit form, whose fields a SELECTION REQUEST shares."""


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
    Code.SELECTION_REQUEST: _selection_fields,
    Code.DIAGNOSTICS: _diagnostics_fields,
}
