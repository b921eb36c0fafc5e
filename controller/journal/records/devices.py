"""Records of devices, of faults, and of what a person should look at."""

from __future__ import annotations

from typing import ClassVar, Final

from controller.journal.envelope import RecordData


class DeviceIdentified(RecordData):
    """A device told who it is and how it counts; recovery's questions need it before SETUP."""

    type: ClassVar[str] = "device.identified"
    device: str
    info: dict[str, object]


class DeviceNoted(RecordData):
    """How far a device without acknowledgements was heard: what is new is told from here on."""

    type: ClassVar[str] = "device.noted"
    device: str
    answer: str  # hex, as in "coins.deposited"


class FaultRaised(RecordData):
    """Something is wrong with a part; once per cause."""

    type: ClassVar[str] = "fault.raised"
    part: str
    code: str
    detail: str = ""


class FaultCleared(RecordData):
    """The cause is gone."""

    type: ClassVar[str] = "fault.cleared"
    part: str
    code: str
    by: str = ""


class ReviewFlagged(RecordData):
    """Evidence was missing and a rule decided: a person should look at it."""

    type: ClassVar[str] = "review.flagged"
    reason: str
    amount: int = 0


ALL: Final[tuple[type[RecordData], ...]] = (
    DeviceIdentified,
    DeviceNoted,
    FaultRaised,
    FaultCleared,
    ReviewFlagged,
)
