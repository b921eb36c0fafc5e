"""No output stays on for too long: by the loop's timers, or a thread that the loop must feed."""

import asyncio
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from gpiozero.pins.mock import MockFactory

from controller.clock import SystemClock
from drivers.gpio.lines import Lines
from drivers.gpio.on_time import LoopWatch, ThreadWatch
from drivers.gpio.pin_shape import Line
from simulator.clock import run_virtual

NOW = SystemClock().monotonic_s


@pytest.fixture
def threaded() -> Iterator[tuple[Lines, Any]]:
    factory = MockFactory()
    lines = Lines(factory, ThreadWatch(NOW))
    yield lines, factory
    lines.close()


def test_in_virtual_time_a_forgotten_output_is_cut_at_its_limit_and_says_so() -> None:
    async def run() -> None:
        factory = MockFactory()
        lines = Lines(factory, LoopWatch())
        line = lines.output(Line(5), "motor", max_on_s=6)
        cuts: list[float] = []
        loop = asyncio.get_running_loop()
        line.on(on_cut=lambda: cuts.append(loop.time()))
        await asyncio.sleep(5.9)
        assert factory.pin(5).state == 1
        await asyncio.sleep(0.2)
        assert (factory.pin(5).state, line.is_on, line.cut_why) == (0, False, "on for 6 s")
        assert cuts == [6.0]
        line.on()
        assert line.cut_why is None
        lines.close()
        assert factory.pin(5).state == 0

    run_virtual(run())


def test_in_virtual_time_an_output_that_is_switched_in_time_is_never_cut() -> None:
    async def run() -> None:
        lines = Lines(MockFactory(), LoopWatch())
        line = lines.output(Line(5), "motor", max_on_s=1)
        for _ in range(5):
            line.on()
            await asyncio.sleep(0.9)
            line.off()
        line.on()
        await asyncio.sleep(0.5)
        line.on()  # again: a new run with its whole time
        await asyncio.sleep(0.9)
        assert line.is_on
        assert line.cut_why is None
        line.off()
        LoopWatch().close()
        lines.close()

    run_virtual(run())


async def test_the_thread_cuts_at_the_limit(threaded: tuple[Lines, Any]) -> None:
    lines, factory = threaded
    line = lines.output(Line(5), "motor", max_on_s=0.1)
    cut = asyncio.Event()
    started = NOW()
    line.on(on_cut=cut.set)
    await asyncio.wait_for(cut.wait(), 5)
    assert 0.1 <= NOW() - started < 1
    assert (factory.pin(5).state, line.cut_why) == (0, "on for 0.1 s")


async def test_a_loop_that_lives_feeds_the_thread(threaded: tuple[Lines, Any]) -> None:
    lines, _ = threaded
    line = lines.output(Line(5), "motor", max_on_s=5)
    line.on()
    await asyncio.sleep(0.4)  # longer than a loop may be silent
    assert line.is_on
    line.off()
    assert line.cut_why is None


async def test_a_loop_that_hangs_loses_its_outputs(threaded: tuple[Lines, Any]) -> None:
    lines, factory = threaded
    line = lines.output(Line(5), "motor", max_on_s=5)
    other = lines.output(Line(6), "motor", max_on_s=5)
    line.on()
    other.on()
    time.sleep(0.5)  # noqa: ASYNC251 - the loop hangs
    assert [factory.pin(number).state for number in (5, 6)] == [0, 0]
    assert line.cut_why == "the loop hangs"


def test_without_a_loop_nobody_feeds(threaded: tuple[Lines, Any]) -> None:
    lines, factory = threaded
    line = lines.output(Line(5), "motor", max_on_s=5)
    line.on()
    end = time.monotonic() + 5
    while factory.pin(5).state and time.monotonic() < end:
        time.sleep(0.01)
    assert line.cut_why == "the loop hangs"


async def test_a_late_cut_of_an_earlier_run_does_not_touch_the_next_one(
    threaded: tuple[Lines, Any],
) -> None:
    lines, factory = threaded
    line = lines.output(Line(5), "motor", max_on_s=5)
    line.on()
    line.off()
    line.on()
    line.cut(1, "late")
    assert factory.pin(5).state == 1
    line.cut(2, "in time")
    assert (factory.pin(5).state, line.cut_why) == (0, "in time")
    line.cut(2, "again")
    assert line.cut_why == "in time"


async def test_the_news_of_a_cut_after_the_loops_end_is_nobodys() -> None:
    lines = Lines(MockFactory(), ThreadWatch(NOW))
    line = lines.output(Line(5), "motor", max_on_s=5)

    async def switch_on() -> None:
        line.on(on_cut=lambda: None)

    await asyncio.to_thread(asyncio.run, switch_on())
    line.cut(1, "the loop has ended")
    assert not line.is_on
    lines.close()


async def test_the_thread_ends_with_the_pins() -> None:
    before = threading.active_count()
    watch = ThreadWatch(NOW)
    lines = Lines(MockFactory(), watch)
    line = lines.output(Line(5), "motor", max_on_s=5)
    line.on()
    lines.close()
    assert threading.active_count() == before
    assert not line.is_on


async def test_a_pin_that_cannot_be_written_takes_the_watch_of_the_others_not_along(
    threaded: tuple[Lines, Any],
) -> None:
    lines, factory = threaded
    stuck = lines.output(Line(5), "heater", max_on_s=0.05)
    motor = lines.output(Line(6), "motor", max_on_s=0.2)
    cuts = [asyncio.Event(), asyncio.Event()]
    stuck.on(on_cut=lambda: next(one for one in cuts if not one.is_set()).set())
    pin = factory.pin(5)
    write, tries = pin._set_state, []

    def refuse(value: Any) -> None:
        tries.append(value)
        if len(tries) < 2:
            raise OSError("the line is gone")
        write(value)

    pin._set_state = refuse
    cut = asyncio.Event()
    motor.on(on_cut=cut.set)
    await asyncio.wait_for(cut.wait(), 5)
    assert factory.pin(6).state == 0
    await asyncio.wait_for(cuts[1].wait(), 5)
    assert (pin.state, stuck.cut_why) == (0, "on for 0.05 s"), "it is tried again"
