"""Bill validator and recycler answers: bytes on one side, values on the other, both ways.

Pure: no port, no clock, no log. Payloads are without checksum; the empty payload is a lone ACK.
What the VMC says is in `bill_commands`.

Source: MDB/ICP 4.2, section 6.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum, IntEnum, unique
from functools import lru_cache
from typing import Final

from drivers.mdb.bill_words import RECYCLER_WORDS, VALIDATOR_WORDS
from drivers.mdb.blocks import BlockFault, MdbBlockError
from drivers.mdb.fields import (
    TOKEN_VALUE,
    TYPES,
    expect_length,
    nibble,
    number,
    padded,
    types_of,
    unsigned,
)
from drivers.mdb.ftl_codec import FtlMessage, decode_message, encode_message, is_ftl_code
from drivers.mdb.money import CurrencyCode, Scale, decode_currency, encode_currency

MAX_POLL_BYTES: Final = 16
"""Activity in one POLL answer. Longer answers are read all the same."""
MAX_BILL_COUNT: Final = 0xFFFF
"""Counts of the recycler are capped here."""
MAX_STACKER_COUNT: Final = 0x7FFF


@dataclass(frozen=True, slots=True)
class BillSetup:
    """SETUP answer: what bills there are and what they are worth."""

    level: int
    """1, or 2 (options)."""
    currency: CurrencyCode
    scaling: int
    """Two bytes here, one in the other devices."""
    decimals: int
    stacker_capacity: int
    security_mask: int
    """Types validated at high security; devices without the distinction report all."""
    has_escrow: bool
    values: tuple[int, ...]
    """Value of type 0-15 in scaling factors (16 entries): 00 unused, FF a vend token."""

    @property
    def scale(self) -> Scale:
        """For exact money. Raises ScaleError when the factor is 0."""
        return Scale(self.scaling, self.decimals)

    def is_token(self, bill_type: int) -> bool:
        """Whether this type is worth a vend instead of money."""
        return self.values[bill_type] == TOKEN_VALUE


@unique
class BillRoute(IntEnum):
    """What happened to a bill. RECYCLED and above only with recycling enabled, except REJECTED."""

    STACKED = 0
    ESCROW = 1
    RETURNED = 2
    RECYCLED = 3
    REJECTED = 4
    FILLED_MANUALLY = 5
    DISPENSED_MANUALLY = 6
    MOVED_TO_CASHBOX = 7

    @property
    def gives_credit(self) -> bool:
        """The bill is secure and ours: stacked or recycled. Escrow is not."""
        return self in (BillRoute.STACKED, BillRoute.RECYCLED)


@unique
class ValidatorStatus(IntEnum):
    """Status codes of the validator in POLL."""

    DEFECTIVE_MOTOR = 0x01
    SENSOR_PROBLEM = 0x02
    BUSY = 0x03
    ROM_CHECKSUM = 0x04
    JAMMED = 0x05
    JUST_RESET = 0x06
    BILL_REMOVED = 0x07
    CASHBOX_OUT = 0x08
    DISABLED = 0x09
    INVALID_ESCROW_REQUEST = 0x0A
    BILL_REJECTED = 0x0B
    CREDITED_BILL_REMOVED = 0x0C


@unique
class RecyclerStatus(IntEnum):
    """Status codes of the recycler in POLL; only after 37 03 / 37 04 with recycling enabled."""

    ESCROW_REQUEST = 0x21
    PAYOUT_BUSY = 0x22
    DISPENSER_BUSY = 0x23
    DISPENSER_SENSOR = 0x24
    DID_NOT_START = 0x26
    DISPENSER_JAM = 0x27
    ROM_CHECKSUM = 0x28
    DISPENSER_DISABLED = 0x29
    BILL_WAITING = 0x2A
    FILL_KEY = 0x2F


@dataclass(frozen=True, slots=True)
class BillEvent:
    """Something happened to a bill."""

    route: BillRoute
    bill_type: int
    raw: bytes = field(default=b"", compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class DisabledInsertions:
    """Attempts to insert a bill while the validator was disabled (0-31)."""

    count: int
    raw: bytes = field(default=b"", compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class ValidatorReported:
    """A status of the validator."""

    status: ValidatorStatus
    raw: bytes = field(default=b"", compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class RecyclerReported:
    """A status of the recycler."""

    status: RecyclerStatus
    raw: bytes = field(default=b"", compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class UndefinedByte:
    """A byte the standard leaves open: skip it, count it, go on with the next."""

    code: int
    raw: bytes = field(default=b"", compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class FtlReceived:
    """A File Transport Layer message; fills the whole answer."""

    message: FtlMessage
    raw: bytes = field(default=b"", compare=False, repr=False)


PollItem = (
    BillEvent
    | DisabledInsertions
    | ValidatorReported
    | RecyclerReported
    | UndefinedByte
    | FtlReceived
)


@dataclass(frozen=True, slots=True)
class PollAnswer:
    """What one POLL answer held, in order. Only a broken file message makes an error."""

    items: tuple[PollItem, ...] = ()
    error: MdbBlockError | None = None

    @property
    def statuses(self) -> frozenset[ValidatorStatus]:
        """All validator status codes of the answer."""
        return frozenset(item.status for item in self.items if isinstance(item, ValidatorReported))

    @property
    def recycler_statuses(self) -> frozenset[RecyclerStatus]:
        """All recycler status codes of the answer."""
        return frozenset(item.status for item in self.items if isinstance(item, RecyclerReported))

    @property
    def just_reset(self) -> bool:
        """The validator reset itself or was reset: initialise it, send no RESET."""
        return ValidatorStatus.JUST_RESET in self.statuses

    @property
    def undefined(self) -> bytes:
        """Bytes the standard does not define, to count and to show to a technician."""
        return bytes(item.code for item in self.items if isinstance(item, UndefinedByte))


@dataclass(frozen=True, slots=True)
class StackerStatus:
    """STACKER answer."""

    full: bool
    count: int
    """Bills in the stacker, 0-32767."""


@dataclass(frozen=True, slots=True)
class RecyclerSetup:
    """RECYCLER SETUP answer: the types the recycler can hold."""

    mask: int

    @property
    def types(self) -> tuple[int, ...]:
        """Types the recycler can hold, ascending."""
        return types_of(self.mask)


@dataclass(frozen=True, slots=True)
class BillDispenseStatus:
    """BILL DISPENSE STATUS answer: bills in the recycler, capped at 65535."""

    full_mask: int
    counts: tuple[int, ...]
    """By type, 16 entries."""

    @property
    def defective_types(self) -> tuple[int, ...]:
        """Full and empty at once: don't pay out of these."""
        return tuple(index for index in types_of(self.full_mask) if not self.counts[index])


@unique
class PayoutProgress(Enum):
    """What a lone ACK means, which is opposite for the two questions about a payout."""

    BUSY = "busy"
    """ACK to PAYOUT STATUS: the payout still runs."""
    FINISHED = "finished"
    """ACK to PAYOUT VALUE POLL: the payout is over, ask PAYOUT STATUS."""


@dataclass(frozen=True, slots=True)
class PayoutStatus:
    """Bills paid by the last payout, by type (16 entries); cleared once it is ACKed."""

    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class PayoutValue:
    """Scaled value paid since the previous value poll; 0 is "none yet, still running"."""

    value: int


def encode_setup(setup: BillSetup, *, types: int = TYPES) -> bytes:
    """The SETUP answer, 11 + `types` bytes (real validators leave unused types out).

    Raises:
        MdbBlockError: A field out of range.
    """
    return (
        unsigned(setup.level, 1, "level")
        + encode_currency(setup.currency)
        + unsigned(setup.scaling, 2, "scaling factor")
        + unsigned(setup.decimals, 1, "decimal places")
        + unsigned(setup.stacker_capacity, 2, "stacker capacity")
        + unsigned(setup.security_mask, 2, "security mask")
        + (b"\xff" if setup.has_escrow else b"\x00")
        + b"".join(unsigned(value, 1, "bill value") for value in setup.values[:types])
    )


def decode_setup(payload: bytes) -> BillSetup:
    """The SETUP answer, 11 to 27 bytes. Any escrow byte but 00 counts as yes.

    Raises:
        MdbBlockError: Another length.
    """
    expect_length(payload, 11, 11 + TYPES, "bill validator SETUP answer")
    return BillSetup(
        level=payload[0],
        currency=decode_currency(payload[1:3]),
        scaling=number(payload, 3, 2),
        decimals=payload[5],
        stacker_capacity=number(payload, 6, 2),
        security_mask=number(payload, 8, 2),
        has_escrow=payload[10] != 0,
        values=padded(payload[11:]),
    )


_NOTHING: Final = PollAnswer()


def decode_poll(payload: bytes) -> PollAnswer:
    """All items of a POLL answer, in order; every item is one byte."""
    if not payload:
        return _NOTHING
    if is_ftl_code(payload[0]):
        try:
            return PollAnswer((FtlReceived(decode_message(payload), payload),))
        except MdbBlockError as wrong:
            return PollAnswer((), wrong)
    return PollAnswer(tuple(_item(code) for code in payload))


@lru_cache(64)  # a few codes come in poll after poll
def _item(code: int) -> PollItem:
    raw = bytes((code,))
    if code >= 0x80:
        return BillEvent(BillRoute(code >> 4 & 7), code & 0x0F, raw)
    if 0x40 <= code < 0x60:
        return DisabledInsertions(code & 0x1F, raw)
    if code in VALIDATOR_WORDS:
        return ValidatorReported(ValidatorStatus(code), raw)
    if code in RECYCLER_WORDS:
        return RecyclerReported(RecyclerStatus(code), raw)
    return UndefinedByte(code, raw)


def encode_poll_item(item: PollItem) -> bytes:
    """One item as it stands in a POLL answer.

    Raises:
        MdbBlockError: A field out of range.
    """
    match item:
        case BillEvent(route, bill_type):
            return bytes((0x80 | route << 4 | nibble(bill_type, "bill type"),))
        case DisabledInsertions(count):
            if not 0 <= count <= 0x1F:
                raise MdbBlockError(BlockFault.BAD_VALUE, f"0 to 31 attempts, not {count}")
            return bytes((0x40 | count,))
        case ValidatorReported(status) | RecyclerReported(status):
            return bytes((status,))
        case UndefinedByte(code):
            return unsigned(code, 1, "code")
        case FtlReceived(message):
            return encode_message(message)


def encode_poll(items: Iterable[PollItem]) -> bytes:
    """A POLL answer; empty (a lone ACK) without items.

    Raises:
        MdbBlockError: A field out of range, or more than 16 bytes of activity.
    """
    chosen = tuple(items)
    payload = b"".join(encode_poll_item(item) for item in chosen)
    is_file = any(isinstance(item, FtlReceived) for item in chosen)
    if is_file and len(chosen) > 1:
        raise MdbBlockError(BlockFault.BAD_VALUE, "a file message fills the whole answer", payload)
    if not is_file and len(payload) > MAX_POLL_BYTES:
        raise MdbBlockError(BlockFault.TOO_LONG, "a POLL answer holds 16 bytes", payload)
    return payload


def encode_stacker(status: StackerStatus) -> bytes:
    """The STACKER answer.

    Raises:
        MdbBlockError: A count that does not fit 15 bits.
    """
    if not 0 <= status.count <= MAX_STACKER_COUNT:
        raise MdbBlockError(BlockFault.BAD_VALUE, f"0 to 32767 bills, not {status.count}")
    return (status.full << 15 | status.count).to_bytes(2, "big")


def decode_stacker(payload: bytes) -> StackerStatus:
    """The STACKER answer.

    Raises:
        MdbBlockError: Not two bytes.
    """
    expect_length(payload, 2, 2, "STACKER answer")
    value = number(payload, 0, 2)
    return StackerStatus(bool(value >> 15), value & MAX_STACKER_COUNT)


def encode_recycler_setup(setup: RecyclerSetup) -> bytes:
    """The RECYCLER SETUP answer."""
    return unsigned(setup.mask, 2, "recycler types")


def decode_recycler_setup(payload: bytes) -> RecyclerSetup:
    """The RECYCLER SETUP answer.

    Raises:
        MdbBlockError: Not two bytes.
    """
    expect_length(payload, 2, 2, "RECYCLER SETUP answer")
    return RecyclerSetup(number(payload, 0, 2))


def encode_dispense_status(status: BillDispenseStatus, *, types: int = TYPES) -> bytes:
    """The BILL DISPENSE STATUS answer; counts above 65535 are capped."""
    return unsigned(status.full_mask, 2, "full mask") + _pairs(status.counts[:types])


def decode_dispense_status(payload: bytes) -> BillDispenseStatus:
    """The BILL DISPENSE STATUS answer, 2 to 34 bytes; missing counts are 0.

    Raises:
        MdbBlockError: Another length, or half a count.
    """
    expect_length(payload, 2, 2 + 2 * TYPES, "BILL DISPENSE STATUS answer")
    return BillDispenseStatus(number(payload, 0, 2), _counts(payload, 2))


def encode_payout_status(answer: PayoutStatus | PayoutProgress) -> bytes:
    """The PAYOUT STATUS answer: empty while busy, at least one byte when finished."""
    if isinstance(answer, PayoutProgress):
        return b""
    last = max((index for index, count in enumerate(answer.counts) if count), default=-1)
    return _pairs(answer.counts[: last + 1]) or b"\x00"


def decode_payout_status(payload: bytes) -> PayoutStatus | PayoutProgress:
    """Bills paid by type, or BUSY for a lone ACK. The first two bytes are type 0.

    Raises:
        MdbBlockError: More than 32 bytes, or half a count (a single 00 means nothing was paid).
    """
    if not payload:
        return PayoutProgress.BUSY
    if payload == b"\x00":
        return PayoutStatus((0,) * TYPES)
    expect_length(payload, 2, 2 * TYPES, "PAYOUT STATUS answer")
    return PayoutStatus(_counts(payload, 0))


def encode_payout_value(answer: PayoutValue | PayoutProgress) -> bytes:
    """The PAYOUT VALUE POLL answer: empty when finished."""
    return b"" if isinstance(answer, PayoutProgress) else unsigned(answer.value, 2, "value paid")


def decode_payout_value(payload: bytes) -> PayoutValue | PayoutProgress:
    """The value paid since the last value poll, or FINISHED for a lone ACK.

    Raises:
        MdbBlockError: Not two bytes.
    """
    if not payload:
        return PayoutProgress.FINISHED
    expect_length(payload, 2, 2, "PAYOUT VALUE POLL answer")
    return PayoutValue(number(payload, 0, 2))


def _pairs(counts: Sequence[int]) -> bytes:
    return b"".join(unsigned(min(count, MAX_BILL_COUNT), 2, "bill count") for count in counts)


def _counts(payload: bytes, start: int) -> tuple[int, ...]:
    if (len(payload) - start) % 2:
        raise MdbBlockError(BlockFault.TRUNCATED, "a bill count has two bytes", payload)
    return padded([number(payload, at, 2) for at in range(start, len(payload), 2)])
