"""Switches that chatter, cables that catch spikes, spirals that stopped short: no news, no harm."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from controller.ports import DispenseOutcome as Outcome
from controller.ports import DispenseResult, SensorCheck

Play = Callable[[Any, Any], Any]
MOTOR, HOME, EMPTY, STALL, DOOR = 5, 16, 18, 23, 24


async def vend(bench: Any, column: str) -> DispenseResult:
    assert await bench.dispenser.check_sensor(column) is SensorCheck.READY
    result: DispenseResult = await bench.dispenser.turn(column)
    return result


def passes(bench: Any, *, after_s: float = 0.0, for_s: float = 0.03) -> None:
    """Something passes the drop sensor, and keeps it dark for so long."""
    sensor, loop = bench.cabinet.sensor, asyncio.get_running_loop()
    if after_s:
        loop.call_later(after_s, sensor.enter)
    else:
        sensor.enter()
    loop.call_later(after_s + for_s, sensor.leave)


def test_a_motors_start_on_the_doors_cable_is_no_open_door(direct: Any, play: Play) -> None:
    async def story(bench: Any) -> DispenseResult:
        def started(level: bool) -> None:
            if level:
                bench.board.drive(DOOR, True)
                asyncio.get_running_loop().call_later(0.001, bench.board.drive, DOOR, False)

        bench.board.watch(MOTOR, started)
        return await vend(bench, "A1")

    assert play(direct, story).outcome is Outcome.DROPPED
    assert direct.fallen == 1


@pytest.mark.parametrize("rattles_s", [0.001, 0.02, 0.08])
def test_a_sold_out_switch_that_rattles_says_nothing(
    direct: Any, play: Play, rattles_s: float
) -> None:
    async def story(bench: Any) -> DispenseResult:
        assert await bench.dispenser.check_sensor("A2") is SensorCheck.READY
        bench.board.drive(EMPTY, True)
        asyncio.get_running_loop().call_later(rattles_s, bench.board.drive, EMPTY, False)
        result: DispenseResult = await bench.dispenser.turn("A2")
        return result

    assert play(direct, story).outcome is Outcome.DROPPED
    assert direct.turns("A2") == 1


def test_a_spiral_that_stands_just_before_home_is_turned_once_more(direct: Any, play: Play) -> None:
    async def story(bench: Any) -> DispenseResult:
        bench.cabinet.spirals["A1"].put(0.93)
        return await vend(bench, "A1")

    result = play(direct, story)
    assert (result.outcome, result.detail) == (Outcome.DROPPED, "")
    assert result.run_s == pytest.approx(0.14 + 2.0, abs=0.03)
    assert direct.fallen == 1


def test_what_falls_on_the_way_home_is_all_that_is_given(direct: Any, play: Play) -> None:
    async def story(bench: Any) -> DispenseResult:
        bench.cabinet.spirals["A1"].put(0.85)
        return await vend(bench, "A1")

    assert play(direct, story).outcome is Outcome.DROPPED
    assert (direct.fallen, direct.turns("A1")) == (1, 1)


def test_a_door_that_opens_between_home_and_the_turn_keeps_the_motor_off(
    direct: Any, play: Play
) -> None:
    async def story(bench: Any) -> DispenseResult:
        bench.cabinet.spirals["A1"].put(0.93)
        assert await bench.dispenser.check_sensor("A1") is SensorCheck.READY
        asyncio.get_running_loop().call_later(0.3, bench.cabinet.set_door, True)
        result: DispenseResult = await bench.dispenser.turn("A1")
        return result

    assert play(direct, story).outcome is Outcome.DOOR_OPENED
    assert direct.turns("A1") == 1


def test_a_current_sense_that_is_on_at_rest_makes_no_jam_of_every_column(
    direct: Any, play: Play
) -> None:
    async def story(bench: Any) -> DispenseResult:
        bench.breaks("A2", stuck_on=True, seized=True)
        return await vend(bench, "A1")

    result = play(direct, story)
    assert result.outcome is Outcome.DROPPED
    assert result.detail == "current sense on before the start"
    assert direct.turns("A1") == 1


def test_a_current_sense_that_lets_go_late_is_believed_in_the_next_run(
    direct: Any, play: Play
) -> None:
    async def story(bench: Any) -> DispenseResult:
        assert await bench.dispenser.check_sensor("A1") is SensorCheck.READY
        bench.breaks("A1", seized=True)
        bench.board.drive(STALL, True)
        asyncio.get_running_loop().call_later(0.05, bench.board.drive, STALL, False)
        result: DispenseResult = await bench.dispenser.turn("A1")
        return result

    result = play(direct, story)
    assert result.outcome is Outcome.JAMMED
    assert result.run_s < 0.5


def test_what_a_jam_lets_go_of_falls_before_the_next_vend_looks(direct: Any, play: Play) -> None:
    async def story(bench: Any) -> DispenseResult:
        bench.breaks("A1", jam=True)
        assert (await vend(bench, "A1")).outcome is Outcome.JAMMED
        passes(bench, after_s=1.5, for_s=0.1)  # the spiral's tension has gone
        bench.breaks("A2", hang=1)
        return await vend(bench, "A2")

    assert play(direct, story).outcome is Outcome.NOT_SEEN


@pytest.mark.parametrize(("dark_s", "again_s"), [(0.5, None), (0.03, 0.15), (0.03, 0.6)])
def test_a_product_that_lingers_or_bounces_is_not_the_next_ones(
    direct: Any, play: Play, dark_s: float, again_s: float | None
) -> None:
    async def story(bench: Any) -> tuple[DispenseResult, DispenseResult]:
        first = await vend(bench, "A1")
        passes(bench, for_s=dark_s)
        if again_s is not None:
            passes(bench, after_s=again_s)
        bench.breaks("A2", hang=1)
        return first, await vend(bench, "A2")

    first, second = play(direct, story)
    assert (first.outcome, second.outcome) == (Outcome.DROPPED, Outcome.NOT_SEEN)


@pytest.mark.parametrize("deaf_s", [(1.7, 2.3), (1.9, 2.6)])
def test_a_home_that_was_passed_before_anybody_heard_of_it_ends_the_turn(
    direct: Any, play: Play, deaf_s: tuple[float, float]
) -> None:
    """A busy vendd heard both edges of the cam at once: a second turn, and another product fell."""

    async def story(bench: Any) -> DispenseResult:
        loop, switch = asyncio.get_running_loop(), bench.board.switch
        late: list[tuple[bool, float]] = []

        def started(level: bool) -> None:
            if not level:
                return
            begins_s, ends_s = (loop.time() + at_s for at_s in deaf_s)

            def busy(pin: int, on: bool, at_s: float | None = None) -> None:
                if pin == HOME and begins_s <= loop.time() < ends_s:
                    late.append((on, loop.time()))
                else:
                    switch(pin, on, at_s)

            bench.board.switch = busy
            loop.call_at(ends_s, hears)

        def hears() -> None:
            for on, at_s in late:
                switch(HOME, on, at_s)

        bench.board.watch(MOTOR, started)
        return await vend(bench, "A1")

    result = play(direct, story)
    assert (result.outcome, direct.fallen) == (Outcome.DROPPED, 1)
    assert result.run_s == pytest.approx(deaf_s[1], abs=0.05)


@pytest.mark.parametrize(("dark_s", "again_s"), [(0.5, None), (0.03, 0.15), (0.03, 0.6)])
def test_a_product_that_fell_late_and_lingers_or_bounces_is_not_the_next_ones(
    direct: Any, play: Play, dark_s: float, again_s: float | None
) -> None:
    async def story(bench: Any) -> tuple[DispenseResult, DispenseResult]:
        bench.breaks("A1", hang=1)
        assert (await vend(bench, "A1")).outcome is Outcome.NOT_SEEN
        passes(bench, for_s=dark_s)  # before the extra turn
        late: DispenseResult = await bench.dispenser.turn("A1", extra=True)
        if again_s is not None:
            passes(bench, after_s=again_s)
        bench.breaks("A2", hang=1)
        return late, await vend(bench, "A2")

    late, following = play(direct, story)
    assert late == DispenseResult(Outcome.DROPPED, drops=1, detail="fell late")
    assert following.outcome is Outcome.NOT_SEEN


@pytest.mark.parametrize("falls_s", [0.0, 1.0, 2.5, None])
def test_the_last_product_that_falls_late_is_sold_though_its_column_says_empty(
    direct: Any, play: Play, falls_s: float | None
) -> None:
    """No extra turn gives it time, for the column's own switch says that there is nothing left."""

    async def story(bench: Any) -> DispenseResult:
        bench.breaks("A2", hang=1)
        assert (await vend(bench, "A2")).outcome is Outcome.NOT_SEEN
        bench.cabinet.empty("A2")
        if falls_s is not None:
            passes(bench, after_s=falls_s)
        result: DispenseResult = await bench.dispenser.turn("A2", extra=True)
        return result

    result = play(direct, story)
    assert result.outcome is (Outcome.EMPTY if falls_s is None else Outcome.DROPPED)
    assert direct.turns("A2") == 1


@pytest.mark.parametrize("fitted", [True, False])
@pytest.mark.parametrize("open_s", [None, 0.001])
def test_a_door_that_is_opened_before_the_motor_turns_keeps_it_off(
    direct: Any, play: Play, fitted: bool, open_s: float | None
) -> None:
    """Between the look at the sensor and the turn a slow disk writes."""

    async def story(bench: Any) -> DispenseResult:
        await bench.dispenser.check_sensor("A1")
        bench.cabinet.set_door(True)
        if open_s is not None:  # a spike on its cable
            asyncio.get_running_loop().call_later(open_s, bench.cabinet.set_door, False)
        result: DispenseResult = await bench.dispenser.turn("A1")
        return result

    bench = replace(direct, fitted=fitted)
    result = play(bench, story)
    if open_s is None:
        assert (result.outcome, result.run_s) == (Outcome.DOOR_OPENED, 0.0)
    assert bench.turns("A1") == (0 if open_s is None else 1)
