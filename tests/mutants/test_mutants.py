"""A sample of the planted bugs: each is found by an oracle, within a few lives of customers.

``python -m tests.mutants.check`` hunts all of them in five ranges of seeds.
"""

from __future__ import annotations

import pytest

from tests.mutants.catalogue import MUTANTS
from tests.mutants.check import hunt
from tests.mutants.planting import Mutant, planted

ENOUGH = 25  # planted bugs, at least
SOON = 60  # vends
SAMPLE = [mutant for mutant in MUTANTS if mutant.faults == "none"]


@pytest.mark.parametrize("mutant", SAMPLE, ids=lambda mutant: mutant.name.replace(" ", "-"))
def test_an_oracle_finds(mutant: Mutant) -> None:
    found = hunt(mutant, 1, SOON)
    assert found.vends <= SOON, found
    assert not found.broke


def test_there_are_enough_bugs_and_none_is_another() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= ENOUGH
    assert len({mutant.plant for mutant in MUTANTS}) == len(MUTANTS)


def test_a_bug_is_gone_when_its_life_is_over() -> None:
    for mutant in MUTANTS:
        with planted(mutant):
            pass
    for mutant in SAMPLE[:1]:
        assert hunt(Mutant("none", lambda soil: None, mutant.faults), 1, 40).finding == ""
