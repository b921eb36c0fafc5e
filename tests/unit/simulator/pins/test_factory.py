"""gpiozero works on simulated pins, in one process and over a socket."""

import asyncio
import gc
import threading
from collections.abc import AsyncIterator, Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
from gpiozero import DigitalInputDevice, DigitalOutputDevice, exc

from simulator.pins import OnRelease, PinBoard, SimulatorFactory
from simulator.pins.board import PinBusyError, PinUseError
from simulator.pins.server import PinServer
from simulator.pins.transport import SocketTransport


@pytest.fixture
def board() -> PinBoard:
    return PinBoard(lambda: 0.0)


@pytest.fixture
def factory(board: PinBoard) -> SimulatorFactory:
    return SimulatorFactory(board=board)


def test_gpiozero_finds_it_by_its_entry_point() -> None:
    (point,) = entry_points(group="gpiozero_pin_factories", name="vendsim")
    assert point.load() is SimulatorFactory


def test_devices_of_gpiozero_work_on_it(board: PinBoard, factory: SimulatorFactory) -> None:
    led = DigitalOutputDevice(4, pin_factory=factory)
    button = DigitalInputDevice(22, pull_up=True, pin_factory=factory)
    changes: list[str] = []
    activated, deactivated = lambda: changes.append("on"), lambda: changes.append("off")
    button.when_activated, button.when_deactivated = activated, deactivated
    board.drive(22, False)
    assert button.value == 1
    board.drive(22, True)
    assert changes == ["on", "off"]
    led.on()
    assert board.outputs_on() == (4,)
    led.close()
    assert board.outputs_on() == ()
    button.close()
    factory.close()
    assert threading.active_count() == 1 or not any(
        thread.name == "vendsim-pins" for thread in threading.enumerate()
    )


def test_the_pin_surface_is_gpiozeros(factory: SimulatorFactory) -> None:
    pin: Any = factory.pin(5)
    assert factory.pin("GPIO5") is pin
    assert (pin.function, pin.pull, pin.edges) == ("input", "floating", "both")
    assert pin.bounce is None
    assert pin.frequency is None
    pin.pull = "up"
    assert pin.state is True
    with pytest.raises(exc.PinSetInput):
        pin.state = 1
    pin.output_with_state(1)
    assert pin.state is True
    for name, value, error in (
        ("pull", "up", exc.PinFixedPull),
        ("function", "pwm", exc.PinInvalidFunction),
        ("edges", "some", exc.PinInvalidEdges),
        ("bounce", 0.1, exc.PinInvalidBounce),
        ("frequency", 100, exc.PinPWMUnsupported),
    ):
        with pytest.raises(error):
            setattr(pin, name, value)
    pin.function = "input"
    with pytest.raises(exc.PinInvalidPull):
        pin.pull = "sideways"
    with pytest.raises(exc.PinInvalidPin):
        factory.pin(64)
    pin.bounce = None
    pin.frequency = None
    assert SimulatorFactory.ticks_diff(3.0, 1.0) == 2.0
    assert factory.ticks() == 0.0


def test_edges_can_be_narrowed_while_they_are_heard(
    board: PinBoard, factory: SimulatorFactory
) -> None:
    heard: list[float] = []

    def changed(ticks: float, state: float) -> None:
        heard.append(state)

    pin: Any = factory.pin(5)
    pin.when_changed = changed
    pin.edges = "rising"
    board.drive(5, True)
    board.drive(5, False)
    pin.when_changed = None
    board.drive(5, True)
    assert heard == [True]


def test_what_a_killed_process_would_still_do_does_not_happen(
    board: PinBoard, factory: SimulatorFactory
) -> None:
    board.wire(4)
    motor = DigitalOutputDevice(4, pin_factory=factory)
    motor.on()
    factory.abandon()
    motor.off()
    motor.close()
    del motor
    gc.collect()
    assert board.outputs_on() == (4,)


def test_without_a_board_or_a_socket_it_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("VENDSIM_PINS", raising=False)
    with pytest.raises(ValueError, match="factory_arguments"):
        SimulatorFactory()
    monkeypatch.setenv("VENDSIM_PINS", str(tmp_path / "none.sock"))
    with pytest.raises(ConnectionError, match="vendsim machine"):
        SimulatorFactory()


# ------------------------------------------------------------------------------ over a socket


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[tuple[PinBoard, str]]:
    loop = asyncio.get_running_loop()
    board = PinBoard(loop.time)
    server = PinServer(board)
    path = str(tmp_path / "gpio.sock")
    await server.start(path)
    yield board, path
    await server.close()


async def apart(work: Callable[[], Any]) -> Any:
    """Run blocking work beside the server's loop."""
    return await asyncio.get_running_loop().run_in_executor(None, work)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - the other side is a thread without events
            await asyncio.sleep(0.001)


async def test_levels_pulls_and_edges_travel_over_a_socket(served: tuple[PinBoard, str]) -> None:
    board, path = served
    board.wire(4)
    told: list[tuple[str, float]] = []

    def changed(ticks: float, state: float) -> None:
        told.append((threading.current_thread().name, state))

    def work() -> tuple[Any, Any]:
        factory = SimulatorFactory(socket=path)
        motor, switch = factory.pin(4), factory.pin(22)
        motor.output_with_state(0)
        motor.state = 1
        switch.pull = "up"
        assert switch.pull == "up"
        assert switch.state is True
        switch.when_changed = changed
        assert factory.ticks() > 0
        return factory, switch

    factory, switch = await apart(work)
    assert board.outputs_on() == (4,)
    board.drive(22, False)
    board.drive(22, True)
    await until(lambda: len(told) == 2)
    assert told == [("vendsim-pins", False), ("vendsim-pins", True)]

    def stop_listening() -> None:
        switch.when_changed = None

    await apart(stop_listening)
    factory.abandon()
    await until(lambda: board.session() is not None and not _held(board, 4))
    assert board.outputs_on() == (4,), "a dead process leaves its pins as they are"


def _held(board: PinBoard, pin: int) -> bool:
    return board.line(pin).owner is not None


async def test_two_processes_cannot_hold_one_pin(served: tuple[PinBoard, str]) -> None:
    _, path = served

    def work() -> None:
        one, other = SocketTransport(path), SocketTransport(path)
        one.claim_output(4)
        with pytest.raises(PinBusyError):
            other.claim_output(4)
        with pytest.raises(PinUseError):
            other.write(4, True)
        with pytest.raises(PinUseError):
            other.claim_input(99)
        one.die()
        other.die()
        other.write(4, True)

    await apart(work)


async def test_pins_of_a_simulator_that_is_gone_are_an_error(tmp_path: Path) -> None:
    server = PinServer(PinBoard(asyncio.get_running_loop().time, on_release=OnRelease.INPUT))
    counts: list[int] = []
    server.on_connections = counts.append
    path = str(tmp_path / "gpio.sock")
    await server.start(path)
    transport = await apart(lambda: SocketTransport(path))
    await apart(lambda: transport.claim_output(4))
    assert server.controllers == 1
    await server.close()

    def work() -> None:
        with pytest.raises(ConnectionError, match="went away"):
            transport.write(4, True)
        transport.die()

    await apart(work)
    await until(lambda: counts == [1, 0])
