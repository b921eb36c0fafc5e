"""The machine's state is said on each connection, when it changed, and not too often."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from cloud.contract.messages import State, read
from cloud.contract.topics import Topic
from cloud.link.reporting import LEAST_S, Reporter
from cloud.link.transport import Heard
from simulator.clock import VirtualClock, run_virtual

EVERY_S = 900.0


@dataclass
class Said:
    """A connection that keeps what is said, and when."""

    clock: VirtualClock
    states: list[tuple[float, State]] = field(default_factory=list)

    async def say(self, topic: Topic, payload: bytes, *, retain: bool = False) -> None:
        assert (topic, retain) == (Topic.STATE, True)
        self.states.append((self.clock.monotonic_s(), read(State, payload)))

    def heard(self) -> AsyncIterator[Heard]:
        raise AssertionError("nobody listens here")


@dataclass
class Rig:
    """A machine that is nothing but a stock."""

    reporter: Reporter
    said: Said
    stock: dict[str, int]

    def sells(self) -> None:
        self.stock["A1"] -= 1
        self.reporter.touched()


async def rig() -> Rig:
    clock = VirtualClock(asyncio.get_running_loop())
    stock = {"A1": 100}

    def snapshot() -> State:
        now = int(clock.monotonic_s() * 1000)
        return State(at=now, mode="idle", stock=dict(stock), backlog=now)

    return Rig(Reporter(clock, snapshot, EVERY_S), Said(clock), stock)


def test_a_connection_is_told_at_once_and_the_next_one_again() -> None:
    async def story() -> None:
        one = await rig()
        for _ in range(2):
            task = asyncio.create_task(one.reporter.run(one.said))
            await asyncio.sleep(1.0)
            task.cancel()

        assert [at for at, _ in one.said.states] == [0.0, 1.0]

    run_virtual(story())


def test_a_rush_of_changes_is_told_at_a_limited_rate_and_its_end_is_told() -> None:
    async def story() -> None:
        one = await rig()
        task = asyncio.create_task(one.reporter.run(one.said))
        for _ in range(50):
            one.sells()
            await asyncio.sleep(0.5)
        await asyncio.sleep(LEAST_S)
        task.cancel()

        times = [at for at, _ in one.said.states]
        assert len(times) <= 5
        assert all(later - at >= LEAST_S for at, later in itertools.pairwise(times))
        assert one.said.states[-1][1].stock == {"A1": 50}

    run_virtual(story())


def test_a_state_that_cannot_be_made_ends_no_connection() -> None:
    async def story() -> None:
        one = await rig()
        stock, one.stock["A1"] = one.stock["A1"], "many"  # type: ignore[assignment]  # no number
        task = asyncio.create_task(one.reporter.run(one.said))
        await asyncio.sleep(2 * LEAST_S)
        assert not task.done()
        assert one.said.states == []
        one.stock["A1"] = stock
        one.reporter.touched()
        await asyncio.sleep(2 * LEAST_S)
        task.cancel()
        assert one.said.states[-1][1].stock == {"A1": 100}

    run_virtual(story())


def test_a_quiet_machine_says_it_every_so_often_and_a_label_is_no_news() -> None:
    async def story() -> None:
        one = await rig()
        task = asyncio.create_task(one.reporter.run(one.said))
        for _ in range(int(2.5 * EVERY_S / 5)):
            one.reporter.touched()  # a turn that changed nothing but times
            await asyncio.sleep(5.0)
        task.cancel()

        times = [at for at, _ in one.said.states]
        assert len(times) == 3
        assert all(later - at >= EVERY_S for at, later in itertools.pairwise(times))

    run_virtual(story())
