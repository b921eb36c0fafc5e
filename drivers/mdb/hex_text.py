"""Hexadecimal as people paste it.

Pure.
"""

from typing import Final

from drivers.mdb.blocks import BlockFault, MdbBlockError


def parse_hex(text: str) -> bytes:
    """Bytes of a pasted trace: `0B* 0B`, `0x0B,0x0B`, `0b:0b`, `0B0B`.

    Blanks, commas, colons, dashes, `0x` and the `*` that marks a mode bit are skipped.

    Raises:
        MdbBlockError: BAD_HEX, naming the position (from 1) of the first character that does not
            belong, or of a byte with a single digit.
    """
    digits: list[str] = []
    first_digit = 0
    data = bytearray()
    position = 0
    while position < len(text):
        character = text[position]
        if text[position : position + 2] in ("0x", "0X") and not digits:
            position += 2
            continue
        if character in _SEPARATORS:
            _refuse_half(digits, first_digit)
        elif character in _HEX_DIGITS:
            if not digits:
                first_digit = position
            digits.append(character)
            if len(digits) == 2:
                data.append(int("".join(digits), 16))
                digits.clear()
        else:
            raise MdbBlockError(
                BlockFault.BAD_HEX,
                f"{character!r} at position {position + 1} is no hexadecimal digit",
            )
        position += 1
    _refuse_half(digits, first_digit)
    return bytes(data)


_SEPARATORS: Final = frozenset(" \t\r\n,;:-_*")
_HEX_DIGITS: Final = frozenset("0123456789abcdefABCDEF")


def _refuse_half(digits: list[str], at: int) -> None:
    if digits:
        raise MdbBlockError(
            BlockFault.BAD_HEX, f"a byte has two digits, {digits[0]!r} at position {at + 1} is one"
        )
