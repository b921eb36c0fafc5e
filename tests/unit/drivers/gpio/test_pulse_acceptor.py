"""Pulses as long as the kernel says: whenever vendd gets to hear of their edges."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.models import Pulse
from config.pins import Pin
from controller.ports import CoinsReport, DeviceEvent, FaultRaised, MoneyReport
from drivers.gpio.lines import Lines
from drivers.gpio.on_time import LoopWatch
from drivers.gpio.pin_shape import Line
from drivers.gpio.pulse_acceptor import PulseAcceptor, PulsePlan
from drivers.gpio.pulse_train import PulseShape
from simulator.clock import VirtualLoop
from simulator.peripherals.base import Timeline
from simulator.peripherals.pulse_coin import SimPulseAcceptor
from simulator.pins import PinBoard, SimulatorFactory
from simulator.truth import CASHBOX, Truth

PIN = 23
COINS = {1: 50, 2: 100, 4: 200}
SHAPE = PulseShape()
WIDTH_S, PAUSE_S = 0.05, 0.1
LONG_S = 5.0  # no coin is told that long


class BusyLoop(VirtualLoop):
    """A process that may be kept from its turn."""

    def stand_still(self, seconds: float) -> None:
        self._now += seconds


@dataclass
class Sink:
    """Keeps what the driver tells."""

    said: list[MoneyReport] = field(default_factory=list)
    events: list[DeviceEvent] = field(default_factory=list)

    def money(self, report: MoneyReport) -> asyncio.Future[None]:
        self.said.append(report)
        durable = asyncio.get_running_loop().create_future()
        durable.set_result(None)
        return durable

    def notify(self, event: DeviceEvent) -> None:
        self.events.append(event)

    @property
    def coins(self) -> list[int]:
        return [c.value for r in self.said if isinstance(r, CoinsReport) for c in r.deposited]

    @property
    def doubts(self) -> list[bytes]:
        return [r.answer for r in self.said if isinstance(r, CoinsReport) and r.doubt]


class Bench:
    """The driver on a board whose edges may be older than this moment."""

    def __init__(self) -> None:
        self.loop = BusyLoop()
        self.board = PinBoard(self.loop.time)
        self.board.wire(PIN)
        self.sink = Sink()
        lines = Lines(SimulatorFactory(board=self.board), LoopWatch())
        self.driver = PulseAcceptor(
            PulsePlan(COINS, SHAPE), self.sink, decimals=2, pulses=lines.input(Line(PIN), "pulse")
        )

    def run(self, story: Coroutine[None, None, None]) -> Sink:
        """Listen for a while, then play a story, and wait until all has ended."""

        async def whole() -> None:
            driving = asyncio.ensure_future(self.driver.start())
            await asyncio.sleep(LONG_S)
            await story
            await asyncio.sleep(LONG_S)
            driving.cancel()
            await asyncio.wait({driving})

        self.loop.run_until_complete(whole())
        self.loop.close()
        return self.sink

    def told(self, edges: list[tuple[float, bool]]) -> None:
        """Hear of edges in this moment, each with its own time."""
        for at_s, level in edges:
            self.board.drive(PIN, level, at_s)


def edges_of(pulses: int, ends_s: float, *, pause_s: float = PAUSE_S) -> list[tuple[float, bool]]:
    """Return the edges of a coin whose last pulse ends at an instant."""
    begins_s = ends_s - pulses * WIDTH_S - (pulses - 1) * pause_s
    starts = [begins_s + number * (WIDTH_S + pause_s) for number in range(pulses)]
    return [edge for at_s in starts for edge in ((at_s, True), (at_s + WIDTH_S, False))]


@pytest.mark.parametrize("pulses", COINS)
@pytest.mark.parametrize("late_s", [0.0, 0.1, 0.35, 3.0])
def test_a_coin_that_is_heard_in_one_burst_is_that_coin(pulses: int, late_s: float) -> None:
    bench = Bench()

    async def story() -> None:
        bench.told(edges_of(pulses, bench.loop.time() - late_s))

    sink = bench.run(story())
    assert (sink.coins, sink.doubts) == ([COINS[pulses]], [])


def test_two_coins_that_are_heard_in_one_burst_are_two() -> None:
    bench = Bench()

    async def story() -> None:
        now = bench.loop.time()
        bench.told([*edges_of(4, now - 1.0), *edges_of(1, now - 0.2)])

    assert bench.run(story()).coins == [200, 50]


@pytest.mark.parametrize("width_s", [0.01, 0.5])
def test_a_pulse_of_a_wrong_length_is_none_however_it_is_heard(width_s: float) -> None:
    bench = Bench()

    async def story() -> None:
        now = bench.loop.time()
        bench.board.drive(PIN, True, now - 0.6)
        await asyncio.sleep(WIDTH_S)  # by the times of hearing it would be a pulse
        bench.board.drive(PIN, False, now - 0.6 + width_s)

    assert bench.run(story()).coins == []


def test_each_edge_may_be_late_by_more_than_the_gap() -> None:
    """The pauses are in order; they are heard of half a second after they were over."""
    bench = Bench()

    async def story() -> None:
        begins_s = bench.loop.time()
        for at_s, level in edges_of(4, begins_s + 1.0):
            await asyncio.sleep(at_s + 0.5 - bench.loop.time())
            bench.board.drive(PIN, level, at_s)

    assert bench.run(story()).coins == [200]


def test_a_group_is_not_over_before_a_held_up_vendd_has_heard_of_its_edges() -> None:
    """The timer that ends a group rings before those who hand edges over have had their turn."""
    bench = Bench()

    async def story() -> None:
        begins_s = bench.loop.time()
        first, rest = edges_of(1, begins_s), edges_of(2, begins_s + 0.3)
        bench.told(first)
        await asyncio.sleep(SHAPE.gap_s - 0.001)
        bench.loop.stand_still(0.2)
        await asyncio.sleep(0.02)
        bench.told([(at_s, level) for at_s, level in rest if at_s > begins_s])

    sink = bench.run(story())
    assert (sink.coins, sink.doubts) == ([], [b"\x03"]), "three pulses are no coin, and no 50 cents"


def test_what_comes_too_late_for_its_group_is_no_coin_of_its_own() -> None:
    """Somebody's two euros were taken for one: the rest is for a person to look at."""
    bench = Bench()

    async def story() -> None:
        coin = edges_of(4, bench.loop.time())
        bench.told(coin[:4])
        await asyncio.sleep(2.0)
        bench.told(coin[4:])

    sink = bench.run(story())
    assert (sink.coins, sink.doubts) == ([100], [b"\x02"])


def test_a_pulse_whose_end_is_heard_late_is_no_line_that_stays_on() -> None:
    bench = Bench()

    async def story() -> None:
        now = bench.loop.time()
        bench.told([(now, True)])
        await asyncio.sleep(SHAPE.longest_s - 0.001)
        bench.loop.stand_still(0.3)
        await asyncio.sleep(0.02)
        bench.told([(now + WIDTH_S, False)])

    sink = bench.run(story())
    assert sink.coins == [50]
    assert not [event for event in sink.events if isinstance(event, FaultRaised)]


@given(
    st.lists(st.sampled_from(sorted(COINS.values())), min_size=1, max_size=4),
    st.lists(st.tuples(st.floats(0.0, 4.0), st.floats(0.0, 1.0)), max_size=6),
)
def test_no_busy_processor_makes_another_coin(
    values: list[int], holds: list[tuple[float, float]]
) -> None:
    """Acceptor and vendd wait for their turns; the acceptor's own clock does not."""
    bench = Bench()
    truth = Truth()
    plan = Pulse(pin=Pin(PIN), coins=COINS)
    acceptor = SimPulseAcceptor(Timeline(bench.loop), truth, bench.board, plan)

    async def story() -> None:
        for at_s, lasts_s in holds:
            bench.loop.call_later(at_s, bench.loop.stand_still, lasts_s)
        for value in values:
            acceptor.insert_coin(value)
        await asyncio.sleep(10.0)

    sink = bench.run(story())
    assert truth.value(CASHBOX) == sum(values)
    assert (sink.coins, sink.doubts) == (values, [])
