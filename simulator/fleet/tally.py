"""What is measured while many machines run: rates, lag, bytes, and how equal both sides are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

MOST_SAMPLES: Final = 200_000  # of lag; one in two goes when there are more
MOST_SHOWN: Final = 10  # differences in words
_TICKS: Final = 100  # of the processor's time in a second, on every Linux that Python knows


@dataclass(slots=True)
class Lag:
    """Seconds from a commit in a machine to the fleet's word that it is in its database."""

    samples: list[float] = field(default_factory=list)
    _every: int = 1
    _seen: int = 0

    def add(self, seconds: float) -> None:
        """Note one."""
        self._seen += 1
        if self._seen % self._every:
            return
        self.samples.append(seconds)
        if len(self.samples) > MOST_SAMPLES:
            self.samples = self.samples[::2]
            self._every *= 2

    def at(self, share: float) -> float | None:
        """Return the lag that this share stays below; None without any."""
        if not self.samples:
            return None
        ordered = sorted(self.samples)
        return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)]


@dataclass(slots=True)
class Result:
    """Everything that a run has found."""

    machines: int
    mode: str
    connected_s: float = 0.0
    caught_up: int = 0  # records of the time before, acknowledged
    caught_up_s: float = 0.0
    seconds: float = 0.0  # of selling, or of idling
    vends: int = 0
    sent: int = 0  # records written while it sold
    acked: int = 0
    drain_s: float = 0.0  # until everything was acknowledged, behind the last vend
    records: int = 0  # of all machines
    bytes: int = 0  # of batches
    connections: int = 0
    lag_p50_ms: float | None = None
    lag_p99_ms: float | None = None
    cpu: dict[str, float] = field(default_factory=dict)  # share of one core, by process
    broken: list[str] = field(default_factory=list)  # what chaos has done
    differences: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Tell whether nothing is missing, too much or another."""
        return not self.differences and not self.problems

    def to_json(self) -> dict[str, Any]:
        """Return it for ``--json``."""
        seconds = max(self.seconds, 1e-9)
        return {
            "ok": self.ok,
            "machines": self.machines,
            "mode": self.mode,
            "connected_s": round(self.connected_s, 2),
            "caught_up": self.caught_up,
            "caught_up_s": round(self.caught_up_s, 2),
            "caught_up_per_s": round(self.caught_up / max(self.caught_up_s, 1e-9)),
            "seconds": round(self.seconds, 2),
            "vends": self.vends,
            "written": self.sent,
            "written_per_s": round(self.sent / seconds, 1),
            "acked_per_s": round(self.acked / seconds, 1),
            "drain_s": round(self.drain_s, 2),
            "records": self.records,
            "bytes": self.bytes,
            "bytes_per_record": round(self.bytes / max(self.records, 1), 1),
            "connections": self.connections,
            "lag_p50_ms": self.lag_p50_ms,
            "lag_p99_ms": self.lag_p99_ms,
            "cpu": self.cpu,
            "chaos": self.broken,
            "differences": self.differences,
            "problems": self.problems,
        }


def cpu_s(pid: int) -> float:
    """Return the processor's seconds that a process has used. Raises OSError when it is gone."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def some(words: Sequence[str]) -> list[str]:
    """Return as many as anybody reads."""
    more = len(words) - MOST_SHOWN
    return [*words[:MOST_SHOWN], *([f"and {more} more"] if more > 0 else [])]
