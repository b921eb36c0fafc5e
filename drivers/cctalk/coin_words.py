"""Error and event codes of a coin acceptor in words.

Pure. Source: ccTalk Generic Specification 4.7, part 3 (error codes of header 229).
"""

from __future__ import annotations

from enum import Enum, unique
from typing import Final


@unique
class Rejected(Enum):
    """Whether the coin of an error went back to the customer."""

    YES = "coin rejected"
    NO = "coin not rejected"
    MAYBE = "coin possibly rejected"
    NO_COIN = ""
    """The code speaks of no coin."""


_Y, _N, _M, _O = Rejected.YES, Rejected.NO, Rejected.MAYBE, Rejected.NO_COIN

_ERRORS: Final[dict[int, tuple[str, Rejected]]] = {
    0: ("null event", _O),
    1: ("reject coin", _Y),
    2: ("inhibited coin", _Y),
    3: ("multiple window match", _Y),
    4: ("wake-up timeout: possible jam", _M),
    5: ("validation timeout: possible jam", _M),
    6: ("credit sensor timeout: possible jam", _M),
    7: ("sorter opto timeout", _N),
    8: ("second close coin", _Y),
    9: ("accept gate not ready", _Y),
    10: ("credit sensor not ready", _Y),
    11: ("sorter not ready", _Y),
    12: ("rejected coin not cleared", _Y),
    13: ("validation sensor not ready", _Y),
    14: ("credit sensor blocked", _Y),
    15: ("sorter opto blocked", _Y),
    16: ("credit sequence error: possible fraud", _N),
    17: ("coin going backwards", _N),
    18: ("coin too fast over the credit sensor", _N),
    19: ("coin too slow over the credit sensor", _N),
    20: ("coin-on-string mechanism activated", _N),
    21: ("dual coin entry opto timeout", _M),
    22: ("dual coin entry opto not seen", _Y),
    23: ("credit sensor reached too early", _N),
    24: ("repeated rejects in sequence: possible fraud", _Y),
    25: ("known slug rejected", _Y),
    26: ("reject sensor blocked", _N),
    27: ("games overload", _N),
    28: ("maximum coin meter pulses exceeded", _N),
    29: ("accept gate open, not closed", _N),
    30: ("accept gate closed, not open", _Y),
    31: ("manifold opto timeout", _N),
    32: ("manifold opto blocked", _Y),
    33: ("manifold not ready", _Y),
    34: ("security status changed", _M),
    35: ("motor exception", _M),
    36: ("swallowed coin: its value is not known, no credit", _N),
    37: ("coin too fast over the validation sensor", _Y),
    38: ("coin too slow over the validation sensor", _Y),
    39: ("coin sorted wrongly", _N),
    40: ("external light attack", _N),
    253: ("data block request", _O),
    254: ("coin return mechanism activated: flight deck open", _O),
    255: ("unspecified alarm", _O),
}

INHIBITED_FIRST: Final = 128
INHIBITED_LAST: Final = 159


def rejected(code: int) -> Rejected:
    """Whether the coin of an error code went back."""
    if INHIBITED_FIRST <= code <= INHIBITED_LAST:
        return Rejected.YES
    return _ERRORS.get(code, ("", Rejected.MAYBE))[1]


def error_words(code: int) -> str:
    """An error code in words, and what became of the coin."""
    if INHIBITED_FIRST <= code <= INHIBITED_LAST:
        return f"inhibited coin of position {code - INHIBITED_FIRST + 1}, coin rejected"
    if code in _ERRORS:
        name, verdict = _ERRORS[code]
        return f"{name}, {verdict.value}" if verdict.value else name
    return f"error code {code}, reserved" if 160 <= code <= 191 else f"error code {code}, unknown"


STATUS_WORDS: Final = {
    0: "OK",
    1: "coin return mechanism activated: flight deck open",
    2: "coin-on-string mechanism activated",
}
"""Header 248."""
