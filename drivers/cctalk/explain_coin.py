"""A coin acceptor's commands in words.

Pure. Source: ccTalk Generic Specification 4.7, part 2.
"""

from __future__ import annotations

from typing import Final

from drivers.cctalk.coin_codec import CoinCredit, decode_coin_event
from drivers.cctalk.coin_words import STATUS_WORDS
from drivers.cctalk.events import Pair
from drivers.cctalk.explain_parts import (
    EventWords,
    Layout,
    Scribe,
    Talk,
    bits,
    choice,
    each,
    events,
    fixed,
    mask,
    number,
    rest,
    seq,
)
from drivers.cctalk.headers import Header
from drivers.cctalk.money_ids import COIN_ID_CHARS, decode_coin_id


def coin_id_words(text: str) -> str:
    """A coin id string in words."""
    return decode_coin_id(text.encode("latin-1")).words


def _tell(pair: Pair) -> EventWords:
    event = decode_coin_event(pair)
    if isinstance(event, CoinCredit):
        detail = {"credit": True, "position": event.code, "path": event.path}
        return EventWords(event.words, ("coin position", "sorter path"), detail)
    return EventWords(event.words, ("no credit", "code"), {"credit": False, "code": event.code})


def _sorter_paths(scribe: Scribe) -> None:
    scribe.number(1, "primary path", "where the coin goes")
    while scribe.left:
        scribe.number(1, "fall-back path", "when the path before is overridden or full")


def _security(value: int) -> str:
    if value == 0:
        return "default"
    return f"stricter by {value}" if value < 128 else f"laxer by {256 - value}"


def _registers(when: str) -> Layout:
    def read(scribe: Scribe) -> None:
        scribe.positions(2, f"{when} inhibit mask", "coin", "enabled")
        scribe.options(1, f"{when} paths not overridden", _PATHS)

    return read


_COIN_ID: Final = fixed(COIN_ID_CHARS, "coin id", coin_id_words)
_PATHS: Final = {bit: f"path {bit + 1} normal" for bit in range(8)}

TALKS: Final[dict[int, Talk]] = {
    Header.REQUEST_STATUS: Talk(answer=choice("status", STATUS_WORDS)),
    Header.TEST_SOLENOIDS: Talk(
        bits(
            "solenoids",
            {0: "accept gate", 1: "sorter 1", 2: "sorter 2", 3: "sorter 3"},
        )
    ),
    Header.READ_BUFFERED_CREDIT: Talk(answer=events(_tell)),
    Header.MODIFY_SORTER_OVERRIDE: Talk(bits("paths not overridden", _PATHS)),
    Header.REQUEST_SORTER_OVERRIDE: Talk(answer=bits("paths not overridden", _PATHS)),
    Header.REQUEST_COIN_POSITION: Talk(number("credit code"), mask("positions", "have this code")),
    Header.MODIFY_SORTER_PATHS: Talk(seq(number("coin"), _sorter_paths)),
    Header.REQUEST_SORTER_PATHS: Talk(number("coin"), _sorter_paths),
    Header.MODIFY_DEFAULT_SORTER_PATH: Talk(number("path")),
    Header.REQUEST_DEFAULT_SORTER_PATH: Talk(answer=number("path")),
    Header.MODIFY_COIN_ID: Talk(seq(number("position"), _COIN_ID)),
    Header.REQUEST_COIN_ID: Talk(number("position"), _COIN_ID),
    Header.UPLOAD_WINDOW_DATA: Talk(
        seq(
            choice(
                "operation",
                {0: "program", 1: "credit", 2: "delete", 3: "program token", 4: "delete token"},
            ),
            rest("window data", "factory"),
        )
    ),
    Header.DOWNLOAD_CALIBRATION: Talk(answer=rest("calibration", "factory"), ack="none"),
    Header.MODIFY_SECURITY_SETTING: Talk(seq(number("position"), number("setting", _security))),
    Header.REQUEST_SECURITY_SETTING: Talk(number("position"), number("setting", _security)),
    Header.HANDHELD_FUNCTION: Talk(
        each(rest("function", "mode and function")), rest("answer", "by function"), ack="done"
    ),
    Header.MODIFY_INHIBIT_AND_OVERRIDE: Talk(seq(_registers("current"), _registers("next"))),
    Header.SET_ACCEPT_LIMIT: Talk(
        number("limit", lambda value: f"inhibits itself after {value} coins" if value else "off")
    ),
}
