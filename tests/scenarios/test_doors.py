"""Nothing turns behind a door that was opened, or in a column that was switched off, since."""

from __future__ import annotations

import pytest

from controller.domain import commands as cmd
from simulator.world import Link
from tests.scenarios import card_kit
from tests.scenarios.stage import Stage, play, with_policy


async def opens_the_door(stage: Stage) -> None:
    """Open it, and have it heard."""
    stage.world.cabinet.set_door(True)
    await stage.until(lambda: bool(stage.records("fault.raised")))


async def sells_again(stage: Stage) -> None:
    """Close the door, and see that a customer is served."""
    stage.world.cabinet.set_door(False)
    await stage.sells()
    await stage.coins(50)
    await stage.buys("B4")
    assert stage.products == ["gum"]


@pytest.mark.parametrize("kind", card_kit.KINDS)
def test_a_card_that_is_awaited_pays_for_nothing_behind_an_open_door(kind: str, link: Link) -> None:
    async def story(stage: Stage) -> None:
        if kind == "classic":
            await card_kit.begin(stage)
        stage.press("B4")
        await stage.until(lambda: "approval" in stage.intents)
        await opens_the_door(stage)
        stage.world.present_card("card")
        await stage.until(lambda: not stage.state.sagas)
        await stage.shows("out of service")
        await stage.quiet()
        assert stage.records("dispense.intended") == []
        assert (stage.spent, stage.claimed) == (0, 0)
        await sells_again(stage)

    play(story, link, plan=card_kit.plan(kind))


def test_what_an_approval_pays_for_is_given_back_behind_a_door_that_has_just_been_opened(
    link: Link,
) -> None:
    async def story(stage: Stage) -> None:
        stage.press("B4")
        await stage.until(lambda: "approval" in stage.intents)
        assert stage.world.present_card("card")
        stage.disk.sync_latency = lambda: 1.0
        await stage.until(lambda: stage.world.truth.authorisations != {})
        await opens_the_door(stage)
        stage.disk.sync_latency = None
        await stage.until(lambda: not stage.state.sagas)
        await stage.quiet()
        assert stage.records("dispense.intended") == []
        assert (stage.spent, stage.claimed) == (0, 0)
        await sells_again(stage)

    play(story, link)


def test_a_bill_on_its_way_to_the_stacker_comes_back_in_coins_behind_an_open_door(
    link: Link,
) -> None:
    async def story(stage: Stage) -> None:
        await stage.until(lambda: stage.world.insert_bill(500), within_s=10.0)
        await stage.until(lambda: stage.state.escrow is not None)
        await stage.quiet()
        stage.press("A3")
        await stage.until(lambda: bool(stage.records("stack.intended")))
        await opens_the_door(stage)
        await stage.until(lambda: not stage.state.sagas)
        await stage.quiet()
        assert stage.records("dispense.intended") == []
        assert (stage.spent, stage.claimed) == (0, 0)
        await sells_again(stage)

    play(story, link, settings=with_policy(escrow="hold"))


def test_a_vend_that_waits_for_the_last_ones_product_turns_nothing_behind_an_open_door(
    link: Link,
) -> None:
    async def story(stage: Stage) -> None:
        stage.breaks("A3", "hang", 2)
        await stage.coins(200)
        await stage.buys("A3")
        stage.mends("A3", "hang")
        await stage.coins(50)
        turned = len(stage.records("dispense.intended"))
        stage.press("B4")
        await stage.until(lambda: bool(stage.state.sagas))
        stage.world.cabinet.set_door(True)  # the sensor is looked at in some seconds
        await stage.closes()
        await stage.quiet()
        assert len(stage.records("dispense.intended")) == turned
        assert stage.spent == 0
        await sells_again(stage)

    play(story, link)


def test_no_second_turn_follows_behind_a_door_that_is_opened_as_the_motor_stops(
    link: Link,
) -> None:
    async def story(stage: Stage) -> None:
        stage.breaks("A1", "hang", 1)
        await stage.coins(100, 50)
        stage.press("A1")
        await stage.until(lambda: "dispense" in stage.intents)
        await stage.until(lambda: stage.world.cabinet.spirals["A1"].running)
        await stage.until(lambda: not stage.world.cabinet.spirals["A1"].running)
        stage.world.cabinet.set_door(True)
        await stage.closes()
        await stage.quiet()
        assert len(stage.records("dispense.intended")) == 1
        assert stage.spent == 0
        assert not stage.state.stock.of("A1").disabled, "it had no second chance"
        stage.world.cabinet.set_door(False)
        await stage.kill()
        await stage.opens()
        assert not stage.state.stock.of("A1").disabled, "nor does the next start blame it"
        await sells_again(stage)

    play(story, link)


@pytest.mark.parametrize("kind", card_kit.KINDS)
@pytest.mark.parametrize("undoes", [True, False])
def test_no_card_is_asked_on_for_a_column_that_is_switched_off(
    undoes: bool, kind: str, link: Link
) -> None:
    """Its reader may not be able to give the money back."""

    async def story(stage: Stage) -> None:
        stage.breaks("cashless1", "extra_approve_s", 3.0)
        if kind == "classic":
            await card_kit.begin(stage)
        stage.press("B4")
        await stage.until(lambda: "approval" in stage.intents)
        await stage.act(cmd.DisableColumn("B4", "spoiled"))
        stage.world.present_card("card")
        await stage.closes()
        await stage.quiet()
        assert stage.records("approval.finished")[-1].outcome == "cancelled"
        assert (stage.products, stage.spent, stage.claimed) == ([], 0, 0)

    play(story, link, plan=card_kit.plan(kind, can_refund=undoes))


def test_another_column_delivers_for_one_that_was_switched_off_meanwhile(link: Link) -> None:
    async def story(stage: Stage) -> None:
        stage.press("A1")
        await stage.until(lambda: "approval" in stage.intents)
        await stage.act(cmd.DisableColumn("A1", "spoiled"))
        assert stage.world.present_card("card")
        await stage.closes()
        await stage.quiet()
        assert (stage.products, stage.spent) == (["water"], 150)
        assert [data.column for data in stage.records("dispense.intended")] == ["A2"]

    play(story, link)


def test_a_column_that_is_switched_off_as_it_turns_has_no_second_chance(link: Link) -> None:
    async def story(stage: Stage) -> None:
        stage.breaks("A1", "hang", 1)
        await stage.coins(100, 50)
        stage.press("A1")
        await stage.until(lambda: "dispense" in stage.intents)
        await stage.act(cmd.DisableColumn("A1", "spoiled"))
        await stage.closes()
        await stage.quiet()
        assert (stage.products, stage.spent) == (["water"], 150)
        assert [data.column for data in stage.records("dispense.intended")] == ["A1", "A2"]
        assert stage.records("fault.raised") == [], "it is not known to be at fault"

    play(story, link)


def test_a_motor_stands_still_though_a_slow_disk_writes_as_the_door_is_opened(link: Link) -> None:
    async def story(stage: Stage) -> None:
        await stage.coins(50)
        stage.disk.sync_latency = lambda: 1.0
        stage.press("B4")
        await stage.passes(1.5)  # it is written down that the motor is to turn
        stage.world.cabinet.set_door(True)
        await stage.until(lambda: bool(stage.records("dispense.finished")))
        stage.disk.sync_latency = None
        await stage.until(lambda: not stage.state.sagas)
        await stage.quiet()
        (turned,) = stage.records("dispense.finished")
        assert (turned.outcome, turned.run_ms) == ("door_opened", 0)
        assert stage.spent == 0
        await sells_again(stage)

    play(story, link)
