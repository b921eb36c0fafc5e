"""Says how the machine is: on each connection, when it has changed, and every some minutes.

A snapshot is kept by the broker in place of the last one and may be lost; the journal is the truth.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from cloud.contract.messages import State
from cloud.contract.topics import Topic
from cloud.link.transport import Connection
from controller.clock import Clock

log = structlog.get_logger("link")

# A vend is a dozen turns within seconds, and a snapshot some forty times as long as a record: told
# at each of them it would be most of what goes over a slow link, to show what nobody can read.
LEAST_S: Final = 10.0
_LABELS: Final = ("at", "backlog")  # move by themselves: no news


class Reporter:
    """Says the machine's state on one connection after the other.

    Args:
        clock: Measures.
        snapshot: Makes the state of now.
        every_s: It is told so often, changed or not.
    """

    def __init__(self, clock: Clock, snapshot: Callable[[], State], every_s: float) -> None:
        self.every_s = every_s
        self._clock = clock
        self._snapshot = snapshot
        self._touched = asyncio.Event()

    def touched(self) -> None:
        """Something may have changed. Costs nothing, and is said at every turn of the machine."""
        self._touched.set()

    async def run(self, connection: Connection) -> None:
        """Say it as long as the connection lasts.

        Raises:
            LinkLostError: The connection is gone.
        """
        said: State | None = None
        said_s = self._clock.monotonic_s()
        while True:
            self._touched.clear()
            now = self._clock.monotonic_s()
            state = self._made()
            due = now - said_s >= self.every_s
            if state is not None and (said is None or due or _news(said, state)):
                await self._say(connection, state)
                said, said_s = state, now
            await self._clock.sleep(LEAST_S)
            await self._until_touched(said_s + self.every_s)

    def _made(self) -> State | None:
        try:
            return self._snapshot()
        except Exception:  # what can't be told of the machine stops none of its records
            log.exception("state.broke")
            return None

    async def _say(self, connection: Connection, state: State) -> None:
        await connection.say(Topic.STATE, state.to_bytes(), retain=True)

    async def _until_touched(self, end_s: float) -> None:
        try:
            async with asyncio.timeout(max(0.0, end_s - self._clock.monotonic_s())):
                await self._touched.wait()
        except TimeoutError:
            return


def _news(before: State, now: State) -> bool:
    same = dict.fromkeys(_LABELS, 0)
    return before.model_copy(update=same) != now.model_copy(update=same)
