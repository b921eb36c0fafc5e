"""The shortest life that still fails: fewest customers, then fewest troubles, acts and deaths.

Last the plainest machine: whatever of it does not matter is as it usually is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from typing import Final

from simulator.swarm.plan import Build, Life, Step
from simulator.swarm.verdict import Verdict

TRIES_MAX: Final = 400  # plays; a life that is still long after so many stays long

Play = Callable[[Life], Verdict]
_NUMBER: Final = re.compile(r"-?\d+(\.\d+)?")


def same_kind(one: list[str], other: list[str]) -> bool:
    """Tell whether the same oracle spoke, whatever the amounts."""
    return (
        bool(one and other) and _NUMBER.sub("#", one[0])[:KIND] == _NUMBER.sub("#", other[0])[:KIND]
    )


KIND: Final = 32  # letters of a finding that say which oracle spoke


def shrink(verdict: Verdict, play: Play, tries: int = TRIES_MAX) -> Verdict:
    """Return the verdict of the shortest life found that fails in the same way."""
    best = verdict
    left = tries
    shorter = True
    while shorter and left > 0:
        shorter = False
        for life in _shorter(best):
            left -= 1
            found = play(life)
            if same_kind(found.findings, verdict.findings):
                best, shorter = found, True
                break
            if left <= 0:
                break
    return best


def _shorter(verdict: Verdict) -> Iterator[Life]:
    """Yield shorter lives, the shortest first."""
    life = verdict.life
    if life.finale:
        yield replace(life, finale="")
    steps = tuple(step for step in life.steps if step.number <= verdict.step)
    if len(steps) < len(life.steps):
        yield life.with_steps(steps)
    size = len(steps) - 1
    while size >= 1:
        for start in range(0, len(steps) - 1, size):
            kept = steps[:start] + steps[min(start + size, len(steps) - 1) :]
            if len(kept) < len(steps):
                yield life.with_steps(kept)
        size //= 2
    for index, step in enumerate(steps):
        for smaller in _smaller(step):
            yield life.with_steps((*steps[:index], smaller, *steps[index + 1 :]))
    usual = Build()
    for entry in fields(Build):
        plain = getattr(usual, entry.name)
        if entry.name != "link" and getattr(life.build, entry.name) != plain:
            yield replace(life, build=replace(life.build, **{entry.name: plain}))


def _smaller(step: Step) -> Iterator[Step]:
    if step.end is not None:
        yield replace(step, end=None)
        if step.end.again:
            yield replace(step, end=replace(step.end, again=()))
            yield replace(step, end=replace(step.end, again=step.end.again[:-1]))
    for index in range(len(step.troubles)):
        yield replace(step, troubles=step.troubles[:index] + step.troubles[index + 1 :])
    for index in range(len(step.acts)):
        yield replace(step, acts=step.acts[:index] + step.acts[index + 1 :])
