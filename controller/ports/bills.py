"""Bills: what a validator takes, reports and counts."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from controller.ports.coins import TubeCounts
from controller.ports.devices import UNKNOWN_IDENTITY, DeviceName, Identity


@dataclass(frozen=True, slots=True)
class BillKind:
    """One bill type of the validator."""

    type: int  # 0..15
    value: int  # minor units; 0 for a vend token
    token: bool = False


@dataclass(frozen=True, slots=True)
class BillInfo:
    """What the validator's SETUP and IDENTIFICATION told."""

    level: int
    scaling: int
    decimals: int
    bills: tuple[BillKind, ...]
    has_escrow: bool
    stacker_capacity: int
    identity: Identity = UNKNOWN_IDENTITY
    recycles: tuple[int, ...] = ()  # types that go to the recycler and are paid out again


class BillEventKind(StrEnum):
    """What happened to a bill (MDB/ICP 4.2, section 6, POLL)."""

    ESCROWED = "escrowed"
    STACKED = "stacked"
    RETURNED = "returned"
    RECYCLED = "recycled"  # into the recycler: ours, and to be paid out again
    REJECTED = "rejected"
    FILLED = "filled"  # put into the recycler by staff
    DISPENSED = "dispensed"  # let out of the recycler by staff
    MOVED = "moved"  # from the recycler to the stacker


@dataclass(frozen=True, slots=True)
class BillEvent:
    """One bill event of a validator's poll answer."""

    kind: BillEventKind
    type: int
    value: int


@dataclass(frozen=True, slots=True)
class BillsReport:
    """The *new* bill events of one validator poll answer, in order."""

    device: DeviceName
    answer: bytes
    events: tuple[BillEvent, ...]
    note: bool = False  # keep ``answer`` even without a bill: this device has no acknowledgement
    doubt: str = ""  # why nobody knows what it told of; a person is asked to look


@dataclass(frozen=True, slots=True)
class StackerCount:
    """STACKER, and BILL DISPENSE STATUS of a validator that recycles."""

    bills: int
    full: bool
    known: bool = True  # False: this validator doesn't count; ``bills`` says nothing
    recycler: TubeCounts | None = None  # bills by type; None: it recycles none
