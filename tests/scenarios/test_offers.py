"""Discounts and free vends by time of day, while somebody has confirmed what time it is."""

from __future__ import annotations

from datetime import datetime

import pytest

from config.machine import MachineSettings
from config.models import Offer
from controller.domain import commands as cmd
from simulator.oracles import Allowance
from simulator.world import Link
from tests.scenarios.stage import SETTINGS, Stage, play


def offering(*offers: Offer) -> MachineSettings:
    return SETTINGS.model_copy(update={"offers": offers})


HALF = Offer(name="happy-hour", percent=50, start="17:00", end="18:00", products=("cola",))
FREE = Offer(name="gum-at-noon", percent=100, start="12:00", end="13:00", columns=("B4",))
OFFERS = offering(HALF, FREE)


async def at(stage: Stage, when: str, *, known: bool = True) -> None:
    """Let it be a time, which somebody confirms or nobody does."""
    away = datetime.fromisoformat(when + "+00:00") - stage.clock.wall_utc()
    stage.clock.jump_wall(away.total_seconds())
    stage.time_known = known
    await stage.passes(70.0)  # it is asked every half minute


def test_a_product_costs_less_within_its_hours(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await at(stage, "2026-12-01T17:05:00")
        await stage.coins(200)
        await stage.buys("A3")
        assert stage.products == ["cola"]
        assert stage.spent == 100
        (opened,) = stage.records("vend.opened")
        assert (opened.price, opened.discount, opened.offer) == (100, 100, "happy-hour")
        assert stage.state.counters.value_given == 100
        await stage.passes(3600.0)
        await stage.coins(200)
        await stage.buys("A3")
        assert stage.spent == 300

    play(scenario, link, settings=OFFERS)


def test_something_is_free_within_its_hours(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await at(stage, "2026-12-01T12:05:00")
        await stage.buys("B4")
        assert stage.products == ["gum"]
        assert stage.spent == 0
        assert stage.state.counters.vends_free == 1

    play(scenario, link, settings=OFFERS)


@pytest.mark.parametrize("wall", ["2026-12-01T17:05:00", "2036-12-01T17:05:00"])
def test_a_time_that_nobody_confirmed_gives_nothing_away(wall: str, link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await at(stage, wall, known=False)
        await stage.coins(200)
        await stage.buys("A3")
        assert stage.spent == 200
        assert stage.records("time.confirmed") == []

    play(scenario, link, settings=OFFERS)


def test_a_clock_that_jumps_after_it_was_confirmed_moves_no_offer(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await at(stage, "2026-12-01T15:05:00")
        stage.clock.jump_wall(7_200.0)
        await stage.passes(70.0)
        await stage.coins(200)
        await stage.buys("A3")
        assert stage.spent == 200

    play(scenario, link, settings=OFFERS)


@pytest.mark.parametrize("how", ["kill", "power"])
def test_a_vend_keeps_its_price_through_an_end(how: str, link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await at(stage, "2026-12-01T17:05:00")
        await stage.coins(200)
        stage.press("A3")
        await stage.until(lambda: "dispense" in stage.intents)
        await stage.until(lambda: bool(stage.products))
        if how == "kill":
            await stage.kill()
        else:
            await stage.cut_power()
            await stage.passes_without(2.0)
            await stage.restore_power()
        stage.time_known = False
        await stage.opens()
        await stage.quiet()
        if how == "kill":
            assert stage.spent == 100
        stage.press("B4")
        await stage.shows("Price")
        stage.press("*")

    blind = Allowance(blind=True) if how == "power" else Allowance()
    play(scenario, link, settings=OFFERS, allowance=blind)


def test_a_vend_that_fails_gives_back_what_was_paid_and_no_more(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await at(stage, "2026-12-01T17:05:00")
        stage.breaks("A3", "jam")
        await stage.coins(100)
        await stage.buys("A3")
        assert stage.spent == 0
        assert stage.state.counters.value_given == 0

    play(scenario, link, settings=OFFERS)


def test_a_card_pays_the_price_of_the_hour(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await at(stage, "2026-12-01T17:05:00")
        await stage.pays_by_card("A3")
        assert stage.products == ["cola"]
        assert stage.spent == 100

    play(scenario, link, settings=OFFERS)


def test_a_new_list_price_is_what_the_offer_is_taken_off(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await at(stage, "2026-12-01T17:05:00")
        answer = await stage.act(cmd.SetPrice("A3", 300))
        assert answer["before"] == 200
        await stage.coins(200)
        await stage.buys("A3")
        assert stage.spent == 150

    play(scenario, link, settings=OFFERS, judged=False)
