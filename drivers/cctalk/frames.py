"""ccTalk frames: addresses, lengths, both checksums, the echo of the one wire.

Pure: no port, no clock, no log. A frame is ``destination, N, source, header, data (N), checksum``,
the checksum making the sum of all bytes 0 modulo 256; with the 16-bit checksum its low byte stands
in place of the source and its high byte at the end. Which of the two a device speaks is fixed for
that device and stands nowhere in the frame.

Source: ccTalk Generic Specification 4.7, part 1 (message structure), part 3 (CRC).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, StrEnum, unique
from functools import lru_cache
from typing import Final

BROADCAST: Final = 0
HOST: Final = 1
MAX_DATA_BYTES: Final = 255
"""Issue 4.7; up to 4.6 it was 252, and a few devices still take 253 to 255 for 252."""
FRAME_OVERHEAD: Final = 5

# Reply headers.
REPLY: Final = 0
"""ACK without data, else the data asked for."""
NAK: Final = 5
BUSY: Final = 6

BYTE_TIME_S: Final = 10 / 9600
"""One byte on the wire: start, 8 data, one stop bit at 9600 baud."""
READ_S: Final = FRAME_OVERHEAD * BYTE_TIME_S
"""A request that carries no data, on the line."""
INTER_BYTE_S: Final = 0.050
"""Longest gap inside a frame for a receiver; a longer one drops the partial frame and is the only
resynchronisation there is (part 1, timing)."""


@unique
class Checksum(StrEnum):
    """How a device's frames are protected."""

    SUM = "sum"
    """8 bits, the usual one of coin acceptors and hoppers."""
    CRC = "crc"
    """CRC-CCITT of 16 bits, the usual one of bill validators."""


@unique
class FrameFault(Enum):
    """Why bytes could not be understood."""

    TRUNCATED = "truncated"
    WRONG_LENGTH = "wrong length"
    CHECKSUM = "wrong checksum"
    WRONG_ADDRESS = "wrong address"
    UNKNOWN = "unknown"
    BAD_VALUE = "bad value"


class CcTalkError(ValueError):
    """Bytes that are not what the specification allows, or a value that does not fit its field.

    The one error every codec of this package raises.

    Attributes:
        reason: What is wrong, for code to decide on.
        message: What is wrong, for people, without the bytes.
        data: The bytes it was found in (may be empty when a value was to be encoded).
    """

    def __init__(self, reason: FrameFault, message: str, data: bytes = b"") -> None:
        where = f" in {data.hex(' ').upper()}" if data else ""
        super().__init__(f"{message}{where}")
        self.reason = reason
        self.message = message
        self.data = data


@dataclass(frozen=True, slots=True)
class Frame:
    """One message. ``source`` is None where the 16-bit checksum leaves no room for it."""

    destination: int
    source: int | None
    header: int
    data: bytes = b""


def simple_checksum(data: bytes) -> int:
    """The byte that makes the sum of all bytes 0 modulo 256."""
    return -sum(data) & 0xFF


def crc16(data: bytes) -> int:
    """CRC-CCITT: polynomial 1021, initial value 0, not reflected, nothing added at the end."""
    crc = 0
    for byte in data:
        crc = (crc << 8 & 0xFF00) ^ _CRC_TABLE[crc >> 8 ^ byte]
    return crc


FRAMES_KEPT: Final = 128
"""Frames whose reading, or writing, is remembered: a line that is idle says the same for ever."""


def encode_frame(frame: Frame, checksum: Checksum = Checksum.SUM) -> bytes:
    """The frame as on the wire. With a CRC the source is not sent.

    Raises:
        CcTalkError: An address, a header or a length out of range.
    """
    if len(frame.data) > MAX_DATA_BYTES:
        raise CcTalkError(
            FrameFault.WRONG_LENGTH, f"{len(frame.data)} data bytes, a frame holds 255", frame.data
        )
    source = HOST if frame.source is None else frame.source
    for name, value in (("destination", frame.destination), ("source", source)):
        _byte(value, name)
    _byte(frame.header, "header")
    size = len(frame.data)
    if checksum is Checksum.CRC:
        crc = crc16(bytes((frame.destination, size, frame.header)) + frame.data)
        head = bytes((frame.destination, size, crc & 0xFF, frame.header))
        return head + frame.data + bytes((crc >> 8,))
    body = bytes((frame.destination, size, source, frame.header)) + frame.data
    return body + bytes((simple_checksum(body),))


def decode_frame(raw: bytes, checksum: Checksum = Checksum.SUM) -> Frame:
    """The message in exactly these bytes.

    Raises:
        CcTalkError: TRUNCATED, WRONG_LENGTH or CHECKSUM.
    """
    if len(raw) < FRAME_OVERHEAD:
        raise CcTalkError(FrameFault.TRUNCATED, "a frame has at least 5 bytes", raw)
    expected = raw[1] + FRAME_OVERHEAD
    if len(raw) != expected:
        reason = FrameFault.TRUNCATED if len(raw) < expected else FrameFault.WRONG_LENGTH
        raise CcTalkError(reason, f"{len(raw)} bytes, the frame says {expected}", raw)
    if checksum is Checksum.CRC:
        crc = crc16(raw[:2] + raw[3:-1])
        if (raw[2], raw[-1]) != (crc & 0xFF, crc >> 8):
            raise CcTalkError(
                FrameFault.CHECKSUM,
                f"CRC is {raw[-1]:02X}{raw[2]:02X}, the bytes make {crc:04X}",
                raw,
            )
        return Frame(raw[0], None, raw[3], raw[4:-1])
    wanted = simple_checksum(raw[:-1])
    if raw[-1] != wanted:
        raise CcTalkError(
            FrameFault.CHECKSUM, f"checksum is {raw[-1]:02X}, the bytes make {wanted:02X}", raw
        )
    return Frame(raw[0], raw[2], raw[3], raw[4:-1])


class FrameReader:
    """Cuts a stream into frames by counting; there is no other mark of a frame's end.

    Whoever owns the clock calls `reset` after 50 ms without a byte.
    """

    __slots__ = ("_buffer",)

    def __init__(self) -> None:
        self._buffer = bytearray()

    @property
    def partial(self) -> bytes:
        """Bytes of a frame that is not complete."""
        return bytes(self._buffer)

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Give each frame that is complete now, checksums unchecked."""
        self._buffer += data
        while len(self._buffer) >= 2:
            size = self._buffer[1] + FRAME_OVERHEAD
            if len(self._buffer) < size:
                return
            raw = bytes(self._buffer[:size])
            del self._buffer[:size]
            yield raw

    def reset(self) -> bytes:
        """Drop a partial frame; returns it."""
        dropped = bytes(self._buffer)
        self._buffer.clear()
        return dropped


@unique
class EchoState(Enum):
    """What became of the bytes we sent."""

    AWAITED = "awaited"
    """Not all of them have come back."""
    CUT = "cut"
    """All came back and were taken out."""
    ABSENT = "absent"
    """The first byte was no echo: this adapter does not return what we send."""
    COLLISION = "collision"
    """Something else came back: somebody else drove the line."""


class EchoFilter:
    """Takes our own bytes out of what a half-duplex line returns.

    A request and its reply are never equal, because the header of a reply is 0, 5 or 6 and that of
    a request is not: so cutting an equal prefix is safe even when an adapter returns no echo.

    Args:
        sent: The request.
        expected: False on an adapter known to return no echo, True on one known to, None before.
    """

    __slots__ = ("_expected", "_matched", "_sent", "state")

    def __init__(self, sent: bytes, *, expected: bool | None = None) -> None:
        self._sent = sent
        self._expected = expected
        self._matched = 0
        self.state = EchoState.AWAITED

    def feed(self, data: bytes) -> bytes:
        """Give what is not echo. After a collision nothing is."""
        if self.state is EchoState.COLLISION:
            return b""
        if self.state is not EchoState.AWAITED:
            return data
        sent = self._sent
        for index, byte in enumerate(data):
            if byte != sent[self._matched]:
                # A reply begins with our own address, a request with somebody else's.
                if self._matched == 0 and not self._expected and byte == HOST:
                    self.state = EchoState.ABSENT
                    return data[index:]
                self.state = EchoState.COLLISION
                return b""
            self._matched += 1
            if self._matched == len(sent):
                self.state = EchoState.CUT
                return data[index + 1 :]
        return b""


@unique
class ReplyKind(Enum):
    """What a device said."""

    ACK = "ACK"
    DATA = "data"
    NAK = "NAK"
    """Received well, and refused or failed. Never sent for a bad checksum."""
    BUSY = "BUSY"
    """Not now; ask again."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An accepted reply."""

    kind: ReplyKind
    data: bytes = b""


@lru_cache(FRAMES_KEPT)
def accept_reply(raw: bytes, asked: int, checksum: Checksum, *, host: int = HOST) -> Reply:
    """The reply in these bytes, if it is one from `asked` to us.

    Raises:
        CcTalkError: Anything else, which counts as no reply: retry (part 1, "retry reasons").
    """
    frame = decode_frame(raw, checksum)
    if frame.destination != host:
        raise CcTalkError(
            FrameFault.WRONG_ADDRESS, f"a frame for {frame.destination}, not for {host}", raw
        )
    if frame.source is not None and asked not in (frame.source, BROADCAST):
        raise CcTalkError(
            FrameFault.WRONG_ADDRESS, f"a reply of {frame.source}, {asked} was asked", raw
        )
    match frame.header:
        case 0:
            return Reply(ReplyKind.DATA, frame.data) if frame.data else _ACK
        case 5 | 6 if frame.data:
            raise CcTalkError(FrameFault.WRONG_LENGTH, "NAK and BUSY carry no data", raw)
        case 5:
            return _NAK
        case 6:
            return _BUSY
        case _:
            raise CcTalkError(FrameFault.UNKNOWN, f"header {frame.header} is none of a reply", raw)


_ACK: Final = Reply(ReplyKind.ACK)
_NAK: Final = Reply(ReplyKind.NAK)
_BUSY: Final = Reply(ReplyKind.BUSY)


def _byte(value: int, name: str) -> None:
    if not 0 <= value <= 255:
        raise CcTalkError(FrameFault.BAD_VALUE, f"{name} must be 0 to 255, not {value}")


def _crc_entry(index: int) -> int:
    crc = index << 8
    for _ in range(8):
        crc = crc << 1 ^ 0x1021 if crc & 0x8000 else crc << 1
    return crc & 0xFFFF


_CRC_TABLE: Final = tuple(map(_crc_entry, range(256)))
