"""What the swarm says: one line per seed that failed, then its story beside the truth."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from simulator.swarm import coverage
from simulator.swarm.plan import Build, Life, Step, Trouble
from simulator.swarm.token import encode
from simulator.swarm.verdict import Verdict


@dataclass(slots=True)
class Tally:
    """Many verdicts in one."""

    lives: int = 0
    customers: int = 0
    vends: int = 0
    boots: int = 0
    records: int = 0
    virtual_s: float = 0.0
    hits: Counter[str] = field(default_factory=Counter)
    cells: Counter[str] = field(default_factory=Counter)  # of the failure table
    seeds: list[int] = field(default_factory=list)
    traces: list[str] = field(default_factory=list)  # a hash per life
    broken: list[Verdict] = field(default_factory=list)

    def add(self, verdict: Verdict) -> None:
        """Count one life."""
        self.lives += 1
        self.customers += verdict.customers
        self.vends += verdict.vends
        self.boots += verdict.boots
        self.records += verdict.records
        self.virtual_s += verdict.virtual_s
        self.hits.update(verdict.hits)
        self.cells.update(verdict.cells)
        self.seeds.append(verdict.life.seed)
        self.traces.append(verdict.trace)
        if verdict.findings:
            self.broken.append(verdict)


def replay_command(verdict: Verdict) -> str:
    """Return the one command that plays this very life again."""
    return f"vendsim swarm --replay {encode(verdict.life)}"


def story(life: Life) -> Iterator[str]:
    """Yield a life in words; of the machine what is not as it usually is."""
    usual = asdict(Build())
    unusual = [f"{n}={v}" for n, v in asdict(life.build).items() if n == "link" or v != usual[n]]
    yield f"machine: {', '.join(unusual)}"
    for step in life.steps:
        yield from _step(step)
    if life.finale:
        yield f" end: the journal's file: {life.finale}"


def _step(step: Step) -> Iterator[str]:
    if step.visit:
        yield f"{step.number:4}: a technician's visit"
        return
    acts = ", ".join(f"{a.what} {a.text or a.value or ''}".strip() for a in step.acts)
    yield f"{step.number:4}: {acts}"
    for trouble in step.troubles:
        yield f"      {_trouble(trouble)}"
    if step.end is not None:
        for end in step.end.chain():
            where = f"after {end.when}" if end.when else "from the start"
            yield f"      {end.how} at instant {end.after} {where}, dark for {end.dark_s} s"


def _trouble(trouble: Trouble) -> str:
    when = f"{trouble.at_s} s after {trouble.when or 'the start'}"
    return f"{trouble.key} = {trouble.value!r} {when}, for {trouble.for_s} s"


def side_by_side(verdict: Verdict) -> Iterator[str]:
    """Yield what the journal says and what is physically so, in the order of time."""
    journal, truth = verdict.journal, verdict.truth
    rows = [(_time(line), 0, f"  journal {line}") for line in journal]
    begin = rows[0][0] - LEAD_S if rows else 0.0
    rows += [(_time(line), 1, f"  truth   {line}") for line in truth if _time(line) >= begin]
    for _, _, line in sorted(rows, key=lambda row: row[:2]):
        yield line


LEAD_S = 5.0  # of the truth before the first record that is shown


def _time(line: str) -> float:
    return float(line.split(maxsplit=1)[0])


def as_json(tally: Tally, seconds: float, commands: Sequence[str], *, stopped: bool = False) -> str:
    """Return everything as one JSON value; ``stopped``: somebody did not wait for the end."""
    value: dict[str, Any] = {
        "stopped": stopped,
        "lives": tally.lives,
        "customers": tally.customers,
        "vends": tally.vends,
        "starts": tally.boots,
        "records": tally.records,
        "virtual_s": round(tally.virtual_s, 1),
        "seconds": round(seconds, 2),
        "vends_per_s": round(tally.vends / seconds, 1) if seconds else 0.0,
        "seeds": tally.seeds,
        "traces": tally.traces,
        "hits": dict(sorted(tally.hits.items())),
        "cells": dict(sorted(tally.cells.items())),
        "cells_missed": coverage.missed(tally.cells),
        "coverage": round(coverage.share(tally.cells), 4),
        "broken": [
            {
                "seed": verdict.life.seed,
                "step": verdict.step,
                "findings": verdict.findings,
                "story": list(story(verdict.life)),
                "trace": verdict.trace,
                "journal": verdict.journal,
                "truth": verdict.truth,
                "replay": command,
            }
            for verdict, command in zip(tally.broken, commands, strict=True)
        ],
    }
    return json.dumps(value, ensure_ascii=False)
