"""The limit on how long an output stays on, kept outside the code that switched it on.

``ThreadWatch`` is for machines: a thread of its own that the event loop must feed, so that a loop
that hangs, or forgets, ends with the motor off. ``LoopWatch`` is the same promise on the loop's
own timers, for virtual time, where nothing can hang. A process that is stopped or dead has
neither: there the guard, its parent, takes over.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Final, Protocol

from controller.faults import EffectUnknownError

# While an output is on, the loop says that it lives this often, and is given up after the limit:
# half of the guard's 500 ms, so that the milder of the two acts first.
FEED_EVERY_S: Final = 0.05
FEED_LIMIT_S: Final = 0.25
# A pin that could not be written may be written a moment later; nobody else switches it off.
RETRY_S: Final = 1.0


class Cuttable(Protocol):
    """An output that can be switched off from outside."""

    def cut(self, run: int, why: str) -> None:
        """End run number ``run`` of the output, if it is still on; from any thread.

        Raises EffectUnknownError: It may be on yet.
        """
        ...


class OnTimeWatch(Protocol):
    """Who keeps the maximum on-time."""

    def arm(self, line: Cuttable, run: int, max_on_s: float) -> None:
        """Cut ``line`` after ``max_on_s`` unless it is disarmed before."""
        ...

    def disarm(self, line: Cuttable) -> None:
        """Forget ``line``: it is off."""
        ...

    def close(self) -> None:
        """Stop watching; every output is off by now."""
        ...


class LoopWatch:
    """Timers on the running loop."""

    def __init__(self) -> None:
        self._timers: dict[Cuttable, asyncio.TimerHandle] = {}

    def arm(self, line: Cuttable, run: int, max_on_s: float) -> None:
        """Start the line's timer."""
        self.disarm(line)
        loop = asyncio.get_running_loop()
        self._timers[line] = loop.call_later(max_on_s, self._cut, line, run, max_on_s)

    def _cut(self, line: Cuttable, run: int, max_on_s: float) -> None:
        self._timers.pop(line, None)
        line.cut(run, f"on for {max_on_s:g} s")

    def disarm(self, line: Cuttable) -> None:
        """Stop the line's timer."""
        timer = self._timers.pop(line, None)
        if timer is not None:
            timer.cancel()

    def close(self) -> None:
        """Stop all timers."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()


class ThreadWatch:
    """A thread that sleeps while everything is off, and cuts what is on too long or unwatched.

    Args:
        monotonic_s: The clock; of the same base as the event loop's.
        feed_limit_s: How long the loop may be silent while an output is on.
    """

    def __init__(
        self, monotonic_s: Callable[[], float], *, feed_limit_s: float = FEED_LIMIT_S
    ) -> None:
        self._now = monotonic_s
        self._feed_limit_s = feed_limit_s
        self._changed = threading.Condition()
        self._armed: dict[Cuttable, tuple[int, float, float]] = {}  # run, deadline, limit
        self._fed = 0.0
        self._feeder: asyncio.TimerHandle | None = None
        self._thread: threading.Thread | None = None
        self._closed = False

    def arm(self, line: Cuttable, run: int, max_on_s: float) -> None:
        """Watch ``line``; called on the loop's thread, whose timers feed from now on."""
        with self._changed:
            self._armed[line] = (run, self._now() + max_on_s, max_on_s)
            self._fed = self._now()
            if self._thread is None:
                self._thread = threading.Thread(target=self._watch, name="on-time", daemon=True)
                self._thread.start()
            self._changed.notify()
        if self._feeder is None:
            self._schedule()

    def disarm(self, line: Cuttable) -> None:
        """Forget ``line``; from any thread."""
        with self._changed:
            self._armed.pop(line, None)

    def feed(self) -> None:
        """Say that the loop lives."""
        with self._changed:
            self._fed = self._now()

    def close(self) -> None:
        """Stop the thread."""
        with self._changed:
            self._closed = True
            self._armed.clear()
            self._changed.notify()
        if self._feeder is not None:
            self._feeder.cancel()
            self._feeder = None
        if self._thread is not None:
            self._thread.join()

    def _schedule(self) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return  # no loop, nobody to feed: the output lives for feed_limit_s
        self._feeder = loop.call_later(FEED_EVERY_S, self._feed_again)

    def _feed_again(self) -> None:
        self._feeder = None
        self.feed()
        if self._armed:
            self._schedule()

    def _watch(self) -> None:
        while True:
            with self._changed:
                if self._closed:
                    return
                if not self._armed:
                    self._changed.wait()
                    continue
                now = self._now()
                starved = self._fed + self._feed_limit_s
                due = [
                    (line, run, deadline, limit)
                    for line, (run, deadline, limit) in self._armed.items()
                    if deadline <= now or starved <= now
                ]
                for line, *_ in due:
                    del self._armed[line]
                if not due:
                    first = min(deadline for _, deadline, _ in self._armed.values())
                    self._changed.wait(max(0.0, min(first, starved) - now))
                    continue
            # Outside the lock: a line that is being switched holds its own lock and waits for ours.
            failed = []
            for line, run, deadline, limit in due:
                why = f"on for {limit:g} s" if deadline <= now else "the loop hangs"
                if not _cut(line, run, why):
                    failed.append((line, run, limit))
            if failed:
                with self._changed:
                    again = self._now() + RETRY_S
                    for line, run, limit in failed:
                        self._armed.setdefault(line, (run, again, limit))
                    self._changed.wait(FEED_EVERY_S)  # a loop that hangs makes all of them due


def _cut(line: Cuttable, run: int, why: str) -> bool:
    """Cut one output; one that fails takes neither the others along nor their watch."""
    try:
        line.cut(run, why)
    except EffectUnknownError:
        return False
    return True
