"""What the kernel's tty layer makes of a ninth bit, undone: PARMRK bytes to marked bytes.

Pure, and safe to feed in pieces of any size. With space parity expected on receive (`INPCK`,
`PARMRK`, not `IGNPAR`), a byte whose parity bit is 1 arrives as `FF 00 xx`, a plain FF as `FF FF`,
everything else as itself. So the block `45 FF 12 56*` is read as `45 FF FF 12 FF 00 56`.

Source: termios(3), PARMRK; MDB/ICP 4.2, section 2 (mode bit on a peripheral's last byte).
"""

from __future__ import annotations

from typing import Final

MARKED: Final = 0x100
"""Set in a decoded byte whose ninth bit was 1."""

_ESCAPE: Final = 0xFF

_ACK_ALONE: Final = b"\xff\x00\x00"
_ACK_ALONE_DECODED: Final = (MARKED,)


class ParmrkDecoder:
    """Turns PARMRK bytes into numbers: bits 0-7 the byte, `MARKED` its ninth bit."""

    __slots__ = ("_escaped", "_zero")

    def __init__(self) -> None:
        self._escaped = False  # FF came, the next byte decides
        self._zero = False  # FF 00 came, the next byte is the marked one

    def reset(self) -> None:
        """Forget a sequence that was cut in the middle."""
        self._escaped = self._zero = False

    @property
    def pending(self) -> bool:
        """Whether a sequence is incomplete."""
        return self._escaped or self._zero

    def feed(self, data: bytes) -> tuple[int, ...] | list[int]:
        """Decode the next piece, of any length.

        An FF followed by neither FF nor 00 is no PARMRK; both bytes then count as plain ones.
        """
        if data == _ACK_ALONE and not (self._escaped or self._zero):
            return _ACK_ALONE_DECODED  # nine polls out of ten
        out: list[int] = []
        for byte in data:
            if self._zero:
                self._zero = False
                out.append(MARKED | byte)
            elif self._escaped:
                self._escaped = False
                if byte == 0:
                    self._zero = True
                elif byte == _ESCAPE:
                    out.append(_ESCAPE)
                else:
                    out += (_ESCAPE, byte)
            elif byte == _ESCAPE:
                self._escaped = True
            else:
                out.append(byte)
        return out


def encode_parmrk(block: bytes, *, marked_last: bool = True) -> bytes:
    """How a receiver's tty layer shows a peripheral's block; the inverse of the decoder."""
    last = len(block) - 1
    out = bytearray()
    for index, byte in enumerate(block):
        if marked_last and index == last:
            out += bytes((_ESCAPE, 0, byte))
        elif byte == _ESCAPE:
            out += b"\xff\xff"
        else:
            out.append(byte)
    return bytes(out)
