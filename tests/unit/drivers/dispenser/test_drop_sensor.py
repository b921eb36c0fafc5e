"""The drop sensor with the latches that people build: which one wins, and how fast it answers."""

import asyncio
from collections.abc import Awaitable, Callable
from enum import Enum
from typing import Any

import pytest

from controller.ports import SensorCheck
from drivers.dispenser.drop_sensor import DropLines, DropSensor
from drivers.gpio.lines import Lines
from drivers.gpio.on_time import LoopWatch
from drivers.gpio.pin_shape import Line
from simulator.clock import run_virtual
from simulator.pins import PinBoard, SimulatorFactory

LATCH, CLEAR, TEST = 20, 21, 22


class Kind(Enum):
    """How a latch treats darkness and clear at once."""

    DARK_WINS = "dark wins"
    CLEAR_WINS = "clear wins"
    CLEAR_AT_EDGE = "cleared at an edge"
    SET_AT_EDGE = "set at an edge"


class Latch:
    """A latch that answers after a while, behind a receiver that sees after a while."""

    def __init__(
        self, board: PinBoard, kind: Kind, answer_s: float, receiver_s: float = 0.0
    ) -> None:
        self.board = board
        self.kind = kind
        self.answer_s = answer_s
        self.receiver_s = receiver_s
        self.emitter_off = False  # as the receiver sees it
        self.was_dark = False
        self.on = False
        self.blind = False
        self.dark = False
        board.drive(LATCH, False)
        board.watch(TEST, self._tested)
        board.watch(CLEAR, self._cleared)

    def falls(self) -> None:
        self.dark = True
        self._settle()
        self.dark = False
        self._settle()

    def _tested(self, level: bool) -> None:
        if self.receiver_s:
            asyncio.get_running_loop().call_later(self.receiver_s, self._sees, level)
        else:
            self.emitter_off = level
            self._later()

    def _sees(self, level: bool) -> None:
        self.emitter_off = level
        self._settle()

    def _cleared(self, level: bool) -> None:
        if self.kind is Kind.CLEAR_AT_EDGE and level:
            self.on = False
        self._later()

    def _later(self) -> None:
        if self.answer_s:
            asyncio.get_running_loop().call_later(self.answer_s, self._settle)
        else:
            self._settle()

    def _settle(self) -> None:
        dark = (self.dark or self.emitter_off) and not self.blind
        darkened, self.was_dark = dark and not self.was_dark, dark
        clear = self.board.level(CLEAR)
        if self.kind is Kind.SET_AT_EDGE:
            self.on = (self.on or darkened) and not clear
        elif self.kind is Kind.CLEAR_WINS and clear:
            self.on = False
        elif dark:
            self.on = True
        elif clear and self.kind is Kind.DARK_WINS:
            self.on = False
        self.board.drive(LATCH, self.on)


Story = Callable[[DropSensor, Latch], Awaitable[Any]]


def play(
    kind: Kind,
    story: Story,
    *,
    answer_s: float = 0.005,
    receiver_s: float = 0.0,
    latch_lost: bool = False,
) -> Any:
    async def run() -> Any:
        board = PinBoard(asyncio.get_running_loop().time)
        latch = Latch(board, kind, answer_s, receiver_s)
        lines = Lines(SimulatorFactory(board=board), LoopWatch())
        wires = DropLines(
            latch=lines.input(Line(LATCH), "latch"),
            clear=lines.output(Line(CLEAR), "clear", max_on_s=1),
            test=lines.output(Line(TEST), "test", max_on_s=1),
        )
        result = await story(DropSensor(wires, latch_lost=latch_lost), latch)
        assert board.outputs_on() == ()
        return result

    return run_virtual(run())


KINDS = pytest.mark.parametrize("kind", list(Kind))


@KINDS
@pytest.mark.parametrize("answer_s", [0.0, 0.001, 0.04])
def test_any_latch_passes_its_check_and_is_clear_after(kind: Kind, answer_s: float) -> None:
    async def story(sensor: DropSensor, latch: Latch) -> SensorCheck:
        latch.falls()
        result = await sensor.check()
        await asyncio.sleep(1)
        assert not sensor.latched
        return result

    assert play(kind, story, answer_s=answer_s) is SensorCheck.READY


@KINDS
@pytest.mark.parametrize("receiver_s", [0.0005, 0.008, 0.04])
def test_the_receiver_may_take_its_time_to_see_the_emitter_again(
    kind: Kind, receiver_s: float
) -> None:
    async def story(sensor: DropSensor, latch: Latch) -> SensorCheck:
        latch.falls()
        result = await sensor.check()
        await asyncio.sleep(1)
        assert not sensor.latched
        return result

    assert play(kind, story, answer_s=0.0, receiver_s=receiver_s) is SensorCheck.READY


@KINDS
def test_a_slow_receiver_leaves_no_false_drop_behind_a_restarts_question(kind: Kind) -> None:
    async def story(sensor: DropSensor, latch: Latch) -> None:
        assert not await sensor.evidence()
        await asyncio.sleep(1)
        assert not latch.on

    play(kind, story, answer_s=0.0, receiver_s=0.008)


@KINDS
def test_a_latch_that_answers_too_late_is_blind(kind: Kind) -> None:
    async def story(sensor: DropSensor, latch: Latch) -> SensorCheck:
        return await sensor.check()

    assert play(kind, story, answer_s=0.2) is SensorCheck.BLIND


@KINDS
def test_a_receiver_that_sees_nothing_is_blind(kind: Kind) -> None:
    async def story(sensor: DropSensor, latch: Latch) -> SensorCheck:
        latch.blind = True
        return await sensor.check()

    assert play(kind, story) is SensorCheck.BLIND


@pytest.mark.parametrize(
    ("kind", "sees"), [(Kind.DARK_WINS, True), (Kind.CLEAR_WINS, None), (Kind.CLEAR_AT_EDGE, None),
     (Kind.SET_AT_EDGE, None)],
)  # fmt: skip
def test_only_the_best_latch_is_tested_after_a_turn(kind: Kind, sees: bool | None) -> None:
    async def story(sensor: DropSensor, latch: Latch) -> bool | None:
        await sensor.check()
        return await sensor.still_sees()

    assert play(kind, story) is sees


@pytest.mark.parametrize(
    ("kind", "latched"),
    [(Kind.DARK_WINS, False), (Kind.CLEAR_WINS, None), (Kind.CLEAR_AT_EDGE, None),
     (Kind.SET_AT_EDGE, None)],
)  # fmt: skip
def test_no_drop_is_evidence_only_if_the_sensor_could_have_seen_one(
    kind: Kind, latched: bool | None
) -> None:
    async def story(sensor: DropSensor, latch: Latch) -> bool | None:
        first = await sensor.evidence()
        await asyncio.sleep(1)
        assert await sensor.evidence() is first  # asking leaves nothing in the latch
        assert not latch.on
        return first

    assert play(kind, story) is latched


@KINDS
def test_a_drop_is_evidence_with_any_latch(kind: Kind) -> None:
    async def story(sensor: DropSensor, latch: Latch) -> bool | None:
        latch.falls()
        return await sensor.evidence()

    assert play(kind, story) is True


@KINDS
def test_after_a_power_cut_even_a_set_latch_is_no_evidence(kind: Kind) -> None:
    async def story(sensor: DropSensor, latch: Latch) -> bool | None:
        latch.falls()
        return await sensor.evidence()

    assert play(kind, story, latch_lost=True) is None


def test_a_check_that_is_cancelled_releases_both_controls() -> None:
    async def story(sensor: DropSensor, latch: Latch) -> None:
        check = asyncio.create_task(sensor.check())
        await asyncio.sleep(0.007)
        assert latch.board.outputs_on()
        check.cancel()
        with pytest.raises(asyncio.CancelledError):
            await check

    play(Kind.DARK_WINS, story)
