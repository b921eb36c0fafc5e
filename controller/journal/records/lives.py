"""Records of the journal's beginning, of starts and stops."""

from __future__ import annotations

from typing import ClassVar, Final

from controller.journal.envelope import RecordData
from controller.journal.records.lines import Lines


class JournalBegun(RecordData):
    """The first record of every journal."""

    type: ClassVar[str] = "journal.begun"
    journal: str
    machine: str
    currency: str
    previous: tuple[str, int] | None = None  # (journal id, its last readable seq)
    reason: str = "first start"
    by: str = ""
    inherited: Lines = ()  # the balances it begins with, where it replaces another


class BootStarted(RecordData):
    """The daemon has started. ``system_boot`` tells a restart from a power cut."""

    type: ClassVar[str] = "boot.started"
    boot: int
    software: str
    config_digest: str = ""
    system_boot: str = ""


class BootFinished(RecordData):
    """Recovery has ended every saga it found; ``sagas`` names them."""

    type: ClassVar[str] = "boot.finished"
    sagas: tuple[int, ...] = ()


class StopRequested(RecordData):
    """The daemon was asked to stop and has ended or compensated what was open."""

    type: ClassVar[str] = "stop.requested"
    reason: str


ALL: Final[tuple[type[RecordData], ...]] = (
    JournalBegun,
    BootStarted,
    BootFinished,
    StopRequested,
)
