"""What happened in a life, to the byte: a hash of it, its lines if wanted, and counts."""

from __future__ import annotations

import hashlib

from controller.journal.envelope import Record, UnknownData
from simulator.pins.board import Edge
from simulator.truth import Fact
from simulator.world import World


class Trace:
    """Everything that became durable, moved or changed its level, in order."""

    def __init__(self, world: World, *, keep: bool) -> None:
        """Bind the world's log; with ``keep`` the lines are kept besides the hash."""
        self.lines: list[str] | None = [] if keep else None
        self.hits: dict[str, int] = {}
        self._world = world
        self._hash = hashlib.sha256()

    def record(self, record: Record) -> None:
        """A record is durable."""
        self._hash.update(record.body)
        if self.lines is not None:
            self.lines.append(line_of(record))
        if record.type == "vend.closed":
            self.hit("vend " + str(getattr(record.data, "result", "")))

    def fact(self, fact: Fact) -> None:
        """Something happened in the world."""
        self._hash.update(f"{fact.at_s:.6f}{fact.what}{fact.detail}".encode())
        if self.lines is not None:
            self.lines.append(f"{fact.at_s:9.3f} {fact.what} {fact.detail}")

    def edge(self, edge: Edge) -> None:
        """A pin changed its level."""
        self._hash.update(b"%d%d" % (edge.pin, edge.level))

    def note(self, what: str) -> None:
        """Write a line of the play's own into the world's log."""
        self._world.truth.note("play", what)

    def hit(self, what: str) -> None:
        """Count something."""
        self.hits[what] = self.hits.get(what, 0) + 1

    def close(self, findings: list[str]) -> str:
        """Return the hash of everything."""
        self._hash.update(repr(findings).encode())
        return self._hash.hexdigest()


def line_of(record: Record) -> str:
    """Return a record on one line, the time first; what is as it usually is is left out."""
    vend = f"v{record.vend or '-'}"
    data = record.data
    if isinstance(data, UnknownData):
        told = str(data)
    else:
        told = str(data.model_dump(mode="json", exclude_defaults=True))
    return f"{record.mono_ms / 1000:9.3f} {record.seq:5} {vend:6} {record.type} {told}"
