"""What the fold knows of the fleet's commands: which ran, how they ended, which came last."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from controller.journal.envelope import Record
from controller.journal.records import (
    CheckpointCountersigned,
    CommandFinished,
    CommandStarted,
    TimeConfirmed,
)

if TYPE_CHECKING:
    from controller.journal.envelope import RecordData
    from controller.state.state import State

# More targets than a machine has, several times over; but each app credit is one of its own, and
# without an end they would fill the snapshots.
COUNTERS_MAX: Final = 4_096


@dataclass(slots=True)
class RemoteCommand:
    """A command by its id; ``outcome`` is empty as long as it runs."""

    kind: str
    expires_ms: int
    outcome: str = ""
    detail: str = ""
    result: dict[str, object] = field(default_factory=dict)


@dataclass(slots=True)
class Remote:
    """All commands whose ids may still come again, and the last counter of each target."""

    commands: dict[str, RemoteCommand] = field(default_factory=dict)
    counters: dict[str, int] = field(default_factory=dict)  # "kind target" -> the last one run
    # What was issued before may have run on a disk that this journal knows nothing of.
    not_before_ms: int = 0
    replaces: bool = False  # another journal
    untold: bool = False  # the fleet has told neither the time nor of other disks

    def begun(self, *, replaces: bool) -> None:
        """A journal has begun, and takes no commands of before another one."""
        self.replaces, self.untold = replaces, True

    def timed(self, record: Record, data: TimeConfirmed) -> None:
        """The fleet tells the time: commands that were issued until now are of before."""
        if not self.untold or data.source != "fleet":
            return
        self.untold = False
        if self.replaces or not data.first:
            self.not_before_ms = record.at_ms

    def started(self, record: Record, data: CommandStarted) -> None:
        """Take in a command that is about to run."""
        self._forget(record)
        self.commands[data.id] = RemoteCommand(data.kind, data.expires_ms)
        key = counted(data.kind, data.target)
        self.counters.pop(key, None)  # the last one that ran comes last
        self.counters[key] = data.counter
        while len(self.counters) > COUNTERS_MAX:
            del self.counters[next(iter(self.counters))]

    def finished(self, record: Record, data: CommandFinished) -> None:
        """Take in how it ended."""
        self._forget(record)
        self.commands[data.id] = RemoteCommand(
            data.kind, data.expires_ms, data.outcome, data.detail, dict(data.result)
        )

    def open(self) -> list[str]:
        """Return the ids of commands that have not ended."""
        return [id_ for id_, command in self.commands.items() if not command.outcome]

    def _forget(self, record: Record) -> None:
        """Forget what nobody can send again: judged in confirmed time alone."""
        if record.confirmed:
            ended = [
                id_
                for id_, command in self.commands.items()
                if command.outcome and command.expires_ms < record.at_ms
            ]
            for id_ in ended:
                del self.commands[id_]


def counted(kind: str, target: str) -> str:
    """Return what a counter counts."""
    return f"{kind} {target}"


def _command_started(s: State, r: Record, d: CommandStarted) -> None:
    s.remote.started(r, d)


def _command_finished(s: State, r: Record, d: CommandFinished) -> None:
    s.remote.finished(r, d)


def _time_confirmed(s: State, r: Record, d: TimeConfirmed) -> None:
    s.remote.timed(r, d)


def _countersigned(s: State, _r: Record, d: CheckpointCountersigned) -> None:
    s.proved_seq = max(s.proved_seq, d.seq)


FOLDS: Final[dict[type[RecordData], Callable[[State, Record, Any], None]]] = {
    CommandStarted: _command_started,
    CommandFinished: _command_finished,
    TimeConfirmed: _time_confirmed,
    CheckpointCountersigned: _countersigned,
}
