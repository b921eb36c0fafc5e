"""Each story, undisturbed and through the real bytes, gives the customer what is due."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.settings import load
from simulator.clock import run_virtual
from simulator.oracles import check
from simulator.stories import EVERY
from simulator.story_kit import Story
from simulator.world import Link

SETTINGS = load(
    Path(__file__).parents[2] / "config" / "machines" / "demo.toml", home=Path("/nonexistent")
)


@pytest.mark.parametrize(
    ("story", "link"),
    [
        pytest.param(story, link, id=f"{story.name.replace(' ', '-')}-{link}")
        for story in EVERY
        for link in story.links
    ],
)
def test_a_story_ends_with_the_customer_and_the_books_right(story: Story, link: Link) -> None:
    async def run() -> None:
        machine = await story.opens(SETTINGS, link)
        await story.script(machine)
        account = machine.world.truth.account()
        claims = sum(claim.amount for claim in machine.state.claims.values())
        assert ", ".join(account.products) == story.product
        assert account.spent - claims - machine.state.credit.total == story.spent
        assert check(machine) == []
        await machine.stop()

    run_virtual(run())
