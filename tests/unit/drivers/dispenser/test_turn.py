"""The judgement of a turn, without motors: what its inputs mean, and that it always ends."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.dispenser.turn import Turn, TurnEnd, TurnInputs, TurnTimes

TIMES = TurnTimes(turn_s=2.0, max_on_s=5.0, start_s=1.0, stall_s=0.3)
HOME, AWAY = TurnInputs(home=True), TurnInputs(home=False)
STALLED_HOME = TurnInputs(home=True, stalled=True)
STALLED_AWAY = TurnInputs(home=False, stalled=True)

Steps = list[tuple[float, TurnInputs]]


def judge(steps: Steps, *, at_home: bool | None = True, sensed: bool = False) -> TurnEnd | None:
    turn = Turn(TIMES, 100.0, at_home=at_home, sensed=sensed)
    for at, inputs in steps:
        end = turn.look(100.0 + at, inputs)
        if end is not None:
            return end
    return None


@pytest.mark.parametrize(
    ("steps", "sensed", "end"),
    [
        ([(0.0, HOME), (0.3, AWAY), (1.9, AWAY)], False, None),
        ([(0.0, HOME), (0.3, AWAY), (2.0, HOME)], False, TurnEnd.TURNED),
        ([(0.0, HOME), (0.99, HOME)], False, None),
        ([(0.0, HOME), (1.0, HOME)], False, TurnEnd.NO_START),
        ([(0.0, HOME), (1.0, HOME)], True, TurnEnd.NO_START),
        # the inrush, then a motor that turns
        ([(0.0, STALLED_HOME), (0.2, HOME), (0.3, AWAY), (2.0, HOME)], True, TurnEnd.TURNED),
        ([(0.0, STALLED_HOME), (0.29, STALLED_HOME)], True, None),
        ([(0.0, STALLED_HOME), (0.3, STALLED_HOME)], True, TurnEnd.JAMMED),
        ([(0.1, AWAY), (1.0, STALLED_AWAY), (1.3, STALLED_AWAY)], True, TurnEnd.JAMMED),
        ([(0.1, AWAY), (1.0, STALLED_AWAY), (1.2, AWAY), (1.3, STALLED_AWAY)], True, None),
        ([(0.8, STALLED_HOME), (1.0, STALLED_HOME)], True, TurnEnd.JAMMED),
        ([(0.1, AWAY), (5.0, AWAY)], True, TurnEnd.NO_HOME),
        ([(0.1, AWAY), (5.0, AWAY)], False, TurnEnd.JAMMED),
        ([(0.1, AWAY), (1.0, TurnInputs(home=False, cut=True))], True, TurnEnd.CUT),
        ([(0.1, AWAY), (5.2, TurnInputs(home=False, cut=True))], True, TurnEnd.NO_HOME),
        ([(0.1, TurnInputs(home=False, door_open=True))], False, TurnEnd.DOOR),
        # home again in the same instant as a cut: the turn is whole
        ([(0.1, AWAY), (2.0, TurnInputs(home=True, cut=True))], False, TurnEnd.TURNED),
    ],
)
def test_inputs_have_one_meaning(steps: Steps, sensed: bool, end: TurnEnd | None) -> None:
    assert judge(steps, sensed=sensed) is end


def test_off_home_at_the_start_it_ends_at_home() -> None:
    assert judge([(0.0, AWAY), (0.8, HOME)], at_home=False) is TurnEnd.TURNED


def test_without_a_switch_the_time_of_a_turn_decides() -> None:
    none = TurnInputs(home=None)
    assert judge([(0.0, none), (1.99, none)], at_home=None) is None
    assert judge([(0.0, none), (2.0, none)], at_home=None) is TurnEnd.TURNED


def test_a_stall_is_found_without_a_switch_too() -> None:
    stalled = TurnInputs(home=None, stalled=True)
    assert judge([(0.5, stalled), (0.9, stalled)], at_home=None, sensed=True) is TurnEnd.JAMMED


@pytest.mark.parametrize(
    ("turn_s", "max_on_s", "start_s"), [(2.5, 6.0, 1.25), (0.3, 2.0, 0.5), (0.2, 0.3, 0.3)]
)
def test_the_start_gets_half_a_turn_and_never_less_than_half_a_second(
    turn_s: float, max_on_s: float, start_s: float
) -> None:
    assert TurnTimes.of(turn_s, max_on_s).start_s == pytest.approx(start_s)


INPUTS = st.builds(TurnInputs, home=st.booleans(), stalled=st.booleans(), door_open=st.just(False))


@given(
    st.lists(st.tuples(st.floats(0.001, 1.0), INPUTS), max_size=60),
    st.booleans(),
    st.sampled_from([True, False]),
)
def test_looked_at_when_it_asks_a_turn_is_over_by_its_maximum(
    changes: list[tuple[float, TurnInputs]], sensed: bool, at_home: bool
) -> None:
    turn = Turn(TIMES, 0.0, at_home=at_home, sensed=sensed)
    now, inputs = 0.0, TurnInputs(home=at_home, stalled=False)
    queue = list(changes)
    next_change = queue[0][0] if queue else float("inf")
    end = turn.look(now, inputs)
    while end is None:
        look_by = turn.look_by()
        assert look_by > now, "it would be asked again and again at one instant"
        now = min(look_by, next_change)
        if now == next_change:
            inputs = queue.pop(0)[1]
            next_change = now + queue[0][0] if queue else float("inf")
        assert now <= TIMES.max_on_s
        end = turn.look(now, inputs)
    assert now <= TIMES.max_on_s
    if end is TurnEnd.NO_START:
        assert at_home


def test_once_a_product_was_seen_home_must_come_before_the_next_one_falls() -> None:
    turn = Turn(TurnTimes.of(2.0, 6.0), 0.0, at_home=True, sensed=True)
    assert turn.look(1.0, TurnInputs(home=False, stalled=False)) is None
    assert turn.look(3.6, TurnInputs(home=False, stalled=False, seen=True)) is None, "a slow motor"
    assert turn.look_by() == 3.7
    assert turn.look(3.7, TurnInputs(home=False, stalled=False, seen=True)) is TurnEnd.NO_HOME
