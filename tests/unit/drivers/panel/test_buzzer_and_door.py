"""The buzzer sounds and stops, the door tells when it moves."""

import asyncio

import pytest

from config.pins import Pin
from controller.ports import DeviceEvent, DoorChanged, Tone
from drivers.gpio.lines import Lines
from drivers.gpio.on_time import LoopWatch
from drivers.panel.assembly import build_buzzer, build_door, build_keypad
from simulator.clock import run_virtual
from simulator.pins import PinBoard, SimulatorFactory

BUZZER, DOOR = Pin(9), Pin(8, active_low=True, pull="up")


def rig() -> tuple[PinBoard, SimulatorFactory, Lines]:
    board = PinBoard(asyncio.get_running_loop().time)
    factory = SimulatorFactory(board=board)
    return board, factory, Lines(factory, LoopWatch())


@pytest.mark.parametrize(
    ("tone", "edges"),
    [
        (Tone.KEY, [0, 30]),
        (Tone.OK, [0, 120]),
        (Tone.ERROR, [0, 100, 180, 280, 360, 460]),
        (Tone.CLAIM, [0, 400, 600, 1000]),
    ],
)
def test_each_tone_is_its_pattern(tone: Tone, edges: list[int]) -> None:
    async def run() -> list[int]:
        board, _, lines = rig()
        buzzer = build_buzzer(lines, BUZZER)
        buzzer.beep(tone)
        await asyncio.sleep(5)
        assert board.outputs_on() == ()
        return [round(edge.at_s * 1000) for edge in board.edges]

    assert run_virtual(run()) == edges


def test_a_new_sound_ends_the_one_before() -> None:
    async def run() -> None:
        board, _, lines = rig()
        buzzer = build_buzzer(lines, BUZZER)
        buzzer.beep(Tone.CLAIM)
        await asyncio.sleep(0.1)
        buzzer.beep(Tone.KEY)
        await asyncio.sleep(0.05)
        assert board.outputs_on() == ()

    run_virtual(run())


def test_a_machine_without_a_buzzer_a_keypad_and_a_door_is_quiet() -> None:
    async def run() -> None:
        _, _, lines = rig()
        build_buzzer(lines, None).beep(Tone.ERROR)
        for part in (build_door(lines, None, print), build_keypad(lines, None, print)):
            part.start()
            part.stop()

    run_virtual(run())


def test_the_door_is_told_once_a_change_and_its_bounce_never() -> None:
    async def run() -> list[DeviceEvent]:
        board, _, lines = rig()
        board.drive(DOOR.number, True)  # closed, to a pull-up
        events: list[DeviceEvent] = []
        door = build_door(lines, DOOR, events.append)
        door.start()
        for level in (False, True, False, True, False):
            board.drive(DOOR.number, level)
            await asyncio.sleep(0.01)
        await asyncio.sleep(1)
        assert events == [DoorChanged(open=True)]
        board.drive(DOOR.number, True)
        await asyncio.sleep(1)
        door.stop()
        board.drive(DOOR.number, False)
        await asyncio.sleep(1)
        return events

    assert run_virtual(run()) == [DoorChanged(open=True), DoorChanged(open=False)]


def test_a_door_that_stands_open_at_the_start_is_told() -> None:
    async def run() -> list[DeviceEvent]:
        board, _, lines = rig()
        board.drive(DOOR.number, False)
        events: list[DeviceEvent] = []
        door = build_door(lines, DOOR, events.append)
        door.start()
        door.stop()
        return events

    assert run_virtual(run()) == [DoorChanged(open=True)]
