"""A coin changer's exchange in words, byte by byte.

Pure. Source: MDB/ICP 4.2, section 5.
"""

from typing import Final

from drivers.explanation import counted
from drivers.mdb import changer_codec as codec
from drivers.mdb.changer_commands import Command, Expansion
from drivers.mdb.changer_words import OPTION_WORDS, diagnostic_words, status_words
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
    Command.TUBE_STATUS: "TUBE STATUS",
    Command.POLL: "POLL",
    Command.COIN_TYPE: "COIN TYPE",
    Command.DISPENSE: "DISPENSE",
    Command.EXPANSION: "EXPANSION",
}
SUB_NAMES: Final[dict[int, str]] = {
    Expansion.IDENTIFICATION: "IDENTIFICATION",
    Expansion.FEATURE_ENABLE: "FEATURE ENABLE",
    Expansion.PAYOUT: "PAYOUT",
    Expansion.PAYOUT_STATUS: "PAYOUT STATUS",
    Expansion.PAYOUT_VALUE_POLL: "PAYOUT VALUE POLL",
    Expansion.DIAGNOSTIC_STATUS: "SEND DIAGNOSTIC STATUS",
    Expansion.MANUAL_FILL_REPORT: "SEND CONTROLLED MANUAL FILL REPORT",
    Expansion.MANUAL_PAYOUT_REPORT: "SEND CONTROLLED MANUAL PAYOUT REPORT",
    Expansion.MANUFACTURER: "MANUFACTURER DIAGNOSTICS",
}

_ACK_WORDS: Final[dict[tuple[int, int | None], str]] = {
    (Command.RESET, None): "accepted; JUST RESET follows at a later POLL",
    (Command.POLL, None): "nothing to report; a payout, if one ran, is over",
    (Command.COIN_TYPE, None): "accepted",
    (Command.DISPENSE, None): "accepted: the payout begins",
    (Command.EXPANSION, Expansion.FEATURE_ENABLE): "accepted",
    (Command.EXPANSION, Expansion.PAYOUT): "accepted: the payout begins",
    (Command.EXPANSION, Expansion.PAYOUT_STATUS): "busy: the payout still runs (ACK alone)",
    (Command.EXPANSION, Expansion.PAYOUT_VALUE_POLL): (
        "finished: the payout is over, now ask PAYOUT STATUS (ACK alone)"
    ),
    (Command.EXPANSION, Expansion.MANUAL_FILL_REPORT): "no counts reported",
    (Command.EXPANSION, Expansion.MANUAL_PAYOUT_REPORT): "no counts reported",
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
        case Command.COIN_TYPE:
            scribe.mask("accept mask", str, none="acceptance off")
            scribe.mask("manual dispense mask", str)
        case Command.DISPENSE:
            _explain_dispense(scribe)
        case Command.EXPANSION:
            _explain_expansion(scribe)
        case 0x0E:
            scribe.errors.append("0E is not used by a coin changer")
        case _:
            pass


def _explain_dispense(scribe: Scribe) -> None:
    if scribe.left:
        count, coin_type = scribe.data[scribe.at] >> 4, scribe.data[scribe.at] & 0x0F
        if not count:
            scribe.errors.append("DISPENSE of no coins")
        words = f"{counted(count, 'coin')} of type {coin_type}"
        scribe.take(1, "coins to pay", words, detail={"coin_type": coin_type, "count": count})
    else:
        scribe.take(1, "coins to pay")


def _explain_expansion(scribe: Scribe) -> None:
    sub = scribe.take(1, "sub-command", _sub_words)
    match sub:
        case Expansion.FEATURE_ENABLE:
            scribe.options(4, "options", OPTION_WORDS)
        case Expansion.PAYOUT:
            value = scribe.take(1, "value to pay", factors, money=True)
            if not value:
                scribe.errors.append("PAYOUT of nothing")
        case Expansion.MANUFACTURER:
            scribe.blob(scribe.left, "data", "defined by the manufacturer")
        case _ if FTL_SUB_FIRST <= sub <= FTL_SUB_LAST:
            ftl_fields(scribe, FtlCode(sub - FTL_SUB_OFFSET))
        case _ if sub not in SUB_NAMES:
            scribe.errors.append(f"unknown EXPANSION sub-command {sub:02X}")
            scribe.unread("data of an unknown command")


def _sub_words(sub: int) -> str:
    if FTL_SUB_FIRST <= sub <= FTL_SUB_LAST:
        return ftl_name(FtlCode(sub - FTL_SUB_OFFSET))
    return SUB_NAMES.get(sub, "unknown")


def explain_answer(scribe: Scribe, key: tuple[int, int | None]) -> str:
    """The data of an answer to the request with this command and sub-command; its name."""
    match key:
        case (Command.SETUP, _):
            _explain_setup(scribe)
            return "SETUP answer"
        case (Command.TUBE_STATUS, _):
            _explain_tubes(scribe)
            return "TUBE STATUS answer"
        case (Command.EXPANSION, Expansion.IDENTIFICATION):
            scribe.begin("identification")
            identification(scribe, OPTION_WORDS)
            return "IDENTIFICATION answer"
        case (Command.EXPANSION, Expansion.PAYOUT_STATUS):
            scribe.begin("coins paid since the last PAYOUT")
            _explain_counts(scribe, "paid")
            return "PAYOUT STATUS answer"
        case (Command.EXPANSION, Expansion.PAYOUT_VALUE_POLL):
            scribe.begin("value paid")
            scribe.take(1, "value since the last poll", _value_words, money=True)
            return "PAYOUT VALUE POLL answer"
        case (Command.EXPANSION, sub):
            return _explain_report(scribe, sub)
        case (Command.POLL, _):
            explain_poll(scribe)
            return "POLL answer"
        case _:
            return explain_unexpected(scribe)


def _explain_report(scribe: Scribe, sub: int | None) -> str:
    match sub:
        case Expansion.DIAGNOSTIC_STATUS:
            while scribe.left:
                scribe.begin("condition")
                scribe.take(2, "diagnostic code", lambda v: diagnostic_words(v >> 8, v & 0xFF))
            return "DIAGNOSTIC STATUS answer"
        case Expansion.MANUAL_FILL_REPORT:
            scribe.begin("coins filled in")
            _explain_counts(scribe, "filled in")
            return "MANUAL FILL REPORT"
        case Expansion.MANUAL_PAYOUT_REPORT:
            scribe.begin("coins paid out by hand")
            _explain_counts(scribe, "paid out")
            return "MANUAL PAYOUT REPORT"
        case Expansion.MANUFACTURER:
            scribe.begin("diagnostics")
            scribe.blob(scribe.left, "data", "defined by the manufacturer")
            return "MANUFACTURER DIAGNOSTICS answer"
        case _:
            return explain_unexpected(scribe)


def _explain_setup(scribe: Scribe) -> None:
    scribe.begin("setup")
    scribe.take(1, "feature level")
    currency = CurrencyCode(scribe.take(2, "currency", lambda v: str(CurrencyCode(v))))
    factor = scribe.take(1, "scaling factor", lambda v: f"every value is a multiple of {v}")
    decimals = scribe.take(1, "decimal places")
    complaint = scribe.money.learn(factor, decimals, currency)
    if complaint:
        scribe.errors.append(complaint)
    scribe.mask("routing mask", lambda types: f"{types} can go to a tube")
    scribe.begin("coins")
    value_list(scribe, "coin")


def _explain_tubes(scribe: Scribe) -> None:
    scribe.begin("tubes")
    full = scribe.mask("full mask", lambda types: f"{types} full", none="no tube full")
    for index in range(16):
        is_full = bool(full >> index & 1)
        if not scribe.left:
            if is_full:
                scribe.notes.append(f"tube of type {index} is full without coins: defective")
            continue
        count = scribe.data[scribe.at]
        words = counted(count, "coin") + (" or more" if count == codec.MAX_TUBE_COUNT else "")
        if is_full:
            words += ", tube full" if count else " in a full tube: defective"
        scribe.take(1, f"tube of type {index}", words)


def _explain_counts(scribe: Scribe, noun: str) -> None:
    for index in range(min(scribe.left, 16)):
        scribe.take(1, f"type {index}", lambda count: f"{counted(count, 'coin')} {noun}")


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


def explain_unexpected(scribe: Scribe) -> str:
    """Data in answer to a command that is only acknowledged: most likely activity."""
    scribe.errors.append("data where only an ACK belongs; read as a POLL answer")
    explain_poll(scribe)
    return "unexpected data"


def _explain_item(scribe: Scribe, first: int) -> None:
    coin_type = first & 0x0F
    if first >= 0x80:
        count = first >> 4 & 7
        scribe.begin("coins dispensed manually")
        words = f"{counted(count, 'coin')} of type {coin_type} let out by hand"
        scribe.take(1, "item", words, detail={"coin_type": coin_type, "count": count})
        scribe.take(1, "tube count", lambda left: f"{counted(left, 'coin')} left in that tube")
    elif first >= 0x40:
        route = codec.CoinRoute(first >> 4 & 3)
        credit = "credit" if route.gives_credit else "no credit"
        scribe.begin("coin deposited", credit)
        words = f"coin of type {coin_type} {_ROUTE_WORDS[route]}: {credit}"
        detail = {"coin_type": coin_type, "route": route.name.lower(), "credit": credit == "credit"}
        scribe.take(1, "item", words, detail=detail)
        scribe.take(1, "tube count", lambda count: f"{counted(count, 'coin')} in that tube now")
    elif first >= 0x20:
        count = first & 0x1F
        scribe.begin("slugs")
        words = f"{counted(count, 'slug')} since the last report"
        scribe.take(1, "item", words, detail={"count": count})
    else:
        scribe.begin("status")
        scribe.take(1, "item", status_words(first))


_ROUTE_WORDS: Final = {
    codec.CoinRoute.CASHBOX: "to the cash box",
    codec.CoinRoute.TUBE: "to its tube",
    codec.CoinRoute.NOT_USED: "by a route that is not used",
    codec.CoinRoute.REJECT: "rejected, back to the customer",
}
