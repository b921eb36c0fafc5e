"""A part of ``./run soak``: whatever stands between a machine and its fleet dies, at any moment.

Real processes, one kind after the other, as ``./run bench kills`` does it, for longer and from
more seeds: each round begins with a new fleet and machine, and ends with both ends compared.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from rich.console import Console

from controller.clock import Clock
from simulator.soak_progress import Bar

KINDS: Final = ("broker", "server", "worker", "machine", "bridge", "two")
ROUND_S: Final = 120.0  # of one kind
KILLS: Final = 100_000  # it is the time that ends a round
CHILD: Final = "benchmarks.children.killed_fleet"
COUNTS: Final = ("kills", "records", "lost", "doubled", "differ")


@dataclass(slots=True)
class Row:
    """What one kind of kill came to."""

    kind: str
    sums: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COUNTS, 0))
    problems: list[str] = field(default_factory=list)

    def add(self, seed: int, done: subprocess.CompletedProcess[str]) -> None:
        """Count a round."""
        if done.returncode:
            last = done.stderr.strip().rpartition("\n")[2]
            self.problems.append(f"seed {seed}: {last or done.returncode}")
            return
        found = json.loads(done.stdout.splitlines()[-1])
        for name in COUNTS:
            self.sums[name] += found[name]
        if found["lost"] or found["doubled"] or found["differ"]:
            self.problems.append(f"seed {seed}: {found}")


def kill_between(
    console: Console, clock: Clock, root: Path, seed: int, minutes: float
) -> list[Row]:
    """Run rounds of every kind until the time is over, with a bar that moves; each has one."""
    rows = [Row(kind) for kind in KINDS]
    end = clock.monotonic_s() + minutes * 60
    with Bar(console, clock, "fleets with kills around them") as bar:
        while True:
            bar.expect(len(rows))
            for row in rows:
                seconds = min(ROUND_S, minutes * 60 / len(KINDS))
                row.add(seed, _round(root, row.kind, seed, seconds))
                bar.advance(1, f"{sum(one.sums['kills'] for one in rows)} kills")
            seed += 1
            if clock.monotonic_s() > end:
                return rows


def _round(root: Path, kind: str, seed: int, seconds: float) -> subprocess.CompletedProcess[str]:
    with tempfile.TemporaryDirectory(prefix="vendd-soak-") as folder:
        command = [
            sys.executable, "-m", CHILD, "--kind", kind, "--folder", folder, "--seed", str(seed),
            "--kills", str(KILLS), "--seconds", f"{seconds:.0f}",
        ]  # fmt: skip
        return subprocess.run(  # noqa: S603 - this Python, and a module of this project
            command, cwd=root, capture_output=True, text=True, check=False
        )


def fleet_lines(rows: Sequence[Row], seconds: float) -> Iterator[str]:
    """Yield what the kills came to, for a page."""
    problems = [f"{row.kind}: {what}" for row in rows for what in row.problems]
    kills = sum(row.sums["kills"] for row in rows)
    yield f"{kills} kills of real processes in {seconds:.0f} s: {len(problems)} problems."
    yield ""
    yield "| killed | kills | records | lost | doubled | accounts and sales that differ |"
    yield "|---|---:|---:|---:|---:|---:|"
    for row in rows:
        yield f"| {row.kind} | {' | '.join(f'{row.sums[name]:,}' for name in COUNTS)} |"
    for line in problems:
        yield f"* {line}"
