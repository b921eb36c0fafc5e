"""An edge's own time, by whatever ticks a pin library has."""

from __future__ import annotations

from typing import Any

import pytest
from gpiozero.pins import Factory
from gpiozero.pins.local import LocalPiFactory

from drivers.gpio.edge_time import OLDEST_S, EdgeTimes

HEARD_S = 1_000.0
WRAP = 2**32


class Wrapping:
    """Microseconds in 32 bits, as pigpio's (it can't be installed everywhere)."""

    def __init__(self, now: int) -> None:
        self.now = now

    def ticks(self) -> int:
        return self.now % WRAP

    @staticmethod
    def ticks_diff(later: int, earlier: int) -> float:
        return ((later - earlier) % WRAP) / 1_000_000


class Monotonic:
    """Seconds, as all that are local to the Raspberry Pi have them."""

    def __init__(self, now: float) -> None:
        self.now = now

    def ticks(self) -> float:
        return self.now

    ticks_diff = staticmethod(LocalPiFactory.ticks_diff)


def test_what_was_heard_late_came_earlier() -> None:
    times = EdgeTimes(Monotonic(50.0))
    assert times.of(49.75, HEARD_S) == pytest.approx(HEARD_S - 0.25)
    assert times.of(50.0, HEARD_S) == HEARD_S


def test_ticks_may_wrap_between_an_edge_and_its_hearing() -> None:
    edge = WRAP - 100_000
    times = EdgeTimes(Wrapping(edge + 250_000))
    assert times.of(edge, HEARD_S) == pytest.approx(HEARD_S - 0.25)


@pytest.mark.parametrize(
    "ticks",
    [
        1_700_000_000.0,  # seconds since 1970: the kernel's other clock
        50.001,  # a moment that has not come yet
        50.0 - OLDEST_S - 1.0,
        float("nan"),
        None,
        "soon",
    ],
)
def test_what_is_no_age_came_when_it_was_heard(ticks: Any) -> None:
    assert EdgeTimes(Monotonic(50.0)).of(ticks, HEARD_S) == HEARD_S


def test_a_wrapping_tick_that_is_ahead_is_no_old_one() -> None:
    assert EdgeTimes(Wrapping(5_000)).of(5_001, HEARD_S) == HEARD_S


@pytest.mark.parametrize("factory", [Factory(), object()])
def test_a_library_without_ticks_tells_no_time(factory: Any) -> None:
    assert EdgeTimes(factory).of(49.0, HEARD_S) == HEARD_S
