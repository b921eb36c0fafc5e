"""The proof that the oracles bite: how many vends it takes to find each planted bug.

``python -m tests.mutants.check`` plays five ranges of seeds against each; a bug counts as found
when an oracle speaks, not when the program breaks. Words name the bugs to hunt; ``--json`` tells
what was found as one value, ``--workers N`` hunts in so many processes.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from contextlib import closing
from dataclasses import dataclass
from typing import Final

from simulator.swarm import build
from simulator.swarm.draw import draw, luck
from simulator.swarm.plan import Life
from simulator.swarm.play import play
from simulator.swarm.workers import share_out
from tests.mutants.catalogue import MUTANTS
from tests.mutants.planting import Mutant, planted

CUSTOMERS: Final = 40  # in one life
VENDS_MAX: Final = 2_000  # after so many a bug counts as not found
RANGES: Final = 5
SPREAD: Final = 10_000  # seeds between two ranges


@dataclass(frozen=True)
class Found:
    """What one range of seeds came to."""

    vends: int
    finding: str = ""
    broke: bool = False


def hunt(mutant: Mutant, first: int, vends_max: int = VENDS_MAX) -> Found:
    """Play seeds from ``first`` on until an oracle speaks."""
    base, vends, seed = build.base_settings(), 0, first
    broke = ""
    while vends < vends_max:
        life = draw(base, seed, CUSTOMERS, luck(mutant.faults), mutant.link)
        with planted(mutant):
            verdict, _ = play(base, life)
        vends += max(1, verdict.vends)
        seed += 1
        if verdict.findings and not verdict.broke and sound(life):
            return Found(vends, verdict.findings[0])
        broke = verdict.findings[0] if verdict.findings else broke
    return Found(vends_max + 1, broke, broke=bool(broke))


def sound(life: Life) -> bool:
    """Tell whether nothing is wrong with a life without the bug."""
    return not play(build.base_settings(), life)[0].findings


def carry_out(job: tuple[int, int]) -> Found:
    """Hunt one bug in one range, in a worker."""
    index, first = job
    return hunt(MUTANTS[index], first)


def main() -> int:
    """Hunt all of them; exit code 1 when one is not found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="words of the bugs to hunt")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--workers", type=int, default=1)
    given = parser.parse_args()
    wanted = [
        index
        for index, mutant in enumerate(MUTANTS)
        if not given.names or any(word in mutant.name for word in given.names)
    ]
    jobs = [(index, 1 + part * SPREAD) for index in wanted for part in range(RANGES)]
    rows: list[dict[str, object]] = []
    with closing(share_out(carry_out, jobs, given.workers)) as found:
        for index in wanted:
            runs = [next(found) for _ in range(RANGES)]
            median = statistics.median(run.vends for run in runs)
            finding = next((run.finding for run in runs if not run.broke), runs[0].finding)
            row = {"name": MUTANTS[index].name, "median": median, "finding": finding}
            rows.append({**row, "found": median <= VENDS_MAX})
            if not given.json:
                sys.stdout.write(f"{median:6.0f}  {row['name']}: {finding}\n")
                sys.stdout.flush()
    missed = sum(not row["found"] for row in rows)
    sys.stdout.write(json.dumps(rows) if given.json else f"{missed} not found\n")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
