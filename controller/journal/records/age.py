"""Records of proofs of age: that one was asked for, and what came of it; nothing of the person."""

from __future__ import annotations

from typing import ClassVar, Final, Literal

from controller.journal.envelope import RecordData


class AgeChecked(RecordData):
    """A product that is not for everybody was chosen: what the reader said of the customer."""

    type: ClassVar[str] = "age.checked"
    device: str  # the reader; empty: none can check
    age: int  # years that were asked for
    column: str
    outcome: Literal["proved", "not_proved", "cancelled", "unsupported"]


ALL: Final[tuple[type[RecordData], ...]] = (AgeChecked,)
