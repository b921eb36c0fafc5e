"""What the dots of a character display mean: the A00 character ROM, and drawings read by eye.

A custom character is only dots. It is read as the known drawing that it resembles most, as a
customer would, so that a driver may draw its euro sign in its own way.
Source: Hitachi HD44780U data sheet, table 4 (ROM code A00).
"""

from __future__ import annotations

from functools import cache
from typing import Final

UNREAD: Final = "▯"  # a custom character that resembles nothing known

# Dots (of forty) that may differ from a drawing before nobody would read it as that letter.
_TOLERANCE: Final = 7

_LATIN: Final = "".join(chr(code) for code in range(0x20, 0x80))
_KATAKANA: Final = "".join(chr(0xFF61 + i) for i in range(0x3F))
# E2 is drawn as a beta and stands for the German sharp s; DF doubles as the degree sign.
_GREEK: Final = "αäßεμσρg√⁻jˣ¢£ñöpqθ∞ΩüΣπxy千万円÷ █"

ROM_A00: Final[tuple[str, ...]] = tuple(
    " " * 0x20
    + _LATIN.replace("\\", "¥").replace("~", "→").replace("\x7f", "←")
    + " " * 0x21
    + _KATAKANA[:-1]
    + "°"
    + _GREEK
)

_DRAWINGS: Final[dict[str, tuple[str, ...]]] = {
    "€": (
        "..###/.#.../####./.#.../####./.#.../..###/.....",
        ".###./#...#/###../#..../###../#...#/.###./.....",
        "..##./.#..#/###../.#.../###../.#..#/..##./.....",
    ),
    "Ä": ("#...#/.###./#...#/#...#/#####/#...#/#...#/.....",
          ".#.#./...../.###./#...#/#####/#...#/#...#/....."),
    "Ö": ("#...#/.###./#...#/#...#/#...#/#...#/.###./.....",
          ".#.#./...../.###./#...#/#...#/#...#/.###./....."),
    "Ü": ("#...#/...../#...#/#...#/#...#/#...#/.###./.....",
          ".#.#./...../#...#/#...#/#...#/#...#/.###./....."),
    "á": ("...#./..#../.###./....#/.####/#...#/.####/.....",),
    "é": ("...#./..#../.###./#...#/#####/#..../.###./.....",),
    "í": ("...#./..#../...../.##../..#../..#../.###./.....",
          "...#./..#../.##../..#../..#../..#../.###./....."),
    "ó": ("...#./..#../...../.###./#...#/#...#/.###./.....",
          "...#./..#../.###./#...#/#...#/#...#/.###./....."),
    "ú": ("...#./..#../#...#/#...#/#...#/#..##/.##.#/.....",),
    "ñ": (".##.#/#..#./...../#.##./##..#/#...#/#...#/.....",),
    "¿": ("..#../...../..#../.#.../#..../#...#/.###./.....",),
    "¡": ("..#../...../..#../..#../..#../..#../..#../.....",),
    "ß": (".##../#..#./#.##./#...#/#...#/#.##./#..../.....",),
    "\\": ("...../#..../.#.../..#../...#./....#/...../.....",),
    "~": ("...../...../.#.../#.#.#/...#./...../...../.....",),
    "Ñ": (".##.#/#..#./...../#...#/##..#/#.#.#/#..##/.....",),
    "É": ("...#./..#../#####/#..../###../#..../#####/.....",),
    "à": (".#.../..#../.###./....#/.####/#...#/.####/.....",),
    "è": (".#.../..#../.###./#...#/#####/#..../.###./.....",),
    "ç": ("...../.###./#..../#...#/.###./..#../.##../.....",),
    "₹": ("#####/...#./#####/..#../.#.../..#../...#./.....",),
    "₩": ("#...#/#.#.#/#####/#.#.#/#####/.#.#./.#.#./.....",),
    "₪": ("##..#/#.#.#/#.#.#/#.#.#/#.#.#/#.#.#/#..##/.....",),
    "₫": ("...#./.####/...#./.####/#..#./#..#./.####/#####",),
    "₱": ("####./#####/#...#/#####/####./#..../#..../.....",),
    "฿": ("..#../####./#.#.#/####./#.#.#/####./..#../.....",),
    "₵": ("..#../.####/#.#../#.#../#.#../.####/..#../.....",),
    "₦": ("#...#/##..#/#####/#.#.#/#####/#..##/#...#/.....",),
    "₡": ("..#.#/.####/#.##./#.#../##.#./.####/#.#../.....",),
    " ": ("...../...../...../...../...../...../...../.....",),
    "█": ("#####/#####/#####/#####/#####/#####/#####/#####",),
}  # fmt: skip


def _rows(drawing: str) -> tuple[int, ...]:
    dots = str.maketrans(".#", "01")
    return tuple(int(row.translate(dots), 2) for row in drawing.split("/"))


@cache
def _known() -> tuple[tuple[tuple[int, ...], str], ...]:
    return tuple(
        (_rows(drawing), letter) for letter, forms in _DRAWINGS.items() for drawing in forms
    )


@cache
def read_glyph(rows: tuple[int, ...]) -> str:
    """Return the letter that eight rows of five dots resemble most, or ``UNREAD``."""
    best, letter = _TOLERANCE + 1, UNREAD
    for known, name in _known():
        distance = sum((a ^ b).bit_count() for a, b in zip(known, rows, strict=True))
        if distance < best:
            best, letter = distance, name
    return letter
