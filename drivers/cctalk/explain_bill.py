"""A bill validator's commands in words.

Pure. Source: ccTalk Generic Specification 4.7, part 2.
"""

from __future__ import annotations

from typing import Final

from drivers.cctalk.bill_codec import BillWord, decode_bill_event
from drivers.cctalk.events import Pair
from drivers.cctalk.explain_parts import (
    NO_DATA,
    EventWords,
    Scribe,
    Talk,
    bits,
    choice,
    events,
    fixed,
    mask,
    number,
    optional,
    rest,
    seq,
    string,
)
from drivers.cctalk.headers import Header
from drivers.cctalk.money_ids import BILL_ID_CHARS, decode_bill_id


def _bill_id_words(text: str) -> str:
    return decode_bill_id(text.encode("latin-1")).words


def _tell(pair: Pair) -> EventWords:
    event = decode_bill_event(pair)
    detail: dict[str, object] = {
        "credit": event.word is BillWord.CREDIT,
        "kind": event.word.value,
    }
    if event.bill_type:
        detail["bill_type"] = event.bill_type
        return EventWords(event.words, ("bill type", "state"), detail)
    detail["code"] = event.code
    words = event.words
    if not event.code:
        words += ", or an empty place of the buffer"
    return EventWords(words, ("no bill", "code"), detail)


def _scale(scribe: Scribe) -> None:
    raw = scribe.data[scribe.at : scribe.at + 3]
    unknown = raw == bytes(3)
    words = "country unknown" if unknown else ""
    factor = scribe.number(2, "scaling factor", words or (lambda v: f"values count times {v}"))
    decimals = scribe.number(1, "decimal places", words)
    if not unknown and len(raw) == 3:
        scribe.notes.append(f"an id of value 1 is {factor / 10**decimals:.{decimals}f} main units")


_MODE: Final = {0: "stacker", 1: "escrow"}
_BILL_ID: Final = fixed(BILL_ID_CHARS, "bill id", _bill_id_words)
_COUNTRY: Final = fixed(2, "country")
_ROUTES: Final = {0: "return the bill", 1: "stack the bill", 255: "start the escrow timer anew"}
_ROUTED: Final = {254: "escrow empty", 255: "failed to route the bill"}

TALKS: Final[dict[int, Talk]] = {
    Header.READ_BUFFERED_BILL_EVENTS: Talk(answer=events(_tell)),
    Header.MODIFY_BILL_ID: Talk(seq(number("bill type"), _BILL_ID)),
    Header.REQUEST_BILL_ID: Talk(number("bill type"), _BILL_ID),
    Header.REQUEST_COUNTRY_SCALING_FACTOR: Talk(_COUNTRY, _scale),
    Header.REQUEST_BILL_POSITION: Talk(_COUNTRY, mask("bill types", "of this country")),
    Header.ROUTE_BILL: Talk(
        choice("route", _ROUTES),
        seq(choice("result", _ROUTED), rest("more", "defined by the maker")),
        ack="order taken; the events tell what becomes of the bill",
    ),
    Header.MODIFY_BILL_OPERATING_MODE: Talk(bits("operating mode", _MODE)),
    Header.REQUEST_BILL_OPERATING_MODE: Talk(answer=bits("operating mode", _MODE)),
    Header.REQUEST_INDIVIDUAL_ACCEPT_COUNTER: Talk(number("bill type"), number("count", size=3)),
    Header.REQUEST_INDIVIDUAL_ERROR_COUNTER: Talk(number("error code"), number("count", size=3)),
    Header.READ_OPTO_VOLTAGES: Talk(answer=rest("voltages", "defined by the product")),
    Header.PERFORM_STACKER_CYCLE: Talk(
        answer=choice("result", {254: "stacker fault", 255: "no stacker fitted"}),
        ack="cycle done",
    ),
    Header.OPERATE_BIDIRECTIONAL_MOTORS: Talk(
        seq(
            bits("motors", {bit: f"motor {bit + 1}" for bit in range(8)}),
            choice("direction", {0: "backward", 1: "forward"}),
            number("speed", lambda value: str(value) if value else "default"),
        )
    ),
    Header.REQUEST_CURRENCY_REVISION: Talk(optional(_COUNTRY), string("currency revision")),
    Header.UPLOAD_BILL_TABLES: Talk(
        seq(number("block"), number("line"), rest("data", "bill table"))
    ),
    Header.BEGIN_BILL_TABLE_UPGRADE: NO_DATA,
    Header.FINISH_BILL_TABLE_UPGRADE: NO_DATA,
    Header.READ_BARCODE_DATA: Talk(answer=string("barcode"), ack="no barcode read"),
}
