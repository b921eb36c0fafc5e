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
from functools import partial
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


class _Call(list[Any]):
    """A call that is set: when, its number, callback, arguments and context.

    It is what the loop hands out as a handle, its own entry in the heap (compared by time, then by
    number) and what a turn unpacks. A swarm makes hundreds for every vend, so it is a list: built,
    compared and taken apart without a line of Python. Nothing of `asyncio.Handle` but `cancel`,
    `cancelled` and `when` is ever asked of it.
    """

    __slots__ = ()
    __hash__ = object.__hash__  # type: ignore[assignment]  # two calls are never the same

    def cancel(self) -> None:
        """Let it never run."""
        self[2] = None
        self[3] = ()

    def cancelled(self) -> bool:
        """Tell whether it will never run."""
        return self[2] is None

    def when(self) -> float:
        """Return the loop time at which it is due."""
        due: float = self[0]
        return due


_UNSEEN: Final = _Call((0.0, 0, None, (), None))
"""The handle of a call that comes with its context: a task or a future set it, and keeps none."""


class VirtualLoop(BaseEventLoop):
    """An asyncio loop in virtual time, starting at zero.

    Timers that are due at the same instant run in the order in which they were set.

    Raises:
        VirtualDeadlockError: From `run_until_complete` and `run_forever`, when only the outside
            world could wake the program, and there is none.
        VirtualLivelockError: A million turns passed without time moving.
    """

    _stopping: bool  # the base's own

    def __init__(self, start_s: float = 0.0) -> None:
        super().__init__()
        self._now = start_s
        self._order = 0
        self._turns = 0
        self._due: deque[_Call | tuple[float, int, Any, Any, Any]] = deque()
        self._timers: list[_Call] = []
        self._sweep_at = _SWEEP_ABOVE
        if not self.get_debug():
            # Asked for each future and task that is made, by code that is not Python.
            self.get_debug = bool  # type: ignore[method-assign]  # it returns False
        # As the base's, without a call in between.
        self.create_future = partial(asyncio.Future, loop=self)  # type: ignore[method-assign]  # same

    def time(self) -> float:
        """Return the virtual seconds since the loop was made (plus `start_s`)."""
        return self._now

    def next_deadline(self) -> float | None:
        """Return when the next live timer is due, None when there is none."""
        timers = self._timers
        while timers and timers[0][2] is None:
            heappop(timers)
        return timers[0][0] if timers else None

    def deadline_behind(self, handle: object) -> float | None:
        """Return when the next live timer is due, this one aside; None when there is none."""
        due = self.next_deadline()
        if due is None or self._timers[0] is not handle:
            return due
        first = heappop(self._timers)
        due = self.next_deadline()
        heappush(self._timers, first)
        return due

    def calm_until(self) -> float:
        """Return when the next live timer is due; 0.0 where something is ready, or none is set."""
        if self._due:
            return 0.0
        timers = self._timers
        while timers and timers[0][2] is None:
            heappop(timers)
        return timers[0][0] if timers else 0.0

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
        while timers and timers[0][2] is None:
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
        if context is not None:
            self._due.append((0.0, 0, callback, args, context))
            return _UNSEEN  # type: ignore[return-value]  # see `_Call`
        call = _Call((0.0, 0, callback, args, copy_context()))
        self._due.append(call)
        return call  # type: ignore[return-value]  # see `_Call`

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
        self._order = order = self._order + 1
        call = _Call((self._now + delay, order, callback, args, context or copy_context()))
        heappush(self._timers, call)
        if len(self._timers) > self._sweep_at:
            self._sweep()
        return call  # type: ignore[return-value]  # see `_Call`

    def call_at(
        self,
        when: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """Run the callback when virtual time reaches `when`; a past time means the next turn."""
        self._order = order = self._order + 1
        call = _Call((when, order, callback, args, context or copy_context()))
        heappush(self._timers, call)
        if len(self._timers) > self._sweep_at:
            self._sweep()
        return call  # type: ignore[return-value]  # see `_Call`

    def _sweep(self) -> None:
        timers = self._timers
        timers[:] = [call for call in timers if call[2] is not None]
        heapify(timers)
        self._sweep_at = max(_SWEEP_ABOVE, 2 * len(timers))

    def _run_once(self) -> None:
        """Make turns until somebody stops the loop: time jumps only when nothing is ready.

        All that a swarm's processor does passes through here, hence many turns to a call (the base
        would ask after each whether to go on, just as this does), and what a handle's own `_run`
        does is written out.
        """
        due, timers = self._due, self._timers
        while True:
            if not due:
                when = self.next_deadline()
                if when is None:
                    raise VirtualDeadlockError("nothing is ready and no timer is set")
                if when > self._now:
                    self._now = when
                    self._turns = 0
            now = self._now
            while timers and timers[0][0] <= now:
                due.append(heappop(timers))
            self._turns += 1
            if self._turns > LIVELOCK_TURNS:
                raise VirtualLivelockError(f"time stands still at {now} s")
            for _ in range(len(due)):
                call = due.popleft()
                _, _, callback, args, context = call
                if callback is None:
                    continue
                try:
                    context.run(callback, *args)
                except (SystemExit, KeyboardInterrupt):
                    raise
                except BaseException as error:  # noqa: BLE001 - as every loop: told to its handler
                    what = {"message": "a callback broke", "exception": error, "handle": call}
                    self.call_exception_handler(what)
            if self._stopping:
                return

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
        self._told_at = -1.0  # one instant is asked for many times
        self._told = wall

    def monotonic_s(self) -> float:
        """Return the loop's seconds; never goes back."""
        return self._loop.time()

    def wall_utc(self) -> datetime:
        """Return the wall time, jumps included."""
        now = self._loop.time()
        if now != self._told_at:
            self._told_at, self._told = now, self._wall_at_zero + timedelta(seconds=now)
        return self._told

    async def sleep(self, seconds: float) -> None:
        """Wait in the loop's time."""
        await asyncio.sleep(seconds)

    def set_wall(self, wall: datetime) -> None:
        """Set the wall clock, forward or back; durations do not notice."""
        if wall.tzinfo is None:
            raise ValueError("wall time must be aware")
        self._wall_at_zero = wall.astimezone(UTC) - timedelta(seconds=self._loop.time())
        self._told_at = -1.0

    def jump_wall(self, seconds: float) -> None:
        """Move the wall clock by `seconds`, negative for back."""
        self._wall_at_zero += timedelta(seconds=seconds)
        self._told_at = -1.0


def run_virtual(main: Coroutine[Any, Any, T]) -> T:
    """Run `main` to its end in a virtual loop of its own, as `asyncio.run` would."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)
