"""Switches that chatter and cables that catch spikes: what is no news changes nothing."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from controller.ports import DispenseOutcome as Outcome
from controller.ports import DispenseResult, SensorCheck

Play = Callable[[Any, Any], Any]
MOTOR, EMPTY, DOOR = 5, 18, 24


async def vend(bench: Any, column: str) -> DispenseResult:
    assert await bench.dispenser.check_sensor(column) is SensorCheck.READY
    result: DispenseResult = await bench.dispenser.turn(column)
    return result


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
