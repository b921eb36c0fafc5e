"""A reader whose vend was ended by recovery takes the next customer's card at once."""

from __future__ import annotations

from simulator.world import Link
from tests.scenarios.stage import Stage, play

SOON_S = 3.0  # some rounds of polls after the machine sells again


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
