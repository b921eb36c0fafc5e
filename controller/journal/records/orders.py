"""Records of what the fleet orders and a restart must not forget: a lock, a notice, an update.

A lock holds until somebody unlocks, at the fleet or here. An update is handed over at most once:
its intent is durable before anybody else can see the request.
"""

from __future__ import annotations

from typing import ClassVar, Final, Literal

from controller.journal.envelope import RecordData

UpdateOutcome = Literal["handed_over", "refused", "superseded", "expired", "interrupted"]


class MachineLocked(RecordData):
    """Nothing is sold from now on, until ``machine.unlocked``."""

    type: ClassVar[str] = "machine.locked"
    reason: str
    by: str


class MachineUnlocked(RecordData):
    """It sells again; whoever stands at the machine may overrule the fleet, by name."""

    type: ClassVar[str] = "machine.unlocked"
    by: str
    reason: str = ""


class MessageShown(RecordData):
    """A text that waits for customers on the display; an empty one takes the last one back.

    It ends at ``until_ms`` (UTC); in the start that wrote it the monotonic clock judges that, and
    in a later one the time must be known.
    """

    type: ClassVar[str] = "message.shown"
    text: str
    until_ms: int
    lives_ms: int
    by: str


class UpdateRequested(RecordData):
    """A version is to be handed over to the updater, at the next quiet moment."""

    type: ClassVar[str] = "update.requested"
    id: str  # of the command
    software: str  # the version
    digest: str  # SHA-256 of the bundle, hex
    artefact: str
    expires_ms: int
    by: str


class UpdateIntended(RecordData):
    """The request is about to be written where the updater sees it."""

    type: ClassVar[str] = "update.intended"
    id: str


class UpdateFinished(RecordData):
    """What became of it; interrupted: nobody can say whether the updater has seen it."""

    type: ClassVar[str] = "update.finished"
    id: str
    outcome: UpdateOutcome
    detail: str = ""


ALL: Final[tuple[type[RecordData], ...]] = (
    MachineLocked,
    MachineUnlocked,
    MessageShown,
    UpdateRequested,
    UpdateIntended,
    UpdateFinished,
)
