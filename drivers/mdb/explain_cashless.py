"""Commands to a cashless device in words, byte by byte.

Pure. Source: MDB/ICP 4.2, section 7.
"""

from typing import Final

from drivers.explanation import counted
from drivers.mdb.blocks import COMMAND_MASK
from drivers.mdb.cashless_commands import AGE_HEAD, AGE_TAG, ITEM_UNDEFINED, Command
from drivers.mdb.cashless_words import OPTION_WORDS
from drivers.mdb.explain_parts import (
    Scribe,
    factors,
    ftl_fields,
    ftl_name,
    identification,
    item_words,
)
from drivers.mdb.ftl_codec import FTL_SUB_FIRST, FTL_SUB_LAST, FTL_SUB_OFFSET, FtlCode
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


def request_form(data: bytes) -> str | None:
    """`expanded` or `16-bit` for a request whose length tells the form of its amounts."""
    sub = data[1] if len(data) > 1 else None
    forms = _FORMS.get((data[0] & COMMAND_MASK, sub))
    return None if forms is None else forms.get(len(data))


_FORMS: Final[dict[tuple[int, int | None], dict[int, str]]] = {
    (Command.VEND, 0): {6: "16-bit", 8: "expanded"},
    (Command.VEND, 5): {6: "16-bit", 10: "expanded"},
    (Command.VEND, 6): {6: "16-bit", 8: "expanded"},
    (Command.REVALUE, 0): {4: "16-bit", 6: "expanded"},
}
"""By command and length, address byte included. The first SETUP MAX/MIN PRICES is always 16-bit."""


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
            scribe.take(2, "item number", item_words)
        case 2:
            scribe.take(2, "item number", item_words)
        case 5:
            expanded = scribe.left > 4
            scribe.take(4 if expanded else 2, "price", factors, money=True)
            item = int.from_bytes(scribe.data[scribe.at : scribe.at + 2], "big")
            detail = _cash_sale_detail(item)
            scribe.take(2, "item number", _cash_sale_item_words, detail=detail)
            if expanded:
                scribe.take(2, "currency", lambda v: str(CurrencyCode(v)))
        case 6:
            scribe.take(_size(scribe, 4), "value", factors, money=True)
            scribe.take(2, "item number", item_words)
        case _:
            pass


_CASH_SALE_FLAGS: Final = {15: "free vend", 14: "test vend", 13: "negative vend", 12: "token vend"}


def _cash_sale_flags(item: int) -> list[str]:
    return [words for bit, words in _CASH_SALE_FLAGS.items() if item >> bit & 1]


def _cash_sale_item_words(item: int) -> str:
    if item == ITEM_UNDEFINED:
        return "undefined"
    return ", ".join([f"item {item & 0x0FFF}", *_cash_sale_flags(item)])


def _cash_sale_detail(item: int) -> dict[str, object]:
    if item == ITEM_UNDEFINED:
        return {"item": None, "flags": []}
    return {"item": item & 0x0FFF, "flags": _cash_sale_flags(item)}


def _explain_keys(scribe: Scribe) -> None:
    keys = scribe.data[scribe.at : scribe.at + 8]
    if keys == b"\xff" * 8:
        scribe.blob(8, "keys", "cancelled by the VMC")
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
