"""What the compressor, the heater and the light should do, as pure functions."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.domain.climate import (
    ClimatePlan,
    Cooler,
    Cooling,
    Defrost,
    Heater,
    Heating,
    Light,
    Phase,
    Plausible,
    Thermometer,
    deadline_s,
    light_on,
    next_heater,
    next_phase,
)
from controller.domain.health import HealthRule, due_s

COOLING = Cooling(3.0, 1.5, min_on_s=100.0, min_off_s=300.0, max_on_s=5_000.0)
DEFROST = Defrost(every_s=3_600.0, for_s=600.0, end_c=8.0, sensor="evaporator", heated=True)
PLAN = ClimatePlan("cabin", (Plausible("cabin"),), COOLING, DEFROST, Heating(5.0))


def after(cooler: Cooler, now_s: float, cabinet_c: float | None, **more: float | None) -> Phase:
    given_ = {"defrost_c": None, "door_open_s": None} | more
    return next_phase(PLAN, cooler, cabinet_c=cabinet_c, now_s=now_s, **given_)[0]


@pytest.mark.parametrize(
    ("rested_s", "celsius", "phase"),
    [
        (299.9, 20.0, Phase.OFF), (300.0, 4.5, Phase.COOLING), (300.0, 4.4, Phase.OFF),
        (1_199.0, None, Phase.OFF), (1_200.0, None, Phase.COOLING),
    ],
)  # fmt: skip
def test_a_compressor_that_rests(rested_s: float, celsius: float | None, phase: Phase) -> None:
    assert after(Cooler(off_since_s=0.0), rested_s, celsius) is phase


@pytest.mark.parametrize(
    ("ran_s", "celsius", "phase"),
    [
        (99.9, -20.0, Phase.COOLING), (100.0, 3.0, Phase.OFF), (100.0, 3.1, Phase.COOLING),
        (599.0, None, Phase.COOLING), (600.0, None, Phase.OFF), (5_000.0, 20.0, Phase.OFF),
        (3_600.0, 20.0, Phase.DEFROSTING),
    ],
)  # fmt: skip
def test_a_compressor_that_runs(ran_s: float, celsius: float | None, phase: Phase) -> None:
    assert after(Cooler(Phase.COOLING), ran_s, celsius) is phase


@pytest.mark.parametrize(
    ("lasted_s", "frost_c", "phase"),
    [
        (1.0, 7.9, Phase.DEFROSTING), (1.0, 8.0, Phase.OFF), (599.0, None, Phase.DEFROSTING),
        (600.0, None, Phase.OFF), (1.0, 0.0, Phase.DEFROSTING),
    ],
)  # fmt: skip
def test_a_defrost(lasted_s: float, frost_c: float | None, phase: Phase) -> None:
    cooler = Cooler(Phase.DEFROSTING)
    assert after(cooler, lasted_s, 20.0, defrost_c=frost_c) is phase


def test_an_open_door_keeps_it_off_for_ten_minutes() -> None:
    assert after(Cooler(), 400.0, 20.0, door_open_s=0.0) is Phase.OFF
    assert after(Cooler(), 1_000.0, 20.0, door_open_s=600.0) is Phase.COOLING


@given(
    st.lists(
        st.tuples(st.floats(0.0, 2_000.0), st.none() | st.floats(-20.0, 40.0)),
        max_size=60,
    )
)
def test_whatever_is_read_no_run_and_no_rest_is_too_short(
    story: list[tuple[float, float | None]],
) -> None:
    now, cooler = 0.0, Cooler()
    started, stopped = None, 0.0
    for wait, celsius in story:
        now += wait
        phase = after(cooler, now, celsius, defrost_c=celsius)
        if phase is cooler.phase:
            continue
        if phase is Phase.COOLING:
            assert now - stopped >= COOLING.min_off_s
            started = now
        elif cooler.phase is Phase.COOLING:
            assert started is not None
            assert now - started >= COOLING.min_on_s
            stopped = now
        cooler = Cooler(
            phase,
            now,
            now if cooler.phase is Phase.COOLING else cooler.off_since_s,
            now if cooler.phase is Phase.DEFROSTING else cooler.defrosted_s,
        )
        assert deadline_s(PLAN, cooler, now) > now


def test_a_time_that_is_over_is_over_when_its_deadline_says_so() -> None:
    """As floats a difference may fall short of what was added."""
    for millis in range(1_000_000, 1_001_000):
        defrosting = Cooler(Phase.DEFROSTING, since_s=millis / 1_000)
        end_s = deadline_s(PLAN, defrosting, millis / 1_000)
        assert end_s == millis / 1_000 + 600.0
        assert after(defrosting, end_s, 3.0) is not Phase.DEFROSTING, millis


def test_a_heater_heats_only_what_is_measured_and_rests_after_its_longest_run() -> None:
    on = next_heater(PLAN, Heater(), 4.0, 10.0)
    assert on == Heater(on=True, since_s=10.0)
    assert next_heater(PLAN, on, 4.9, 20.0) is on
    assert next_heater(PLAN, on, 5.0, 20.0) == Heater(on=False, since_s=20.0)
    assert next_heater(PLAN, on, None, 20.0) == Heater(on=False, since_s=20.0)
    tired = next_heater(PLAN, on, 4.0, 3_610.0)
    assert tired == Heater(on=False, since_s=3_610.0, resting=True)
    assert next_heater(PLAN, on, None, 3_610.0) == tired, "the thermometer dies just then"
    assert next_heater(PLAN, tired, 0.0, 3_669.0) is tired
    assert next_heater(PLAN, tired, 0.0, 3_670.0).on


@pytest.mark.parametrize(
    ("start", "end", "hour", "on"),
    [
        (360, 1_320, 5, False), (360, 1_320, 6, True), (360, 1_320, 22, False),
        (1_320, 360, 23, True), (1_320, 360, 3, True), (1_320, 360, 12, False),
    ],
)  # fmt: skip
def test_a_light_keeps_its_hours(start: int, end: int, hour: int, on: bool) -> None:
    light = Light("schedule", start, end)
    wall = datetime(2026, 11, 21, hour, tzinfo=UTC)
    assert light_on(light, wall, door_open=False) is on
    assert light_on(light, wall, door_open=True)


def test_a_light_keeps_its_hours_where_it_hangs() -> None:
    light = Light("schedule", 360, 1_320, ZoneInfo("Asia/Tokyo"))
    assert not light_on(light, datetime(2026, 11, 21, 15, tzinfo=UTC), door_open=False)


def test_a_reading_that_fails_is_forgiven_for_a_minute() -> None:
    thermometer = Thermometer(Plausible("cabin"), 0.0)
    thermometer.take(4.0, "", 1.0)
    thermometer.take(None, "its checksum is wrong", 50.0)
    assert thermometer.celsius(60.9) == 4.0
    assert thermometer.celsius(61.0) is None
    assert thermometer.lost(61.0) == "its checksum is wrong"


def test_a_reading_out_of_range_or_stuck_is_none() -> None:
    thermometer = Thermometer(Plausible("cabin", -10.0, 50.0, stuck_s=600.0), 0.0)
    thermometer.take(140.0, "", 10.0)
    assert thermometer.lost(60.0) == "140 °C is out of range"
    for second in range(100, 800, 50):
        thermometer.take(4.0, "", float(second))
    assert thermometer.lost(700.0) == "4 °C for 600 s"
    thermometer.take(4.1, "", 800.0)
    assert thermometer.celsius(801.0) == 4.1


def test_a_timer_runs_from_what_ends_later() -> None:
    rule = HealthRule("A1", "cabin", 5.0, hot=False, allowed_s=900.0, after_filling_s=1_800.0)
    assert due_s(rule, 1_000.0, None) == 1_900.0
    assert due_s(rule, 1_000.0, 500.0) == 2_300.0
    assert due_s(rule, 3_000.0, 500.0) == 3_900.0
    assert not rule.wrong(5.0)
    assert rule.wrong(5.01)
