"""Records of card payments: asked for, approved, settled; of what readers tell besides."""

from __future__ import annotations

from typing import ClassVar, Final, Literal

from controller.domain import accounts as acc
from controller.journal.envelope import RecordData
from controller.journal.records.lines import Lines, lines_of

REFUNDED: Final = ("refunded", "already")  # outcomes of VEND FAILURE that undo the approval


class ApprovalRequested(RecordData):
    """VEND REQUEST is about to be sent."""

    type: ClassVar[str] = "approval.requested"
    device: str
    amount: int
    item: int
    refundable: bool | None = None  # the card's own word; None: it has none, the reader's holds


class ApprovalCancelIntended(RecordData):
    """VEND CANCEL is about to be sent; or VEND FAILURE, if the approval has overtaken it.

    By whom, it does not say: a customer, a time limit, a driver behind a denial, or a start.
    """

    type: ClassVar[str] = "approval.cancel_intended"
    device: str


class ApprovalFinished(RecordData):
    """What the reader said. ``amount`` is what it took from the medium."""

    type: ClassVar[str] = "approval.finished"
    device: str
    outcome: Literal["approved", "denied", "cancelled", "not_sent", "charged", "unknown"]
    amount: int = 0
    token: bool = False
    detail: str = ""

    def postings(self) -> Lines:
        """An approval (or a charge we could not stop) is money the acquirer owes us."""
        return lines_of((acc.CARD_RECEIVABLE, self.amount), (acc.HELD_CARD, -self.amount))


class SettleIntended(RecordData):
    """VEND SUCCESS or VEND FAILURE is about to be sent."""

    type: ClassVar[str] = "settle.intended"
    device: str
    success: bool
    item: int
    amount: int


class SettleFinished(RecordData):
    """What became of it."""

    type: ClassVar[str] = "settle.finished"
    device: str
    success: bool
    outcome: str  # SettleOutcome | RefundOutcome
    amount: int

    def postings(self) -> Lines:
        """Success earns; a refund undoes the approval; else it stays held until the claim."""
        if self.success:
            return lines_of((acc.HELD_CARD, self.amount), (acc.REVENUE_CARD, -self.amount))
        if self.outcome in REFUNDED:
            return lines_of((acc.HELD_CARD, self.amount), (acc.CARD_RECEIVABLE, -self.amount))
        return ()


class RefundRefused(RecordData):
    """A reader told that the money of a failed vend did not go back; recorded before its ACK."""

    type: ClassVar[str] = "refund.refused"
    device: str
    code: int  # of MALFUNCTION / ERROR, C0 to CF
    amount: int | None = None  # what its approval had taken, where that is known


class LateApprovalOpened(RecordData):
    """A reader approved a request that had been given up: a saga of its own gives it back."""

    type: ClassVar[str] = "late_approval.opened"
    device: str
    request: (
        int  # seq of the vend that had asked, and has no claim for it yet; 0 when none is known
    )


class ReaderSwitched(RecordData):
    """Staff let a reader take cards, or not: so it stays, through restarts."""

    type: ClassVar[str] = "reader.switched"
    device: str
    on: bool
    by: str = ""


ALL: Final[tuple[type[RecordData], ...]] = (
    ApprovalRequested,
    ApprovalCancelIntended,
    ApprovalFinished,
    SettleIntended,
    SettleFinished,
    RefundRefused,
    LateApprovalOpened,
    ReaderSwitched,
)
