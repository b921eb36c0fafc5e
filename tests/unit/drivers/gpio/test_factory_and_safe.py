"""Pins are opened by name or not at all; and from outside every output is driven safe."""

from typing import Any

import pytest
from gpiozero import Device
from gpiozero.pins.mock import MockFactory, MockPin

from controller.faults import ConfigError, EffectUnknownError
from drivers.gpio import safe
from drivers.gpio.factory import open_factory
from drivers.gpio.pin_shape import Line
from drivers.gpio.safe import SafeOutputs
from simulator.pins import PinBoard, SimulatorFactory

OUTPUTS = (Line(5), Line(6, active_low=True), Line(13))


def test_a_factory_is_found_by_its_name_and_gpiozeros_own_default_stays_unset() -> None:
    factory = open_factory("mock", {"revision": "a02082"})
    assert isinstance(factory, MockFactory)
    assert Device.pin_factory is None


def test_a_factory_that_is_not_installed_is_refused_with_those_that_are() -> None:
    with pytest.raises(ConfigError, match=r'"abacus": is not installed; allowed: .*lgpio.*mock'):
        open_factory("abacus")


def test_real_pins_on_a_computer_without_any_are_an_error_that_says_what_to_change() -> None:
    with pytest.raises(ConfigError, match=r'"lgpio": cannot be opened: .*is this a Raspberry Pi'):
        open_factory("lgpio")


def test_a_simulated_machine_that_does_not_run_is_an_error(tmp_path: Any) -> None:
    socket = str(tmp_path / "none.sock")
    with pytest.raises(ConfigError) as refused:
        open_factory("vendsim", {"socket": socket})
    assert str(refused.value) == (
        f'gpio.pin_factory = "vendsim": cannot be opened: no simulated pins at {socket}: No such '
        "file or directory (`vendsim machine` makes them); is the simulated machine running, and "
        "does gpio.factory_arguments name its socket?"
    )


@pytest.mark.parametrize("name", ["mock", "vendsim"])
def test_a_wrong_argument_is_an_error_that_says_nothing_else(name: str) -> None:
    with pytest.raises(ConfigError, match=rf'gpio\.pin_factory = "{name}".*colour\'?$'):
        open_factory(name, {"colour": "red"})


def test_simulated_pins_need_a_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VENDSIM_PINS", raising=False)
    with pytest.raises(ConfigError, match=r"factory_arguments = \{ socket = .* \}$"):
        open_factory("vendsim")


def test_every_output_is_driven_to_its_safe_level() -> None:
    board = PinBoard(lambda: 0.0)
    dead = SimulatorFactory(board=board)
    for line in OUTPUTS:
        dead.pin(line.number).output_with_state(not line.active_low)
    dead.abandon()
    assert [board.level(line.number) for line in OUTPUTS] == [True, False, True]
    outputs = SafeOutputs(OUTPUTS, lambda: SimulatorFactory(board=board))
    outputs.prepare()
    assert board.level(5)  # only loaded, nothing touched
    outputs.drive()
    assert [board.level(line.number) for line in OUTPUTS] == [False, True, False]


def test_pins_that_a_dying_process_still_holds_are_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    board = PinBoard(lambda: 0.0)
    dying = SimulatorFactory(board=board)
    dying.pin(5).output_with_state(True)

    class Waiting:
        waits = 0

        def wait(self, seconds: float) -> None:
            Waiting.waits += 1
            if Waiting.waits == 3:
                dying.abandon()

    monkeypatch.setattr(safe, "Event", Waiting)
    SafeOutputs(OUTPUTS, lambda: SimulatorFactory(board=board)).drive()
    assert Waiting.waits == 3
    assert not board.level(5)


def test_one_output_that_fails_does_not_keep_the_others_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(safe, "PAUSE_S", 0.0)

    class Stuck(MockPin):  # type: ignore[misc]  # gpiozero ships no types
        def _set_state(self, value: float) -> None:
            if self._number == 6:
                raise OSError("stuck")
            super()._set_state(value)

    factory = MockFactory(pin_class=Stuck)
    for number in (5, 13):
        factory.pin(number).output_with_state(True)
    with pytest.raises(EffectUnknownError, match="stuck"):
        SafeOutputs(OUTPUTS, lambda: factory).drive()
    assert [factory.pin(number).state for number in (5, 13)] == [0, 0]


def test_the_factory_is_named_as_the_configuration_does() -> None:
    SafeOutputs.of(OUTPUTS, "mock", {}).drive()
    with pytest.raises(ConfigError):
        SafeOutputs.of(OUTPUTS, "abacus", {}).prepare()
