"""A level that stood still counts, however late anybody hears of it; one that bounces does not."""

from __future__ import annotations

import asyncio

import pytest

from drivers.gpio.debounce import Debounced
from drivers.gpio.lines import Lines
from drivers.gpio.on_time import LoopWatch
from drivers.gpio.pin_shape import Line
from simulator.clock import run_virtual
from simulator.pins import PinBoard, SimulatorFactory

PIN = 17
HOLD_S = 0.01
STARTS_S = 10.0


def told(*edges: tuple[float, bool], heard_s: float) -> list[bool]:
    """Return the levels that counted of edges that all are heard at one moment."""

    async def story() -> list[bool]:
        loop = asyncio.get_running_loop()
        board = PinBoard(loop.time)
        board.wire(PIN)
        lines = Lines(SimulatorFactory(board=board), LoopWatch())
        found: list[bool] = []
        switch = Debounced(lines.input(Line(PIN), "switch"), HOLD_S, found.append)
        await asyncio.sleep(STARTS_S)
        switch.start()
        await asyncio.sleep(heard_s)
        for at_s, level in edges:
            board.drive(PIN, level, STARTS_S + at_s)
        await asyncio.sleep(1.0)
        assert not found or switch.active is found[-1]
        switch.stop()
        return found

    return run_virtual(story())


@pytest.mark.parametrize("heard_s", [0.1, 0.5, 3.0])
def test_a_level_that_was_over_before_anybody_heard_of_it_is_told(heard_s: float) -> None:
    assert told((0.05, True), (0.08, False), heard_s=heard_s) == [True, False]


def test_two_of_them_are_two() -> None:
    edges = (0.05, True), (0.08, False), (0.1, True), (0.12, False)
    assert told(*edges, heard_s=0.5) == [True, False, True, False]


def test_what_bounced_tells_nothing() -> None:
    edges = [(0.05 + n / 500, not n % 2) for n in range(10)]
    assert told(*edges, heard_s=0.5) == []


def test_what_bounced_before_and_after_it_stood_is_told_once() -> None:
    before, after = [(0.05, True), (0.052, False)], [(0.092, True), (0.094, False)]
    assert told(*before, (0.054, True), (0.09, False), *after, heard_s=0.5) == [True, False]


def test_a_level_that_lasts_counts_from_its_hearing() -> None:
    assert told((0.05, True), heard_s=0.5) == [True]
