"""Who comes in a machine's past: drawn from the seed alone, and nothing that hides its evidence."""

from __future__ import annotations

from itertools import pairwise

import pytest

from simulator.lived.draw import BETWEEN_S, CERTAIN, DAY_S, Days, build_of, visitors
from simulator.swarm.build import base_settings, settings_of
from simulator.swarm.plan import Build
from simulator.swarm.troubles import kind_of


def test_a_seed_is_one_past_and_another_seed_another() -> None:
    one, same, other = (list(visitors(base_settings(), Days(3, 30, seed))) for seed in (1, 1, 2))
    assert one == same
    assert one != other


@pytest.mark.parametrize("days", [0.2, 1, 7])
def test_visitors_come_one_after_the_other_and_the_last_one_leaves_no_credit(days: float) -> None:
    found = list(visitors(base_settings(), Days(days, 40, 5)))
    assert all(b.at_s - a.at_s >= BETWEEN_S for a, b in pairwise(found))
    assert found[-1].at_s >= days * DAY_S
    assert [act.text for act in found[-1].step.acts] == ["*"]
    assert [visitor.step.number for visitor in found] == list(range(1, len(found) + 1))
    customers = sum(not visitor.step.visit for visitor in found)
    assert customers == pytest.approx(40 * days, rel=0.5, abs=12)
    if days >= 1:
        assert any(visitor.step.visit for visitor in found)


def test_only_what_leaves_evidence_breaks_and_nobody_pays_elsewhere() -> None:
    found = list(visitors(base_settings(), Days(30, 60, 3)))
    steps = [visitor.step for visitor in found]
    troubles = [trouble for step in steps for trouble in step.troubles]
    assert len({trouble.name for trouble in troubles}) > 10
    assert all(not kind_of(trouble.part, trouble.name).excuses for trouble in troubles)
    assert all(not kind.excuses for kind in CERTAIN)
    acts = [act for step in steps for act in step.acts]
    assert {act.what for act in acts}.isdisjoint({"app", "free"})
    assert {act.text for act in acts}.isdisjoint({"discount", "token"})
    ends = [step for step in steps if step.end is not None]
    assert {step.end.how for step in ends if step.end} == {"kill", "power", "stop"}
    for step in ends:
        assert step.end is not None
        assert not step.troubles
        if step.end.how == "power":
            assert [act.what for act in step.acts] == ["keys"], "no money is on its way"


def test_nothing_breaks_where_nothing_is_to_break() -> None:
    steps = [v.step for v in visitors(base_settings(), Days(5, 60, 3, faults=False))]
    assert not any(step.troubles or step.end for step in steps)


def test_who_draws_knows_what_the_machine_has() -> None:
    settings = settings_of(base_settings(), Build(second_reader=True, recycler=True, basket=True))
    build = build_of(settings)
    assert (build.second_reader, build.recycler, build.basket, build.cctalk) == (
        True, True, True, False,
    )  # fmt: skip
    assert build_of(settings_of(base_settings(), Build(cctalk=True))).cctalk
    assert build_of(settings_of(base_settings(), Build(pulse=True))).pulse
