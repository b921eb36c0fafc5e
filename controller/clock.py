"""Time as an argument: the operating system's clock ends here.

Durations use ``monotonic_s``; wall time only labels and may jump (a Pi has no clock chip).
"""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """What the machine asks of time."""

    def monotonic_s(self) -> float:
        """Return seconds of a clock that never goes back; the base of every duration.

        It is the running event loop's own time base, so ``asyncio.timeout`` agrees with it.
        """
        ...

    def wall_utc(self) -> datetime:
        """Return the wall time in UTC, aware; a label that may jump either way."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait for ``seconds`` (>= 0) of monotonic time."""
        ...


class SystemClock:
    """The clock of a real machine."""

    def monotonic_s(self) -> float:
        """Return ``time.monotonic``, which asyncio's own loop uses as well."""
        return time.monotonic()

    def wall_utc(self) -> datetime:
        """Return the system's wall time."""
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        """Wait on the running loop."""
        import asyncio  # noqa: PLC0415 - who has no loop, as the guard, loads none: 8 MiB

        await asyncio.sleep(seconds)


def system_entropy(count: int) -> bytes:
    """Return ``count`` bytes of the operating system's randomness, for ids and keys."""
    return os.urandom(count)
