"""What dies while many machines sell: connections, the broker, the server."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from typing import Final

from controller.clock import Clock
from simulator.fleet.machine import Light
from simulator.fleet.site import BROKER, SERVER, Site

EVERY_S: Final = 2.5
DARK_S: Final = 0.5  # a killed process is started again after so long
SHARE_CUT: Final = 0.2  # of the machines, at once


class Chaos:
    """Breaks things one after the other, and mends them.

    Args:
        site: Its broker and its server die.
        machines: Their connections are cut.
        rng: Draws what comes next.
        clock: Measures.
    """

    def __init__(
        self, site: Site, machines: Sequence[Light], rng: random.Random, clock: Clock
    ) -> None:
        self._site = site
        self._machines = machines
        self._rng = rng
        self._clock = clock
        self.done: list[str] = []

    async def run(self, seconds: float) -> None:
        """Break for so long; returns when everything runs again."""
        began = self._clock.monotonic_s()
        kinds = [self._cut, self._kill_broker, self._kill_server]
        number = 0
        while self._clock.monotonic_s() - began < seconds:
            await asyncio.sleep(min(EVERY_S, seconds / (len(kinds) + 1)))
            # Each once, then as it comes.
            kind = kinds[number] if number < len(kinds) else self._rng.choice(kinds)
            number += 1
            await kind()
        await self._site.ready()

    async def _cut(self) -> None:
        count = max(1, round(len(self._machines) * SHARE_CUT))
        cut = sum(machine.cut() for machine in self._rng.sample(list(self._machines), count))
        self.done.append(f"{cut} connections cut")

    async def _kill_broker(self) -> None:
        await self._die(BROKER)

    async def _kill_server(self) -> None:
        await self._die(SERVER)

    async def _die(self, name: str) -> None:
        await self._site.kill(name)
        await asyncio.sleep(DARK_S)
        await self._site.start(name)
        self.done.append(f"{name} killed")
