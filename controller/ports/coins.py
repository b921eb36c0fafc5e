"""Coins: what a changer holds, reports and is asked to pay."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from controller.ports.devices import UNKNOWN_IDENTITY, DeviceName, Identity


@dataclass(frozen=True, slots=True)
class CoinKind:
    """One coin type of the changer."""

    type: int  # 0..15
    value: int  # minor units; 0 for a vend token
    in_tube: bool  # this type can be routed to a tube, so it can be paid out
    token: bool = False


@dataclass(frozen=True, slots=True)
class ChangerInfo:
    """What SETUP and IDENTIFICATION told, kept in the journal for recovery's questions."""

    level: int  # 2 or 3
    scaling: int
    decimals: int
    coins: tuple[CoinKind, ...]
    pays_by_value: bool = False  # level 3 with alternative payout enabled
    identity: Identity = UNKNOWN_IDENTITY


class CoinRoute(StrEnum):
    """Where a deposited coin went."""

    CASHBOX = "cashbox"
    TUBE = "tube"
    REJECT = "reject"


@dataclass(frozen=True, slots=True)
class DepositedCoin:
    """A coin that reached the cash box or a tube: the customer's credit."""

    type: int
    value: int  # minor units; 0 for a token
    route: CoinRoute
    tube_count: int  # coins in that tube now; meaningless without a tube
    token: bool = False


@dataclass(frozen=True, slots=True)
class ManualCoins:
    """Coins that a technician let out by the changer's own switches."""

    type: int
    value: int
    count: int
    left: int


@dataclass(frozen=True, slots=True)
class CoinsReport:
    """The *new* money items of one changer poll answer (repeats are already taken out).

    ``answer`` is the whole answer's item bytes (no checksum), repeats included: it is stored with
    the record so that the driver can tell the repeat after a restart. ``suspect`` says that after
    a restart an identical cash-box coin could not be told from a repeat: it was left out where it
    headed the answer, as repeats do, and is in ``deposited`` where another stood in front of it.
    """

    device: DeviceName
    answer: bytes
    deposited: tuple[DepositedCoin, ...] = ()
    manual: tuple[ManualCoins, ...] = ()
    suspect: int = 0  # cash-box coins told from repeats without proof, or events that were lost
    doubt: str = ""  # why they are suspect, where it is nothing of that: the words of the flag
    note: bool = False  # keep ``answer`` even without money: this device has no acknowledgement


@dataclass(frozen=True, slots=True)
class TubeCounts:
    """TUBE STATUS: lower bounds of what is really there (each capped at ``cap``)."""

    counts: tuple[int, ...]  # 16, by coin type; of a defective tube any number
    full: frozenset[int] = frozenset()
    defective: frozenset[int] = frozenset()
    cap: int = 255  # a count this high says nothing of coins beyond it


@dataclass(frozen=True, slots=True)
class PayoutOrder:
    """What to pay. ``by_value`` lets a level 3 changer pick the coins of ``amount`` itself."""

    amount: int
    coins: tuple[tuple[int, int], ...]  # (type, count), the plan
    by_value: bool = False


@dataclass(frozen=True, slots=True)
class PayoutEvidence:
    """What is known after a payout; the controller reconciles it with the believed tubes.

    ``status`` is PAYOUT STATUS per coin type (None: not held, not asked, or level 2). ``tubes`` is
    TUBE STATUS read afterwards (None: the changer does not answer). ``was_reset`` means JUST RESET
    was seen: the payout is over and unfinished, and the status was lost with it.
    """

    idle: bool  # the changer is known to have stopped paying
    status: tuple[int, ...] | None = None
    tubes: TubeCounts | None = None
    was_reset: bool = False
    before: TubeCounts | None = None  # as ``tubes``, read before the order; None: it was not
