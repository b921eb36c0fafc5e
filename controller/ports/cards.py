"""Cards: what a reader is, and how its answers end."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from controller.ports.devices import UNKNOWN_IDENTITY, DeviceName, Identity


@dataclass(frozen=True, slots=True)
class ReaderInfo:
    """What a card reader's configuration told."""

    level: int  # the level in use, 1..3
    scaling: int
    decimals: int
    can_refund: bool
    multivend: bool
    cash_sale: bool
    always_idle: bool = False  # enabled, not merely offered
    expanded: bool = False  # expanded currency mode in use
    max_response_s: float = 5.0
    identity: Identity = UNKNOWN_IDENTITY


@dataclass(frozen=True, slots=True)
class RefundErrorReport:
    """A reader told that the money of a failed vend did not go back (MALFUNCTION Cx).

    It says so once; a link that can withholds the acknowledgement until it is recorded.
    """

    device: DeviceName
    code: int  # C0 to CF
    amount: int | None = None  # what its approval had taken; None: not told, or to an earlier life


@dataclass(frozen=True, slots=True)
class LateApprovalReport:
    """A reader approved a request that nobody waits for any more.

    The card's money has been taken, and the reader's next reset makes that final: it waits for
    ``CardReader.vend_failure``, and the driver resets nothing before. Told once, and so recorded
    before its acknowledgement where the link can.
    """

    device: DeviceName
    amount: int | None  # taken from the medium; None: not told (an electronic token)


@dataclass(frozen=True, slots=True)
class RequestGivenUpReport:
    """A driver is about to end a request that nobody has cancelled.

    Its reader denied what it had approved, or did not answer in time. VEND FAILURE or VEND
    CANCEL leaves once this is on record: what the reader makes of it it says once, and perhaps to
    a life that dies of it. The next one has to know that it was asked.
    """

    device: DeviceName


@dataclass(frozen=True, slots=True)
class RevalueReport:
    """A reader told what became of a REVALUE REQUEST.

    It says so once, and so it is recorded before its acknowledgement where the link can: what
    comes behind a restart is the answer to the life before.
    """

    device: DeviceName
    approved: bool


@dataclass(frozen=True, slots=True)
class Approved:
    """VEND APPROVED; ``amount`` is what was taken from the medium (None: an electronic token)."""

    amount: int | None


@dataclass(frozen=True, slots=True)
class Denied:
    """VEND DENIED, or the request ended without an approval; nothing is charged.

    ``review``: it ended with the reader's reset or death, which a person may want to look into.
    """

    reason: str = ""
    review: bool = False


@dataclass(frozen=True, slots=True)
class Charged:
    """A request was given up too late: it was approved, and the reader keeps what it has taken.

    Nothing of it is in doubt: the approval was told, and the VEND FAILURE behind it was heard and
    brought nothing back. ``amount`` is what was taken from the medium (None: an electronic token).
    """

    amount: int | None
    reason: str = ""


class SettleOutcome(StrEnum):
    """What became of VEND SUCCESS."""

    DONE = "done"
    ALREADY = "already"  # out of sequence, session idle: an earlier one was heard
    DENIED = "denied"  # out of sequence behind a VEND DENIED that came too late: not charged
    RESET = "reset"  # the reader was reset meanwhile, which counts as success
    UNKNOWN = "unknown"  # silent to the end; its reset counts as success too


class RefundOutcome(StrEnum):
    """What became of VEND FAILURE."""

    REFUNDED = "refunded"  # ACK to a poll after it, from a reader of level >= 2 that can refund
    REFUSED = "refused"  # malfunction Cx, or a reader that says it cannot refund
    ALREADY = "already"  # out of sequence, vend over without a reset: an earlier one was heard
    CHARGED = "charged"  # the reader had been reset: the charge stands
    UNKNOWN = "unknown"  # silent to the end


class CancelOutcome(StrEnum):
    """What became of VEND CANCEL for a request that was not answered."""

    CANCELLED = "cancelled"  # denied came, nothing charged
    APPROVED = "approved"  # the approval had already come; it was answered with VEND FAILURE
    NO_VEND = "no vend"
    """After a restart: it is in no vend, and of how one ended it would tell nobody a second time.

    Nothing is charged, unless the life before had begun to cancel it: an approval that had
    overtaken the cancel was answered with VEND FAILURE, and the reader may have kept the money.
    """
    UNKNOWN = "unknown"


class RevalueOutcome(StrEnum):
    """What a reader can tell, after a restart, of a REVALUE REQUEST of the life before."""

    APPROVED = "approved"
    DENIED = "denied"
    NOT_DONE = "not done"  # it would have told, and again until it was heard: it never got one
    UNKNOWN = "unknown"


class AgeAnswer(StrEnum):
    """What came of a question for somebody's age."""

    PROVED = "proved"
    NOT_PROVED = "not_proved"  # too young, or the card knows no age
    CANCELLED = "cancelled"
    UNSUPPORTED = "unsupported"  # this reader can't tell, or is gone
