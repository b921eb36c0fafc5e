"""From edges to groups: noise, bounces, stuck lines, and groups that nobody may guess at."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.gpio.pulse_train import Group, PulseShape, PulseTrain, Spoilt, value_of

SHAPE = PulseShape(least_s=0.02, longest_s=0.2, gap_s=0.3, bounce_s=0.003)
COINS = {1: 50, 2: 100, 4: 200}
BEGIN_S = 10.0  # long after listening began
Edges = list[tuple[float, bool]]


def pulses(
    count: int, *, begin_s: float = BEGIN_S, width: float = 0.05, pause: float = 0.1
) -> Edges:
    edges: Edges = []
    at = begin_s
    for _ in range(count):
        edges += [(at, True), (at + width, False)]
        at += width + pause
    return edges


def heard(edges: Iterable[tuple[float, bool]], *, until_s: float = 60.0) -> list[Group]:
    """Play edges and every tick that falls due between them."""
    train = PulseTrain(SHAPE, 0.0, active=False)
    groups: list[Group | None] = []
    for at, active in [*edges, (until_s, False)]:
        while (due := train.due()) is not None and due < at:
            groups.append(train.tick(due))
        groups.append(train.edge(at, active=active))
    return [group for group in groups if group is not None]


@pytest.mark.parametrize("count", [1, 2, 4, 9])
def test_pulses_that_come_together_are_one_group(count: int) -> None:
    assert heard(pulses(count)) == [Group(count)]


def test_a_pause_beyond_the_gap_begins_another_coin() -> None:
    edges = [*pulses(2), *pulses(1, begin_s=BEGIN_S + 1.0)]
    assert heard(edges) == [Group(2), Group(1)]


def test_a_pause_just_within_the_gap_does_not() -> None:
    edges = [*pulses(1), *pulses(1, begin_s=BEGIN_S + 0.05 + 0.29)]
    assert heard(edges) == [Group(2)]


def test_the_group_ends_by_time_alone() -> None:
    train = PulseTrain(SHAPE, 0.0, active=False)
    for at, active in pulses(1):
        train.edge(at, active=active)
    ends: list[float] = []
    while not ends:
        due = train.due()
        assert due is not None
        if train.tick(due) is not None:
            ends.append(due)
    assert ends[0] == pytest.approx(BEGIN_S + 0.05 + 0.3)
    assert train.due() is None


def test_spikes_are_noise_wherever_they_come() -> None:
    spikes = [(9.0, True), (9.001, False), (10.07, True), (10.071, False)]
    edges = sorted([*pulses(2), *spikes])
    assert heard(edges) == [Group(2)]


def test_a_short_pulse_that_stands_is_counted_as_noise() -> None:
    train = PulseTrain(SHAPE, 0.0, active=False)
    for at, active in ((10.0, True), (10.01, False), (10.5, False)):
        assert train.edge(at, active=active) is None
    assert train.noise == 1


def test_bounces_at_the_edges_change_nothing() -> None:
    edges: Edges = []
    for at, active in pulses(2):
        edges += [(at, active), (at + 0.001, not active), (at + 0.002, active)]
    assert heard(edges) == [Group(2)]


def test_a_dip_within_a_pulse_is_no_second_pulse() -> None:
    edges = [(10.0, True), (10.02, False), (10.021, True), (10.05, False)]
    assert heard(edges) == [Group(1)]


def test_a_line_that_is_stuck_spoils_its_group_and_says_so() -> None:
    train = PulseTrain(SHAPE, 0.0, active=False)
    train.edge(10.0, active=True)
    while not train.stuck:
        due = train.due()
        assert due is not None
        assert train.tick(due) is None
    assert train.due() is None
    train.edge(15.0, active=False)
    assert train.tick(15.01) is None
    assert train.due() == pytest.approx(15.3)
    assert train.tick(15.5) == Group(1, Spoilt.STUCK)


def test_a_group_whose_beginning_nobody_heard_is_not_believed() -> None:
    assert heard([(0.1, True), (0.15, False)]) == [Group(1, Spoilt.CUT)]
    train = PulseTrain(SHAPE, 0.0, active=True)
    train.edge(0.03, active=False)
    train.tick(0.04)
    assert train.tick(0.5) == Group(1, Spoilt.CUT)


def test_a_line_that_never_rests_ends_as_nothing() -> None:
    found = heard(pulses(300, width=0.03, pause=0.03))
    assert found == [Group(255, Spoilt.ENDLESS)]


def test_only_a_whole_group_that_is_listed_has_a_value() -> None:
    assert [value_of(Group(n), COINS) for n in (0, 1, 2, 3, 4, 5)] == [
        None,
        50,
        100,
        None,
        200,
        None,
    ]
    assert value_of(Group(1, Spoilt.STUCK), COINS) is None


@given(
    st.lists(st.integers(1, 6), min_size=1, max_size=5),
    st.floats(0.021, 0.19),
    st.floats(0.01, 0.28),
)
def test_coins_in_a_row_are_told_apart(counts: list[int], width: float, pause: float) -> None:
    edges: Edges = []
    at = BEGIN_S
    for count in counts:
        coin = pulses(count, begin_s=at, width=width, pause=pause)
        edges += coin
        at = coin[-1][0] + SHAPE.gap_s + 0.05
    assert heard(edges, until_s=at + 60.0) == [Group(count) for count in counts]


@given(st.lists(st.tuples(st.floats(0.0, 20.0), st.booleans()), max_size=60))
def test_no_noise_makes_it_fail_or_wait_for_ever(edges: Edges) -> None:
    for group in heard(sorted(edges), until_s=100.0):
        assert 0 <= group.pulses <= 255
