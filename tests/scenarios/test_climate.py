"""The cabinet is kept cold through restarts, power cuts, open doors and dead thermometers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from controller.faults import FaultCode
from drivers.gpio.lines import OutputLine
from tests.climate_kit import (
    COMPRESSOR,
    DEFROST,
    HEATER,
    LIGHT,
    cooled,
    heated,
    thermal,
    with_defrost,
)
from tests.scenarios.stage import Stage, play

MIN_OFF_S = 300.0


def is_on(stage: Stage, pin: int) -> bool:
    return stage.world.board.is_on(pin)


def celsius(stage: Stage) -> float:
    assert stage.world.cabin is not None
    return stage.world.cabin.celsius


def phases(stage: Stage) -> list[str]:
    return [data.phase for data in stage.records("cooling.changed")]


async def passes(stage: Stage, seconds: float) -> None:
    """Let hours pass."""
    await comes(stage, lambda: False, seconds, must=False)


async def comes(
    stage: Stage, done: Callable[[], bool], within_s: float, *, must: bool = True
) -> None:
    """Wait for something that takes long, with a look every second."""
    end = stage.loop.time() + within_s
    while not done() and stage.loop.time() < end:
        assert not stage.ended
        await asyncio.sleep(min(1.0, max(0.001, end - stage.loop.time())))
    assert done() or not must, f"not within {within_s} s"


async def starts(stage: Stage, *, within_s: float = 3_600.0) -> float:
    """Wait for the compressor; return the time."""
    await comes(stage, lambda: is_on(stage, COMPRESSOR), within_s)
    return stage.loop.time()


async def rests(stage: Stage, *, within_s: float = 7_200.0) -> float:
    await comes(stage, lambda: not is_on(stage, COMPRESSOR), within_s)
    return stage.loop.time()


def test_it_is_kept_between_target_and_start_for_hours() -> None:
    async def scenario(stage: Stage) -> None:
        warmest, coldest = -99.0, 99.0
        for _ in range(2 * 12):
            await passes(stage, 300.0)
            warmest, coldest = max(warmest, celsius(stage)), min(coldest, celsius(stage))
        assert 2.0 < coldest < 3.1
        assert 4.0 < warmest < 5.0
        assert phases(stage)[:2] == ["cooling", "off"]
        assert len(phases(stage)) < 100
        assert stage.records("health.warmed") == []

    play(scenario, fold_idle=True, settings=cooled())


def test_a_compressor_rests_for_its_time_before_its_first_run_and_after_a_kill() -> None:
    async def scenario(stage: Stage) -> None:
        assert stage.world.cabin is not None
        stage.world.cabin.put(9.0)
        first = await starts(stage)
        assert first >= MIN_OFF_S
        await passes(stage, 30.0)
        await stage.kill()
        assert not is_on(stage, COMPRESSOR)
        await stage.opens()
        again = stage.loop.time()
        assert await starts(stage) - again >= MIN_OFF_S - 5.0

    settings = cooled()
    play(scenario, fold_idle=True, settings=settings, plan=thermal(settings, start_c=9.0))


def test_a_rest_that_is_known_is_not_begun_anew_after_a_restart() -> None:
    async def scenario(stage: Stage) -> None:
        assert stage.world.cabin is not None
        await starts(stage)
        rested = await rests(stage)
        await passes(stage, 200.0)
        await stage.kill()
        await stage.opens()
        stage.world.cabin.put(9.0)
        begun = await starts(stage)
        assert MIN_OFF_S <= begun - rested < MIN_OFF_S + 30.0

    settings = cooled()
    play(scenario, fold_idle=True, settings=settings, plan=thermal(settings, start_c=9.0))


def test_nothing_is_cooled_before_it_has_been_measured() -> None:
    """A compressor that has rested for longer than it would without a thermometer."""

    async def scenario(stage: Stage) -> None:
        await starts(stage)
        await rests(stage)
        assert stage.world.cabin is not None
        stage.world.cabin.set_ambient(3.5)
        await passes(stage, 1_300.0)
        before = len(phases(stage))
        await stage.kill()
        await stage.opens()
        await passes(stage, 60.0)
        assert celsius(stage) < 4.5
        assert len(phases(stage)) == before

    play(scenario, fold_idle=True, settings=cooled(health=()))


def test_after_a_power_cut_a_rest_counts_from_the_start() -> None:
    async def scenario(stage: Stage) -> None:
        assert stage.world.cabin is not None
        await starts(stage)
        await rests(stage)
        await passes(stage, 250.0)
        await stage.cut_power()
        await stage.passes_without(20.0)
        await stage.restore_power()
        await stage.opens()
        begun = stage.loop.time()
        stage.world.cabin.put(9.0)
        assert await starts(stage) - begun >= MIN_OFF_S - 5.0

    settings = cooled(health=())
    play(scenario, fold_idle=True, settings=settings, plan=thermal(settings, start_c=9.0))


def test_ice_is_thawed_every_hour_until_the_evaporator_is_warm() -> None:
    async def scenario(stage: Stage) -> None:
        await comes(stage, lambda: is_on(stage, DEFROST), 4_000.0)
        assert not is_on(stage, COMPRESSOR)
        begun = stage.loop.time()
        await comes(stage, lambda: not is_on(stage, DEFROST), 700.0)
        assert 10.0 < stage.loop.time() - begun < 200.0
        assert [d.reason for d in stage.records("cooling.changed")][-1] == "defrosted"
        await comes(stage, lambda: is_on(stage, DEFROST), 4_000.0)
        assert stage.loop.time() - begun > 3_600.0

    play(scenario, fold_idle=True, settings=with_defrost())


def test_a_defrost_without_an_end_temperature_ends_by_the_clock() -> None:
    async def scenario(stage: Stage) -> None:
        await comes(stage, lambda: is_on(stage, DEFROST), 4_000.0)
        stage.breaks("climate", "sensor", "gone")
        begun = stage.loop.time()
        await comes(stage, lambda: not is_on(stage, DEFROST), 700.0)
        assert 595.0 <= stage.loop.time() - begun < 610.0

    play(scenario, fold_idle=True, settings=with_defrost(), judged=False)


def test_a_heater_and_a_light_do_their_work_with_the_door() -> None:
    async def scenario(stage: Stage) -> None:
        assert stage.world.cabin is not None
        stage.world.cabin.put(2.0)
        await comes(stage, lambda: is_on(stage, HEATER), 30.0)
        await comes(stage, lambda: not is_on(stage, HEATER), 7_200.0)
        assert celsius(stage) >= 4.9
        assert not is_on(stage, LIGHT)
        stage.world.cabinet.set_door(True)
        await comes(stage, lambda: is_on(stage, LIGHT), 5.0)
        stage.world.cabinet.set_door(False)
        await comes(stage, lambda: not is_on(stage, LIGHT), 5.0)

    settings = heated()
    play(scenario, fold_idle=True, settings=settings, plan=thermal(settings, ambient_c=0.0))


def test_an_open_door_keeps_the_compressor_from_starting_until_it_was_forgotten() -> None:
    async def scenario(stage: Stage) -> None:
        assert stage.world.cabin is not None
        await passes(stage, MIN_OFF_S)
        stage.world.cabinet.set_door(True)
        stage.world.cabin.put(12.0)
        opened = stage.loop.time()
        assert 599.0 <= await starts(stage) - opened < 615.0
        stage.world.cabinet.set_door(False)

    play(scenario, fold_idle=True, settings=cooled(health=()))


def test_without_a_thermometer_it_cools_by_the_clock() -> None:
    async def scenario(stage: Stage) -> None:
        stage.breaks("climate", "sensor", "checksum")
        await comes(
            stage, lambda: stage.has_fault("thermometer:cabin", FaultCode.TEMPERATURE_SENSOR), 90.0
        )
        begun = await starts(stage)
        assert 590.0 <= await rests(stage) - begun <= 615.0
        stage.mends("climate", "sensor")
        await passes(stage, 30.0)
        assert not stage.has_fault("thermometer:cabin", FaultCode.TEMPERATURE_SENSOR)

    play(scenario, fold_idle=True, settings=cooled(health=()))


def test_a_thermometer_that_never_changes_is_none() -> None:
    async def scenario(stage: Stage) -> None:
        stage.breaks("climate", "sensor", "stuck")
        await comes(
            stage,
            lambda: stage.has_fault("thermometer:cabin", FaultCode.TEMPERATURE_SENSOR),
            4_000.0,
        )
        detail = stage.records("fault.raised")[-1].detail
        assert "3600 s" in detail
        stage.mends("climate", "sensor")
        await passes(stage, 600.0)

    base = cooled(health=())
    assert base.climate is not None
    stuck = base.climate.thermometers[0].model_copy(update={"stuck_s": 3_600.0})
    play(scenario, fold_idle=True, settings=cooled(health=(), thermometers=(stuck,)))


def test_a_compressor_that_cools_nothing_is_told_and_rests_after_its_longest_run() -> None:
    async def scenario(stage: Stage) -> None:
        stage.breaks("climate", "compressor_dead")
        begun = await starts(stage)
        await comes(stage, lambda: stage.has_fault("cooling", FaultCode.COOLING_WEAK), 620.0)
        assert await rests(stage) - begun <= 1_201.0
        assert not stage.has_fault("compressor", FaultCode.OUTPUT_CUT)

    base = cooled(health=())
    assert base.climate is not None
    assert base.climate.cooling is not None
    short = base.climate.cooling.model_copy(update={"max_on_s": 1_200.0, "weak_after_s": 600.0})
    play(scenario, fold_idle=True, settings=cooled(health=(), cooling=short))


def test_a_compressor_that_is_cut_from_outside_rests_and_is_told() -> None:
    async def scenario(stage: Stage) -> None:
        assert stage.world.cabin is not None
        stage.world.cabin.put(20.0)
        await starts(stage)
        cut = stage.loop.time()
        relay(stage, COMPRESSOR).cut(1, "the loop hangs")
        await comes(stage, lambda: stage.has_fault("compressor", FaultCode.OUTPUT_CUT), 5.0)
        assert stage.records("cooling.changed")[-1].reason == "the loop hangs"
        assert await starts(stage) - cut >= MIN_OFF_S
        await rests(stage)
        assert not stage.has_fault("compressor", FaultCode.OUTPUT_CUT)

    play(scenario, fold_idle=True, settings=cooled(health=()))


def test_a_heater_that_is_cut_from_outside_rests_a_minute() -> None:
    async def scenario(stage: Stage) -> None:
        assert stage.world.cabin is not None
        stage.world.cabin.put(2.0)
        await comes(stage, lambda: is_on(stage, HEATER), 30.0)
        relay(stage, HEATER).cut(1, "on for 3605 s")
        await passes(stage, 30.0)
        assert not is_on(stage, HEATER)
        await comes(stage, lambda: is_on(stage, HEATER), 60.0)

    settings = heated()
    play(scenario, fold_idle=True, settings=settings, plan=thermal(settings, ambient_c=0.0))


def relay(stage: Stage, pin: int) -> OutputLine:
    assert stage.running is not None
    return stage.running.lines._outputs[pin]
