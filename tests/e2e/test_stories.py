"""The demo's stories on the real processes, over both links, each with its hard expectations."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio
from rich.console import Console

from simulator.demo.performance import Performance
from simulator.demo.stories import STORIES, Story
from simulator.pytest_plugin import DEMO
from simulator.rig import BUSY_MS, Rig, RigOptions

SPEED = 3.0  # on a busy machine, too, a dead vendd's motor stands before it has turned twice
LINKS = ("adapter", "native")


async def put_up(stack: AsyncExitStack, link: str) -> Performance:
    rig = await stack.enter_async_context(
        Rig(RigOptions(DEMO, link=link, speed=SPEED, heartbeat_ms=BUSY_MS))
    )
    await rig.start_vendd()
    performance = Performance(rig, Console(file=io.StringIO(), width=80), hurry=True)
    await stack.enter_async_context(performance.told())
    return performance


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def performances() -> AsyncIterator[dict[str, Performance]]:
    """Give a machine per link, on which story follows story as on a busy day."""
    async with AsyncExitStack() as stack:
        yield {link: await put_up(stack, link) for link in LINKS}


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("story", STORIES, ids=[story.name for story in STORIES])
async def test_a_story_ends_as_it_must_on_both_links(
    performances: dict[str, Performance], story: Story
) -> None:
    verdicts = await asyncio.gather(*(each.story(story) for each in performances.values()))
    for link, verdict in zip(performances, verdicts, strict=True):
        assert verdict.good, f"{link}: {verdict.problems}"
