"""MDB blocks: addresses, checksums, control bytes and the standard's times.

Pure: no port, no clock, no log. Two words are used all over the codecs:

* a *block* is what travels on the wire, checksum included (at most 36 bytes);
* a *payload* is the same without the checksum. A request's payload begins with the address byte;
  an answer's payload is the data alone. The empty payload stands for a lone ACK, so that the
  cashless JUST RESET (`00 00*`, payload `00`) and an ACK (`00*`, payload empty) never look alike.

Source: MDB/ICP 4.2, sections 2 (format, timing) and appendix 3 (tolerances).
"""

from collections.abc import Iterable
from enum import Enum, IntEnum, unique
from typing import Final

MAX_BLOCK_BYTES: Final = 36
"""Longest block in either direction, checksum included (MDB/ICP 4.2, section 2)."""

MAX_PAYLOAD_BYTES: Final = MAX_BLOCK_BYTES - 1

ACK: Final = 0x00
"""Received with a good checksum. Both sides."""
NAK: Final = 0xFF
"""Received with a bad checksum. Both sides; new peripherals should stay silent instead."""
RET: Final = 0xAA
"""Send your last data block again. VMC only."""

ACK_ALONE: Final = b""
"""The payload of an answer that is an ACK without data."""

# Times. The standard's figure is what we keep to when we send; the tolerant figure of appendix 3 is
# what we accept, because older equipment needs it.
BYTE_TIME_S: Final = 11 / 9600
"""One byte on the wire: start, 8 data, mode and stop bit at 9600 baud."""
INTER_BYTE_S: Final = 0.001
"""Longest pause inside a block by the standard; a pause ends a block for some peripherals."""
INTER_BYTE_TOLERANT_S: Final = 0.005
"""Pause inside a block that a receiver should still accept."""
RESPONSE_S: Final = 0.005
"""From the end of a block to the first byte of its answer, either side."""
RESPONSE_TOLERANT_S: Final = 0.020
"""Response time a receiver should still accept."""
BREAK_MIN_S: Final = 0.100
"""Shortest active line that resets every peripheral."""
BREAK_S: Final = 0.200
"""The break we send: twice the minimum, since the operating system may cut it short."""
SETTLE_S: Final = 0.500
"""Silence we keep: part of the installed base needs more than the standard's 200 ms."""
POLL_MIN_S: Final = 0.125
"""Polling faster does not make a peripheral faster; it can slow it (appendix 3)."""
RESET_RETRY_S: Final = 10.0
"""A dead device gets one RESET per this time, for ever, while the others are served."""
TUBE_STATUS_AFTER_RESET_S: Final = 0.500
"""First TUBE STATUS after any reset of a changer: asked earlier, some report empty tubes."""
DUPLICATE_POLL_S: Final = 0.020
"""Second poll after acknowledged money: an identical answer this soon is a repeat, not a coin."""
NON_RESPONSE_CHANGER_S: Final = 2.0
"""Longest silence of a changer before it counts as gone."""
NON_RESPONSE_BILL_S: Final = 5.0
"""Longest silence of a bill validator before it counts as gone."""
NON_RESPONSE_CASHLESS_S: Final = 5.0
"""Least non-response time of a reader; its SETUP answer (byte Z7) may name a larger one."""
PAYOUT_ANSWER_S: Final = 30.0
"""Each payout value poll, ESCROW result and cancelled payout is owed within this time."""


@unique
class Address(IntEnum):
    """Base addresses: the upper five bits of a request's first byte (section 2.3)."""

    VMC = 0x00
    CHANGER = 0x08
    CASHLESS_1 = 0x10
    GATEWAY = 0x18
    DISPLAY = 0x20
    ENERGY = 0x28
    BILL_VALIDATOR = 0x30
    SATELLITE_1 = 0x40
    SATELLITE_2 = 0x48
    SATELLITE_3 = 0x50
    HOPPER_1 = 0x58
    CASHLESS_2 = 0x60
    AGE_VERIFICATION = 0x68
    HOPPER_2 = 0x70
    EXPERIMENTAL_1 = 0xE0
    EXPERIMENTAL_2 = 0xE8
    MACHINE_SPECIFIC_1 = 0xF0
    MACHINE_SPECIFIC_2 = 0xF8


ADDRESS_MASK: Final = 0xF8
COMMAND_MASK: Final = 0x07


@unique
class BlockFault(Enum):
    """Why bytes could not be understood."""

    EMPTY = "empty"
    TOO_LONG = "too long"
    CHECKSUM = "wrong checksum"
    TRUNCATED = "truncated"
    WRONG_LENGTH = "wrong length"
    UNKNOWN = "unknown"
    WRONG_ADDRESS = "wrong address"
    BAD_VALUE = "bad value"
    BAD_HEX = "bad hex"


class MdbBlockError(ValueError):
    """Bytes that are not what the standard allows, or a value that does not fit into its field.

    The one error every codec of this package raises.

    Attributes:
        reason: What is wrong, for code to decide on.
        message: What is wrong, for people, without the bytes.
        data: The bytes it was found in (may be empty when a value was to be encoded).
    """

    def __init__(self, reason: BlockFault, message: str, data: bytes = b"") -> None:
        where = f" in {hex_bytes(data)}" if data else ""
        super().__init__(f"{message}{where}")
        self.reason = reason
        self.message = message
        self.data = data


@unique
class Control(Enum):
    """A lone control byte."""

    ACK = "ACK"
    NAK = "NAK"
    RET = "RET"


def hex_bytes(data: Iterable[int]) -> str:
    """Bytes as the standard prints them: upper-case pairs separated by blanks."""
    return " ".join(f"{byte:02X}" for byte in data)


def checksum(data: bytes) -> int:
    """Low eight bits of the sum of all bytes; mode bits do not count (section 2.2)."""
    return sum(data) & 0xFF


def build_block(payload: bytes) -> bytes:
    """The payload with its checksum, ready for the wire.

    Raises:
        MdbBlockError: Empty, or longer than 35 bytes.
    """
    if not payload:
        raise MdbBlockError(BlockFault.EMPTY, "a block needs at least one byte")
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise MdbBlockError(
            BlockFault.TOO_LONG,
            f"{len(payload)} bytes and a checksum exceed the {MAX_BLOCK_BYTES} bytes of a block",
            payload,
        )
    return payload + bytes((sum(payload) & 0xFF,))


def parse_block(block: bytes) -> bytes:
    """The payload of a received data block, its checksum verified and removed.

    Raises:
        MdbBlockError: Shorter than two bytes, longer than 36, or the checksum is wrong.
    """
    if len(block) < 2:
        raise MdbBlockError(BlockFault.TRUNCATED, "a data block has at least two bytes", block)
    if len(block) > MAX_BLOCK_BYTES:
        raise MdbBlockError(
            BlockFault.TOO_LONG, f"{len(block)} bytes, {MAX_BLOCK_BYTES} are allowed", block
        )
    expected = sum(block[:-1]) & 0xFF
    if block[-1] != expected:
        raise MdbBlockError(
            BlockFault.CHECKSUM,
            f"checksum is {block[-1]:02X}, the bytes before it add up to {expected:02X}",
            block,
        )
    return block[:-1]


def parse_answer(block: bytes) -> bytes:
    """The payload of whatever a peripheral sent: empty for a lone ACK, else the checked data.

    Raises:
        MdbBlockError: A lone byte that is not an ACK (a NAK included), or a bad data block.
    """
    if len(block) == 1:
        control = classify_control(block[0])
        if control is Control.ACK:
            return ACK_ALONE
        name = f"{control.value} alone" if control else "no control byte"
        raise MdbBlockError(BlockFault.UNKNOWN, f"{name} where data or ACK belongs", block)
    return parse_block(block)


def classify_control(byte: int) -> Control | None:
    """Which control byte was meant, judged by the number of set bits.

    ACK has none, RET four, NAK eight, so that one flipped bit can't turn one into another
    (MDB/ICP 4.2, appendix 3). Two or six bits are as near to one as to the other: None, to be
    treated like silence.
    """
    return _CONTROL_BY_BITS[byte.bit_count()]


_CONTROL_BY_BITS: Final = (
    Control.ACK,
    Control.ACK,
    None,
    Control.RET,
    Control.RET,
    Control.RET,
    None,
    Control.NAK,
    Control.NAK,
)


def device_of(first_byte: int) -> int:
    """Base address of a request's first byte."""
    return first_byte & ADDRESS_MASK


def command_of(first_byte: int) -> int:
    """Command number (0-7) of a request's first byte."""
    return first_byte & COMMAND_MASK


def check_address(payload: bytes, *devices: int) -> None:
    """Refuse a request that is empty or for another device.

    Raises:
        MdbBlockError: EMPTY or WRONG_ADDRESS.
    """
    if not payload:
        raise MdbBlockError(BlockFault.EMPTY, "an empty request")
    if payload[0] & ADDRESS_MASK not in devices:
        wanted = " or ".join(f"{device:02X}" for device in devices)
        raise MdbBlockError(
            BlockFault.WRONG_ADDRESS,
            f"address {payload[0] & ADDRESS_MASK:02X}, expected {wanted}",
            payload,
        )
