"""Virtual time: order, jumps, ends."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from simulator.clock import (
    EPOCH,
    VirtualClock,
    VirtualDeadlockError,
    VirtualLivelockError,
    VirtualLoop,
    run_virtual,
)


def test_a_year_passes_at_once() -> None:
    async def main() -> float:
        await asyncio.sleep(365 * 86_400)
        return asyncio.get_running_loop().time()

    assert run_virtual(main()) == 365 * 86_400


def test_timers_of_one_instant_run_in_the_order_in_which_they_were_set() -> None:
    async def main() -> list[int]:
        loop = asyncio.get_running_loop()
        ran: list[int] = []
        for number in range(50):
            loop.call_later(1.0, ran.append, number)
        loop.call_later(0.5, ran.append, -1)
        await asyncio.sleep(2)
        return ran

    assert run_virtual(main()) == [-1, *range(50)]


def test_time_does_not_move_while_something_is_ready() -> None:
    async def main() -> float:
        for _ in range(100):
            await asyncio.sleep(0)
        return asyncio.get_running_loop().time()

    assert run_virtual(main()) == 0.0


def test_timeouts_of_asyncio_run_on_virtual_time() -> None:
    async def main() -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3.5):
                await asyncio.get_running_loop().create_future()
        return asyncio.get_running_loop().time()

    assert run_virtual(main()) == 3.5


def test_time_leaps_only_where_nothing_else_would_happen() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        assert not loop.leap(1.0), "no timer bounds it"
        ran: list[float] = []
        loop.call_later(5.0, lambda: ran.append(loop.time()))
        gone = loop.call_later(2.0, ran.append, -1.0)
        gone.cancel()
        assert loop.leap(3.0)
        assert loop.time() == 3.0
        assert not loop.leap(5.0), "the timer comes first"
        assert loop.time() == 3.0
        loop.call_soon(ran.append, 0.0)
        assert not loop.leap(4.0), "something is ready"
        await asyncio.sleep(6.0)
        assert ran == [0.0, 5.0]

    run_virtual(main())


def test_a_deadline_is_told_with_one_timer_left_out() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        first, later = loop.call_at(1.0, print), loop.call_at(2.0, print)
        assert loop.next_deadline() == 1.0
        assert loop.deadline_behind(first) == 2.0
        assert loop.deadline_behind(later) == 1.0
        later.cancel()
        assert loop.deadline_behind(first) is None
        assert loop.next_deadline() == 1.0
        first.cancel()

    run_virtual(main())


def test_waiting_for_nothing_is_a_deadlock_not_a_hang() -> None:
    async def main() -> None:
        await asyncio.get_running_loop().create_future()

    loop = VirtualLoop()
    task = loop.create_task(main())
    with pytest.raises(VirtualDeadlockError):
        loop.run_until_complete(task)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        loop.run_until_complete(task)
    loop.close()


def test_a_spinning_program_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulator.clock.LIVELOCK_TURNS", 1_000)

    async def main() -> None:
        while True:  # noqa: ASYNC110 - spinning is what this test is about
            await asyncio.sleep(0)

    loop = VirtualLoop()
    task = loop.create_task(main())
    with pytest.raises(VirtualLivelockError):
        loop.run_until_complete(task)
    task.cancel()
    monkeypatch.undo()
    with pytest.raises(asyncio.CancelledError):
        loop.run_until_complete(task)
    loop.close()


def test_threads_are_refused() -> None:
    async def main() -> None:
        await asyncio.to_thread(print)

    with pytest.raises(RuntimeError, match="no threads"):
        run_virtual(main())


def test_cancelled_timers_are_swept_out_of_the_heap() -> None:
    loop = VirtualLoop()
    for _ in range(20_000):
        loop.call_later(1_000_000, print).cancel()
    assert len(loop._timers) < 5_000
    assert loop.next_deadline() is None
    loop.call_later(3, print)
    assert loop.next_deadline() == 3
    loop.close()


def test_exact_deadlines_are_kept_far_from_zero() -> None:
    loop = VirtualLoop(start_s=1e9)
    seen: list[float] = []
    for index in range(100):
        loop.call_later(index * 0.1, lambda: seen.append(loop.time()))
    loop.run_until_complete(asyncio.sleep(20))
    assert seen == sorted(seen)
    assert len(seen) == 100
    loop.close()


def test_the_wall_clock_jumps_and_durations_do_not_notice() -> None:
    async def main() -> None:
        clock = VirtualClock(asyncio.get_running_loop())
        assert clock.wall_utc() == EPOCH
        await clock.sleep(60)
        assert (clock.wall_utc() - EPOCH).total_seconds() == 60
        clock.jump_wall(-10 * 365 * 86_400)
        assert clock.wall_utc().year == 2016
        assert clock.monotonic_s() == 60
        clock.set_wall(datetime(2030, 1, 1, tzinfo=UTC))
        await clock.sleep(1)
        assert clock.wall_utc() == datetime(2030, 1, 1, 0, 0, 1, tzinfo=UTC)
        with pytest.raises(ValueError, match="aware"):
            clock.set_wall(datetime(2030, 1, 1))  # noqa: DTZ001 - that is the point

    run_virtual(main())
