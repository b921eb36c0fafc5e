"""Motors that jam, run on, stand still or drop too much; sensors that see nothing; doors.

Field lessons 5 (temoto/vender#1: an optical drop sensor that refunds) and 6 (#2 there: a motor
array on a Raspberry Pi), and 38 as far as the machine goes: light products that fall past the
sensor.
"""

from __future__ import annotations

import pytest

from config.machine import MachineSettings
from config.models import DropSensor
from controller.domain import commands as cmd
from controller.faults import FaultCode
from simulator.oracles import Allowance
from simulator.world import Link
from tests.scenarios.stage import SETTINGS, Stage, play, with_policy

STANDING = {
    "jam": FaultCode.COLUMN_JAMMED,
    "no_start": FaultCode.COLUMN_NO_START,
    "seized": FaultCode.COLUMN_JAMMED,
}
MATRIX, DIRECT = "B2", "A3"
PRICES = {"A1": 150, "A2": 150, "A3": 200, "B1": 180, "B2": 240, "B3": 120, "B4": 50}


async def pay_in(stage: Stage, keys: str) -> None:
    """Put a selection's price in, exactly."""
    left = PRICES[keys]
    for coin in (200, 100, 50, 20, 10):
        while left >= coin:
            await stage.coins(coin)
            left -= coin


def without_sensor(**policy: object) -> MachineSettings:
    """The demo machine without a drop sensor."""
    return with_policy(**policy).model_copy(update={"drop_sensor": DropSensor(fitted=False)})


@pytest.mark.parametrize("column", PRICES)
def test_every_column_delivers_direct_or_in_the_matrix(column: str, link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await pay_in(stage, column)
        await stage.buys(column)
        assert len(stage.products) == 1
        assert stage.spent == PRICES[column]
        assert stage.state.stock.of(column).count == stage.world.cabinet.stock(column)

    play(scenario, link)


@pytest.mark.parametrize("column", [DIRECT, MATRIX])
@pytest.mark.parametrize("fault", STANDING)
def test_a_motor_that_stands_still_gives_the_money_back_and_is_shut_off(
    fault: str, column: str, link: Link
) -> None:
    async def scenario(stage: Stage) -> None:
        stage.breaks(column, fault)
        await pay_in(stage, column)
        await stage.buys(column)
        assert stage.products == []
        assert stage.spent == 0
        assert stage.has_fault(column, STANDING[fault])
        await pay_in(stage, column)
        stage.press(column)
        await stage.passes(3.0)
        assert stage.state.sagas == {}, "not even tried"
        await stage.gives_back()
        stage.mends(column, fault)
        await stage.act(cmd.EnableColumn(column))
        assert not stage.has_fault(column, STANDING[fault])
        await pay_in(stage, column)
        await stage.buys(column)
        assert stage.spent == PRICES[column]

    play(scenario, link)


@pytest.mark.parametrize("column", [DIRECT, MATRIX])
@pytest.mark.parametrize("fault", ["no_home", "home_stuck"])
def test_a_broken_home_switch_with_a_product_that_was_seen_to_drop_is_a_sale(
    fault: str, column: str, link: Link
) -> None:
    async def scenario(stage: Stage) -> None:
        stage.breaks(column, fault)
        await pay_in(stage, column)
        await stage.buys(column)
        assert len(stage.products) == (1 if fault == "no_home" else 0), "not a second one"
        assert stage.spent == len(stage.products) * PRICES[column]
        assert stage.has_fault(
            column,
            FaultCode.COLUMN_NO_HOME if fault == "no_home" else FaultCode.COLUMN_NO_START,
        )

    play(scenario, link)


def test_a_slow_motor_is_no_fault(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        stage.breaks(DIRECT, "slow")
        await pay_in(stage, DIRECT)
        await stage.buys(DIRECT)
        assert stage.products == ["cola"]
        assert stage.state.faults == {}

    play(scenario, link)


@pytest.mark.parametrize("hangs", [1, 2])
def test_a_product_that_hangs_gets_an_extra_turn_and_then_the_money_goes_back(
    hangs: int, link: Link
) -> None:
    async def scenario(stage: Stage) -> None:
        stage.breaks(DIRECT, "hang", hangs)
        await pay_in(stage, DIRECT)
        await stage.buys(DIRECT)
        assert stage.products == (["cola"] if hangs == 1 else [])
        assert stage.spent == (200 if hangs == 1 else 0)
        assert len(stage.records("dispense.intended")) == 2
        assert stage.has_fault(DIRECT, FaultCode.COLUMN_NOT_SEEN) == (hangs == 2)

    play(scenario, link)


def test_another_column_of_the_product_delivers_when_the_first_fails(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        stage.breaks("A1", "jam")
        await pay_in(stage, "A1")
        await stage.buys("A1")
        assert stage.products == ["water"]
        assert stage.spent == 150
        assert [data.column for data in stage.records("dispense.intended")] == ["A1", "A2"]

    play(scenario, link)


def test_a_product_that_hangs_twice_comes_from_the_second_column(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        stage.breaks("A1", "hang", 2)
        before = {column: stage.world.cabinet.stock(column) for column in ("A1", "A2")}
        await pay_in(stage, "A1")
        await stage.buys("A1")
        assert stage.products == ["water"]
        assert [data.column for data in stage.records("dispense.intended")] == ["A1", "A1", "A2"]
        left = {column: stage.world.cabinet.stock(column) for column in before}
        assert left == {**before, "A2": before["A2"] - 1}

    play(scenario, link)


def test_a_column_whose_product_must_not_fall_twice_is_never_turned_again(link: Link) -> None:
    """``extra_turn = false`` of the column's configuration."""

    async def scenario(stage: Stage) -> None:
        stage.breaks("B4", "hang", 1)
        await stage.coins(50)
        await stage.buys("B4")
        assert len(stage.records("dispense.intended")) == 1
        assert stage.products == []
        assert stage.spent == 0

    play(scenario, link)


def test_a_late_drop_is_paid_once_whatever_the_extra_turn_brings(link: Link) -> None:
    """It falls while the extra turn runs: the latch counts to one."""

    async def scenario(stage: Stage) -> None:
        stage.breaks(DIRECT, "late_drop")
        await pay_in(stage, DIRECT)
        await stage.buys(DIRECT)
        assert "cola" in stage.products
        assert stage.spent == 200

    play(scenario, link, judged=False)


def test_a_double_drop_is_paid_once(link: Link) -> None:
    """The latch counts to one, and is not cleared before the outcome is durable."""

    async def scenario(stage: Stage) -> None:
        stage.breaks(DIRECT, "double_drop")
        await pay_in(stage, DIRECT)
        await stage.buys(DIRECT)
        assert stage.products == ["cola", "cola"]
        assert stage.spent == 200

    play(scenario, link, judged=False)


def test_a_product_that_falls_past_the_sensor_is_given_away_not_charged(link: Link) -> None:
    """Field lesson 38: nobody saw it; the customer is right."""

    async def scenario(stage: Stage) -> None:
        stage.breaks(DIRECT, "unseen_drop", 2)
        await pay_in(stage, DIRECT)
        await stage.buys(DIRECT)
        assert stage.spent == 0
        assert stage.has_fault(DIRECT, FaultCode.COLUMN_NOT_SEEN)

    play(scenario, link, allowance=Allowance(blind=True), judged=False)


# ---------------------------------------------------------------------------- the sensor


@pytest.mark.parametrize("fault", ["blind", "blocked", "latch_stuck"])
def test_a_blind_sensor_sells_nothing_until_it_sees_again(fault: str, link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        stage.breaks("sensor", fault)
        await pay_in(stage, DIRECT)
        await stage.buys(DIRECT)
        assert stage.products == []
        assert stage.spent == 0
        assert stage.has_fault("sensor", FaultCode.SENSOR_BLIND)
        await stage.shows("out of")
        await stage.passes(200.0)
        assert stage.faults_raised("sensor") == 1
        stage.mends("sensor", fault)
        await stage.shows("welcome", within_s=60.0)
        await pay_in(stage, DIRECT)
        await stage.buys(DIRECT)
        assert stage.spent == 200

    play(scenario, link)


@pytest.mark.parametrize("mended", [False, True])
def test_a_blind_sensor_is_looked_at_again_after_a_restart(mended: bool, link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        stage.breaks("sensor", "blind")
        await pay_in(stage, DIRECT)
        await stage.buys(DIRECT)
        assert stage.has_fault("sensor", FaultCode.SENSOR_BLIND)
        await stage.kill()
        if mended:
            stage.mends("sensor", "blind")
        await stage.boot()
        await stage.passes(20.0)
        if not mended:
            assert "out of" in stage.screen.lower()
            stage.mends("sensor", "blind")
        await stage.shows("welcome", within_s=60.0)
        await pay_in(stage, DIRECT)
        await stage.buys(DIRECT)
        assert stage.spent == 200

    play(scenario, link)


@pytest.mark.parametrize("rule", ["refund", "charge"])
@pytest.mark.parametrize("fault", ["blocked", "latch_stuck"])
def test_a_latch_that_sticks_before_the_motor_turns_is_a_failed_vend_whatever_the_rule(
    fault: str, rule: str, link: Link
) -> None:
    """Its motor had no current: nobody needs to decide whether something fell."""

    async def scenario(stage: Stage) -> None:
        await pay_in(stage, DIRECT)
        stage.disk.sync_latency = lambda: 1.0  # between the look at the sensor and the turn
        stage.press(DIRECT)
        await stage.until(lambda: "dispense" in stage.intents)
        stage.breaks("sensor", fault)
        await stage.closes()
        stage.disk.sync_latency = None
        await stage.quiet()
        assert stage.products == []
        assert stage.spent == 0
        assert stage.flags == []
        assert stage.has_fault("sensor", FaultCode.SENSOR_BLIND)
        stage.mends("sensor", fault)
        await stage.shows("welcome", within_s=60.0)
        await pay_in(stage, DIRECT)
        await stage.buys(DIRECT)
        assert stage.spent == 200

    play(scenario, link, settings=with_policy(on_unknown=rule))


@pytest.mark.parametrize("late_s", [0.5, 1.0, 1.9])
def test_a_sensor_that_dies_in_mid_turn_leaves_the_rule_to_decide(
    late_s: float, link: Link
) -> None:
    async def scenario(stage: Stage) -> None:
        await pay_in(stage, DIRECT)
        stage.press(DIRECT)
        await stage.until(lambda: "dispense" in stage.intents)
        await stage.passes(late_s)
        stage.breaks("sensor", "blind")
        await stage.closes()
        await stage.quiet()
        assert stage.has_fault("sensor", FaultCode.SENSOR_BLIND)
        assert "drop not known" in stage.flags
        assert stage.spent == 0, "the default: the customer is right"
        stage.mends("sensor", "blind")
        await stage.shows("welcome", within_s=60.0)

    play(scenario, link, allowance=Allowance(blind=True))


@pytest.mark.parametrize("rule", ["refund", "charge"])
def test_without_a_sensor_the_rule_decides_and_each_vend_is_flagged(rule: str, link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await pay_in(stage, DIRECT)
        await stage.buys(DIRECT)
        assert stage.products == ["cola"]
        assert stage.spent == (200 if rule == "charge" else 0)
        assert stage.flags == ["drop not known"]
        assert stage.state.stock.of(DIRECT).uncertain

    play(scenario, link, settings=without_sensor(on_unknown=rule), allowance=Allowance(blind=True))


@pytest.mark.parametrize("fault", ["jam", "no_start"])
def test_without_a_sensor_a_motor_that_never_turned_is_known_to_have_failed(
    fault: str, link: Link
) -> None:
    async def scenario(stage: Stage) -> None:
        stage.breaks(DIRECT, fault)
        await pay_in(stage, DIRECT)
        await stage.buys(DIRECT)
        assert stage.spent == 0
        assert stage.flags == []

    play(scenario, link, settings=without_sensor(on_unknown="charge"))


# -------------------------------------------------------------------------- door and stock


@pytest.mark.parametrize("late_s", [0.2, 1.0, 1.95])
def test_a_door_that_opens_in_mid_vend_stops_the_motor_and_the_money_goes_back(
    late_s: float, link: Link
) -> None:
    async def scenario(stage: Stage) -> None:
        await pay_in(stage, DIRECT)
        stage.press(DIRECT)
        await stage.until(lambda: "dispense" in stage.intents)
        await stage.passes(late_s)
        stage.world.cabinet.set_door(True)
        await stage.closes()
        await stage.shows("out of")
        await stage.passes(30.0)
        assert stage.faults_raised("door") == 1
        stage.world.cabinet.set_door(False)
        await stage.shows("welcome")
        assert stage.spent == (200 if stage.products else 0)
        await pay_in(stage, "B4")
        await stage.buys("B4")

    play(scenario, link)


def test_a_door_that_opens_over_a_credit_gives_it_back_when_it_is_asked_for(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.coins(100)
        stage.world.cabinet.set_door(True)
        await stage.shows("out of")
        stage.press("A1")
        await stage.passes(5.0)
        stage.world.cabinet.set_door(False)
        await stage.shows("1.00")
        await stage.gives_back()
        assert stage.spent == 0

    play(scenario, link)


def test_a_machine_that_sells_nothing_says_whose_credit_it_has(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.coins(100)
        stage.world.cabinet.set_door(True)
        await stage.shows("we owe you")
        await stage.shows("1.00")
        stage.press("*")
        await stage.until(lambda: not stage.credit)
        await stage.until(lambda: "owe" not in stage.screen.lower())
        await stage.shows("out of")
        assert stage.spent == 0

    play(scenario, link)


def test_a_column_that_says_it_is_empty_is_sold_out_at_once(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        stage.world.cabinet.empty(DIRECT)
        await pay_in(stage, DIRECT)
        await stage.buys(DIRECT)
        assert stage.products == []
        assert stage.spent == 0
        assert stage.has_fault(DIRECT, FaultCode.COLUMN_EMPTY)
        stage.press(DIRECT)
        await stage.shows("sold out")
        stage.world.cabinet.load(DIRECT)
        await stage.act(cmd.FillStock(DIRECT))
        assert not stage.has_fault(DIRECT, FaultCode.COLUMN_EMPTY)
        await pay_in(stage, DIRECT)
        await stage.buys(DIRECT)
        assert stage.spent == 200

    play(scenario, link)


def test_the_last_product_sells_and_then_it_is_sold_out(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.act(cmd.SetStock("B3", 1))
        stage.world.cabinet.empty("B3")
        stage.world.cabinet.load("B3", 1)
        await pay_in(stage, "B3")
        await stage.buys("B3")
        assert stage.products == ["bar"]
        stage.press("B3")
        await stage.shows("sold out")

    play(scenario, link)


@pytest.mark.parametrize("cut", ["kill", "power"])
@pytest.mark.parametrize("late_s", [0.3, 1.5, 1.95, 2.3])
def test_an_end_in_mid_turn_leaves_no_motor_on_and_the_money_right(
    cut: str, late_s: float, link: Link
) -> None:
    async def scenario(stage: Stage) -> None:
        await pay_in(stage, DIRECT)
        stage.press(DIRECT)
        await stage.until(lambda: "dispense" in stage.intents)
        await stage.passes(late_s)
        if cut == "kill":
            await stage.kill()
        else:
            await stage.cut_power()
            await stage.passes_without(1.0)
            await stage.restore_power()
        assert stage.world.board.outputs_on() == ()
        await stage.opens()
        await stage.quiet()
        if cut == "kill":
            assert stage.spent == (200 if stage.products else 0)
        else:
            assert stage.spent in (0, 200)

    play(scenario, link, allowance=Allowance(blind=cut == "power"))


def test_the_demo_settings_are_what_these_scenarios_think(link: Link) -> None:
    del link
    assert {c.selection: SETTINGS.price_of(c) for c in SETTINGS.columns} == PRICES


@pytest.mark.parametrize("fitted", [True, False])
def test_a_motor_test_counts_what_nobody_saw_as_gone(fitted: bool, link: Link) -> None:
    """Else one too many would be sold, and charged, where nobody can see that nothing falls."""

    async def scenario(stage: Stage) -> None:
        await stage.act(cmd.EnterService())
        if fitted:
            stage.breaks("sensor", "blind")
        said = await stage.act(cmd.TryMotor(DIRECT))
        assert said["outcome"] == ("blind" if fitted else "unknown")
        await stage.passes(2.0)  # a product falls
        assert stage.state.stock.of(DIRECT).count == stage.world.cabinet.stock(DIRECT)

    settings = SETTINGS if fitted else without_sensor(on_unknown="charge")
    play(scenario, link, settings=settings, judged=False)
