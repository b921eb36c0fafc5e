"""Customers that chance would seldom bring: they come, and the bugs that they are for are found."""

from __future__ import annotations

import random
from typing import Any

import pytest

from controller.saga import redeem
from simulator.swarm import build, seldom
from simulator.swarm.draw import draw, luck
from simulator.swarm.plan import Build, Life, Step
from simulator.swarm.play import play
from simulator.swarm.shelf import Shelf

BASE = build.base_settings()


def lives(sort: Any, machine: Build, numbers: int = 4) -> list[str]:
    """Play some of a sort, one in each life; return what is found."""
    shelf = Shelf(build.settings_of(BASE, machine))
    found = []
    for number in range(numbers):
        met = sort(random.Random(number), shelf, machine)
        step = Step(1, met.acts, met.troubles, met.end)
        found += play(BASE, Life(7, machine, (step,)))[0].findings
    return found


@pytest.mark.parametrize("always_idle", [False, True])
def test_a_code_is_no_older_for_a_clock_that_went_ahead(
    always_idle: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Build(always_idle=always_idle)
    assert lives(seldom.back_with_a_code, machine) == []
    monkeypatch.setattr(
        redeem, "_expired", lambda desk, claim: desk.wall_ms - claim.at_ms > 90 * 86_400_000
    )
    assert "a code is taken for expired, and nobody knows its age" in lives(
        seldom.back_with_a_code, machine
    )


def test_they_come_only_where_everything_may_go_wrong() -> None:
    def drawn(faults: str) -> int:
        steps = (step for seed in range(1, 9) for step in draw(BASE, seed, 40, luck(faults)).steps)
        return sum(any(one.when == "claim.opened" for one in step.troubles) for step in steps)

    assert drawn("all")
    assert not drawn("none")
