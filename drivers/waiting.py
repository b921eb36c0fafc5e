"""A flag that one task waits for, for at most so long.

`asyncio.timeout` around an `asyncio.Event` says the same with a dozen calls, a cancellation and an
exception; drivers wait like this all the time.
"""

from __future__ import annotations

import asyncio
import math


class Stir:
    """A flag; whoever waits for it is one task."""

    __slots__ = ("_set", "_waiter")

    def __init__(self) -> None:
        self._set = False
        self._waiter: asyncio.Future[None] | None = None

    def set(self) -> None:
        """Raise it, and wake who waits."""
        self._set = True
        if self._waiter is not None:
            _wake(self._waiter)

    def clear(self) -> None:
        """Lower it."""
        self._set = False

    def is_set(self) -> bool:
        """Tell whether it is up."""
        return self._set

    async def wait(self, seconds: float = math.inf) -> bool:
        """Wait until it is up, for at most so long; whether it is."""
        if self._set:
            return True
        loop = asyncio.get_running_loop()
        self._waiter = waiter = loop.create_future()
        timer: asyncio.Handle | None = None
        if seconds <= 0:
            timer = loop.call_soon(_wake, waiter)  # not before who is ready now
        elif seconds < math.inf:
            timer = loop.call_later(seconds, _wake, waiter)
        try:
            await waiter
        finally:
            self._waiter = None
            if timer is not None:
                timer.cancel()
        return self._set


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
