"""A sample of the planted bugs: each is found by an oracle, within a few lives of customers.

The sample is another one every day, so that each bug is hunted again and again; a test that fails
names its day, and ``VENDD_MUTANTS_DAY=N`` hunts that day's once more.
``python -m tests.mutants.check`` hunts all of them in five ranges of seeds.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Any

import pytest

from simulator.swarm import build
from simulator.swarm.draw import draw, luck
from simulator.swarm.play import play
from tests.mutants.catalogue import MUTANTS
from tests.mutants.check import RANGES, SPREAD, VENDS_MAX, hunt
from tests.mutants.planting import Mutant, fits, planted

ENOUGH = 25  # planted bugs, at least
SOON = 60  # vends
EASY = [mutant for mutant in MUTANTS if mutant.faults == "none"]
HARDER = [mutant for mutant in MUTANTS if mutant not in EASY]
EASY_A_DAY = 10  # of those that show wherever customers come
HARDER_A_DAY = 3  # of those that wait for a fault, an end, a rare machine
CUSTOMERS = 12  # of a life that only has to be lived
DAY = "VENDD_MUTANTS_DAY"


def the_day() -> int:
    """Return the number of the day, or of the one that is to be had once more."""
    return int(os.environ.get(DAY) or datetime.now(UTC).toordinal())


def of_the_day(mutants: list[Mutant], place: int, day: int, a_day: int) -> Mutant:
    """Return the bug of a place in a day's sample: all have their turn, one day after the other."""
    return mutants[(day * a_day + place) % len(mutants)]


@pytest.mark.parametrize("place", range(EASY_A_DAY))
def test_an_oracle_finds_soon(place: int) -> None:
    day = the_day()
    mutant = of_the_day(EASY, place, day, EASY_A_DAY)
    found = hunt(mutant, 1, SOON)
    assert found.vends <= SOON, (f"{DAY}={day}", mutant.name, found)
    assert not found.broke


@pytest.mark.parametrize("place", range(HARDER_A_DAY))
def test_an_oracle_finds_what_takes_longer(place: int) -> None:
    day = the_day()
    mutant = of_the_day(HARDER, place, day, HARDER_A_DAY)
    for part in range(RANGES // 2 + 1):  # in most ranges within the limit: so is the median
        found = hunt(mutant, 1 + part * SPREAD)
        if found.vends <= VENDS_MAX:
            break
    assert found.vends <= VENDS_MAX, (f"{DAY}={day}", mutant.name, found)


@pytest.mark.parametrize("mutant", HARDER, ids=lambda mutant: mutant.name.replace(" ", "-"))
def test_a_life_with_a_bug_that_takes_longer_ends_in_no_exception(mutant: Mutant) -> None:
    # One in three: a planted bug may have vendd refuse its own records, and it ends by that.
    base, found = build.base_settings(), []
    for seed in (1, 2, 3):
        with planted(mutant):
            verdict, _ = play(base, draw(base, seed, CUSTOMERS, luck(mutant.faults), mutant.link))
        if not verdict.broke:
            assert verdict.vends > 0
            return
        found += verdict.findings
    pytest.fail(str(found))


def test_each_bug_has_its_day() -> None:
    for mutants, a_day in ((EASY, EASY_A_DAY), (HARDER, HARDER_A_DAY)):
        days = -(-len(mutants) // a_day)
        hunted = {
            of_the_day(mutants, place, 739_000 + day, a_day).name
            for day in range(days)
            for place in range(a_day)
        }
        assert hunted == {mutant.name for mutant in mutants}
    assert len(EASY) + len(HARDER) == len(MUTANTS)


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
    for mutant in EASY[:1]:
        assert hunt(Mutant("none", lambda soil: None, mutant.faults), 1, 40).finding == ""
