"""Bill validator: events, escrow routing, operating mode.

Pure. Events come in the buffer of `events`; a bill in escrow is no money until it is stacked.

Source: ccTalk Generic Specification 4.7, part 2 (headers 159, 154, 153, 247) and part 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum, unique
from typing import Final

from drivers.cctalk.events import Pair
from drivers.cctalk.fields import expect_length
from drivers.cctalk.frames import Reply, ReplyKind

COUPON: Final = 255
"""The bill type that stands for a barcode coupon."""


@unique
class BillWord(Enum):
    """What a pair of the buffer is."""

    CREDIT = "credit"
    """A bill in the stacker or the cash box: money."""
    ESCROWED = "pending credit"
    """A bill held; no money yet."""
    STATUS = "status"
    REJECT = "reject"
    FRAUD = "fraud"
    FATAL = "fatal error"
    UNKNOWN = "unknown"


@unique
class BillStatus(IntEnum):
    """The second byte of a pair whose first is 0."""

    MASTER_INHIBIT = 0
    RETURNED = 1
    INVALID_VALIDATION = 2
    INVALID_TRANSPORT = 3
    INHIBITED_SERIAL = 4
    INHIBITED_SWITCH = 5
    JAM_UNSAFE = 6
    JAM_STACKER = 7
    PULLED_BACK = 8
    TAMPER = 9
    STACKER_OK = 10
    STACKER_REMOVED = 11
    STACKER_INSERTED = 12
    STACKER_FAULTY = 13
    STACKER_FULL = 14
    STACKER_JAMMED = 15
    JAM_SAFE = 16
    OPTO_FRAUD = 17
    STRING_FRAUD = 18
    ANTI_STRING_FAULTY = 19
    BARCODE = 20
    UNKNOWN_STACKED = 21


UNKNOWN_STACKED: Final[Pair] = (0, BillStatus.UNKNOWN_STACKED)
"""The pair that tells of a bill in the stacker whose type nobody knows."""

_STATUSES: Final[dict[int, tuple[str, BillWord]]] = {
    BillStatus.MASTER_INHIBIT: ("master inhibit active", BillWord.STATUS),
    BillStatus.RETURNED: ("bill returned from escrow", BillWord.STATUS),
    BillStatus.INVALID_VALIDATION: ("invalid bill, validation failed", BillWord.REJECT),
    BillStatus.INVALID_TRANSPORT: ("invalid bill, transport problem", BillWord.REJECT),
    BillStatus.INHIBITED_SERIAL: ("inhibited bill, by command", BillWord.STATUS),
    BillStatus.INHIBITED_SWITCH: ("inhibited bill, by switch", BillWord.STATUS),
    BillStatus.JAM_UNSAFE: ("bill jammed in the transport, unsafe: no credit", BillWord.FATAL),
    BillStatus.JAM_STACKER: ("bill jammed in the stacker", BillWord.FATAL),
    BillStatus.PULLED_BACK: ("bill pulled backwards", BillWord.FRAUD),
    BillStatus.TAMPER: ("bill tamper", BillWord.FRAUD),
    BillStatus.STACKER_OK: ("stacker OK", BillWord.STATUS),
    BillStatus.STACKER_REMOVED: ("stacker removed", BillWord.STATUS),
    BillStatus.STACKER_INSERTED: ("stacker inserted", BillWord.STATUS),
    BillStatus.STACKER_FAULTY: ("stacker faulty", BillWord.FATAL),
    BillStatus.STACKER_FULL: ("stacker full", BillWord.STATUS),
    BillStatus.STACKER_JAMMED: ("stacker jammed", BillWord.FATAL),
    BillStatus.JAM_SAFE: ("bill jammed in the transport, out of reach", BillWord.FATAL),
    BillStatus.OPTO_FRAUD: ("opto fraud detected", BillWord.FRAUD),
    BillStatus.STRING_FRAUD: ("string fraud detected", BillWord.FRAUD),
    BillStatus.ANTI_STRING_FAULTY: ("anti-string mechanism faulty", BillWord.FATAL),
    BillStatus.BARCODE: ("barcode detected", BillWord.STATUS),
    BillStatus.UNKNOWN_STACKED: ("unknown bill type stacked", BillWord.STATUS),
}


@dataclass(frozen=True, slots=True)
class BillEvent:
    """One pair of the buffer."""

    bill_type: int
    """1 to 255; 0 for a status."""
    code: int

    @property
    def word(self) -> BillWord:
        """What it is. Codes that makers add are UNKNOWN, never an error."""
        if self.bill_type:
            return {0: BillWord.CREDIT, 1: BillWord.ESCROWED}.get(self.code, BillWord.UNKNOWN)
        return _STATUSES.get(self.code, ("", BillWord.UNKNOWN))[1]

    @property
    def status(self) -> BillStatus | None:
        """The status it reports, None for a bill or a code that is not in the list."""
        return BillStatus(self.code) if not self.bill_type and self.code in _STATUSES else None

    @property
    def words(self) -> str:
        """The event in words."""
        if not self.bill_type:
            return _STATUSES.get(self.code, (f"event code {self.code}, unknown", None))[0]
        what = "coupon" if self.bill_type == COUPON else f"bill of type {self.bill_type}"
        match self.code:
            case 0:
                return f"{what} stacked: credit"
            case 1:
                return f"{what} in escrow: no credit yet"
            case _:
                return f"{what}, code {self.code} unknown"


def decode_bill_event(pair: Pair) -> BillEvent:
    """One pair of the buffer."""
    return BillEvent(*pair)


@unique
class Route(IntEnum):
    """What header 154 asks for."""

    RETURN = 0
    STACK = 1
    EXTEND = 255
    """Start the escrow's timer anew."""


@unique
class Routed(Enum):
    """What header 154 was answered by. Only the event stream says what became of the bill."""

    TAKEN = "order taken"
    EMPTY = "escrow empty"
    FAILED = "failed to route"


def decode_route(reply: Reply) -> Routed | None:
    """The answer of header 154; None for an answer that means neither.

    Some validators send more than one byte: the first decides.
    """
    if reply.kind is ReplyKind.ACK:
        return Routed.TAKEN
    if reply.kind is ReplyKind.DATA:
        return {254: Routed.EMPTY, 255: Routed.FAILED}.get(reply.data[0])
    return None


MODE_STACKER: Final = 0x01
MODE_ESCROW: Final = 0x02
"""Bits of headers 153 and 152: 1 uses it."""

OPTION_STACKER: Final = 0x01
OPTION_ESCROW: Final = 0x02
OPTION_COUNTERS: Final = 0x04
OPTION_COUNTERS_KEPT: Final = 0x10
"""Bits of header 213: 1 has it. Accept counters per bill type, and they outlive power cuts."""
COUNTER_STEPS: Final = 1 << 24
"""Different values of an accept counter (header 150)."""


@dataclass(frozen=True, slots=True)
class BillVariables:
    """Header 247 of a bill validator."""

    bill_types: int
    banks: int


def decode_bill_variables(data: bytes) -> BillVariables:
    """The answer of header 247; what a maker adds is ignored.

    Raises:
        CcTalkError: Fewer than two bytes.
    """
    expect_length(data, 2, 255, "variable set of a bill validator")
    return BillVariables(data[0], data[1])
