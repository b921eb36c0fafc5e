"""Food that was too warm for too long is not sold, until a technician has served it.

Limits that rules set (Okla. Admin. Code 310:257-7-36, Minn. Rules 4626.0615): cold food above 5 °C
for 15 minutes, 30 after a filling; hot food below 57 °C for 120 minutes; through power cuts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from config.climate import Health
from controller.domain import commands as cmd
from controller.faults import FaultCode
from controller.machine.inputs import CommandRefused
from simulator.world import Link
from tests.climate_kit import cooled, thermal
from tests.scenarios import card_kit
from tests.scenarios.stage import SETTINGS, Stage, play

ALLOWED_S, FILLED_S = 60.0, 120.0
COLA = Health(products=("cola",), above_c=5.0, allowed_s=ALLOWED_S, after_filling_s=FILLED_S)
PLAIN = cooled(health=(COLA,))
SHOWN = "Not for sale: temperature"


def warm(stage: Stage, celsius: float = 12.0) -> None:
    assert stage.world.cabin is not None
    stage.world.cabin.put(celsius)


def held(stage: Stage) -> bool:
    return stage.state.climate.unhealthy == ["A3"]


async def comes(stage: Stage, done: Callable[[], bool], within_s: float) -> float:
    """Wait for something, with a look every second; return how long it took."""
    begun = stage.loop.time()
    while not done() and stage.loop.time() < begun + within_s:
        assert not stage.ended
        await asyncio.sleep(1.0)
    assert done(), f"not within {within_s} s"
    return stage.loop.time() - begun


async def past_the_first_cool_down(stage: Stage) -> None:
    await stage.passes(FILLED_S + 5.0)


async def exceeded(stage: Stage) -> None:
    """Let the timer of the cola run out."""
    await past_the_first_cool_down(stage)
    warm(stage)
    await comes(stage, lambda: held(stage), ALLOWED_S + 15.0)


def test_what_was_too_warm_for_too_long_is_not_sold_for_coins(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await past_the_first_cool_down(stage)
        warm(stage)
        took = await comes(stage, lambda: held(stage), ALLOWED_S + 15.0)
        assert ALLOWED_S <= took <= ALLOWED_S + 12.0
        assert stage.has_fault("A3", FaultCode.HEALTH_EXCEEDED)
        await stage.coins(200)
        stage.press("A3")
        await stage.shows(SHOWN)
        assert stage.credit == 200
        await stage.gives_back()
        assert stage.spent == 0
        assert [data.columns for data in stage.records("health.exceeded")] == [("A3",)]

    play(scenario, link, settings=PLAIN)


def test_a_card_is_not_even_asked_for_it(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await exceeded(stage)
        stage.press("A3")
        await stage.shows(SHOWN)
        await stage.passes(2.0)
        assert stage.records("approval.requested") == []

    play(scenario, link, settings=PLAIN)


def test_the_other_columns_sell_on() -> None:
    async def scenario(stage: Stage) -> None:
        await exceeded(stage)
        await stage.coins(100, 50)
        await stage.buys("A1")
        assert stage.products == ["water"]

    play(scenario, settings=PLAIN)


def test_a_column_of_the_same_product_that_is_under_no_rule_delivers() -> None:
    async def scenario(stage: Stage) -> None:
        await past_the_first_cool_down(stage)
        warm(stage)
        await comes(stage, lambda: stage.state.climate.unhealthy == ["A1"], ALLOWED_S + 15.0)
        before = stage.world.cabinet.stock("A2")
        await stage.coins(100, 50)
        await stage.buys("A1")
        assert stage.world.cabinet.stock("A2") == before - 1

    own = Health(columns=("A1",), above_c=5.0, allowed_s=ALLOWED_S, after_filling_s=FILLED_S)
    play(scenario, settings=cooled(health=(own,)))


async def approved_too_late(stage: Stage, bill: int = 0) -> None:
    """Have a card asked while it is too warm, which is approved as the time has run out."""
    await past_the_first_cool_down(stage)
    warm(stage)
    stage.breaks("cashless1", "extra_approve_s", 30.0)
    await stage.passes(ALLOWED_S - 15.0)
    if bill:
        assert stage.world.insert_bill(bill)
        await stage.until(lambda: stage.state.escrow is not None)
        await stage.passes(1.0)
    stage.press("A3")
    await stage.until(lambda: "approval" in stage.intents)
    assert stage.world.present_card("card")
    await stage.closes()
    await stage.quiet()
    assert held(stage)
    assert stage.records("approval.finished")[-1].outcome == "approved"


def test_a_card_that_was_approved_before_the_timer_ran_out_is_not_charged(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await approved_too_late(stage)
        assert stage.records("dispense.refused")[-1].reason == "health timer"
        assert (stage.products, stage.spent) == ([], 0)

    play(scenario, link, settings=PLAIN)


def test_a_reader_that_cannot_refund_is_not_asked_on_for_what_got_too_warm(link: Link) -> None:
    """Whoever came with a card a moment later was charged, and had a claim."""

    async def scenario(stage: Stage) -> None:
        await past_the_first_cool_down(stage)
        warm(stage)
        await stage.passes(ALLOWED_S - 15.0)
        stage.press("A3")
        await stage.until(lambda: "approval" in stage.intents)
        await comes(stage, lambda: held(stage), 60.0)
        await stage.passes(1.0)
        stage.world.present_card("card")
        await stage.until(lambda: not stage.state.sagas)
        await stage.quiet()
        assert stage.records("approval.finished")[-1].outcome == "cancelled"
        assert (stage.products, stage.spent, stage.claimed) == ([], 0, 0)

    play(scenario, link, settings=PLAIN, plan=card_kit.plan(can_refund=False))


def test_no_bill_is_stacked_for_what_got_too_warm_as_its_card_was_asked(link: Link) -> None:
    """It goes back itself: there may be no coins to pay it back with."""
    dear = [
        column.model_copy(update={"price": 740}) if column.selection == "A3" else column
        for column in PLAIN.columns
    ]

    async def scenario(stage: Stage) -> None:
        await approved_too_late(stage, bill=500)
        assert stage.records("stack.intended") == []
        assert (stage.account.returned, stage.spent) == (500, 0)

    play(scenario, link, settings=PLAIN.model_copy(update={"columns": tuple(dear)}))


def test_a_column_that_gets_too_warm_in_a_turn_is_not_turned_once_more(link: Link) -> None:
    impatient = cooled(
        health=(Health(products=("cola",), above_c=5.0, allowed_s=3.0, after_filling_s=3.0),)
    )

    async def scenario(stage: Stage) -> None:
        await stage.passes(10.0)
        stage.breaks("A3", "hang", 1)
        await stage.coins(200)
        warm(stage, 20.0)
        await stage.until(lambda: bool(stage.records("health.warmed")))
        await stage.passes(1.5)
        stage.press("A3")
        await stage.closes()
        await stage.quiet()
        assert [data.outcome for data in stage.records("dispense.finished")] == ["not_seen"]
        assert held(stage)
        assert not stage.has_fault("A3", FaultCode.COLUMN_NOT_SEEN), "it had no second chance"
        assert (stage.products, stage.spent) == ([], 0)

    play(scenario, link, settings=impatient)


def test_it_stays_off_through_restarts_and_power_cuts_until_it_was_served() -> None:
    async def scenario(stage: Stage) -> None:
        await exceeded(stage)
        warm(stage, 3.0)
        await stage.kill()
        await stage.opens()
        await stage.passes(15.0)
        assert held(stage)
        await stage.cut_power()
        await stage.passes_without(5.0)
        await stage.restore_power()
        await stage.opens()
        await stage.passes(15.0)
        assert held(stage)
        with pytest.raises(CommandRefused, match="does not hold A1 back; it holds: A3"):
            await stage.act(cmd.ServeHealth("A1"))
        await stage.act(cmd.EnableColumn("A3"))
        assert held(stage)
        answer = await stage.act(cmd.ServeHealth())
        assert answer == {"served": ["A3"], "held": []}
        assert not stage.has_fault("A3", FaultCode.HEALTH_EXCEEDED)
        await stage.coins(200)
        assert stage.records("health.served")[-1].by == "tech"
        await stage.buys("A3")
        assert stage.products == ["cola"]

    play(scenario, settings=PLAIN)


def test_what_is_warm_after_a_power_cut_of_unknown_length_has_been_so_for_too_long() -> None:
    async def scenario(stage: Stage) -> None:
        await past_the_first_cool_down(stage)
        await stage.cut_power()
        warm(stage)
        await stage.passes_without(1.0)
        await stage.restore_power()
        await stage.opens()
        await comes(stage, lambda: held(stage), 5.0)
        assert stage.records("health.exceeded")[-1].reason == "too warm after the power was away"

    play(scenario, settings=PLAIN)


def test_a_start_that_dies_before_it_has_measured_does_not_hide_the_gap() -> None:
    async def scenario(stage: Stage) -> None:
        await past_the_first_cool_down(stage)
        await stage.cut_power()
        warm(stage)
        stage.breaks("climate", "sensor", "gone")
        await stage.restore_power()
        await stage.opens()
        await stage.passes(5.0)
        await stage.kill()
        stage.mends("climate", "sensor")
        await stage.opens()
        await comes(stage, lambda: held(stage), 5.0)

    play(scenario, settings=PLAIN)


def test_after_a_power_cut_nothing_is_sold_before_it_was_measured() -> None:
    async def scenario(stage: Stage) -> None:
        await past_the_first_cool_down(stage)
        await stage.cut_power()
        warm(stage)
        stage.breaks("climate", "sensor", "gone")
        await asyncio.sleep(3_600.0)
        await stage.restore_power()
        await stage.opens()
        await stage.coins(200)
        stage.press("A3")
        await stage.shows(SHOWN)
        assert stage.credit == 200
        assert stage.records("health.exceeded") == []
        stage.mends("climate", "sensor")
        assert await comes(stage, lambda: bool(stage.records("health.exceeded")), 30.0) > 0.0
        await stage.gives_back()
        assert stage.products == []
        assert stage.spent == 0

    play(scenario, settings=PLAIN)


def test_a_temperature_close_below_the_limit_proves_that_a_power_cut_did_no_harm() -> None:
    async def scenario(stage: Stage) -> None:
        await past_the_first_cool_down(stage)
        await stage.cut_power()
        warm(stage, 4.9)
        await asyncio.sleep(3_600.0)
        await stage.restore_power()
        warm(stage, 4.9)
        await stage.opens()
        await comes(stage, lambda: bool(stage.records("health.cooled")), 10.0)
        warm(stage)
        await stage.passes(ALLOWED_S / 2)
        assert stage.records("health.exceeded") == []

    play(scenario, settings=PLAIN)


def test_what_is_cold_after_a_power_cut_is_sold() -> None:
    async def scenario(stage: Stage) -> None:
        await past_the_first_cool_down(stage)
        await stage.cut_power()
        await stage.passes_without(1.0)
        await stage.restore_power()
        await stage.opens()
        await stage.passes(200.0)
        assert not held(stage)
        await stage.coins(200)
        await stage.buys("A3")
        assert stage.products == ["cola"]

    play(scenario, settings=PLAIN)


def test_a_restart_does_not_give_the_timer_back_what_it_has_counted() -> None:
    async def scenario(stage: Stage) -> None:
        await past_the_first_cool_down(stage)
        warm(stage)
        begun = stage.loop.time()
        await stage.passes(30.0)
        await stage.kill()
        await stage.opens()
        await comes(stage, lambda: held(stage), ALLOWED_S)
        assert ALLOWED_S <= stage.loop.time() - begun <= ALLOWED_S + 15.0

    play(scenario, settings=PLAIN)


def test_time_in_which_nobody_ran_counts_as_warm_if_it_is_warm_then() -> None:
    async def scenario(stage: Stage) -> None:
        await past_the_first_cool_down(stage)
        await stage.kill()
        await stage.passes_without(ALLOWED_S + 1.0)
        warm(stage)
        await stage.opens()
        await comes(stage, lambda: held(stage), 5.0)
        assert stage.records("health.exceeded")[-1].reason == "too warm for too long"

    play(scenario, settings=PLAIN)


def test_a_filling_gives_it_time_to_cool_down() -> None:
    async def scenario(stage: Stage) -> None:
        await past_the_first_cool_down(stage)
        await stage.act(cmd.FillStock("A3"))
        warm(stage)
        took = await comes(stage, lambda: held(stage), FILLED_S + 15.0)
        assert took >= FILLED_S - 1.0

    play(scenario, settings=PLAIN)


def test_a_service_gives_it_time_to_cool_down() -> None:
    async def scenario(stage: Stage) -> None:
        await past_the_first_cool_down(stage)
        warm(stage)
        await stage.passes(ALLOWED_S - 20.0)
        await stage.act(cmd.EnterService())
        await stage.passes(60.0)
        assert not held(stage)
        await stage.act(cmd.LeaveService())
        await stage.passes(FILLED_S - 10.0)
        assert not held(stage)
        warm(stage, 3.0)
        await stage.passes(FILLED_S)
        assert not held(stage)

    play(scenario, settings=PLAIN)


def test_cold_again_in_time_sets_the_timer_back() -> None:
    async def scenario(stage: Stage) -> None:
        await past_the_first_cool_down(stage)
        for _ in range(3):
            warm(stage)
            await stage.passes(ALLOWED_S - 15.0)
            warm(stage, 3.0)
            await stage.passes(15.0)
        assert not held(stage)
        assert len(stage.records("health.warmed")) == len(stage.records("health.cooled")) == 3

    play(scenario, settings=PLAIN)


def test_a_temperature_at_the_limit_writes_no_record_with_each_reading() -> None:
    async def scenario(stage: Stage) -> None:
        await past_the_first_cool_down(stage)
        for _ in range(4):
            warm(stage, 5.1)
            await stage.passes(10.0)
            warm(stage, 4.9)
            await stage.passes(10.0)
        assert len(stage.records("health.warmed")) == 1
        assert held(stage)  # it was never really cold

    play(scenario, settings=PLAIN)


def test_a_thermometer_that_dies_counts_as_too_warm() -> None:
    async def scenario(stage: Stage) -> None:
        await past_the_first_cool_down(stage)
        stage.breaks("climate", "sensor", "gone")
        took = await comes(stage, lambda: held(stage), ALLOWED_S + 15.0)
        assert took >= ALLOWED_S - 10.0
        assert stage.records("health.exceeded")[-1].reason == "nobody can say how warm it was"

    play(scenario, settings=PLAIN)


def test_a_slow_disk_gives_the_timer_no_time() -> None:
    async def scenario(stage: Stage) -> None:
        await past_the_first_cool_down(stage)
        stage.disk.sync_latency = lambda: ALLOWED_S + 10.0
        stage.world.insert_coin(100)
        await stage.passes(1.0)  # its record is on its way
        warm(stage)
        await stage.passes(ALLOWED_S + 5.0)
        stage.disk.sync_latency = None
        await comes(stage, lambda: held(stage), 20.0)
        since = stage.records("health.warmed")[-1].since_ms / 1000
        assert stage.loop.time() - since > ALLOWED_S

    play(scenario, settings=PLAIN)


@pytest.mark.parametrize("cold_after_s", [ALLOWED_S - 12.0, ALLOWED_S - 22.0])
def test_a_slow_disk_does_not_run_the_timer_out_on_what_it_has_not_read_yet(
    cold_after_s: float,
) -> None:
    # It was cold again in time, and the readings that say so waited behind the disk.
    async def scenario(stage: Stage) -> None:
        await past_the_first_cool_down(stage)
        warm(stage)
        await stage.passes(ALLOWED_S - 25.0)
        stage.disk.sync_latency = lambda: 30.0
        stage.world.insert_coin(100)
        await stage.passes(cold_after_s - (ALLOWED_S - 25.0))
        warm(stage, 2.0)
        await stage.passes(2.0)
        stage.world.insert_coin(100)
        await stage.passes(80.0)
        stage.disk.sync_latency = None
        await stage.passes(20.0)
        assert stage.records("health.exceeded") == []

    play(scenario, settings=PLAIN)


def test_no_timer_runs_out_on_a_temperature_that_is_allowed() -> None:
    # Close to the limit it is not set back either: when it is warm again, the time was up.
    async def scenario(stage: Stage) -> None:
        await past_the_first_cool_down(stage)
        assert stage.world.cabin is not None
        warm(stage)
        await stage.passes(ALLOWED_S / 2)
        for _ in range(int(ALLOWED_S)):
            stage.world.cabin.put(4.8)
            await stage.passes(1.0)
        assert not held(stage)
        warm(stage)
        await comes(stage, lambda: held(stage), 15.0)

    play(scenario, settings=PLAIN)


def test_hot_food_must_stay_hot() -> None:
    async def scenario(stage: Stage) -> None:
        await past_the_first_cool_down(stage)
        warm(stage, 50.0)
        await comes(stage, lambda: held(stage), ALLOWED_S + 15.0)
        assert stage.records("health.exceeded")[-1].reason == "not hot enough for too long"

    soup = Health(products=("cola",), below_c=57.0, allowed_s=ALLOWED_S, after_filling_s=FILLED_S)
    settings = cooled(health=(soup,), cooling=None)
    play(scenario, settings=settings, plan=thermal(settings, start_c=65.0, ambient_c=65.0))


def test_a_first_start_gives_a_warm_machine_time_to_cool_down() -> None:
    async def scenario(stage: Stage) -> None:
        await stage.passes(FILLED_S - 20.0)
        assert not held(stage)
        warm(stage, 3.0)
        await stage.passes(FILLED_S)
        assert not held(stage)

    play(scenario, settings=PLAIN, plan=thermal(PLAIN, start_c=24.0))


@pytest.mark.parametrize(
    ("language", "words"),
    [("de", "Kein Verkauf: Temperatur"), ("es", "No se vende: temperatura")],
)
def test_customers_are_told_in_their_language(language: str, words: str) -> None:
    async def scenario(stage: Stage) -> None:
        await exceeded(stage)
        stage.press("A3")
        await stage.shows(words)

    machine = SETTINGS.machine.model_copy(update={"languages": (language,)})
    settings = SETTINGS.model_copy(update={"machine": machine})
    play(scenario, settings=cooled(health=(COLA,), settings=settings))


def test_who_fills_a_basket_reads_why_it_is_not_for_sale() -> None:
    async def scenario(stage: Stage) -> None:
        await exceeded(stage)
        await stage.coins(200)
        stage.press("A3")
        await stage.shows("temperature")

    policy = PLAIN.policy.model_copy(update={"basket": True})
    play(scenario, settings=PLAIN.model_copy(update={"policy": policy}))
