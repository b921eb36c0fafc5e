"""A vendd that ended in good order leaves no acceptor on: what is put in comes back."""

from __future__ import annotations

from simulator.world import Link
from tests.scenarios.stage import Stage, play


def test_nothing_is_taken_after_a_stop_and_everything_after_the_next_start(link: Link) -> None:
    async def scenario(stage: Stage) -> None:
        assert await stage.stop() == "test"
        stage.world.insert_coin(50)
        assert not stage.world.present_card()
        await stage.passes_without(5.0)
        assert stage.account.returned == 50
        assert not stage.world.insert_bill(500), "it is not even pulled in"

    play(scenario, link, ends=False)
