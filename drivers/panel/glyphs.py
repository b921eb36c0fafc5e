"""From text to the codes of an HD44780 with ROM A00, eight letters of one's own included.

The ROM has ä ö ü ñ ß £ ¥ and no accents, no capital umlauts and no other sign of a currency. What a
text needs of those is drawn into the eight custom characters; what does not fit there, or has no
drawing, is written without its accent. Pure.
Source: Hitachi HD44780U data sheet, table 4 (ROM code A00).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from RPLCD.codecs.hd44780_a00 import encoding_table

CUSTOM: Final = 8  # custom characters of the chip, codes 0 to 7
_LINES_KEPT: Final = 64  # the same few lines come again and again
_BLANK: Final = 0x20
_UNKNOWN: Final = ord("?")
_FIRST_ROM_CODE: Final = 0x20

_ROM: Final[dict[str, int]] = {
    **{letter: code for letter, code in encoding_table.items() if code >= _FIRST_ROM_CODE},
    "ß": encoding_table["β"],  # drawn as one
    "\u2019": ord("'"),
    "\u00b4": ord("'"),
    "\u202f": _BLANK,
    "\\": ord("/"),
    "~": ord("-"),
}

# Letters that Unicode does not take apart, and signs that the ROM has in a plainer form.
_PLAINER: Final[dict[str, str]] = dict(zip("ÆæØøŁłĐđı…«»“”„‘", 'AaOoLlDdi."""""\'', strict=True))

_DRAWINGS: Final[dict[str, str]] = {
    "€": "..###/.#.../####./.#.../####./.#.../..###/.....",
    "Ä": "#...#/.###./#...#/#...#/#####/#...#/#...#/.....",
    "Ö": "#...#/.###./#...#/#...#/#...#/#...#/.###./.....",
    "Ü": "#...#/...../#...#/#...#/#...#/#...#/.###./.....",
    "á": "...#./..#../.###./....#/.####/#...#/.####/.....",
    "é": "...#./..#../.###./#...#/#####/#..../.###./.....",
    "í": "...#./..#../...../.##../..#../..#../.###./.....",
    "ó": "...#./..#../...../.###./#...#/#...#/.###./.....",
    "ú": "...#./..#../#...#/#...#/#...#/#..##/.##.#/.....",
    "Ñ": ".##.#/#..#./...../#...#/##..#/#.#.#/#..##/.....",
    "É": "...#./..#../#####/#..../###../#..../#####/.....",
    "à": ".#.../..#../.###./....#/.####/#...#/.####/.....",
    "è": ".#.../..#../.###./#...#/#####/#..../.###./.....",
    "ç": "...../.###./#..../#...#/.###./..#../.##../.....",
    "¿": "..#../...../..#../.#.../#..../#...#/.###./.....",
    "¡": "..#../...../..#../..#../..#../..#../..#../.....",
    "₹": "#####/...#./#####/..#../.#.../..#../...#./.....",
    "₩": "#...#/#.#.#/#####/#.#.#/#####/.#.#./.#.#./.....",
    "₪": "##..#/#.#.#/#.#.#/#.#.#/#.#.#/#.#.#/#..##/.....",
    "₫": "...#./.####/...#./.####/#..#./#..#./.####/#####",
    "₱": "####./#####/#...#/#####/####./#..../#..../.....",
    "฿": "..#../####./#.#.#/####./#.#.#/####./..#../.....",
    "₵": "..#../.####/#.#../#.#../#.#../.####/..#../.....",
    "₦": "#...#/##..#/#####/#.#.#/#####/#..##/#...#/.....",
    "₡": "..#.#/.####/#.##./#.#../##.#./.####/#.#../.....",
}

# What amounts are written with: a price without its sign is worse than a word without its accent.
_SIGNS: Final = frozenset("€₹₩₪₫₱฿₵₦₡")


@dataclass(frozen=True, slots=True)
class Screen:
    """What to send: drawings to load first, then the codes of each line."""

    load: tuple[tuple[int, tuple[int, ...]], ...]  # (slot, eight rows of five dots)
    rows: tuple[bytes, ...]


class Glyphs:
    """Which letter stands in which custom character now."""

    def __init__(self) -> None:
        self._slots: list[str | None] = [None] * CUSTOM

    def fit(self, lines: Sequence[str], cols: int, rows: int) -> Screen:
        """Encode lines for a glass of ``cols`` x ``rows`` and take the slots that they need."""
        text = [_cut(line, cols) for line in [*lines, *[""] * rows][:rows]]
        drawn = [_to_draw(line) for line in text]
        letters = sorted(dict.fromkeys("".join(drawn)), key=lambda letter: letter not in _SIGNS)
        wanted = letters[:CUSTOM]
        free = [slot for slot, letter in enumerate(self._slots) if letter not in wanted]
        load = []
        for letter in wanted:
            if letter not in self._slots:
                slot = free.pop(0)
                self._slots[slot] = letter
                load.append((slot, _dots(_DRAWINGS[letter])))
        slots = {letter: slot for slot, letter in enumerate(self._slots) if letter in wanted}
        encoded = tuple(
            _encode(line, tuple((letter, slots[letter]) for letter in drawn if letter in slots))
            for line, drawn in zip(text, drawn, strict=True)
        )
        return Screen(tuple(load), encoded)


@lru_cache(_LINES_KEPT)
def _cut(line: str, cols: int) -> str:
    """Return a line as long as the glass, each letter one character."""
    return unicodedata.normalize("NFC", line[:cols].ljust(cols))[:cols].ljust(cols)


@lru_cache(_LINES_KEPT)
def _to_draw(line: str) -> str:
    """Return the letters of a line that have a drawing."""
    return "".join(dict.fromkeys(letter for letter in line if letter in _DRAWINGS))


@lru_cache(_LINES_KEPT)
def _encode(line: str, slots: tuple[tuple[str, int], ...]) -> bytes:
    """Return a line's codes, with the drawn letters that have a slot."""
    codes = dict(slots)
    return bytes(codes.get(letter, _plain(letter)) for letter in line)


def _plain(letter: str) -> int:
    """Return the ROM's code of a letter, or of what comes nearest."""
    code = _ROM.get(letter)
    if code is not None:
        return code
    base = _PLAINER.get(letter) or unicodedata.normalize("NFKD", letter)[0]
    if base == letter and (letter.isspace() or unicodedata.category(letter)[0] == "C"):
        return _BLANK
    return _ROM.get(base, _UNKNOWN)


def _dots(drawing: str) -> tuple[int, ...]:
    return tuple(int(row.replace(".", "0").replace("#", "1"), 2) for row in drawing.split("/"))
