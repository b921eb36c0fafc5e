"""The pauses between two reads of a device's events, which somebody may end.

A simulator that knows its world may foresee that the next reads bring what the last one did. Then a
run of them, of all devices that rest, is one step: their times are worked out and nothing is sent.

Loop time is the only time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from drivers.cctalk.frames import READ_S


class Foresight(Protocol):
    """What a simulator that knows its world spares the line."""

    def pass_until(self, due: float) -> bool:
        """Let time pass until ``due`` at once, if nothing else happens before; else do nothing."""
        ...

    def horizon(self) -> float:
        """Return the loop time before which nothing happens; 0.0 when nobody can tell."""
        ...

    def beat(self, address: int) -> tuple[float, float] | None:
        """Tell how a read of a device's events goes that brings what the last one did.

        Returns:
            Seconds until the answer begins, and what it takes; None: it may bring something new.
        """
        ...

    def read(self, address: int, header: int) -> tuple[bytes, float] | None:
        """Have a device answer a question without data, and without the line.

        Returns:
            The answer's data, and the loop time at which its last byte would be here; None, and
            nothing has happened: it must be asked.
        """
        ...

    def polled(self, address: int, at: float) -> None:
        """Have a device believe that its events were read at that time."""
        ...


class Rest:
    """One device's pauses; made by `Rests.of`, used by its driver alone."""

    def __init__(self, rests: Rests, address: int) -> None:
        self._rests = rests
        self.address = address
        self.wake = 0.0
        self.until = 0.0
        self.seconds = 0.0
        self._stirred = False
        self._waiter: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def stir(self) -> None:
        """End the pause, or the next one before it begins."""
        self._stirred = True
        if self._waiter is not None:
            _done(self._waiter)

    def settle(self) -> None:
        """Forget that anybody has stirred: what they wanted is about to be done."""
        self._stirred = False

    async def pause(self, seconds: float, until: float = 0.0) -> None:
        """Wait before the next read, or until stirred.

        Args:
            seconds: Between the end of one read and the beginning of the next.
            until: A read that ends before this loop time and brings nothing new changes nothing;
                0.0: every one matters.
        """
        if self._stirred:
            return
        loop = asyncio.get_running_loop()
        self.wake, self.until, self.seconds = loop.time() + seconds, until, seconds
        waiter: asyncio.Future[None] = loop.create_future()
        self._waiter = waiter
        try:
            if not self._rests.begin(self):
                await waiter
        finally:
            self._waiter = None
            self.hold()
            self._rests.end(self)

    def hold(self) -> None:
        """Set no timer, for now."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def arm(self) -> None:
        """Set the timer that ends the pause."""
        assert self._waiter is not None, "it rests"
        self._timer = asyncio.get_running_loop().call_at(self.wake, _done, self._waiter)


class Rests:
    """All pauses on one line.

    Args:
        busy: Tells whether the line is in use, or wanted.
        foresight: A simulator that knows which reads will bring nothing; they are not sent.
    """

    def __init__(self, busy: Callable[[], bool], foresight: Foresight | None) -> None:
        self._busy = busy
        self._foresight = foresight
        self._resting: list[Rest] = []
        self.skipped = 0
        """Reads that were not sent."""

    def of(self, address: int) -> Rest:
        """Return the pauses of one device."""
        return Rest(self, address)

    def begin(self, rest: Rest) -> bool:
        """Take part; True when the pause is already over."""
        self._resting.append(rest)
        foresight = self._foresight
        if foresight is None:
            rest.arm()
            return False
        if rest.until and not self._busy():
            self._skip(foresight)
        if foresight.pass_until(rest.wake):
            return True
        rest.arm()
        return False

    def end(self, rest: Rest) -> None:
        """Leave."""
        self._resting.remove(rest)

    def _skip(self, foresight: Foresight) -> None:
        """Let go by, of all who rest, the reads that change nothing."""
        newest = self._resting[-1]
        beats = {rest: foresight.beat(rest.address) for rest in self._resting if rest.until}
        if beats.get(newest) is None:
            return
        others = [rest for rest in self._resting[:-1] if beats.get(rest) is not None]
        for rest in others:
            rest.hold()
        horizon, free = foresight.horizon(), 0.0
        read: dict[Rest, float] = {}
        while True:
            rest = newest
            for other in others:
                if other.wake < rest.wake:
                    rest = other
            beat = beats[rest]
            assert beat is not None, "chosen so"
            received = max(rest.wake, free) + READ_S
            free = received + beat[0] + beat[1]
            if free >= horizon or free >= rest.until:
                break
            read[rest] = received
            rest.wake = free + rest.seconds
            self.skipped += 1
        for rest, at in read.items():
            foresight.polled(rest.address, at)
        for rest in others:
            rest.arm()


async def sleep_until(due: float) -> None:
    """Wait for a loop time, to the last bit of it."""
    loop = asyncio.get_running_loop()
    waiter: asyncio.Future[None] = loop.create_future()
    timer = loop.call_at(due, _done, waiter)
    try:
        await waiter
    finally:
        timer.cancel()


def _done(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
