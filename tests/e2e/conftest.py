"""Real processes for end-to-end tests: a simulator, and vendds on it, on the demo's machine."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from simulator.pytest_plugin import DEMO
from simulator.rig import BUSY_MS, Rig, RigOptions

StartRig = Callable[..., Awaitable[Rig]]


@pytest.fixture
async def rigs(run_folder: Path) -> AsyncIterator[StartRig]:
    """Put up machines: ``await rigs(link=..., speed=..., edits=...)``, see ``RigOptions``."""
    async with AsyncExitStack() as stack:

        async def start(**options: Any) -> Rig:
            given: dict[str, Any] = {
                "config": DEMO, "home": run_folder, "speed": 10.0, "heartbeat_ms": BUSY_MS
            }  # fmt: skip
            return await stack.enter_async_context(Rig(RigOptions(**given | options)))

        yield start


@pytest.fixture
async def rig(rigs: StartRig) -> Rig:
    """Return a machine on the adapter's link, on which a vendd sells."""
    rig = await rigs()
    await rig.start_vendd()
    return rig
