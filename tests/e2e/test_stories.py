"""The demo's stories on the real processes, over both links, each with its hard expectations."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from rich.console import Console

from simulator.demo.performance import Performance
from simulator.demo.stories import STORIES, Story
from simulator.pytest_plugin import DEMO
from simulator.rig import Rig, RigOptions

SPEED = 5.0


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["adapter", "native"])
async def performance(request: pytest.FixtureRequest) -> AsyncIterator[Performance]:
    """Give one machine per link, on which story follows story as on a busy day."""
    link: Any = request.param
    async with Rig(RigOptions(DEMO, link=link, speed=SPEED)) as rig:
        await rig.start_vendd()
        made = Performance(rig, Console(file=io.StringIO(), width=80), hurry=True)
        async with made.told():
            yield made


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("story", STORIES, ids=[story.name for story in STORIES])
async def test_a_story_ends_as_it_must(performance: Performance, story: Story) -> None:
    verdict = await performance.story(story)
    assert verdict.good, "\n".join(verdict.problems)
