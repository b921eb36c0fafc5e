"""Virtual time: an event loop whose clock jumps to the next deadline, and a clock that reads it.

The loop owns no selector, no sockets and no threads, so a run is the same every time and a year
takes as long as its events. Everything of asyncio that needs only the loop's own queue works:
tasks, futures, timeouts, queues, locks. Files and sockets do not exist here.
"""

from __future__ import annotations

import asyncio
from asyncio.base_events import BaseEventLoop
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context, copy_context
from datetime import UTC, datetime, timedelta
from heapq import heapify, heappop, heappush
from typing import Any, Final, NoReturn, TypeVar, TypeVarTuple

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

EPOCH: Final = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
"""The wall time at virtual second zero, unless another is given: a Monday morning."""

_SWEEP_ABOVE: Final = 4_096
"""Timers in the heap before cancelled ones are swept out; without it a year of `asyncio.timeout`
blocks would keep every one of them until its deadline."""

LIVELOCK_TURNS: Final = 1_000_000
"""Turns of the loop without time moving: something spins on `sleep(0)` and will do so for ever."""


class VirtualDeadlockError(RuntimeError):
    """Nothing is ready and no timer is set: in real time this program would hang for ever."""


class VirtualLivelockError(RuntimeError):
    """The program is busy and time cannot move on."""


class _Soon(asyncio.Handle):
    """A handle without what only debugging needs: a swarm makes hundreds for every vend.

    What never differs stands in the class, in front of the base's slots.
    """

    __slots__ = ()
    _repr = None
    _source_traceback = None

    def __init__(
        self,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        loop: asyncio.AbstractEventLoop,
        context: Context,
    ) -> None:
        self._callback = callback
        self._args = args
        self._loop = loop
        self._context = context
        self._cancelled = False

    def cancel(self) -> None:
        """Let it never run."""
        if not self._cancelled:
            self._cancelled = True
            self._callback = _never
            self._args = ()


class _Later(asyncio.TimerHandle):
    """The same with a time."""

    __slots__ = ()
    _repr = None
    _source_traceback = None
    _scheduled = True

    def __init__(
        self,
        when: float,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        loop: asyncio.AbstractEventLoop,
        context: Context,
    ) -> None:
        self._when = when
        self._callback = callback
        self._args = args
        self._loop = loop
        self._context = context
        self._cancelled = False

    def cancel(self) -> None:
        """Let it never run."""
        if not self._cancelled:
            self._cancelled = True
            self._callback = _never
            self._args = ()


def _never() -> None:
    """Stand for what a cancelled handle would have called."""


class VirtualLoop(BaseEventLoop):
    """An asyncio loop in virtual time, starting at zero.

    Timers that are due at the same instant run in the order in which they were set.

    Raises:
        VirtualDeadlockError: From `run_until_complete` and `run_forever`, when only the outside
            world could wake the program, and there is none.
        VirtualLivelockError: A million turns passed without time moving.
    """

    def __init__(self, start_s: float = 0.0) -> None:
        super().__init__()
        self._now = start_s
        self._order = 0
        self._turns = 0
        self._due: deque[_Soon | _Later] = deque()
        self._timers: list[tuple[float, int, _Later]] = []
        self._sweep_at = _SWEEP_ABOVE

    def time(self) -> float:
        """Return the virtual seconds since the loop was made (plus `start_s`)."""
        return self._now

    def next_deadline(self) -> float | None:
        """Return when the next live timer is due, None when there is none."""
        timers = self._timers
        while timers and timers[0][2]._cancelled:  # noqa: SLF001 - its own handles
            heappop(timers)
        return timers[0][0] if timers else None

    def deadline_behind(self, handle: asyncio.TimerHandle) -> float | None:
        """Return when the next live timer is due, this one aside; None when there is none."""
        due = self.next_deadline()
        if due is None or self._timers[0][2] is not handle:
            return due
        first = heappop(self._timers)
        due = self.next_deadline()
        heappush(self._timers, first)
        return due

    @property
    def busy(self) -> bool:
        """Tell whether anything is ready to run before time moves on."""
        return bool(self._due)

    def leap(self, when: float) -> bool:
        """Let time pass until `when` at once, if nothing else would happen before.

        Whoever only waits for `when` may call this instead: the loop itself would have jumped there
        next. False, and no time has passed, while anything is ready, while a timer is due by then,
        and where no timer at all bounds the leaping.
        """
        if self._due:
            return False
        timers = self._timers
        while timers and timers[0][2]._cancelled:  # noqa: SLF001 - its own handles
            heappop(timers)
        if not timers or timers[0][0] <= when:
            return False
        if when > self._now:
            self._now = when
            self._turns = 0
        return True

    # -- what asyncio calls -------------------------------------------------------------------

    def call_soon(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        """Run the callback in the next turn."""
        handle = _Soon(callback, args, self, context or copy_context())
        self._due.append(handle)
        return handle

    call_soon_threadsafe = call_soon  # there are no threads to be safe from

    def call_later(
        self,
        delay: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """Run the callback `delay` virtual seconds from now."""
        # As `call_at`, written out: most timers are set here.
        when = self._now + delay
        handle = _Later(when, callback, args, self, context or copy_context())
        self._order = order = self._order + 1
        heappush(self._timers, (when, order, handle))
        if len(self._timers) > self._sweep_at:
            self._sweep()
        return handle

    def call_at(
        self,
        when: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """Run the callback when virtual time reaches `when`; a past time means the next turn."""
        handle = _Later(when, callback, args, self, context or copy_context())
        self._order = order = self._order + 1
        heappush(self._timers, (when, order, handle))
        if len(self._timers) > self._sweep_at:
            self._sweep()
        return handle

    def _sweep(self) -> None:
        timers = self._timers
        timers[:] = [entry for entry in timers if not entry[2].cancelled()]
        heapify(timers)
        self._sweep_at = max(_SWEEP_ABOVE, 2 * len(timers))

    def _run_once(self) -> None:
        """Make one turn: time jumps only when nothing is ready.

        Half of all that a swarm's processor does passes through here, hence a handle's own `_run`
        is written out.
        """
        due, timers = self._due, self._timers
        if not due:
            when = self.next_deadline()
            if when is None:
                raise VirtualDeadlockError("nothing is ready and no timer is set")
            if when > self._now:
                self._now = when
                self._turns = 0
        now = self._now
        while timers and timers[0][0] <= now:
            due.append(heappop(timers)[2])
        self._turns += 1
        if self._turns > LIVELOCK_TURNS:
            raise VirtualLivelockError(f"time stands still at {now} s")
        for _ in range(len(due)):
            handle = due.popleft()
            if handle._cancelled:  # noqa: SLF001 - its own handles, here and below
                continue
            try:
                handle._context.run(handle._callback, *handle._args)  # noqa: SLF001
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException as error:  # noqa: BLE001 - as every loop: told to its handler
                what = {"message": "a callback broke", "exception": error, "handle": handle}
                self.call_exception_handler(what)

    def run_in_executor(self, *work: object) -> NoReturn:
        """Refuse: a thread would make the run depend on the machine that it runs on."""
        raise RuntimeError(f"no threads in virtual time: {work!r}")

    def close(self) -> None:
        """Drop what is left; idempotent."""
        self._due.clear()
        self._timers.clear()
        super().close()


class VirtualClock:
    """`controller.clock.Clock` on a loop's time, with a wall clock that a test may move.

    Args:
        loop: Any loop; with a `VirtualLoop` time is virtual.
        wall: The wall time now; aware.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, wall: datetime = EPOCH) -> None:
        self._loop = loop
        self._wall_at_zero = wall - timedelta(seconds=loop.time())

    def monotonic_s(self) -> float:
        """Return the loop's seconds; never goes back."""
        return self._loop.time()

    def wall_utc(self) -> datetime:
        """Return the wall time, jumps included."""
        return self._wall_at_zero + timedelta(seconds=self._loop.time())

    async def sleep(self, seconds: float) -> None:
        """Wait in the loop's time."""
        await asyncio.sleep(seconds)

    def set_wall(self, wall: datetime) -> None:
        """Set the wall clock, forward or back; durations do not notice."""
        if wall.tzinfo is None:
            raise ValueError("wall time must be aware")
        self._wall_at_zero = wall.astimezone(UTC) - timedelta(seconds=self._loop.time())

    def jump_wall(self, seconds: float) -> None:
        """Move the wall clock by `seconds`, negative for back."""
        self._wall_at_zero += timedelta(seconds=seconds)


def run_virtual(main: Coroutine[Any, Any, T]) -> T:
    """Run `main` to its end in a virtual loop of its own, as `asyncio.run` would."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)
