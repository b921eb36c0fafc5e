"""The dispenser on simulated motors: what happened is told apart, and the motor is off after."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from config.models import DirectMotor
from config.pins import Pin
from controller.faults import InvariantError
from controller.ports import DispenseOutcome as Outcome
from controller.ports import DispenseResult, SensorCheck
from drivers.dispenser.turn import TurnTimes

Play = Callable[[Any, Any], Any]
MOTOR, HOME = 5, 16


async def vend(bench: Any, column: str = "A1") -> DispenseResult:
    assert await bench.dispenser.check_sensor(column) is SensorCheck.READY
    result: DispenseResult = await bench.dispenser.turn(column)
    return result


def test_a_product_that_falls_past_the_sensor_is_dropped(direct: Any, play: Play) -> None:
    result = play(direct, vend)
    assert result.outcome is Outcome.DROPPED
    assert (result.drops, result.detail) == (1, "")
    assert result.run_s == pytest.approx(2.01, abs=0.001)
    assert direct.fallen == 1


def test_the_motor_stops_at_home(direct: Any, play: Play) -> None:
    play(direct, vend)
    assert direct.turns("A1") == 1
    assert direct.cabinet.spirals["A1"].at_home


def test_an_active_low_home_switch_reads_the_same(direct: Any, play: Play) -> None:
    result = play(direct, lambda bench: vend(bench, "A2"))
    assert result.outcome is Outcome.DROPPED
    assert direct.turns("A2") == 1
    assert direct.turns("A1") == 0


@pytest.mark.parametrize(
    ("fault", "sensed", "outcome"),
    [
        ("hang", True, Outcome.NOT_SEEN),
        ("unseen_drop", True, Outcome.NOT_SEEN),
        ("late_drop", True, Outcome.NOT_SEEN),
        ("jam", True, Outcome.JAMMED),
        ("jam", False, Outcome.JAMMED),
        ("seized", True, Outcome.JAMMED),
        ("seized", False, Outcome.NO_START),
        ("no_start", True, Outcome.NO_START),
        ("no_start", False, Outcome.NO_START),
        ("home_stuck", True, Outcome.NO_START),
    ],
)
def test_what_went_wrong_is_told_apart(
    direct: Any, play: Play, fault: str, sensed: bool, outcome: Outcome
) -> None:
    async def story(bench: Any) -> DispenseResult:
        bench.breaks("A1", **{fault: 1})
        return await vend(bench)

    result = play(replace(direct, sensed=sensed), story)
    assert result.outcome is outcome
    assert result.drops == 0


def test_an_empty_spiral_whose_home_switch_is_broken_never_comes_home(
    direct: Any, play: Play
) -> None:
    async def story(bench: Any) -> DispenseResult:
        bench.cabinet.empty("A1")
        bench.breaks("A1", no_home=True)
        return await vend(bench)

    result = play(direct, story)
    assert result.outcome is Outcome.NO_HOME
    assert result.run_s == pytest.approx(5.0)


def test_a_product_that_fell_is_delivered_although_home_never_came(direct: Any, play: Play) -> None:
    async def story(bench: Any) -> DispenseResult:
        bench.breaks("A1", no_home=True)
        return await vend(bench)

    result = play(direct, story)
    assert result.outcome is Outcome.DROPPED
    assert result.detail == "no_home"


def test_a_slow_motor_gets_its_time(direct: Any, play: Play) -> None:
    async def story(bench: Any) -> DispenseResult:
        bench.breaks("A1", slow=True)
        return await vend(bench)

    result = play(direct, story)
    assert result.outcome is Outcome.DROPPED
    assert result.run_s == pytest.approx(3.61, abs=0.001)


def test_without_a_sensor_a_whole_turn_has_an_unknown_outcome(direct: Any, play: Play) -> None:
    async def story(bench: Any) -> tuple[SensorCheck, DispenseResult, Any]:
        check = await bench.dispenser.check_sensor("A1")
        return check, await bench.dispenser.turn("A1"), await bench.dispenser.evidence("A1")

    check, result, evidence = play(replace(direct, fitted=False), story)
    assert check is SensorCheck.NOT_FITTED
    assert result.outcome is Outcome.UNKNOWN
    assert (evidence.latched, evidence.at_home) == (None, True)


def test_without_a_sensor_a_jam_is_still_a_jam(direct: Any, play: Play) -> None:
    async def story(bench: Any) -> DispenseResult:
        bench.breaks("A1", jam=True)
        result: DispenseResult = await bench.dispenser.turn("A1")
        return result

    assert play(replace(direct, fitted=False), story).outcome is Outcome.JAMMED


def test_the_columns_own_switch_says_empty_and_nothing_turns(direct: Any, play: Play) -> None:
    async def story(bench: Any) -> DispenseResult:
        bench.cabinet.empty("A2")
        return await vend(bench, "A2")

    result = play(direct, story)
    assert result == DispenseResult(Outcome.EMPTY)
    assert direct.turns("A2") == 0


def test_a_blind_sensor_is_found_before_the_vend(direct: Any, play: Play) -> None:
    async def story(bench: Any) -> SensorCheck:
        bench.breaks_sensor(blind=True)
        check: SensorCheck = await bench.dispenser.check_sensor("A1")
        return check

    assert play(direct, story) is SensorCheck.BLIND


@pytest.mark.parametrize("fault", ["blocked", "latch_stuck"])
def test_a_latch_that_cannot_be_cleared_is_as_good_as_blind(
    direct: Any, play: Play, fault: str
) -> None:
    async def story(bench: Any) -> SensorCheck:
        bench.breaks_sensor(**{fault: True})
        check: SensorCheck = await bench.dispenser.check_sensor("A1")
        return check

    assert play(direct, story) is SensorCheck.BLIND


def test_a_sensor_that_dies_in_mid_vend_is_blind_and_not_a_missed_drop(
    direct: Any, play: Play
) -> None:
    async def story(bench: Any) -> DispenseResult:
        loop = asyncio.get_running_loop()
        loop.call_later(1.0, lambda: bench.breaks_sensor(blind=True))
        return await vend(bench)

    assert play(direct, story).outcome is Outcome.BLIND


def test_a_turn_after_a_failed_check_can_only_be_blind(direct: Any, play: Play) -> None:
    async def story(bench: Any) -> DispenseResult:
        bench.breaks_sensor(blind=True)
        await bench.dispenser.check_sensor("A1")
        bench.breaks_sensor(blind=False)
        bench.breaks("A1", hang=1)
        result: DispenseResult = await bench.dispenser.turn("A1")
        return result

    assert play(direct, story).outcome is Outcome.BLIND


def test_what_fell_before_the_turn_is_cleared_and_is_not_taken_for_its_product(
    direct: Any, play: Play
) -> None:
    async def story(bench: Any) -> DispenseResult:
        await bench.dispenser.check_sensor("A1")
        bench.cabinet.sensor.enter()
        bench.cabinet.sensor.leave()
        bench.breaks("A1", hang=1)
        result: DispenseResult = await bench.dispenser.turn("A1")
        return result

    assert play(direct, story).outcome is Outcome.NOT_SEEN
    assert direct.turns("A1") == 1


@pytest.mark.parametrize("fault", ["blocked", "latch_stuck"])
def test_a_latch_that_stays_on_before_the_turn_is_blind_and_nothing_turns(
    fault: str, direct: Any, play: Play
) -> None:
    async def story(bench: Any) -> DispenseResult:
        await bench.dispenser.check_sensor("A1")
        bench.breaks_sensor(**{fault: True})
        result: DispenseResult = await bench.dispenser.turn("A1")
        return result

    result = play(direct, story)
    assert (result.outcome, result.run_s) == (Outcome.BLIND, 0.0)
    assert direct.turns("A1") == 0


def test_what_falls_before_another_column_turns_may_be_of_the_first(
    direct: Any, play: Play
) -> None:
    async def story(bench: Any) -> DispenseResult:
        bench.breaks("A1", hang=1)
        assert (await vend(bench)).outcome is Outcome.NOT_SEEN
        await bench.dispenser.check_sensor("A2", again=True)
        bench.cabinet.sensor.enter()
        bench.cabinet.sensor.leave()
        result: DispenseResult = await bench.dispenser.turn("A2")
        return result

    result = play(direct, story)
    assert (result.outcome, result.run_s) == (Outcome.BLIND, 0.0)
    assert direct.turns("A2") == 0


def test_a_product_that_falls_late_saves_the_extra_turn(direct: Any, play: Play) -> None:
    async def story(bench: Any) -> tuple[DispenseResult, DispenseResult]:
        bench.breaks("A1", late_drop=1)
        first = await vend(bench)
        await asyncio.sleep(4)
        return first, await bench.dispenser.turn("A1", extra=True)

    first, second = play(direct, story)
    assert first.outcome is Outcome.NOT_SEEN
    assert second == DispenseResult(Outcome.DROPPED, drops=1, detail="fell late")
    assert direct.fallen == 1


def test_what_hangs_after_a_turn_falls_before_the_next_vend_looks(direct: Any, play: Play) -> None:
    async def story(bench: Any) -> DispenseResult:
        bench.breaks("A1", late_drop=1)
        assert (await vend(bench)).outcome is Outcome.NOT_SEEN
        bench.breaks("A2", seized=True)
        return await vend(bench, "A2")

    assert play(direct, story).outcome is Outcome.JAMMED
    assert direct.fallen == 1


def test_another_column_of_the_same_vend_is_not_waited_for(direct: Any, play: Play) -> None:
    async def story(bench: Any) -> float:
        bench.breaks("A1", hang=1)
        assert (await vend(bench)).outcome is Outcome.NOT_SEEN
        loop = asyncio.get_running_loop()
        asked = loop.time()
        assert await bench.dispenser.check_sensor("A2", again=True) is SensorCheck.READY
        return loop.time() - asked

    assert play(direct, story) < 0.5


def test_the_extra_turn_delivers_the_next_product(direct: Any, play: Play) -> None:
    async def story(bench: Any) -> DispenseResult:
        bench.breaks("A1", hang=1)
        assert (await vend(bench)).outcome is Outcome.NOT_SEEN
        result: DispenseResult = await bench.dispenser.turn("A1", extra=True)
        return result

    assert play(direct, story).outcome is Outcome.DROPPED
    assert direct.turns("A1") == 2


def test_a_door_that_opens_stops_the_motor(direct: Any, play: Play) -> None:
    async def story(bench: Any) -> DispenseResult:
        asyncio.get_running_loop().call_later(0.7, bench.cabinet.set_door, True)
        return await vend(bench)

    result = play(direct, story)
    assert result.outcome is Outcome.DOOR_OPENED
    assert result.run_s == pytest.approx(0.71)


def test_a_drop_before_the_door_opened_counts(direct: Any, play: Play) -> None:
    async def story(bench: Any) -> DispenseResult:
        asyncio.get_running_loop().call_later(1.9, bench.cabinet.set_door, True)
        return await vend(bench)

    result = play(direct, story)
    assert (result.outcome, result.detail) == (Outcome.DROPPED, "door_opened")


def test_with_an_open_door_a_technician_can_test_a_motor(direct: Any, play: Play) -> None:
    async def story(bench: Any) -> DispenseResult:
        bench.cabinet.set_door(True)
        return await vend(bench)

    assert play(direct, story).outcome is Outcome.DROPPED


def test_a_spiral_that_stands_off_home_is_turned_home(direct: Any, play: Play) -> None:
    async def story(bench: Any) -> DispenseResult:
        bench.cabinet.spirals["A1"].put(0.5)
        return await vend(bench)

    result = play(direct, story)
    assert result.outcome is Outcome.DROPPED
    assert result.run_s == pytest.approx(1.01, abs=0.001)


def test_without_a_home_switch_the_turns_length_decides(direct: Any, play: Play) -> None:
    lone = direct.columns[0].model_copy(update={"home": None})
    result = play(replace(direct, columns=(lone,)), vend)
    assert result.outcome is Outcome.DROPPED
    assert result.run_s == pytest.approx(2.0)


def test_a_bouncing_home_switch_is_no_turn(direct: Any, play: Play) -> None:
    async def story(bench: Any) -> DispenseResult:
        loop = asyncio.get_running_loop()
        for index in range(20):  # as it leaves, and again in mid turn
            for at in (0.2, 1.2):
                loop.call_later(at + index * 0.002, bench.board.drive, HOME, bool(index % 2))
        loop.call_later(1.2 + 0.04, bench.board.drive, HOME, False)
        return await vend(bench)

    assert play(direct, story).run_s == pytest.approx(2.01, abs=0.001)


def test_a_cancelled_turn_leaves_the_motor_off(direct: Any, play: Play) -> None:
    async def story(bench: Any) -> None:
        await bench.dispenser.check_sensor("A1")
        turn = asyncio.create_task(bench.dispenser.turn("A1"))
        await asyncio.sleep(0.5)
        assert bench.board.is_on(MOTOR)
        turn.cancel()
        with pytest.raises(asyncio.CancelledError):
            await turn
        assert not bench.board.is_on(MOTOR)
        # and the next customer is served
        assert (await vend(bench)).outcome is Outcome.DROPPED

    play(direct, story)


def test_an_exception_in_mid_turn_leaves_the_motor_off(direct: Any, play: Play) -> None:
    class BrokenClock:
        calls = 0

        def monotonic_s(self) -> float:
            BrokenClock.calls += 1
            if BrokenClock.calls > 3:
                raise RuntimeError("a bug")
            return asyncio.get_running_loop().time()

    async def story(bench: Any) -> None:
        await bench.dispenser.check_sensor("A1")
        bench.dispenser._clock = BrokenClock()
        with pytest.raises(RuntimeError, match="a bug"):
            await bench.dispenser.turn("A1")
        assert any(edge.pin == MOTOR and edge.level for edge in bench.board.edges)
        assert not bench.board.is_on(MOTOR)

    play(direct, story)


def test_all_off_in_mid_turn_stops_the_motor_at_once(direct: Any, play: Play) -> None:
    async def story(bench: Any) -> None:
        await bench.dispenser.check_sensor("A1")
        turn = asyncio.create_task(bench.dispenser.turn("A1"))
        await asyncio.sleep(0.5)
        bench.dispenser.all_off()
        assert bench.board.outputs_on() == ()
        turn.cancel()

    play(direct, story)


def test_a_turn_that_outlives_its_limit_is_cut_by_the_watch(direct: Any, play: Play) -> None:
    async def story(bench: Any) -> DispenseResult:
        hardware = bench.dispenser._columns["A1"]
        forgetful = replace(hardware, times=TurnTimes(turn_s=2.0, max_on_s=60.0, start_s=1.0))
        bench.dispenser._columns = {"A1": forgetful}
        bench.cabinet.empty("A1")
        bench.breaks("A1", no_home=True)
        return await vend(bench)

    result = play(direct, story)
    assert (result.outcome, result.detail) == (Outcome.NO_HOME, "on for 5.25 s")
    assert result.run_s == pytest.approx(5.25)


def test_two_turns_at_once_run_one_after_the_other(direct: Any, play: Play) -> None:
    async def story(bench: Any) -> list[DispenseResult]:
        await bench.dispenser.check_sensor("A1")
        both = [asyncio.create_task(bench.dispenser.turn(name)) for name in ("A1", "A2")]
        await asyncio.sleep(0.1)
        assert bench.board.outputs_on() == (MOTOR,)
        return list(await asyncio.gather(*both))

    first, second = play(direct, story)
    assert first.outcome is Outcome.DROPPED
    assert second.outcome is Outcome.DROPPED  # its latch was cleared in front of it


def test_an_unknown_column_is_our_own_bug(direct: Any, play: Play) -> None:
    async def story(bench: Any) -> None:
        with pytest.raises(InvariantError, match="Z9"):
            await bench.dispenser.turn("Z9")

    play(direct, story)


# ------------------------------------------------------------------------------------ evidence


def test_evidence_of_a_drop_survives_the_death_of_vendd(direct: Any, play: Play) -> None:
    async def story(bench: Any) -> Any:
        await bench.dispenser.check_sensor("A1")
        turn = asyncio.create_task(bench.dispenser.turn("A1"))
        await asyncio.sleep(2.005)  # dropped, not yet at home
        turn.cancel()
        await asyncio.sleep(1)
        bench.restart()
        return await bench.dispenser.evidence("A1")

    evidence = play(direct, story)
    assert (evidence.latched, evidence.at_home) == (True, True)


def test_evidence_of_no_drop_and_a_motor_off_home(direct: Any, play: Play) -> None:
    async def story(bench: Any) -> Any:
        await bench.dispenser.check_sensor("A1")
        turn = asyncio.create_task(bench.dispenser.turn("A1"))
        await asyncio.sleep(1.0)
        turn.cancel()
        await asyncio.sleep(1)
        bench.restart()
        first = await bench.dispenser.evidence("A1")
        assert first == await bench.dispenser.evidence("A1")  # asking changes nothing
        return first

    evidence = play(direct, story)
    assert (evidence.latched, evidence.at_home) == (False, False)


def test_a_sensor_that_is_blind_at_boot_can_say_nothing(direct: Any, play: Play) -> None:
    async def story(bench: Any) -> Any:
        bench.breaks_sensor(blind=True)
        return await bench.dispenser.evidence("A1")

    assert play(direct, story).latched is None


def test_after_a_power_cut_the_latch_can_say_nothing_until_the_next_check(
    direct: Any, play: Play
) -> None:
    async def story(bench: Any) -> tuple[Any, Any]:
        before = await bench.dispenser.evidence("A1")
        await bench.dispenser.check_sensor("A1")
        return before, await bench.dispenser.evidence("A1")

    before, after = play(replace(direct, latch_lost=True), story)
    assert (before.latched, after.latched) == (None, False)


def test_a_death_at_any_pin_edge_of_the_self_test_leaves_no_false_drop(
    direct: Any, play: Play
) -> None:
    """The test after a turn and the one at boot: killed before each edge, then made safe."""

    def killed_at(edge: int) -> bool:
        async def story(bench: Any) -> bool:
            await bench.dispenser.check_sensor("A1")
            bench.board.edges.clear()
            factory = bench.pins
            test = asyncio.create_task(bench.dispenser._sensor.still_sees())

            def count(_: Any) -> None:
                if len(bench.board.edges) == edge:
                    factory.abandon()

            bench.board.on_edge = count
            await asyncio.sleep(1)
            test.cancel()
            bench.board.on_edge = None
            killed = not factory.transport.alive
            bench.restart()  # every output is driven safe as it is opened
            assert (await bench.dispenser.evidence("A1")).latched is not True
            return killed

        result: bool = play(replace(direct), story)
        return result

    assert [killed_at(edge) for edge in range(1, 8)] == [True] * 6 + [False]


# -------------------------------------------------------------------------------------- matrix


def test_a_matrix_turns_the_one_motor_at_its_crossing(crossed: Any, play: Play) -> None:
    async def story(bench: Any) -> list[DispenseResult]:
        return [await vend(bench, name) for name in ("A1", "B2", "A2", "B1")]

    results = play(crossed, story)
    assert [r.outcome for r in results] == [Outcome.DROPPED] * 4
    assert [crossed.turns(name) for name in ("A1", "A2", "B1", "B2")] == [1, 1, 1, 1]
    on_together = set()
    on: set[int] = set()
    for edge in crossed.board.edges:
        if edge.driven and edge.pin in (30, 31, 40, 41):
            (on.add if edge.level else on.discard)(edge.pin)
            on_together.add(frozenset(on))
    assert max(map(len, on_together)) == 2


def test_cams_on_one_wire_say_nothing_while_nothing_runs(crossed: Any, play: Play) -> None:
    async def story(bench: Any) -> Any:
        return await bench.dispenser.evidence("A1")

    assert play(crossed, story).at_home is None


def test_a_cancelled_matrix_turn_releases_both_lines(crossed: Any, play: Play) -> None:
    async def story(bench: Any) -> None:
        await bench.dispenser.check_sensor("B2")
        turn = asyncio.create_task(bench.dispenser.turn("B2"))
        await asyncio.sleep(0.3)
        assert bench.board.outputs_on() == (31, 41)
        turn.cancel()
        with pytest.raises(asyncio.CancelledError):
            await turn
        assert bench.board.outputs_on() == ()
        assert (await vend(bench, "A1")).outcome is Outcome.DROPPED

    play(crossed, story)


def test_two_motors_of_a_matrix_at_once_are_our_own_bug(crossed: Any, play: Play) -> None:
    async def story(bench: Any) -> None:
        one = bench.dispenser._columns["A1"].motor
        other = bench.dispenser._columns["B2"].motor
        one.on(on_cut=lambda: None)
        try:
            with pytest.raises(InvariantError, match="two motors"):
                other.on(on_cut=lambda: None)
        finally:
            one.off()

    play(crossed, story)


def test_a_motor_pin_that_is_used_twice_is_refused(direct: Any, play: Play) -> None:
    from controller.faults import ConfigError

    twice = direct.columns[1].model_copy(
        update={"motor": DirectMotor(type="direct", pin=Pin(MOTOR))}
    )

    async def story(bench: Any) -> None:
        bench.start()

    with pytest.raises(ConfigError, match="the motor of column A1"):
        play(replace(direct, columns=(direct.columns[0], twice)), story)
