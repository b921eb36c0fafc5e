"""The proof that the oracles bite: how many vends it takes to find each planted bug.

``python -m tests.mutants.check`` plays five ranges of seeds against each; a bug counts as found
when an oracle speaks, not when the program breaks.
"""

from __future__ import annotations

import statistics
import sys
from dataclasses import dataclass
from typing import Final

from simulator.swarm import build
from simulator.swarm.draw import draw, luck
from simulator.swarm.plan import Life
from simulator.swarm.play import play
from simulator.swarm.run import quietly
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


def main() -> int:
    """Hunt all of them; exit code 1 when one is not found."""
    quietly()
    wanted = sys.argv[1:]
    missed = 0
    for mutant in MUTANTS:
        if wanted and not any(word in mutant.name for word in wanted):
            continue
        runs = [hunt(mutant, 1 + index * SPREAD) for index in range(RANGES)]
        median = statistics.median(run.vends for run in runs)
        missed += median > VENDS_MAX
        sys.stdout.write(f"{median:6.0f}  {mutant.name}: {runs[0].finding}\n")
        sys.stdout.flush()
    sys.stdout.write(f"{missed} not found\n")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
