"""Build the panel's parts from a machine's configuration; the settings' models fit as they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal, Protocol

from controller.ports import Buzzer, DeviceEvent
from drivers.gpio.lines import Lines
from drivers.gpio.pin_shape import PinShape
from drivers.panel.buzzer import MAX_ON_S, NoBuzzer, PinBuzzer
from drivers.panel.door import Door
from drivers.panel.hd44780 import Hd44780, InlineDisplay, ThreadedDisplay
from drivers.panel.i2c_bus import I2cBus, open_bus
from drivers.panel.keypad_evdev import EvdevKeypad
from drivers.panel.keypad_gpio import GpioKeypad
from drivers.panel.keypad_scan import KeypadScan

Notify = Callable[[DeviceEvent], None]


class DisplayShape(Protocol):
    """A display."""

    @property
    def bus(self) -> str:
        """Return ``/dev/i2c-N`` or ``socket:PATH``."""
        ...

    @property
    def address(self) -> int:
        """Return the address of its expander."""
        ...

    @property
    def cols(self) -> int:
        """Return its width in characters."""
        ...

    @property
    def rows(self) -> int:
        """Return its height in lines."""
        ...


class MatrixKeypadShape(Protocol):
    """A keypad that we scan."""

    @property
    def kind(self) -> Literal["gpio-matrix"]:
        """Return the word that tells the shapes apart."""
        ...

    @property
    def rows(self) -> Sequence[PinShape]:
        """Return the outputs."""
        ...

    @property
    def columns(self) -> Sequence[PinShape]:
        """Return the inputs."""
        ...

    @property
    def layout(self) -> Sequence[str]:
        """Return the keys, a text per row."""
        ...

    @property
    def debounce_ms(self) -> int:
        """Return how long a contact must stand still."""
        ...

    @property
    def scan_ms(self) -> int:
        """Return the time between two scans."""
        ...


class KernelKeypadShape(Protocol):
    """A keypad that the kernel scans."""

    @property
    def kind(self) -> Literal["evdev"]:
        """Return the word that tells the shapes apart."""
        ...

    @property
    def path(self) -> Path:
        """Return the input device."""
        ...

    @property
    def codes(self) -> Mapping[int, str]:
        """Return which event code means which key."""
        ...


class Listener(Protocol):
    """A keypad or a door: tells what people do between ``start`` and ``stop``."""

    def start(self) -> None:
        """Begin, on the running loop. Raises ConfigError."""
        ...

    def stop(self) -> None:
        """End."""
        ...


class ClosableDisplay(Protocol):
    """The controller's ``Display``, with an end."""

    def show(self, lines: Sequence[str]) -> None:
        """Show lines; never blocks."""
        ...

    def close(self) -> None:
        """Write what is left and end."""
        ...


class NoDisplay:
    """A machine without one."""

    def show(self, lines: Sequence[str]) -> None:
        """Show nothing."""

    def close(self) -> None:
        """Do nothing."""


class NoListener:
    """A machine without a keypad, or without a door switch."""

    def start(self) -> None:
        """Do nothing."""

    def stop(self) -> None:
        """Do nothing."""


def build_display(
    shape: DisplayShape | None, notify: Notify, *, inline_bus: I2cBus | None = None
) -> ClosableDisplay:
    """Open the display.

    Args:
        shape: The configuration; None: no display.
        notify: Takes faults.
        inline_bus: A bus in this process: write within ``show``, no thread and no sleeping.

    Raises:
        ConfigError: The bus cannot be opened.
    """
    if shape is None:
        return NoDisplay()
    if inline_bus is not None:
        glass = Hd44780(inline_bus, shape.address, cols=shape.cols, rows=shape.rows)
        return InlineDisplay(glass, notify)
    bus = open_bus(shape.bus)
    glass = Hd44780(bus, shape.address, cols=shape.cols, rows=shape.rows)
    return ThreadedDisplay(glass, notify, finish=bus.close)


def build_keypad(
    lines: Lines, shape: MatrixKeypadShape | KernelKeypadShape | None, notify: Notify
) -> Listener:
    """Build the keypad. Raises ConfigError if a pin cannot be used."""
    if shape is None:
        return NoListener()
    if shape.kind == "evdev":
        return EvdevKeypad(shape.path, shape.codes, notify)
    return GpioKeypad(
        [
            lines.output(pin, f"keypad row {index}", max_on_s=None)
            for index, pin in enumerate(shape.rows)
        ],
        [lines.input(pin, f"keypad column {index}") for index, pin in enumerate(shape.columns)],
        KeypadScan(shape.layout, shape.debounce_ms / 1000),
        shape.scan_ms / 1000,
        notify,
    )


def build_buzzer(lines: Lines, pin: PinShape | None) -> Buzzer:
    """Build the buzzer. Raises ConfigError if its pin cannot be used."""
    if pin is None:
        return NoBuzzer()
    return PinBuzzer(lines.output(pin, "the buzzer", max_on_s=MAX_ON_S))


def build_door(lines: Lines, pin: PinShape | None, notify: Notify) -> Listener:
    """Build the door's switch. Raises ConfigError if its pin cannot be used."""
    if pin is None:
        return NoListener()
    return Door(lines.input(pin, "the door switch"), notify)
