"""The matrix keypad on pins: keys come through, and at rest nothing runs."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from config.models import MatrixKeypad
from config.pins import Pin
from controller.ports import DeviceEvent, KeyPressed
from drivers.gpio import lines as lines_module
from drivers.gpio.lines import InputLine, Lines
from drivers.gpio.on_time import LoopWatch
from drivers.panel.assembly import build_keypad
from simulator.clock import VirtualLoop, run_virtual
from simulator.keypad import MatrixKeys
from simulator.pins import PinBoard, SimulatorFactory

ROWS = tuple(Pin(number) for number in (10, 11, 12, 13))
PULLED_UP = MatrixKeypad(
    kind="gpio-matrix",
    rows=tuple(Pin(number, active_low=True) for number in (10, 11, 12, 13)),
    columns=tuple(Pin(number, active_low=True, pull="up") for number in (14, 15, 16, 17)),
)
PULLED_DOWN = MatrixKeypad(
    kind="gpio-matrix",
    rows=ROWS,
    columns=tuple(Pin(number, pull="down") for number in (14, 15, 16, 17)),
)


class Cable(InputLine):
    """A column at the end of a cable: its pull takes some readings to charge it."""

    readings = 0
    _left = 0

    @property
    def active(self) -> bool:
        if super().active:
            self._left = self.readings
            return True
        self._left = max(0, self._left - 1)
        return self._left > 0


def keys_of(
    plan: MatrixKeypad, story: Callable[[MatrixKeys], Awaitable[None]]
) -> tuple[list[str], PinBoard]:
    events: list[DeviceEvent] = []

    async def run() -> PinBoard:
        board = PinBoard(asyncio.get_running_loop().time)
        fingers = MatrixKeys(board, plan)
        lines = Lines(SimulatorFactory(board=board), LoopWatch())
        keypad = build_keypad(lines, plan, events.append)
        keypad.start()
        await story(fingers)
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        assert loop.next_deadline() is None, "a keypad at rest has no timer"
        keypad.stop()
        lines.close()
        assert board.outputs_on() == ()
        return board

    board = run_virtual(run())
    return [event.key for event in events if isinstance(event, KeyPressed)], board


async def tap(fingers: MatrixKeys, key: str, seconds: float = 0.1) -> None:
    fingers.down(key)
    await asyncio.sleep(seconds)
    fingers.up(key)
    await asyncio.sleep(0.1)


def test_keys_are_told_in_order_with_either_polarity() -> None:
    async def story(fingers: MatrixKeys) -> None:
        for key in "A3*0#":
            await tap(fingers, key)

    for plan in (PULLED_UP, PULLED_DOWN):
        assert keys_of(plan, story)[0] == list("A3*0#")


def test_a_key_that_is_held_counts_once() -> None:
    assert keys_of(PULLED_UP, lambda fingers: tap(fingers, "7", 30.0))[0] == ["7"]


def test_a_touch_that_is_too_short_is_no_key() -> None:
    assert keys_of(PULLED_UP, lambda fingers: tap(fingers, "7", 0.01))[0] == []


def test_a_key_that_is_held_when_the_machine_starts_is_seen() -> None:
    async def run() -> list[DeviceEvent]:
        events: list[DeviceEvent] = []
        board = PinBoard(asyncio.get_running_loop().time)
        fingers = MatrixKeys(board, PULLED_UP)
        fingers.down("5")
        keypad = build_keypad(
            Lines(SimulatorFactory(board=board), LoopWatch()), PULLED_UP, events.append
        )
        keypad.start()
        await asyncio.sleep(0.1)
        keypad.stop()
        return events

    assert run_virtual(run()) == [KeyPressed("5")]


def test_a_bouncing_key_counts_once() -> None:
    async def story(fingers: MatrixKeys) -> None:
        for _ in range(8):
            fingers.down("9")
            await asyncio.sleep(0.003)
            fingers.up("9")
            await asyncio.sleep(0.002)
        await tap(fingers, "9")

    assert keys_of(PULLED_UP, story)[0] == ["9"]


def test_three_corners_of_a_rectangle_make_no_fourth_key() -> None:
    async def story(fingers: MatrixKeys) -> None:
        for key in "124":
            fingers.down(key)
        await asyncio.sleep(0.3)
        for key in "124":
            fingers.up(key)
        await asyncio.sleep(0.2)

    assert keys_of(PULLED_UP, story)[0] == []


def test_two_fingers_one_after_the_other() -> None:
    async def story(fingers: MatrixKeys) -> None:
        fingers.down("1")
        await asyncio.sleep(0.1)
        fingers.down("8")
        await asyncio.sleep(0.1)
        fingers.up("1")
        await asyncio.sleep(0.1)
        fingers.up("8")
        await asyncio.sleep(0.1)

    assert keys_of(PULLED_UP, story)[0] == ["1", "8"]


@pytest.mark.parametrize("readings", [1, 2, 5, 20])
def test_a_column_that_lets_go_slowly_makes_no_key_of_the_next_row(
    readings: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines_module, "InputLine", Cable)
    monkeypatch.setattr(Cable, "readings", readings)

    async def story(fingers: MatrixKeys) -> None:
        for key in "1A58#0":
            await tap(fingers, key)

    assert keys_of(PULLED_UP, story)[0] == list("1A58#0")


def test_a_column_that_touches_ground_is_no_key_and_leaves_the_others() -> None:
    async def run() -> list[DeviceEvent]:
        events: list[DeviceEvent] = []
        board = PinBoard(asyncio.get_running_loop().time)
        fingers = MatrixKeys(board, PULLED_UP)
        lines = Lines(SimulatorFactory(board=board), LoopWatch())
        keypad = build_keypad(lines, PULLED_UP, events.append)
        keypad.start()
        board.drive(15, False)
        await asyncio.sleep(1)
        await tap(fingers, "7")
        board.drive(15, True)
        await tap(fingers, "8")
        keypad.stop()
        return events

    assert run_virtual(run()) == [KeyPressed("7"), KeyPressed("8")]
