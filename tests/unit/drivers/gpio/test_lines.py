"""Pins have owners and safe levels, and an edge ends in a callback on the loop."""

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from gpiozero.pins.mock import MockFactory, MockPin

from config.pins import Pin
from controller.faults import ConfigError, EffectUnknownError, HardwareError, InvariantError
from drivers.gpio.lines import Lines
from drivers.gpio.on_time import LoopWatch
from drivers.gpio.pin_shape import Line

ROOT = Path(__file__).resolve().parents[4]


class BrokenPin(MockPin):  # type: ignore[misc]  # gpiozero ships no types
    """A pin whose writes can be made to fail, or everything."""

    broken = gone = False

    def _get_state(self) -> Any:
        if self.gone:
            raise OSError("the chip is gone")
        return super()._get_state()

    def _set_state(self, value: float) -> None:
        if self.broken or self.gone:
            raise OSError("the chip is gone")
        super()._set_state(value)


@pytest.fixture
def factory() -> Iterator[Any]:
    with MockFactory(pin_class=BrokenPin) as pins:
        yield pins


@pytest.fixture
def lines(factory: Any) -> Lines:
    return Lines(factory, LoopWatch())


@pytest.mark.parametrize(("active_low", "off", "on"), [(False, 0, 1), (True, 1, 0)])
async def test_an_output_opens_off_and_off_is_its_safe_level(
    lines: Lines, factory: Any, active_low: bool, off: int, on: int
) -> None:
    line = lines.output(Line(5, active_low=active_low), "motor", max_on_s=1)
    pin = factory.pin(5)
    assert (pin.function, pin.state) == ("output", off)
    line.on()
    assert (pin.state, line.is_on) == (on, True)
    line.off()
    line.off()
    assert (pin.state, line.is_on) == (off, False)


def test_a_pin_has_one_owner(lines: Lines) -> None:
    lines.output(Line(5), "the motor of column A1", max_on_s=1)
    for claim in (
        lambda: lines.output(Line(5), "the buzzer", max_on_s=1),
        lambda: lines.input(Line(5), "the buzzer"),
    ):
        with pytest.raises(
            ConfigError, match="the buzzer: pin 5 belongs to the motor of column A1"
        ):
            claim()


def test_an_input_may_be_shared_by_those_who_mean_the_same(lines: Lines) -> None:
    door = lines.input(Pin(8, active_low=True, pull="up"), "the door")
    assert lines.input(Line(8, active_low=True, pull="up"), "the dispenser's door") is door
    with pytest.raises(ConfigError, match="belongs to the door"):
        lines.input(Line(8), "something else")


@pytest.mark.parametrize(("pull", "state"), [("up", 1), ("down", 0)])
def test_an_input_has_its_pull(lines: Lines, factory: Any, pull: Any, state: int) -> None:
    line = lines.input(Line(7, active_low=pull == "up", pull=pull), "key")
    assert factory.pin(7).pull == pull
    assert factory.pin(7).state == state
    assert not line.active


def test_pins_that_do_not_exist_or_have_a_fixed_pull_are_named(lines: Lines) -> None:
    with pytest.raises(ConfigError, match="pin 60 cannot be used"):
        lines.output(Line(60), "motor", max_on_s=1)
    with pytest.raises(ConfigError, match="the door: pin 2 cannot be used"):
        lines.input(Line(2, pull="down"), "the door")  # GPIO 2 has a pull-up on the board


async def test_edges_come_as_on_and_off_until_forgotten(lines: Lines, factory: Any) -> None:
    line = lines.input(Line(7, active_low=True, pull="up"), "key")
    one: list[bool] = []
    other: list[bool] = []
    forget_one = line.listen(lambda active, _: one.append(active))
    forget_other = line.listen(lambda active, _: other.append(active))
    factory.pin(7).drive_low()
    forget_one()
    forget_one()
    factory.pin(7).drive_high()
    forget_other()
    factory.pin(7).drive_low()
    assert (one, other) == ([True], [True, False])


async def test_an_edge_comes_with_its_own_time_and_never_before_the_one_before(
    lines: Lines, factory: Any
) -> None:
    loop = asyncio.get_running_loop()
    line, pin = lines.input(Line(7, pull="down"), "key"), factory.pin(7)
    seen: list[float] = []
    line.listen(lambda _, at_s: seen.append(at_s))
    stamped, heard_from = factory.ticks(), loop.time()
    # As gpiozero's pins call it, with what a kernel stamped a while ago.
    pin.when_changed(stamped - 2.0, True)
    pin.when_changed(stamped - 1.5, False)
    pin.when_changed(stamped - 20.0, True)
    pin.drive_high()
    assert seen[0] == pytest.approx(heard_from - 2.0, abs=0.1)
    assert seen[1] - seen[0] == pytest.approx(0.5, abs=0.1)
    assert seen[2] == seen[1]
    assert heard_from <= seen[3] <= loop.time()


async def test_an_edge_in_another_thread_is_delivered_on_the_loop(
    lines: Lines, factory: Any
) -> None:
    line = lines.input(Line(7, pull="down"), "key")
    seen: list[tuple[bool, int]] = []
    arrived = asyncio.Event()

    def listener(active: bool, _at_s: float) -> None:
        seen.append((active, threading.get_ident()))
        arrived.set()

    line.listen(listener)
    await asyncio.to_thread(factory.pin(7).drive_high)
    await asyncio.wait_for(arrived.wait(), 5)
    assert seen == [(True, threading.get_ident())]


def test_an_edge_after_the_loops_end_is_nobodys(lines: Lines, factory: Any) -> None:
    line = lines.input(Line(7, pull="down"), "key")
    seen: list[bool] = []

    async def listen() -> None:
        line.listen(lambda active, _: seen.append(active))

    asyncio.run(listen())
    thread = threading.Thread(target=factory.pin(7).drive_high)
    thread.start()
    thread.join()
    assert seen == []


async def test_all_off_goes_on_after_a_pin_that_fails(lines: Lines, factory: Any) -> None:
    outputs = [lines.output(Line(number), f"motor {number}", max_on_s=1) for number in (5, 6, 13)]
    for line in outputs:
        line.on()
    factory.pin(6).broken = True
    with pytest.raises(
        EffectUnknownError, match="motor 6: cannot be switched off: the chip is gone"
    ):
        lines.all_off()
    assert [factory.pin(number).state for number in (5, 6, 13)] == [0, 1, 0]
    factory.pin(6).broken = False
    lines.all_off()
    assert factory.pin(6).state == 0


async def test_a_pin_that_cannot_be_switched_on_is_an_unknown_effect(
    lines: Lines, factory: Any
) -> None:
    line = lines.output(Line(5), "motor", max_on_s=1)
    factory.pin(5).broken = True
    with pytest.raises(EffectUnknownError, match="motor: cannot be switched on"):
        line.on()
    factory.pin(5).broken = False
    line.off()


async def test_closed_pins_are_off_and_take_no_new_owner(lines: Lines, factory: Any) -> None:
    line = lines.output(Line(5), "motor", max_on_s=1)
    line.on()
    lines.close()
    lines.close()
    assert factory.pin(5).state == 0
    assert factory.pin(5).function == "output"  # driven to its safe level, not left floating
    with pytest.raises(InvariantError):
        lines.output(Line(6), "motor", max_on_s=1)


def test_at_the_interpreters_end_everything_is_off() -> None:
    code = """
import asyncio, atexit, sys
from gpiozero.pins.mock import MockFactory
from drivers.gpio.lines import Lines
from drivers.gpio.on_time import LoopWatch
from drivers.gpio.pin_shape import Line
factory = MockFactory()
atexit.register(lambda: print(factory.pin(5).state, factory.pin(6).state))
lines = Lines(factory, LoopWatch(), at_exit=True)
async def main():
    lines.output(Line(5), "motor", max_on_s=9).on()
    lines.output(Line(6, active_low=True), "motor", max_on_s=9).on()
    print(factory.pin(5).state, factory.pin(6).state)
    raise SystemExit(3)
asyncio.run(main())
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert (done.returncode, done.stdout.split()) == (3, ["True", "False", "False", "True"])


def test_pins_are_lost_when_none_of_them_answers(lines: Lines, factory: Any) -> None:
    assert lines.lost() == "", "none is used"
    lines.output(Line(5), "the motor", max_on_s=1)
    lines.input(Line(6), "the door")
    factory.pin(5).gone = True
    assert lines.lost() == "", "one bad pin is not the end of all"
    factory.pin(6).gone = True
    assert lines.lost() == "the motor: the chip is gone"
    factory.pin(5).gone = False
    assert lines.lost() == ""


def test_a_factory_that_knows_is_asked(lines: Lines, factory: Any) -> None:
    factory.lost = lambda: "unplugged"
    assert lines.lost() == "unplugged"


@pytest.mark.parametrize("gone", [False, True])
def test_outputs_that_are_out_of_reach_with_all_pins_raise_nothing_at_the_end(
    lines: Lines, factory: Any, gone: bool
) -> None:
    lines.output(Line(5), "the motor", max_on_s=1)
    lines.input(Line(6), "the door")
    factory.pin(5).gone = True
    factory.pin(6).gone = gone
    if gone:
        lines.close()
    else:
        with pytest.raises(EffectUnknownError, match="the motor"):
            lines.close()


async def test_a_pin_that_is_gone_when_it_is_opened_may_be_back_later(
    lines: Lines, factory: Any
) -> None:
    factory.pin(5).gone = True
    with pytest.raises(HardwareError, match="the chip is gone"):
        lines.output(Line(5), "the motor", max_on_s=1)
