"""Coin acceptor: credits and errors.

Pure. Events come in the buffer of `events`. A credited coin has passed the credit sensor: it is in
the machine, and there is no way to hand it back.

Source: ccTalk Generic Specification 4.7, part 2 (header 229) and part 3 (error codes, CVF).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from drivers.cctalk.coin_words import error_words
from drivers.cctalk.events import Pair

OPTION_CVF: Final = 0x01
"""Bit of header 213: credit codes are values (coin value format), not positions."""
MASTER_ON: Final = 0x01
MASTER_OFF: Final = 0x00
"""Header 228: bit 0 set is normal operation, clear is inhibited, whatever the name suggests."""
CVF_TOKEN: Final = 255


@dataclass(frozen=True, slots=True)
class CoinCredit:
    """A coin was accepted."""

    code: int
    """Its position from 1, or its value in the coin value format."""
    path: int
    """Of the sorter, from 1; 0 without a sorter."""

    @property
    def words(self) -> str:
        """The event in words."""
        path = f" to sorter path {self.path}" if self.path else ""
        return f"coin of position {self.code}{path}: credit"


@dataclass(frozen=True, slots=True)
class CoinError:
    """Something else happened; `code` 0 is the null event."""

    code: int

    @property
    def words(self) -> str:
        """The event in words."""
        return error_words(self.code)


CoinEvent = CoinCredit | CoinError


def decode_coin_event(pair: Pair) -> CoinEvent:
    """One pair of the buffer."""
    first, second = pair
    return CoinCredit(first, second) if first else CoinError(second)


def encode_coin_event(event: CoinEvent) -> Pair:
    """The pair that reports an event."""
    match event:
        case CoinCredit(code, path):
            return code, path
        case CoinError(code):
            return 0, code


def cvf_value(code: int) -> int | None:
    """The value of a credit code in the coin value format; None for a token or an unused code."""
    if code in (0, 0x80, CVF_TOKEN):
        return None
    return 10 * (code & 0x7F) if code & 0x80 else code
