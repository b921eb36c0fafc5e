"""What the VMC says to a bill validator or recycler: commands and request payloads.

Pure. A payload begins with the address byte (30-37) and has no checksum. Answers are in
`bill_codec`.

Source: MDB/ICP 4.2, section 6.
"""

from dataclasses import dataclass
from enum import IntEnum, unique
from typing import Final

from drivers.mdb.blocks import Address, BlockFault, MdbBlockError, check_address
from drivers.mdb.fields import TYPES, expect_length, nibble, number, unsigned
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

OPTION_FTL: Final = 1 << 0
OPTION_RECYCLING: Final = 1 << 1


@unique
class Command(IntEnum):
    """First byte of a request."""

    RESET = 0x30
    SETUP = 0x31
    SECURITY = 0x32
    POLL = 0x33
    BILL_TYPE = 0x34
    ESCROW = 0x35
    STACKER = 0x36
    EXPANSION = 0x37


@unique
class Expansion(IntEnum):
    """Sub-command of EXPANSION. FA-FE are File Transport Layer messages."""

    LEVEL_1_IDENTIFICATION = 0x00
    FEATURE_ENABLE = 0x01
    LEVEL_2_IDENTIFICATION = 0x02
    RECYCLER_SETUP = 0x03
    RECYCLER_ENABLE = 0x04
    BILL_DISPENSE_STATUS = 0x05
    DISPENSE_BILL = 0x06
    DISPENSE_VALUE = 0x07
    PAYOUT_STATUS = 0x08
    PAYOUT_VALUE_POLL = 0x09
    PAYOUT_CANCEL = 0x0A
    MANUFACTURER = 0xFF


@unique
class RecycleQuality(IntEnum):
    """Which bills of a type the recycler keeps."""

    NONE = 0
    HIGH = 1
    HIGH_AND_MEDIUM = 2
    ALL = 3


@dataclass(frozen=True, slots=True)
class Reset:
    """A bill in escrow is returned, acceptance off, options off. Answer: ACK."""


@dataclass(frozen=True, slots=True)
class AskSetup:
    """Answer: `BillSetup`."""


@dataclass(frozen=True, slots=True)
class Security:
    """Types to validate at high security. Answer: ACK."""

    high_mask: int


@dataclass(frozen=True, slots=True)
class Poll:
    """Answer: ACK or activity."""


@dataclass(frozen=True, slots=True)
class BillType:
    """Types to accept, and those of them to hold in escrow. All off after a reset."""

    accept_mask: int
    escrow_mask: int


@dataclass(frozen=True, slots=True)
class Escrow:
    """What becomes of the bill in escrow; the result comes by POLL within 30 s."""

    stack: bool


@dataclass(frozen=True, slots=True)
class AskStacker:
    """Answer: `StackerStatus`."""


@dataclass(frozen=True, slots=True)
class AskLevel1Identification:
    """Answer: `Identification` without options. Every level knows it."""


@dataclass(frozen=True, slots=True)
class FeatureEnable:
    """Level 2. Only bits the validator offered."""

    options: int


@dataclass(frozen=True, slots=True)
class AskLevel2Identification:
    """Answer: `Identification` with options."""


@dataclass(frozen=True, slots=True)
class AskRecyclerSetup:
    """Answer: `RecyclerSetup`."""


@dataclass(frozen=True, slots=True)
class RecyclerEnable:
    """Manual dispense switches (off after a reset) and what to recycle, by type (16 entries)."""

    manual_dispense_mask: int
    qualities: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class AskBillDispenseStatus:
    """Answer: `BillDispenseStatus`."""


@dataclass(frozen=True, slots=True)
class DispenseBill:
    """Pay `count` bills of one type. Never repeat it blindly."""

    bill_type: int
    count: int


@dataclass(frozen=True, slots=True)
class DispenseValue:
    """Pay this scaled value. Never repeat it blindly."""

    value: int


@dataclass(frozen=True, slots=True)
class AskPayoutStatus:
    """Answer: `PayoutStatus`; ACK alone means *busy*."""


@dataclass(frozen=True, slots=True)
class PayoutValuePoll:
    """Answer: `PayoutValue`; ACK alone means *finished*."""


@dataclass(frozen=True, slots=True)
class PayoutCancel:
    """The device stops within 30 s; keep asking for the value until it is finished."""


@dataclass(frozen=True, slots=True)
class ManufacturerDiagnostics:
    """Whatever the manufacturer agreed with itself; the only request of free length."""

    data: bytes


BillCommand = (
    Reset
    | AskSetup
    | Security
    | Poll
    | BillType
    | Escrow
    | AskStacker
    | AskLevel1Identification
    | FeatureEnable
    | AskLevel2Identification
    | AskRecyclerSetup
    | RecyclerEnable
    | AskBillDispenseStatus
    | DispenseBill
    | DispenseValue
    | AskPayoutStatus
    | PayoutValuePoll
    | PayoutCancel
    | ManufacturerDiagnostics
    | FtlMessage
)

POLL_PAYLOAD: Final = bytes((Command.POLL,))
"""The most frequent request, ready made."""

_BARE: Final[dict[bytes, BillCommand]] = {
    bytes((Command.RESET,)): Reset(),
    bytes((Command.SETUP,)): AskSetup(),
    POLL_PAYLOAD: Poll(),
    bytes((Command.STACKER,)): AskStacker(),
    bytes((Command.EXPANSION, Expansion.LEVEL_1_IDENTIFICATION)): AskLevel1Identification(),
    bytes((Command.EXPANSION, Expansion.LEVEL_2_IDENTIFICATION)): AskLevel2Identification(),
    bytes((Command.EXPANSION, Expansion.RECYCLER_SETUP)): AskRecyclerSetup(),
    bytes((Command.EXPANSION, Expansion.BILL_DISPENSE_STATUS)): AskBillDispenseStatus(),
    bytes((Command.EXPANSION, Expansion.PAYOUT_STATUS)): AskPayoutStatus(),
    bytes((Command.EXPANSION, Expansion.PAYOUT_VALUE_POLL)): PayoutValuePoll(),
    bytes((Command.EXPANSION, Expansion.PAYOUT_CANCEL)): PayoutCancel(),
}
_BARE_PAYLOADS: Final = {command: payload for payload, command in _BARE.items()}

_LENGTHS: Final[dict[int, int]] = {
    Command.RESET: 1,
    Command.SETUP: 1,
    Command.SECURITY: 3,
    Command.POLL: 1,
    Command.BILL_TYPE: 5,
    Command.ESCROW: 2,
    Command.STACKER: 1,
}
_EXPANSION_LENGTHS: Final[dict[int, int]] = {
    Expansion.LEVEL_1_IDENTIFICATION: 2,
    Expansion.FEATURE_ENABLE: 6,
    Expansion.LEVEL_2_IDENTIFICATION: 2,
    Expansion.RECYCLER_SETUP: 2,
    # 18 data bytes; the heading "19 bytes" in the standard is an error
    Expansion.RECYCLER_ENABLE: 2 + 2 + TYPES,
    Expansion.BILL_DISPENSE_STATUS: 2,
    Expansion.DISPENSE_BILL: 5,
    Expansion.DISPENSE_VALUE: 4,
    Expansion.PAYOUT_STATUS: 2,
    Expansion.PAYOUT_VALUE_POLL: 2,
    Expansion.PAYOUT_CANCEL: 2,
}


def command_length(head: bytes) -> int | None:
    """Payload length of the request that begins with `head`, for a peripheral on the wire.

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


def encode_command(command: BillCommand) -> bytes:
    """The request's payload.

    Raises:
        MdbBlockError: A field out of range.
    """
    bare = _BARE_PAYLOADS.get(command)
    if bare is not None:
        return bare
    match command:
        case Security(mask):
            return bytes((Command.SECURITY,)) + unsigned(mask, 2, "security mask")
        case BillType(accept, escrow):
            return (
                bytes((Command.BILL_TYPE,))
                + unsigned(accept, 2, "accept mask")
                + unsigned(escrow, 2, "escrow mask")
            )
        case Escrow(stack):
            return bytes((Command.ESCROW, int(stack)))
        case ReqToReceive() | RetryDeny() | SendBlock() | OkToSend() | ReqToSend():
            return bytes((Command.EXPANSION,)) + encode_sub_command(command)
        case _:
            sub, data = _expansion_fields(command)
            return bytes((Command.EXPANSION, sub)) + data


def _expansion_fields(command: BillCommand) -> tuple[Expansion, bytes]:
    match command:
        case FeatureEnable(options):
            return Expansion.FEATURE_ENABLE, unsigned(options, 4, "option bits")
        case RecyclerEnable(manual, qualities):
            if len(qualities) != TYPES:
                raise MdbBlockError(BlockFault.BAD_VALUE, "RECYCLER ENABLE names all 16 types")
            levels = b"".join(unsigned(quality, 1, "recycle quality") for quality in qualities)
            return Expansion.RECYCLER_ENABLE, unsigned(manual, 2, "manual dispense mask") + levels
        case DispenseBill(bill_type, count):
            if count == 0:
                raise MdbBlockError(BlockFault.BAD_VALUE, "DISPENSE BILL pays at least one bill")
            kind = bytes((nibble(bill_type, "bill type"),))
            return Expansion.DISPENSE_BILL, kind + unsigned(count, 2, "bill count")
        case DispenseValue(value):
            if value == 0:
                raise MdbBlockError(BlockFault.BAD_VALUE, "DISPENSE VALUE pays at least 1 unit")
            return Expansion.DISPENSE_VALUE, unsigned(value, 2, "payout value")
        case ManufacturerDiagnostics(data):
            return Expansion.MANUFACTURER, data
        case _:
            raise MdbBlockError(BlockFault.BAD_VALUE, f"not a bill command: {command!r}")


def decode_command(payload: bytes) -> BillCommand:
    """The command in a request's payload.

    Raises:
        MdbBlockError: Not a validator's address, an unknown command, a wrong length, or a payout
            of nothing.
    """
    bare = _BARE.get(payload)
    if bare is not None:
        return bare
    check_address(payload, Address.BILL_VALIDATOR)
    length = command_length(payload)
    if length is not None:
        expect_length(payload, length, length, f"bill command {payload[:2].hex(' ')}")
    match payload[0]:
        case Command.SECURITY:
            return Security(number(payload, 1, 2))
        case Command.BILL_TYPE:
            return BillType(number(payload, 1, 2), number(payload, 3, 2))
        case Command.ESCROW:
            return Escrow(bool(payload[1] & 1))
        case Command.EXPANSION if len(payload) > 1:
            return _decode_expansion(payload)
        case _:
            raise MdbBlockError(BlockFault.TRUNCATED, "EXPANSION without sub-command", payload)


def _decode_expansion(payload: bytes) -> BillCommand:
    sub = payload[1]
    match sub:
        case Expansion.FEATURE_ENABLE:
            return FeatureEnable(number(payload, 2, 4))
        case Expansion.RECYCLER_ENABLE:
            return RecyclerEnable(number(payload, 2, 2), tuple(payload[4:]))
        case Expansion.DISPENSE_BILL | Expansion.DISPENSE_VALUE:
            return _decode_payout(payload)
        case Expansion.MANUFACTURER:
            return ManufacturerDiagnostics(payload[2:])
        case _ if FTL_SUB_FIRST <= sub <= FTL_SUB_LAST:
            return decode_sub_command(payload[1:])
        case _:
            raise MdbBlockError(
                BlockFault.UNKNOWN, f"unknown EXPANSION sub-command {sub:02X}", payload
            )


def _decode_payout(payload: bytes) -> DispenseBill | DispenseValue:
    amount = number(payload, len(payload) - 2, 2)
    if not amount:
        raise MdbBlockError(BlockFault.BAD_VALUE, "a payout of nothing", payload)
    if payload[1] == Expansion.DISPENSE_BILL:
        return DispenseBill(payload[2] & 0x0F, amount)
    return DispenseValue(amount)
