"""Play lives of the swarm, seed by seed, and tell what they took of this process's time."""

from __future__ import annotations

import argparse
import time
from typing import Any

from benchmarks.children.given import hand_back
from simulator.swarm.run import Order, carry_out

WARM_UP = Order(seed=1_000_000, vends=3, faults="none")


def play(last: int, customers: int, *, fold: bool) -> dict[str, Any]:
    """Play the seeds 1 to ``last`` and sum up."""
    carry_out(WARM_UP)
    sums = dict.fromkeys(("vends", "records", "boots", "virtual_s", "cpu_s"), 0.0)
    per_s: list[float] = []
    findings: list[str] = []
    for seed in range(1, last + 1):
        begun = time.process_time()
        verdict = carry_out(Order(seed, customers, shrink=False, fold=fold))
        took = time.process_time() - begun
        for name in ("vends", "records", "boots", "virtual_s"):
            sums[name] += getattr(verdict, name)
        sums["cpu_s"] += took
        per_s.append(verdict.vends / took)
        findings += [f"seed {seed}: {finding}" for finding in verdict.findings]
    whole = {name: int(value) for name, value in sums.items() if not name.endswith("_s")}
    return {**sums, **whole, "per_s": per_s, "findings": findings}


def main() -> None:
    """Play the seeds 1 to ``--last``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--last", type=int, required=True)
    parser.add_argument("--customers", type=int, required=True)
    parser.add_argument("--no-fold", action="store_true")
    given = parser.parse_args()
    found = play(given.last, given.customers, fold=not given.no_fold)
    hand_back(found)


if __name__ == "__main__":
    main()
