"""Records of the cabinet's climate and of the health timer; registered in ``records``.

Temperatures are degrees Celsius, rounded as they were told; None: nobody could say.
"""

from __future__ import annotations

from typing import ClassVar, Final, Literal

from controller.journal.envelope import RecordData


class CoolingChanged(RecordData):
    """The compressor or the defrost starts or ends; the compressor's rest is counted from it."""

    type: ClassVar[str] = "cooling.changed"
    phase: Literal["off", "cooling", "defrosting"]
    reason: str
    celsius: float | None = None


class HealthWarmed(RecordData):
    """The temperature of some columns went over their limit: their timer runs.

    ``since_ms`` is on the clock of ``mono_ms``: earlier than the record where nobody measured.
    """

    type: ClassVar[str] = "health.warmed"
    columns: tuple[str, ...]
    since_ms: int
    celsius: float | None = None


class HealthCooled(RecordData):
    """The temperature is within the limits: the timer of these columns stands at zero."""

    type: ClassVar[str] = "health.cooled"
    columns: tuple[str, ...]
    celsius: float | None = None


class HealthExceeded(RecordData):
    """The timer has run out: these columns sell no more until somebody has served them."""

    type: ClassVar[str] = "health.exceeded"
    columns: tuple[str, ...]
    reason: str
    celsius: float | None = None


class HealthServed(RecordData):
    """Somebody has replaced what was in these columns (or the machine begins to watch them)."""

    type: ClassVar[str] = "health.served"
    columns: tuple[str, ...]
    cause: Literal["technician", "first_start"] = "technician"
    by: str = ""


ALL: Final[tuple[type[RecordData], ...]] = (
    CoolingChanged, HealthWarmed, HealthCooled, HealthExceeded, HealthServed,
)  # fmt: skip
