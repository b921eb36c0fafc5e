"""The text protocol of MDB-USB and MDB HAT adapters in generic master mode: lines and values.

Pure. An upper-case letter is our command, its lower-case form the adapter's answer; hexadecimal in
either case; lines end with LF, CR or both. The adapter adds and verifies checksums and acknowledges
data by itself.

Source: Qibixx "Generic Master" and "Configuration" pages (docs.qibixx.com).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

LINE_LIMIT: Final = 256
"""Longest line we keep: an answer has at most 72 digits. More without an end is noise."""

_HEX: Final = re.compile(r"(?:[0-9A-Fa-f]{2})+")
_TOLD: Final = re.compile(r"p?,?([0-9A-Fa-f]+)")
_HALF: Final = re.compile(r"p?,?[0-9A-Fa-f]")


@dataclass(frozen=True, slots=True)
class Data:
    """`p,<hex>`: the device's data, already acknowledged by the adapter."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class Acked:
    """`p,ACK`: the device acknowledged."""


@dataclass(frozen=True, slots=True)
class NotAcked:
    """`p,NACK`: no answer, or NAK; the adapter does not tell which."""


@dataclass(frozen=True, slots=True)
class Version:
    """`v,…` or `h,…`: software or hardware."""

    letter: str
    text: str


@dataclass(frozen=True, slots=True)
class Confirmed:
    """`m,ACK`, `f,NACK` and the like: a setting was taken, or not."""

    letter: str
    taken: bool


@dataclass(frozen=True, slots=True)
class Unknown:
    """Anything else: another mode's message, or a damaged line."""

    text: str


Line = Data | Acked | NotAcked | Version | Confirmed | Unknown


LINES_KEPT: Final = 64
"""Lines whose reading, or writing, is remembered: polls and their answers are mostly the same."""


@lru_cache(LINES_KEPT)
def may_tell(text: str) -> bool:
    """Whether a line, whole or not, reads like an answer with data: `p,4500`, `p,450`, `p,A`.

    Letters alone are what is left of an ACK, but for one: half of a returned bill's `A0`.
    """
    told = _TOLD.match(text)
    if told is None:
        return False
    return any(digit.isdigit() for digit in told[1]) or _HALF.fullmatch(text) is not None


@lru_cache(LINES_KEPT)
def request_line(payload: bytes) -> bytes:
    """The line that sends a block: `R,xx` or `R,xx,yyyy`; the payload has no checksum."""
    head = f"R,{payload[0]:02X}"
    rest = payload[1:].hex().upper()
    return f"{head},{rest}\n".encode() if rest else f"{head}\n".encode()


def command_line(*words: str) -> bytes:
    """Any other command: `command_line("F", "RESPTIMEOUT", "20")`."""
    return (",".join(words) + "\n").encode()


BUS_RESET: Final = command_line("R", "RESET")
VERSION: Final = command_line("V")
HARDWARE: Final = command_line("H")
MASTER_ON: Final = command_line("M", "1")


@lru_cache(LINES_KEPT)
def decode_line(text: str) -> Line:
    """What one line (without its end) says; never raises."""
    letter, _, rest = text.partition(",")
    if letter == "p":
        if rest == "ACK":
            return Acked()
        if rest == "NACK":
            return NotAcked()
        if _HEX.fullmatch(rest):
            return Data(bytes.fromhex(rest))
        return Unknown(text)
    if letter in ("v", "h"):
        return Version(letter, rest)
    if letter in ("m", "f", "d", "c", "l") and rest in ("ACK", "NACK"):
        return Confirmed(letter, rest == "ACK")
    return Unknown(text)


class LineReader:
    """Cuts a stream into lines; safe to feed in pieces of any size."""

    __slots__ = ("_rest", "_skipping")

    def __init__(self) -> None:
        self._rest = b""
        self._skipping = False  # the line that is coming has been too long

    def reset(self) -> None:
        """Forget the beginning of a line."""
        self._rest = b""
        self._skipping = False

    def feed(self, data: bytes) -> list[str]:
        """Return the lines that are complete now, blank ones left out.

        A line longer than `LINE_LIMIT` is dropped to its end. Bytes that are no ASCII become `?`.
        """
        whole = data.find(b"\n") == len(data) - 1 < LINE_LIMIT and b"\r" not in data
        if whole and not (self._rest or self._skipping):
            return _words(data)  # as nearly always
        lines: list[str] = []
        for piece in (self._rest + data).splitlines(keepends=True):
            if piece[-1] not in b"\r\n":
                self._rest = piece
                if len(piece) > LINE_LIMIT:
                    self._skipping = True
                    self._rest = b""
                return lines
            if not self._skipping and len(piece) <= LINE_LIMIT:
                lines += _words(piece)
            self._skipping = False
        self._rest = b""
        return lines


def _words(piece: bytes) -> list[str]:
    """Return a line without its end, none for a blank one."""
    line = piece.decode("ascii", "replace").replace("\ufffd", "?").strip()
    return [line] if line else []
