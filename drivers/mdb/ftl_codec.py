"""File Transport Layer messages, shared by every device: bytes on one side, values on the other.

A mailbox for blocks of up to 31 bytes. The same five messages travel both ways: as sub-commands
FA-FE of a device's EXPANSION command, and as first bytes 1B-1F of an answer. They fill a whole
block and are never mixed with others.

Source: MDB/ICP 4.2, section 3 (FTL).
"""

from dataclasses import dataclass
from enum import IntEnum, unique
from typing import Final

from drivers.mdb.blocks import BlockFault, MdbBlockError
from drivers.mdb.fields import expect_length, unsigned

MAX_DATA_BYTES: Final = 31
"""Data bytes of one SEND BLOCK."""
DELAY_NEVER: Final = 0x00
"""RETRY/DENY: don't try again."""
DELAY_NOT_SUPPORTED: Final = 0xFF


@unique
class FtlCode(IntEnum):
    """First byte from a peripheral; the VMC's sub-command is the same plus `FTL_SUB_OFFSET`."""

    REQ_TO_RCV = 0x1B
    RETRY_DENY = 0x1C
    SEND_BLOCK = 0x1D
    OK_TO_SEND = 0x1E
    REQ_TO_SEND = 0x1F


FTL_SUB_OFFSET: Final = 0xFA - FtlCode.REQ_TO_RCV
FTL_SUB_FIRST: Final = 0xFA
FTL_SUB_LAST: Final = 0xFE


@dataclass(frozen=True, slots=True)
class ReqToReceive:
    """The sender asks for a file. Addresses are base addresses, 00 is the VMC."""

    destination: int
    source: int
    file_id: int
    max_blocks: int
    control: int
    """Bit 0: reset after the transfer; bit 1: end of file in this session."""


@dataclass(frozen=True, slots=True)
class RetryDeny:
    """Not now, or never."""

    destination: int
    source: int
    delay_s: int
    """Seconds; `DELAY_NEVER` or `DELAY_NOT_SUPPORTED` at the ends."""


@dataclass(frozen=True, slots=True)
class SendBlock:
    """One block of a file; empty in the closing block."""

    destination: int
    block: int
    data: bytes


@dataclass(frozen=True, slots=True)
class OkToSend:
    """Go ahead."""

    destination: int
    source: int


@dataclass(frozen=True, slots=True)
class ReqToSend:
    """The sender has a file to deliver."""

    destination: int
    source: int
    file_id: int
    blocks: int
    control: int


FtlMessage = ReqToReceive | RetryDeny | SendBlock | OkToSend | ReqToSend

FTL_LENGTHS: Final = {
    FtlCode.REQ_TO_RCV: (6, 6),
    FtlCode.RETRY_DENY: (4, 4),
    FtlCode.SEND_BLOCK: (3, 3 + MAX_DATA_BYTES),
    FtlCode.OK_TO_SEND: (3, 3),
    FtlCode.REQ_TO_SEND: (6, 6),
}
"""Shortest and longest message, its code included."""


def is_ftl_code(code: int) -> bool:
    """Whether an answer that begins with this byte is a File Transport Layer message."""
    return FtlCode.REQ_TO_RCV <= code <= FtlCode.REQ_TO_SEND


def sub_command_length(sub: int) -> int | None:
    """Bytes of the VMC's message with this sub-command, itself included.

    Returns:
        None when it is no FTL sub-command, or SEND BLOCK, whose end only silence marks.
    """
    if not FTL_SUB_FIRST <= sub <= FTL_SUB_LAST:
        return None
    least, most = FTL_LENGTHS[FtlCode(sub - FTL_SUB_OFFSET)]
    return least if least == most else None


def encode_message(message: FtlMessage) -> bytes:
    """The message as a peripheral sends it.

    Raises:
        MdbBlockError: A field out of range.
    """
    code, fields = _fields(message)
    return bytes((code,)) + fields


def encode_sub_command(message: FtlMessage) -> bytes:
    """The message as the VMC sends it, to be put behind the EXPANSION command byte.

    Raises:
        MdbBlockError: A field out of range.
    """
    code, fields = _fields(message)
    return bytes((code + FTL_SUB_OFFSET,)) + fields


def decode_message(data: bytes) -> FtlMessage:
    """A message from a peripheral, first byte 1B-1F.

    Raises:
        MdbBlockError: Another first byte, or a wrong length.
    """
    if not data or not is_ftl_code(data[0]):
        raise MdbBlockError(BlockFault.UNKNOWN, "not a file transport message", data)
    return _decode(FtlCode(data[0]), data)


def decode_sub_command(data: bytes) -> FtlMessage:
    """A message from the VMC, first byte FA-FE (the EXPANSION command byte removed).

    Raises:
        MdbBlockError: Another first byte, or a wrong length.
    """
    if not data or not FTL_SUB_FIRST <= data[0] <= FTL_SUB_LAST:
        raise MdbBlockError(BlockFault.UNKNOWN, "not a file transport sub-command", data)
    return _decode(FtlCode(data[0] - FTL_SUB_OFFSET), data)


def _decode(code: FtlCode, data: bytes) -> FtlMessage:
    least, most = FTL_LENGTHS[code]
    expect_length(data, least, most, f"file transport message {data[0]:02X}")
    match code:
        case FtlCode.REQ_TO_RCV:
            return ReqToReceive(data[1], data[2], data[3], data[4], data[5])
        case FtlCode.RETRY_DENY:
            return RetryDeny(data[1], data[2], data[3])
        case FtlCode.SEND_BLOCK:
            return SendBlock(data[1], data[2], data[3:])
        case FtlCode.OK_TO_SEND:
            return OkToSend(data[1], data[2])
        case FtlCode.REQ_TO_SEND:
            return ReqToSend(data[1], data[2], data[3], data[4], data[5])


def _fields(message: FtlMessage) -> tuple[FtlCode, bytes]:
    match message:
        case ReqToReceive(dest, source, file_id, blocks, control):
            return FtlCode.REQ_TO_RCV, _bytes(dest, source, file_id, blocks, control)
        case RetryDeny(dest, source, delay):
            return FtlCode.RETRY_DENY, _bytes(dest, source, delay)
        case SendBlock(dest, block, data):
            if len(data) > MAX_DATA_BYTES:
                raise MdbBlockError(
                    BlockFault.TOO_LONG, f"a file block has at most {MAX_DATA_BYTES} bytes", data
                )
            return FtlCode.SEND_BLOCK, _bytes(dest, block) + data
        case OkToSend(dest, source):
            return FtlCode.OK_TO_SEND, _bytes(dest, source)
        case ReqToSend(dest, source, file_id, blocks, control):
            return FtlCode.REQ_TO_SEND, _bytes(dest, source, file_id, blocks, control)


def _bytes(*values: int) -> bytes:
    return b"".join(unsigned(value, 1, "file transport field") for value in values)
