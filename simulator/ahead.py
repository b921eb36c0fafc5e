"""What is due next is done at once, where nothing else would happen before it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from simulator.clock import VirtualLoop


class Ahead:
    """Does what is due next at once, where nothing else would happen before it.

    A host that has sent a request waits for the answer. In virtual time the wire may then go
    through all of it, each part at its own time, before the host's call returns.

    Attributes:
        leaps: The loop whose time may pass so; None to set timers, as the real time needs.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.leaps: VirtualLoop | None = None

    def _then(self, when: float, callback: Callable[..., object], *args: object) -> None:
        """Call back at ``when``; the last thing that a part does."""
        leaps = self.leaps
        if leaps is not None and leaps.leap(when):
            callback(*args)
        else:
            self._loop.call_at(when, callback, *args)
