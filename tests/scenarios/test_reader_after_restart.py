"""A reader that was restarted: by us, since it was out of step, or with the machine."""

from __future__ import annotations

from controller.ports import DeviceName
from simulator.world import Link
from tests.scenarios.stage import Stage, play

SOON_S = 3.0  # some rounds of polls after the machine sells again


def resets(stage: Stage) -> int:
    """How many RESETs the reader has carried out."""
    return sum(fact.detail == "cashless1 (reset)" for fact in stage.world.truth.log)


async def is_restarted(stage: Stage) -> None:
    """The reader never ends a session: so we have just sent a RESET."""
    stage.breaks("cashless1", "no_end", 1)
    before = resets(stage)
    stage.press("B4")
    await stage.until(lambda: "approval" in stage.intents)
    assert stage.world.present_card()
    await stage.until(lambda: resets(stage) > before, within_s=60.0)


def ready(stage: Stage) -> bool:
    assert stage.running is not None
    return DeviceName.CASHLESS1 in stage.running.machine.desk.live.ready


def test_a_reader_that_we_restart_is_asked_nothing_before_it_is_ready_again(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        await is_restarted(stage)
        stage.press("B1")
        await stage.passes(0.05)
        assert not ready(stage)
        assert len(stage.records("approval.requested")) == 1
        await stage.until(lambda: ready(stage), within_s=60.0)
        await stage.pays_by_card("B1")
        assert stage.products == ["gum", "crisps"]

    play(scenario, link)


def test_a_card_is_taken_soon_after_recovery_has_failed_an_approved_vend(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        stage.press("B1")
        await stage.until(lambda: "approval" in stage.intents)
        assert stage.world.present_card()
        await stage.until(lambda: "dispense" in stage.intents)
        await stage.kill()
        await stage.opens()
        assert stage.account.charged == 0
        await stage.until(stage.world.present_card, within_s=SOON_S)
        stage.press("B1")
        await stage.closes()
        assert stage.products == ["crisps"]
        assert stage.account.charged == 180

    play(scenario, link)
