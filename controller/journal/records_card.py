"""Records of card readers besides a vend's own: what they tell, what staff do with them."""

from __future__ import annotations

from typing import ClassVar, Final

from controller.journal.envelope import RecordData


class RefundRefused(RecordData):
    """A reader told that the money of a failed vend did not go back; recorded before its ACK."""

    type: ClassVar[str] = "refund.refused"
    device: str
    code: int  # of MALFUNCTION / ERROR, C0 to CF


class ReaderSwitched(RecordData):
    """Staff let a reader take cards, or not: so it stays, through restarts."""

    type: ClassVar[str] = "reader.switched"
    device: str
    on: bool
    by: str = ""


CARD: Final[tuple[type[RecordData], ...]] = (RefundRefused, ReaderSwitched)
