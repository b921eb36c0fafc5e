"""A bill validator's or recycler's exchange in words, byte by byte.

Pure. Source: MDB/ICP 4.2, section 6.
"""

from typing import Final

from drivers.explanation import counted
from drivers.mdb.bill_codec import BillRoute
from drivers.mdb.bill_commands import Command, Expansion
from drivers.mdb.bill_words import (
    OPTION_WORDS,
    QUALITY_WORDS,
    ROUTE_WORDS,
    VALIDATOR_WORDS,
    status_words,
)
from drivers.mdb.explain_parts import (
    Scribe,
    factors,
    ftl_fields,
    ftl_name,
    identification,
    limit_poll,
    lone_ftl,
    mixed_ftl,
    value_list,
)
from drivers.mdb.ftl_codec import FTL_SUB_FIRST, FTL_SUB_LAST, FTL_SUB_OFFSET, FtlCode, is_ftl_code
from drivers.mdb.money import CurrencyCode

COMMAND_NAMES: Final[dict[int, str]] = {
    Command.RESET: "RESET",
    Command.SETUP: "SETUP",
    Command.SECURITY: "SECURITY",
    Command.POLL: "POLL",
    Command.BILL_TYPE: "BILL TYPE",
    Command.ESCROW: "ESCROW",
    Command.STACKER: "STACKER",
    Command.EXPANSION: "EXPANSION",
}
SUB_NAMES: Final[dict[int, str]] = {
    Expansion.LEVEL_1_IDENTIFICATION: "LEVEL 1 IDENTIFICATION",
    Expansion.FEATURE_ENABLE: "FEATURE ENABLE",
    Expansion.LEVEL_2_IDENTIFICATION: "LEVEL 2 IDENTIFICATION",
    Expansion.RECYCLER_SETUP: "RECYCLER SETUP",
    Expansion.RECYCLER_ENABLE: "RECYCLER ENABLE",
    Expansion.BILL_DISPENSE_STATUS: "BILL DISPENSE STATUS",
    Expansion.DISPENSE_BILL: "DISPENSE BILL",
    Expansion.DISPENSE_VALUE: "DISPENSE VALUE",
    Expansion.PAYOUT_STATUS: "PAYOUT STATUS",
    Expansion.PAYOUT_VALUE_POLL: "PAYOUT VALUE POLL",
    Expansion.PAYOUT_CANCEL: "PAYOUT CANCEL",
    Expansion.MANUFACTURER: "MANUFACTURER DIAGNOSTICS",
}

_ACK_WORDS: Final[dict[tuple[int, int | None], str]] = {
    (Command.RESET, None): "accepted; JUST RESET follows at a later POLL",
    (Command.SECURITY, None): "accepted",
    (Command.POLL, None): "nothing to report",
    (Command.BILL_TYPE, None): "accepted",
    (Command.ESCROW, None): "accepted; the result follows by POLL within 30 s",
    (Command.EXPANSION, Expansion.FEATURE_ENABLE): "accepted",
    (Command.EXPANSION, Expansion.RECYCLER_ENABLE): "accepted",
    (Command.EXPANSION, Expansion.DISPENSE_BILL): "accepted: the payout begins",
    (Command.EXPANSION, Expansion.DISPENSE_VALUE): "accepted: the payout begins",
    (Command.EXPANSION, Expansion.PAYOUT_STATUS): "busy: the payout still runs (ACK alone)",
    (Command.EXPANSION, Expansion.PAYOUT_VALUE_POLL): (
        "finished: the payout is over, now ask PAYOUT STATUS (ACK alone)"
    ),
    (Command.EXPANSION, Expansion.PAYOUT_CANCEL): "accepted; the device stops within 30 s",
    (Command.EXPANSION, Expansion.MANUFACTURER): "accepted",
}


def ack_words(key: tuple[int, int | None]) -> str | None:
    """What a lone ACK says as the answer to this request; None when data is owed at once."""
    if key[0] == Command.EXPANSION and FTL_SUB_FIRST <= (key[1] or 0) <= FTL_SUB_LAST:
        return "accepted"
    return _ACK_WORDS.get(key)


def explain_request(scribe: Scribe) -> None:
    """Everything behind the address byte of a request."""
    match scribe.data[0]:
        case Command.SECURITY:
            scribe.mask("security mask", lambda types: f"{types} at high security")
        case Command.BILL_TYPE:
            scribe.mask("accept mask", str, none="acceptance off")
            scribe.mask("escrow mask", lambda types: f"{types} held in escrow")
        case Command.ESCROW:
            scribe.take(1, "decision", lambda b: "stack the bill" if b & 1 else "return the bill")
        case Command.EXPANSION:
            _explain_expansion(scribe)
        case _:
            pass


def _explain_expansion(scribe: Scribe) -> None:
    sub = scribe.take(1, "sub-command", _sub_words)
    match sub:
        case Expansion.FEATURE_ENABLE:
            scribe.options(4, "options", OPTION_WORDS)
        case Expansion.RECYCLER_ENABLE:
            scribe.mask("manual dispense mask", str)
            for index in range(16):
                scribe.take(1, f"type {index}", _quality_words)
        case Expansion.DISPENSE_BILL:
            scribe.take(1, "bill type", lambda b: f"type {b & 0x0F}")
            _refuse_nothing(scribe, scribe.take(2, "count", lambda n: counted(n, "bill")))
        case Expansion.DISPENSE_VALUE:
            _refuse_nothing(scribe, scribe.take(2, "value to pay", factors, money=True))
        case Expansion.MANUFACTURER:
            scribe.blob(scribe.left, "data", "defined by the manufacturer")
        case _ if FTL_SUB_FIRST <= sub <= FTL_SUB_LAST:
            ftl_fields(scribe, FtlCode(sub - FTL_SUB_OFFSET))
        case _ if sub not in SUB_NAMES:
            scribe.errors.append(f"unknown EXPANSION sub-command {sub:02X}")
            scribe.unread("data of an unknown command")


def _refuse_nothing(scribe: Scribe, amount: int) -> None:
    if not amount:
        scribe.errors.append("a payout of nothing")


def _sub_words(sub: int) -> str:
    if FTL_SUB_FIRST <= sub <= FTL_SUB_LAST:
        return ftl_name(FtlCode(sub - FTL_SUB_OFFSET))
    return SUB_NAMES.get(sub, "unknown")


def _quality_words(quality: int) -> str:
    return QUALITY_WORDS[quality] if quality < len(QUALITY_WORDS) else "undefined"


def explain_answer(scribe: Scribe, key: tuple[int, int | None]) -> str:
    """The data of an answer to the request with this command and sub-command; its name."""
    match key:
        case (Command.SETUP, _):
            _explain_setup(scribe)
            return "SETUP answer"
        case (Command.STACKER, _):
            scribe.begin("stacker")
            _explain_stacker(scribe)
            return "STACKER answer"
        case (Command.POLL, _):
            explain_poll(scribe)
            return "POLL answer"
        case (Command.EXPANSION, sub):
            return _explain_expansion_answer(scribe, sub)
        case _:
            return _explain_unexpected(scribe)


def _explain_expansion_answer(scribe: Scribe, sub: int | None) -> str:
    scribe.begin("answer")
    match sub:
        case Expansion.LEVEL_1_IDENTIFICATION:
            identification(scribe, None)
        case Expansion.LEVEL_2_IDENTIFICATION:
            identification(scribe, OPTION_WORDS)
        case Expansion.RECYCLER_SETUP:
            scribe.mask("recycler types", lambda types: f"{types} can be recycled")
        case Expansion.BILL_DISPENSE_STATUS:
            _explain_dispense_status(scribe)
        case Expansion.PAYOUT_STATUS:
            _explain_paid(scribe)
        case Expansion.PAYOUT_VALUE_POLL:
            scribe.take(2, "value since the last poll", _value_words, money=True)
        case Expansion.MANUFACTURER:
            scribe.blob(scribe.left, "data", "defined by the manufacturer")
        case _:
            return _explain_unexpected(scribe)
    return f"{SUB_NAMES[sub]} answer"


def _explain_setup(scribe: Scribe) -> None:
    scribe.begin("setup")
    scribe.take(1, "feature level")
    currency = CurrencyCode(scribe.take(2, "currency", lambda v: str(CurrencyCode(v))))
    factor = scribe.take(2, "scaling factor", lambda v: f"every value is a multiple of {v}")
    decimals = scribe.take(1, "decimal places")
    complaint = scribe.money.learn(factor, decimals, currency)
    if complaint:
        scribe.errors.append(complaint)
    scribe.take(2, "stacker capacity", lambda n: counted(n, "bill"))
    scribe.mask("security mask", lambda types: f"{types} at high security")
    scribe.take(1, "escrow", _escrow_words)
    scribe.begin("bills")
    value_list(scribe, "bill")


def _escrow_words(escrow: int) -> str:
    if escrow == 0:
        return "no escrow"
    return "has escrow" if escrow == 0xFF else "has escrow (the standard's yes is FF)"


def _explain_stacker(scribe: Scribe) -> None:
    value = int.from_bytes(scribe.data[scribe.at : scribe.at + 2], "big")
    detail = {"bills": value & 0x7FFF, "full": bool(value & 0x8000)}
    scribe.take(2, "bills in the stacker", _stacker_words, detail=detail)


def _stacker_words(value: int) -> str:
    return counted(value & 0x7FFF, "bill") + (", full" if value & 0x8000 else ", not full")


def _explain_dispense_status(scribe: Scribe) -> None:
    full = scribe.mask("full mask", lambda types: f"{types} full", none="none full")
    for index in range(16):
        is_full = bool(full >> index & 1)
        if not scribe.left:
            if is_full:
                scribe.notes.append(f"type {index} is full without bills: defective")
            continue
        scribe.take(2, f"type {index}", _recycler_words_full if is_full else _recycler_words)


def _recycler_words(count: int) -> str:
    return counted(count, "bill")


def _recycler_words_full(count: int) -> str:
    return f"{counted(count, 'bill')}, full" if count else "no bills in a full recycler: defective"


def _explain_paid(scribe: Scribe) -> None:
    if scribe.data == b"\x00":
        scribe.take(1, "bills paid", "nothing was paid")
        return
    for index in range(min((scribe.left + 1) // 2, 16)):
        scribe.take(2, f"type {index}", lambda count: f"{counted(count, 'bill')} paid")


def _value_words(value: int) -> str:
    return factors(value) if value else "nothing since the last poll, still running"


def explain_poll(scribe: Scribe) -> None:
    """Every item of a POLL answer."""
    if is_ftl_code(scribe.data[0]):
        lone_ftl(scribe)
        return
    limit_poll(scribe)
    while scribe.left:
        if is_ftl_code(scribe.data[scribe.at]):
            mixed_ftl(scribe)
        else:
            _explain_item(scribe, scribe.data[scribe.at])


def _explain_unexpected(scribe: Scribe) -> str:
    scribe.errors.append("data where only an ACK belongs; read as a POLL answer")
    explain_poll(scribe)
    return "unexpected data"


def _explain_item(scribe: Scribe, code: int) -> None:
    if code >= 0x80:
        route = BillRoute(code >> 4 & 7)
        bill_type = code & 0x0F
        scribe.begin("bill event", "credit" if route.gives_credit else "no credit")
        words = f"bill of type {bill_type} {ROUTE_WORDS[route]}"
        detail = {
            "bill_type": bill_type, "route": route.name.lower(), "credit": route.gives_credit
        }  # fmt: skip
        scribe.take(1, "item", words, detail=detail)
    elif 0x40 <= code < 0x60:
        count = code & 0x1F
        scribe.begin("insertions while disabled")
        words = f"{counted(count, 'attempt')} to insert a bill while disabled"
        scribe.take(1, "item", words, detail={"count": count})
    else:
        scribe.begin("validator status" if code in VALIDATOR_WORDS else _other_name(code))
        scribe.take(1, "item", status_words(code))


def _other_name(code: int) -> str:
    return "undefined" if "undefined" in status_words(code) else "recycler status"
