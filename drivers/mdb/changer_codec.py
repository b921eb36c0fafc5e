"""Coin changer answers: bytes on one side, values on the other, both ways.

Pure: no port, no clock, no log. Payloads are without checksum; the empty payload is a lone ACK.
What the VMC says is in `changer_commands`.

Source: MDB/ICP 4.2, section 5.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum, IntEnum, unique
from functools import lru_cache
from typing import Final

from drivers.mdb.blocks import BlockFault, MdbBlockError
from drivers.mdb.changer_words import diagnostic_words
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
MAX_TUBE_COUNT: Final = 255
"""A tube count of 255 may mean more."""


@dataclass(frozen=True, slots=True)
class ChangerSetup:
    """SETUP answer: what coins there are and what they are worth."""

    level: int
    """2 or 3; only 3 knows EXPANSION."""
    currency: CurrencyCode
    scaling: int
    decimals: int
    routing_mask: int
    """Bit set: this type can go to a tube, so it can be paid out."""
    credits: tuple[int, ...]
    """Value of type 0-15 in scaling factors (16 entries): 00 unused, FF a vend token."""

    @property
    def scale(self) -> Scale:
        """For exact money. Raises ScaleError when the factor is 0."""
        return Scale(self.scaling, self.decimals)

    @property
    def tube_types(self) -> tuple[int, ...]:
        """Types that have a tube, ascending."""
        return types_of(self.routing_mask)

    def is_token(self, coin_type: int) -> bool:
        """Whether this type is worth a vend instead of money."""
        return self.credits[coin_type] == TOKEN_VALUE


@dataclass(frozen=True, slots=True)
class TubeStatus:
    """TUBE STATUS answer. Counts are lower bounds of what is really there, capped at 255."""

    full_mask: int
    counts: tuple[int, ...]
    """Coins in the tube of type 0-15 (16 entries)."""

    @property
    def full_types(self) -> tuple[int, ...]:
        """Types whose tube is full (defective ones not included)."""
        return tuple(index for index in types_of(self.full_mask) if self.counts[index])

    @property
    def defective_types(self) -> tuple[int, ...]:
        """Full and empty at once: jam or sensor; don't pay out of these tubes."""
        return tuple(index for index in types_of(self.full_mask) if not self.counts[index])


@unique
class CoinRoute(IntEnum):
    """Where a deposited coin went."""

    CASHBOX = 0
    TUBE = 1
    NOT_USED = 2
    REJECT = 3

    @property
    def gives_credit(self) -> bool:
        """Cash box and tube do; a rejected coin went back to the customer."""
        return self in (CoinRoute.CASHBOX, CoinRoute.TUBE)


@unique
class ChangerStatus(IntEnum):
    """Status codes of POLL. UNDEFINED stands for every code the standard leaves open."""

    UNDEFINED = 0x00
    ESCROW_REQUEST = 0x01
    PAYOUT_BUSY = 0x02
    NO_CREDIT = 0x03
    TUBE_SENSOR = 0x04
    DOUBLE_ARRIVAL = 0x05
    ACCEPTOR_UNPLUGGED = 0x06
    TUBE_JAM = 0x07
    ROM_CHECKSUM = 0x08
    ROUTING_ERROR = 0x09
    CHANGER_BUSY = 0x0A
    JUST_RESET = 0x0B
    COIN_JAM = 0x0C
    CREDITED_COIN_REMOVED = 0x0D


_LAST_STATUS: Final = ChangerStatus.CREDITED_COIN_REMOVED

BUSY_STATUSES: Final = frozenset({ChangerStatus.PAYOUT_BUSY, ChangerStatus.CHANGER_BUSY})
"""A payout goes on while a POLL answer holds one of these, wherever it stands."""


@dataclass(frozen=True, slots=True)
class CoinDeposited:
    """A coin was validated and has already been routed."""

    coin_type: int
    route: CoinRoute
    tube_count: int
    """Coins in that tube now, this one included; means nothing for a type without a tube."""
    raw: bytes = field(default=b"", compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class CoinsDispensedManually:
    """A technician let coins out with the changer's own switches."""

    coin_type: int
    count: int
    """0-7 coins."""
    tube_count: int
    """Coins left in that tube."""
    raw: bytes = field(default=b"", compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Slugs:
    """Objects that were no coins, since the last report (0-31)."""

    count: int
    raw: bytes = field(default=b"", compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class StatusReported:
    """A status code. `code` keeps the byte when the standard does not define it."""

    status: ChangerStatus
    code: int
    raw: bytes = field(default=b"", compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class FtlReceived:
    """A File Transport Layer message; fills the whole answer."""

    message: FtlMessage
    raw: bytes = field(default=b"", compare=False, repr=False)


PollItem = CoinDeposited | CoinsDispensedManually | Slugs | StatusReported | FtlReceived


@dataclass(frozen=True, slots=True)
class PollAnswer:
    """What one POLL answer held, in order; with an error, the items before it."""

    items: tuple[PollItem, ...] = ()
    error: MdbBlockError | None = None

    @property
    def statuses(self) -> frozenset[ChangerStatus]:
        """All status codes of the answer."""
        return frozenset(item.status for item in self.items if isinstance(item, StatusReported))

    @property
    def busy(self) -> bool:
        """A payout is running, or the changer can't answer details."""
        return not BUSY_STATUSES.isdisjoint(self.statuses)

    @property
    def just_reset(self) -> bool:
        """The changer reset itself or was reset: initialise it, send no RESET."""
        return ChangerStatus.JUST_RESET in self.statuses

    @property
    def undefined(self) -> bytes:
        """Codes the standard does not define, to count and to show to a technician."""
        return bytes(
            item.code
            for item in self.items
            if isinstance(item, StatusReported) and item.status is ChangerStatus.UNDEFINED
        )


@unique
class PayoutProgress(Enum):
    """What a lone ACK means, which is opposite for the two questions about a payout."""

    BUSY = "busy"
    """ACK to PAYOUT STATUS: the payout still runs."""
    FINISHED = "finished"
    """ACK to PAYOUT VALUE POLL: the payout is over, ask PAYOUT STATUS."""


@dataclass(frozen=True, slots=True)
class PayoutStatus:
    """Coins paid since the last PAYOUT, by type (16 entries); cleared once it is ACKed."""

    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class PayoutValue:
    """Scaled value paid since the previous value poll; 0 is "nothing yet, still running"."""

    value: int


@dataclass(frozen=True, slots=True)
class DiagnosticPair:
    """One condition of the extended diagnostics."""

    main: int
    sub: int

    @property
    def words(self) -> str:
        """The condition in words."""
        return diagnostic_words(self.main, self.sub)

    @property
    def event_id(self) -> str:
        """EVA-DTS event id suggested for audit data."""
        return f"EA{self.main:02X}{self.sub:02X}"


@dataclass(frozen=True, slots=True)
class DiagnosticStatus:
    """SEND DIAGNOSTIC STATUS answer: what holds now; with an error, the pairs before it."""

    pairs: tuple[DiagnosticPair, ...]
    error: MdbBlockError | None = None


@dataclass(frozen=True, slots=True)
class CoinReport:
    """Coins filled in or paid out under the changer's own control, each count capped at 255.

    Only as many types as were sent: a type not sent is unchanged.
    """

    counts: tuple[int, ...]


def encode_setup(setup: ChangerSetup, *, types: int = TYPES) -> bytes:
    """The SETUP answer, 7 + `types` bytes (real changers leave unused types at the end out).

    Raises:
        MdbBlockError: A field out of range.
    """
    return (
        unsigned(setup.level, 1, "level")
        + encode_currency(setup.currency)
        + unsigned(setup.scaling, 1, "scaling factor")
        + unsigned(setup.decimals, 1, "decimal places")
        + unsigned(setup.routing_mask, 2, "routing mask")
        + b"".join(unsigned(value, 1, "coin value") for value in setup.credits[:types])
    )


def decode_setup(payload: bytes) -> ChangerSetup:
    """The SETUP answer, 7 to 23 bytes.

    Raises:
        MdbBlockError: Another length.
    """
    expect_length(payload, 7, 7 + TYPES, "changer SETUP answer")
    return ChangerSetup(
        level=payload[0],
        currency=decode_currency(payload[1:3]),
        scaling=payload[3],
        decimals=payload[4],
        routing_mask=number(payload, 5, 2),
        credits=padded(payload[7:]),
    )


def encode_tube_status(status: TubeStatus, *, types: int = TYPES) -> bytes:
    """The TUBE STATUS answer; counts above 255 are capped.

    Raises:
        MdbBlockError: A negative count, or a mask of more than 16 bits.
    """
    return unsigned(status.full_mask, 2, "full mask") + _capped(status.counts[:types])


def decode_tube_status(payload: bytes) -> TubeStatus:
    """The TUBE STATUS answer, 2 to 18 bytes; missing counts are 0.

    Raises:
        MdbBlockError: Another length.
    """
    expect_length(payload, 2, 2 + TYPES, "TUBE STATUS answer")
    return TubeStatus(number(payload, 0, 2), padded(payload[2:]))


_NOTHING: Final = PollAnswer()


def decode_poll(payload: bytes) -> PollAnswer:
    """All items of a POLL answer, in order.

    A two-byte item cut off at the end is an error in the result; the items before it are kept.
    """
    if not payload:
        return _NOTHING
    if is_ftl_code(payload[0]):
        try:
            return PollAnswer((FtlReceived(decode_message(payload), payload),))
        except MdbBlockError as wrong:
            return PollAnswer((), wrong)
    items: list[PollItem] = []
    at = 0
    while at < len(payload):
        first = payload[at]
        if first < 0x40:
            items.append(_one_byte_item(first, payload[at : at + 1]))
            at += 1
            continue
        raw = payload[at : at + 2]
        if len(raw) < 2:
            error = MdbBlockError(
                BlockFault.TRUNCATED, f"coin item {first:02X} lacks its tube count", payload
            )
            return PollAnswer(tuple(items), error)
        if first < 0x80:
            items.append(CoinDeposited(first & 0x0F, CoinRoute(first >> 4 & 3), raw[1], raw))
        else:
            items.append(CoinsDispensedManually(first & 0x0F, first >> 4 & 7, raw[1], raw))
        at += 2
    return PollAnswer(tuple(items))


@lru_cache(64)  # a few codes come in poll after poll
def _one_byte_item(code: int, raw: bytes) -> PollItem:
    if code >= 0x20:
        return Slugs(code & 0x1F, raw)
    status = ChangerStatus(code) if code <= _LAST_STATUS else ChangerStatus.UNDEFINED
    return StatusReported(status, code, raw)


def encode_poll_item(item: PollItem) -> bytes:
    """One item as it stands in a POLL answer.

    Raises:
        MdbBlockError: A field out of range.
    """
    match item:
        case CoinDeposited(coin_type, route, tube_count):
            first = 0x40 | route << 4 | nibble(coin_type, "coin type")
            return bytes((first, min(tube_count, MAX_TUBE_COUNT)))
        case CoinsDispensedManually(coin_type, count, tube_count):
            if not 0 <= count <= 7:
                raise MdbBlockError(BlockFault.BAD_VALUE, f"0 to 7 coins by hand, not {count}")
            first = 0x80 | count << 4 | nibble(coin_type, "coin type")
            return bytes((first, min(tube_count, MAX_TUBE_COUNT)))
        case Slugs(count):
            if not 0 <= count <= 0x1F:
                raise MdbBlockError(BlockFault.BAD_VALUE, f"0 to 31 slugs, not {count}")
            return bytes((0x20 | count,))
        case StatusReported(_, code):
            if not 0 <= code <= 0x1F:
                raise MdbBlockError(BlockFault.BAD_VALUE, f"a status code is 0 to 31, not {code}")
            return bytes((code,))
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


def status_item(status: ChangerStatus) -> StatusReported:
    """The POLL item that reports a status."""
    return StatusReported(status, status.value)


def encode_payout_status(answer: PayoutStatus | PayoutProgress) -> bytes:
    """The PAYOUT STATUS answer: empty while busy, at least one byte when finished."""
    if isinstance(answer, PayoutProgress):
        return b""
    return _capped(answer.counts).rstrip(b"\0") or b"\0"


def decode_payout_status(payload: bytes) -> PayoutStatus | PayoutProgress:
    """Coins paid by type, or BUSY for a lone ACK. The first byte is type 0.

    The text counts from "coin type 1"; types are 0-15 and the answer has 16 bytes, so compare the
    result with the difference of two TUBE STATUS answers.

    Raises:
        MdbBlockError: More than 16 bytes.
    """
    if not payload:
        return PayoutProgress.BUSY
    expect_length(payload, 1, TYPES, "PAYOUT STATUS answer")
    return PayoutStatus(padded(payload))


def encode_payout_value(answer: PayoutValue | PayoutProgress) -> bytes:
    """The PAYOUT VALUE POLL answer: empty when finished."""
    return (
        b""
        if isinstance(answer, PayoutProgress)
        else unsigned(answer.value, 1, "value paid since the last poll")
    )


def decode_payout_value(payload: bytes) -> PayoutValue | PayoutProgress:
    """The value paid since the last value poll, or FINISHED for a lone ACK.

    Raises:
        MdbBlockError: More than one byte.
    """
    if not payload:
        return PayoutProgress.FINISHED
    expect_length(payload, 1, 1, "PAYOUT VALUE POLL answer")
    return PayoutValue(payload[0])


def encode_diagnostic_status(status: DiagnosticStatus) -> bytes:
    """The SEND DIAGNOSTIC STATUS answer."""
    return b"".join(
        unsigned(pair.main, 1, "diagnostic code") + unsigned(pair.sub, 1, "diagnostic sub-code")
        for pair in status.pairs
    )


def decode_diagnostic_status(payload: bytes) -> DiagnosticStatus:
    """Pairs of diagnostic codes. An odd last byte, or no pair, is an error in the result."""
    even = len(payload) & ~1
    pairs = tuple(DiagnosticPair(payload[at], payload[at + 1]) for at in range(0, even, 2))
    error = None
    if even != len(payload) or not pairs:
        error = MdbBlockError(BlockFault.TRUNCATED, "diagnostic codes come in pairs", payload)
    return DiagnosticStatus(pairs, error)


def encode_coin_report(report: CoinReport) -> bytes:
    """A fill or payout report; counts above 255 are capped."""
    return _capped(report.counts)


def decode_coin_report(payload: bytes) -> CoinReport:
    """A fill or payout report, at most 16 counts; a lone ACK reports nothing.

    Raises:
        MdbBlockError: More than 16 bytes.
    """
    expect_length(payload, 0, TYPES, "coin report")
    return CoinReport(tuple(payload))


def _capped(counts: Sequence[int]) -> bytes:
    return b"".join(unsigned(min(count, MAX_TUBE_COUNT), 1, "coin count") for count in counts)
