"""What the VMC says to a coin changer: commands on one side, request payloads on the other.

Pure. A payload begins with the address byte (08-0F) and has no checksum. Answers are in
`changer_codec`.

Source: MDB/ICP 4.2, section 5.
"""

from dataclasses import dataclass
from enum import IntEnum, unique
from typing import Final

from drivers.mdb.blocks import Address, BlockFault, MdbBlockError, check_address
from drivers.mdb.fields import expect_length, nibble, number, unsigned
from drivers.mdb.ftl_codec import (
    FTL_SUB_FIRST,
    FTL_SUB_LAST,
    FtlMessage,
    OkToSend,
    ReqToReceive,
    ReqToSend,
    RetryDeny,
    SendBlock,
    decode_sub_command,
    encode_sub_command,
    sub_command_length,
)

MAX_DISPENSE_COUNT: Final = 15
"""Coins one DISPENSE command can name; more need several commands, one after the other."""
MAX_PAYOUT_VALUE: Final = 255
"""Scaled value one PAYOUT command can name."""

OPTION_ALTERNATIVE_PAYOUT: Final = 1 << 0
OPTION_EXTENDED_DIAGNOSTICS: Final = 1 << 1
OPTION_MANUAL_FILL_AND_PAYOUT: Final = 1 << 2
OPTION_FTL: Final = 1 << 3


@unique
class Command(IntEnum):
    """First byte of a request."""

    RESET = 0x08
    SETUP = 0x09
    TUBE_STATUS = 0x0A
    POLL = 0x0B
    COIN_TYPE = 0x0C
    DISPENSE = 0x0D
    EXPANSION = 0x0F


@unique
class Expansion(IntEnum):
    """Sub-command of EXPANSION (level 3). FA-FE are File Transport Layer messages."""

    IDENTIFICATION = 0x00
    FEATURE_ENABLE = 0x01
    PAYOUT = 0x02
    PAYOUT_STATUS = 0x03
    PAYOUT_VALUE_POLL = 0x04
    DIAGNOSTIC_STATUS = 0x05
    MANUAL_FILL_REPORT = 0x06
    MANUAL_PAYOUT_REPORT = 0x07
    MANUFACTURER = 0xFF


@dataclass(frozen=True, slots=True)
class Reset:
    """Stop everything, acceptance off, manual dispense on, options off. Answer: ACK."""


@dataclass(frozen=True, slots=True)
class AskSetup:
    """Answer: `ChangerSetup`."""


@dataclass(frozen=True, slots=True)
class AskTubeStatus:
    """Answer: `TubeStatus`."""


@dataclass(frozen=True, slots=True)
class Poll:
    """Answer: ACK or activity."""


@dataclass(frozen=True, slots=True)
class CoinType:
    """Which coins to accept and which manual dispense switches work. Accept 0000 inhibits."""

    accept_mask: int
    manual_dispense_mask: int


@dataclass(frozen=True, slots=True)
class Dispense:
    """Pay `count` (1-15) coins of one type. Never repeat it blindly."""

    coin_type: int
    count: int


@dataclass(frozen=True, slots=True)
class AskIdentification:
    """Level 3. Answer: `Identification` with options."""


@dataclass(frozen=True, slots=True)
class FeatureEnable:
    """Level 3. Only bits the changer offered."""

    options: int


@dataclass(frozen=True, slots=True)
class Payout:
    """Level 3, option b0: pay this scaled value (1-255); the changer picks the coins."""

    value: int


@dataclass(frozen=True, slots=True)
class AskPayoutStatus:
    """Answer: `PayoutStatus`; ACK alone means *busy*."""


@dataclass(frozen=True, slots=True)
class PayoutValuePoll:
    """Answer: `PayoutValue`; ACK alone means *finished*."""


@dataclass(frozen=True, slots=True)
class AskDiagnosticStatus:
    """Level 3, option b1. Answer: `DiagnosticStatus`."""


@dataclass(frozen=True, slots=True)
class AskManualFillReport:
    """Level 3, option b2. Answer: `CoinReport`."""


@dataclass(frozen=True, slots=True)
class AskManualPayoutReport:
    """Level 3, option b2. Answer: `CoinReport`."""


@dataclass(frozen=True, slots=True)
class ManufacturerDiagnostics:
    """Whatever the manufacturer agreed with itself; the only request of free length."""

    data: bytes


ChangerCommand = (
    Reset
    | AskSetup
    | AskTubeStatus
    | Poll
    | CoinType
    | Dispense
    | AskIdentification
    | FeatureEnable
    | Payout
    | AskPayoutStatus
    | PayoutValuePoll
    | AskDiagnosticStatus
    | AskManualFillReport
    | AskManualPayoutReport
    | ManufacturerDiagnostics
    | FtlMessage
)

POLL_PAYLOAD: Final = bytes((Command.POLL,))
"""The most frequent request, ready made."""

_BARE: Final[dict[bytes, ChangerCommand]] = {
    bytes((Command.RESET,)): Reset(),
    bytes((Command.SETUP,)): AskSetup(),
    bytes((Command.TUBE_STATUS,)): AskTubeStatus(),
    POLL_PAYLOAD: Poll(),
    bytes((Command.EXPANSION, Expansion.IDENTIFICATION)): AskIdentification(),
    bytes((Command.EXPANSION, Expansion.PAYOUT_STATUS)): AskPayoutStatus(),
    bytes((Command.EXPANSION, Expansion.PAYOUT_VALUE_POLL)): PayoutValuePoll(),
    bytes((Command.EXPANSION, Expansion.DIAGNOSTIC_STATUS)): AskDiagnosticStatus(),
    bytes((Command.EXPANSION, Expansion.MANUAL_FILL_REPORT)): AskManualFillReport(),
    bytes((Command.EXPANSION, Expansion.MANUAL_PAYOUT_REPORT)): AskManualPayoutReport(),
}
_BARE_PAYLOADS: Final = {command: payload for payload, command in _BARE.items()}

_LENGTHS: Final[dict[int, int]] = {
    Command.RESET: 1,
    Command.SETUP: 1,
    Command.TUBE_STATUS: 1,
    Command.POLL: 1,
    Command.COIN_TYPE: 5,
    Command.DISPENSE: 2,
}
_EXPANSION_LENGTHS: Final[dict[int, int]] = {
    Expansion.IDENTIFICATION: 2,
    Expansion.FEATURE_ENABLE: 6,
    Expansion.PAYOUT: 3,
    Expansion.PAYOUT_STATUS: 2,
    Expansion.PAYOUT_VALUE_POLL: 2,
    Expansion.DIAGNOSTIC_STATUS: 2,
    Expansion.MANUAL_FILL_REPORT: 2,
    Expansion.MANUAL_PAYOUT_REPORT: 2,
}


def command_length(head: bytes) -> int | None:
    """Payload length of the request that begins with `head`, for a peripheral on the wire.

    A master block carries no end mark: its length follows from command and sub-command.

    Returns:
        Bytes, checksum not counted; None when `head` does not tell it yet, the command is unknown,
        or its length is free (manufacturer diagnostics, file blocks).
    """
    if not head:
        return None
    if head[0] != Command.EXPANSION:
        return _LENGTHS.get(head[0])
    if len(head) < 2:
        return None
    ftl = sub_command_length(head[1])
    return _EXPANSION_LENGTHS.get(head[1]) if ftl is None else 1 + ftl


def encode_command(command: ChangerCommand) -> bytes:
    """The request's payload.

    Raises:
        MdbBlockError: A field out of range.
    """
    bare = _BARE_PAYLOADS.get(command)
    if bare is not None:
        return bare
    match command:
        case CoinType(accept, manual):
            return (
                bytes((Command.COIN_TYPE,))
                + unsigned(accept, 2, "accept mask")
                + unsigned(manual, 2, "manual dispense mask")
            )
        case Dispense(coin_type, count):
            if not 1 <= count <= MAX_DISPENSE_COUNT:
                raise MdbBlockError(
                    BlockFault.BAD_VALUE, f"DISPENSE pays 1 to 15 coins, not {count}"
                )
            return bytes((Command.DISPENSE, count << 4 | nibble(coin_type, "coin type")))
        case FeatureEnable(options):
            return _expansion(Expansion.FEATURE_ENABLE, unsigned(options, 4, "option bits"))
        case Payout(value):
            if value == 0:
                raise MdbBlockError(BlockFault.BAD_VALUE, "PAYOUT pays at least 1 unit")
            return _expansion(Expansion.PAYOUT, unsigned(value, 1, "payout value"))
        case ManufacturerDiagnostics(data):
            return _expansion(Expansion.MANUFACTURER, data)
        case ReqToReceive() | RetryDeny() | SendBlock() | OkToSend() | ReqToSend():
            return bytes((Command.EXPANSION,)) + encode_sub_command(command)
        case _:
            raise MdbBlockError(BlockFault.BAD_VALUE, f"not a changer command: {command!r}")


def decode_command(payload: bytes) -> ChangerCommand:
    """The command in a request's payload.

    Raises:
        MdbBlockError: Not a changer's address, an unknown command, a wrong length, or a value the
            standard excludes (a DISPENSE or PAYOUT of nothing).
    """
    bare = _BARE.get(payload)
    if bare is not None:
        return bare
    check_address(payload, Address.CHANGER)
    length = command_length(payload)
    if length is not None:
        expect_length(payload, length, length, f"changer command {payload[:2].hex(' ')}")
    match payload[0]:
        case Command.COIN_TYPE:
            return CoinType(number(payload, 1, 2), number(payload, 3, 2))
        case Command.DISPENSE:
            if not payload[1] >> 4:
                raise MdbBlockError(BlockFault.BAD_VALUE, "DISPENSE of no coins", payload)
            return Dispense(payload[1] & 0x0F, payload[1] >> 4)
        case Command.EXPANSION if len(payload) > 1:
            return _decode_expansion(payload)
        case Command.EXPANSION:
            raise MdbBlockError(BlockFault.TRUNCATED, "EXPANSION without sub-command", payload)
        case _:
            raise MdbBlockError(BlockFault.UNKNOWN, "unknown changer command", payload)


def _decode_expansion(payload: bytes) -> ChangerCommand:
    sub = payload[1]
    match sub:
        case Expansion.FEATURE_ENABLE:
            return FeatureEnable(number(payload, 2, 4))
        case Expansion.PAYOUT:
            if not payload[2]:
                raise MdbBlockError(BlockFault.BAD_VALUE, "PAYOUT of nothing", payload)
            return Payout(payload[2])
        case Expansion.MANUFACTURER:
            return ManufacturerDiagnostics(payload[2:])
        case _ if FTL_SUB_FIRST <= sub <= FTL_SUB_LAST:
            return decode_sub_command(payload[1:])
        case _:
            raise MdbBlockError(
                BlockFault.UNKNOWN, f"unknown EXPANSION sub-command {sub:02X}", payload
            )


def _expansion(sub: Expansion, data: bytes) -> bytes:
    return bytes((Command.EXPANSION, sub)) + data
