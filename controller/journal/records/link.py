"""Records of the link to the fleet: commands and how they ended, configuration, time, checkpoints.

A command is recorded when it starts and when it has ended; its id is kept until it expires, so that
it runs at most once and a repeat gets the recorded result.
"""

from __future__ import annotations

from typing import ClassVar, Final, Literal

from pydantic import Field

from controller.journal.envelope import RecordData

CommandOutcome = Literal["done", "refused", "superseded", "expired", "interrupted", "handed_over"]


class CommandStarted(RecordData):
    """A signed command was verified and is about to run."""

    type: ClassVar[str] = "command.started"
    id: str
    kind: str
    target: str
    counter: int
    issuer: str
    expires_ms: int
    arguments: dict[str, object] = Field(default_factory=dict)


class CommandFinished(RecordData):
    """How a command ended; refused, superseded and expired ones have no start."""

    type: ClassVar[str] = "command.finished"
    id: str
    kind: str
    outcome: CommandOutcome
    expires_ms: int
    detail: str = ""
    result: dict[str, object] = Field(default_factory=dict)


class MessageRefused(RecordData):
    """Something came from the fleet's side that is not signed, not for us or not readable.

    Written at a limited rate: ``count`` tells how many like it there were since the last.
    """

    type: ClassVar[str] = "message.refused"
    topic: str
    reason: str
    count: int = 1


class TimeConfirmed(RecordData):
    """The fleet told the time: ``offset_ms`` is how far our label was behind it.

    ``first``: the fleet has seen no other disk of this machine.
    """

    type: ClassVar[str] = "time.confirmed"
    source: Literal["fleet", "ntp"]
    offset_ms: int
    first: bool = False


class CheckpointSigned(RecordData):
    """The machine signed its books as they were after the record before this one.

    ``signature`` (hex) is over a purpose and the bytes of ``body`` (``attested``).
    """

    type: ClassVar[str] = "checkpoint.signed"
    body: str
    signature: str
    reason: Literal["hourly", "collection"]


class CheckpointCountersigned(RecordData):
    """The fleet holds the books that the checkpoint of ``seq`` states, and has signed that.

    ``body`` and ``key`` are exact texts; the signatures over them are hex. ``key`` is the
    operational key that signed, ``key_signature`` the root key's word for it.
    """

    type: ClassVar[str] = "checkpoint.countersigned"
    seq: int
    body: str
    kid: str
    signature: str
    key: str
    key_signature: str


class JournalForked(RecordData):
    """The fleet holds another chain than ours behind ``seq``: this disk is a copy or went back."""

    type: ClassVar[str] = "journal.forked"
    seq: int
    hash: str


class RecordCarried(RecordData):
    """A record of an older journal of this disk that the fleet may not have.

    Behind a fork the fleet has another one in its place; behind a damage perhaps none. ``body`` is
    that record's, as it was written (empty: it can't be read). It posts nothing: the balances with
    which this journal began hold its postings, unless it is not ``verified``: it stood behind the
    damage, or is damaged itself, and counts for nothing.
    """

    type: ClassVar[str] = "record.carried"
    version: ClassVar[int] = 2
    journal: str
    seq: int
    boot: int
    body: str
    verified: bool = True


ALL: Final[tuple[type[RecordData], ...]] = (
    CommandStarted,
    CommandFinished,
    MessageRefused,
    TimeConfirmed,
    CheckpointSigned,
    CheckpointCountersigned,
    JournalForked,
    RecordCarried,
)
