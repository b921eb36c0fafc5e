"""Keys and display as a customer meets them."""

import asyncio
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.models import MatrixKeypad
from config.pins import Pin
from config.settings import MachineSettings, load
from simulator.clock import VirtualClock, VirtualLoop
from simulator.i2c_server import I2cBus, message
from simulator.keypad import EVENT_SIZE, KernelKeys, MatrixKeys, NoKeys, UnknownKeyError
from simulator.panel import Panel
from simulator.pins.board import PinBoard, Pull

DEMO = Path(__file__).parents[3] / "config" / "machines" / "demo.toml"
ROWS, COLUMNS = (30, 31, 32, 33), (34, 35, 36, 37)


@pytest.fixture
def loop() -> Iterator[VirtualLoop]:
    loop = VirtualLoop()
    yield loop
    loop.close()


@pytest.fixture
def board(loop: VirtualLoop) -> PinBoard:
    return PinBoard(loop.time)


@pytest.fixture(scope="module")
def settings() -> MachineSettings:
    return load(DEMO, home=Path("/nowhere"))


@pytest.fixture
def bus() -> I2cBus:
    return I2cBus()


@pytest.fixture
def panel(loop: VirtualLoop, board: PinBoard, bus: I2cBus, settings: MachineSettings) -> Panel:
    return Panel(loop, VirtualClock(loop), board, bus, settings)


def wait(loop: VirtualLoop, seconds: float) -> None:
    loop.run_until_complete(asyncio.sleep(seconds))


def matrix() -> MatrixKeypad:
    return MatrixKeypad(
        kind="gpio-matrix",
        rows=tuple(Pin(number, active_low=True) for number in ROWS),
        columns=tuple(Pin(number, active_low=True, pull="up") for number in COLUMNS),
    )


def scan(board: PinBoard) -> list[str]:
    """Read all keys as a controller does: one row low at a time."""
    session = board.session()
    for row in ROWS:
        session.claim_output(row, True)
    for column in COLUMNS:
        session.claim_input(column)
        session.pull(column, Pull.UP)
    found = []
    for row, line in zip(ROWS, matrix().layout, strict=True):
        session.write(row, False)
        found += [
            key for column, key in zip(COLUMNS, line, strict=True) if not session.read(column)
        ]
        session.write(row, True)
    session.die()
    return found


def test_a_scan_finds_the_keys_that_are_held(board: PinBoard) -> None:
    keys = MatrixKeys(board, matrix())
    assert "".join(keys.keys) == "123A456B789C*0#D"
    assert scan(board) == []
    keys.down("5")
    keys.down("D")
    assert scan(board) == ["5", "D"]
    keys.up("5")
    assert scan(board) == ["D"]
    keys.up("D")
    with pytest.raises(UnknownKeyError, match="no key 'E'"):
        keys.down("E")


def test_three_keys_at_the_corners_of_a_rectangle_show_a_fourth(board: PinBoard) -> None:
    keys = MatrixKeys(board, matrix())
    for key in "124":
        keys.down(key)
    assert scan(board) == ["1", "2", "4", "5"]


def test_scanning_leaves_no_trace_among_the_edges(board: PinBoard) -> None:
    MatrixKeys(board, matrix()).down("5")
    scan(board)
    assert not board.edges


def test_the_kernels_keypad_reports_scan_code_key_and_end(settings: MachineSettings) -> None:
    assert settings.keypad is not None
    reports: list[bytes] = []
    keys = KernelKeys(settings.keypad, lambda: 1_700_000_000.25, reports.append)  # type: ignore[arg-type]  # the demo's kind
    keys.down("A")
    keys.up("*")
    assert len(reports[0]) == 3 * EVENT_SIZE == 72
    events = list(struct.iter_unpack("@qqHHi", reports[0]))
    assert events[0][:3] == (1_700_000_000, 250_000, 4)
    assert events[1][2:] == (1, 30, 1)
    assert events[2][2:] == (0, 0, 0)
    assert list(struct.iter_unpack("@qqHHi", reports[1]))[1][2:] == (1, 1, 0)
    with pytest.raises(UnknownKeyError, match="no key 'x'"):
        keys.down("x")


def test_a_machine_without_a_keypad_has_no_keys() -> None:
    with pytest.raises(UnknownKeyError, match="no keypad"):
        NoKeys().down("1")
    with pytest.raises(UnknownKeyError, match="no keypad"):
        NoKeys().up("1")


def start(bus: I2cBus) -> None:
    for nibble in (3, 3, 3, 2):
        strobe(bus, nibble)
    for value in (0x28, 0x0C, 0x01):
        send(bus, value)


def strobe(bus: I2cBus, nibble: int, rs: int = 0) -> None:
    base = nibble << 4 | 0x08 | rs
    bus.write(0x27, bytes((base | 4, base)))


def send(bus: I2cBus, value: int, rs: int = 0) -> None:
    strobe(bus, value >> 4, rs)
    strobe(bus, value & 15, rs)


def test_a_text_becomes_history_once_it_is_whole(
    panel: Panel, bus: I2cBus, loop: VirtualLoop
) -> None:
    start(bus)
    for letter in b"Hello":
        send(bus, letter, 1)
        wait(loop, 0.002)
        assert not panel.settled
    assert panel.lines[0].startswith("Hello")
    assert not panel.history
    wait(loop, 0.1)
    assert panel.settled
    assert [frame.lines[0].strip() for frame in panel.history] == ["Hello"]
    send(bus, 0x80)
    send(bus, ord("H"), 1)
    wait(loop, 0.1)
    assert len(panel.history) == 1, "the same text is no new frame"
    send(bus, 0x01)
    wait(loop, 0.1)
    assert panel.history[-1].seq == 2
    assert panel.history[-1].lines[0].strip() == ""


def test_the_buzzer_is_heard(panel: Panel, board: PinBoard, loop: VirtualLoop) -> None:
    session = board.session()
    session.claim_output(23)
    session.write(23, True)
    wait(loop, 0.25)
    session.write(23, False)
    assert [(beep.at_s, beep.seconds) for beep in panel.beeps] == [(0.0, 0.25)]


def test_a_wrong_key_presses_nothing(panel: Panel, loop: VirtualLoop) -> None:
    with pytest.raises(UnknownKeyError):
        panel.press("AZ")
    assert not panel.pressing
    wait(loop, 1.0)


def test_a_machine_without_display_and_keypad(
    loop: VirtualLoop, board: PinBoard, bus: I2cBus, settings: MachineSettings
) -> None:
    bare = settings.model_copy(update={"display": None, "keypad": None, "buzzer": None})
    panel = Panel(loop, VirtualClock(loop), board, bus, bare)
    assert panel.keypad.keys == ()
    assert not bus.write(0x27, b"\x08")
    plan = settings.model_copy(update={"keypad": matrix()})
    assert "#" in Panel(loop, VirtualClock(loop), board, bus, plan).keypad.keys


def test_an_i2c_message_is_framed_by_its_length() -> None:
    assert message(0x27, b"\x0c\x08") == b"\x00\x03\x27\x0c\x08"
    assert message(0x27, b"") == b"\x00\x01\x27"
