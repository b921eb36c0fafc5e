"""Records of card readers besides a vend's own: what they tell, what staff do with them."""

from __future__ import annotations

from typing import ClassVar, Final

from controller.journal.envelope import RecordData


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


CARD: Final[tuple[type[RecordData], ...]] = (RefundRefused, LateApprovalOpened, ReaderSwitched)
