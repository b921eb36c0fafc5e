from hypothesis import given
from hypothesis import strategies as st

from controller.journal.wall_label import WallLabel

BUILT = 1_767_225_600_000
LATER = BUILT + 86_400_000


def test_a_clock_before_the_build_date_is_raised_to_it() -> None:
    assert WallLabel(built_ms=BUILT).stamp(0, 5) == (BUILT, False)


def test_a_clock_before_the_last_confirmed_time_is_raised_to_it() -> None:
    label = WallLabel(built_ms=BUILT, confirmed_ms=LATER)
    assert label.stamp(BUILT + 1, 5) == (LATER, False)
    assert label.floor_ms == LATER


def test_an_unconfirmed_jump_ahead_does_no_lasting_harm() -> None:
    label = WallLabel(built_ms=BUILT)
    assert label.stamp(LATER * 2, 5) == (LATER * 2, False)
    assert label.stamp(LATER, 6) == (LATER, False)
    assert label.floor_ms == BUILT


def test_confirmed_time_runs_on_the_monotonic_clock() -> None:
    label = WallLabel(built_ms=BUILT)
    label.confirm(LATER, 1_000)
    assert label.confirmed
    assert label.stamp(BUILT, 3_500) == (LATER + 2_500, True)


def test_fleet_time_may_set_the_clock_back() -> None:
    label = WallLabel(built_ms=BUILT, confirmed_ms=LATER * 2)
    label.confirm(LATER, 0)
    assert label.stamp(LATER * 2, 1) == (LATER + 1, True)
    assert label.floor_ms == LATER


def test_a_time_before_the_build_date_confirms_nothing() -> None:
    label = WallLabel(built_ms=BUILT)
    label.confirm(BUILT - 1, 0)
    assert not label.confirmed


@given(st.integers(0, 2**45), st.integers(0, 2**45) | st.none())
def test_no_label_falls_below_the_floor(wall_ms: int, confirmed_ms: int | None) -> None:
    label = WallLabel(built_ms=BUILT, confirmed_ms=confirmed_ms)
    at_ms, confirmed = label.stamp(wall_ms, 0)
    assert at_ms >= max(BUILT, confirmed_ms or 0)
    assert not confirmed
