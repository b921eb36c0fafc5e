"""A sample of the planted bugs: each is found by an oracle, within a few lives of customers.

``python -m tests.mutants.check`` hunts all of them in five ranges of seeds.
"""

from __future__ import annotations

from typing import Any

import pytest

from simulator.swarm import build
from simulator.swarm.draw import draw, luck
from simulator.swarm.play import play
from tests.mutants.catalogue import MUTANTS
from tests.mutants.check import hunt
from tests.mutants.planting import Mutant, fits, planted

ENOUGH = 25  # planted bugs, at least
SOON = 60  # vends
SAMPLE = [mutant for mutant in MUTANTS if mutant.faults == "none"]
REST = [mutant for mutant in MUTANTS if mutant not in SAMPLE]
CUSTOMERS = 12  # of a life that only has to be lived


@pytest.mark.parametrize("mutant", SAMPLE, ids=lambda mutant: mutant.name.replace(" ", "-"))
def test_an_oracle_finds(mutant: Mutant) -> None:
    found = hunt(mutant, 1, SOON)
    assert found.vends <= SOON, found
    assert not found.broke


@pytest.mark.parametrize("mutant", REST, ids=lambda mutant: mutant.name.replace(" ", "-"))
def test_a_life_with_a_bug_that_takes_longer_ends_in_no_exception(mutant: Mutant) -> None:
    base = build.base_settings()
    with planted(mutant):
        verdict, _ = play(base, draw(base, 1, CUSTOMERS, luck(mutant.faults), mutant.link))
    assert not verdict.broke, verdict.findings
    assert verdict.vends > 0


def test_a_bug_takes_what_is_asked_of_what_it_replaces() -> None:
    def old(one: int, two: int = 2, *, three: int = 3) -> int:
        return one + two + three

    as_good: list[Any] = [old, lambda one, two=0, *, three=0: 0, lambda *all_, **named: 0]
    worse: list[Any] = [
        lambda one: 0,
        lambda one, two: 0,
        lambda one, two=0: 0,
        lambda one, two=0, *, three=0, four: 0,
    ]
    for new in as_good:
        fits(old, new)
    for new in worse:
        with pytest.raises(TypeError, match="argument"):
            fits(old, new)
    fits(7, old)


def test_there_are_enough_bugs_and_none_is_another() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= ENOUGH
    assert len({mutant.plant for mutant in MUTANTS}) == len(MUTANTS)


def test_a_bug_is_gone_when_its_life_is_over() -> None:
    for mutant in MUTANTS:
        with planted(mutant):
            pass
    for mutant in SAMPLE[:1]:
        assert hunt(Mutant("none", lambda soil: None, mutant.faults), 1, 40).finding == ""
