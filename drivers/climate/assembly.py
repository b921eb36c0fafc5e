"""Build the climate's parts from a machine's configuration; the settings' models fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from controller.ports import ClimatePart, DeviceEvent
from drivers.climate.relays import Relays
from drivers.climate.thermometers import ReadFile, Thermometers, ThermometerShape, read_in_thread
from drivers.gpio.lines import Lines
from drivers.gpio.pin_shape import PinShape

# The controller's own limit comes first, the on-time watch is for a controller that forgot it.
WATCH_MARGIN_S: Final = 5.0

Notify = Callable[[DeviceEvent], None]


def build_relays(
    lines: Lines, parts: Mapping[ClimatePart, tuple[PinShape, float | None]], notify: Notify
) -> Relays:
    """Open the relays.

    Args:
        lines: The pins.
        parts: Of each part its pin, and the longest it may be on; None: for ever (a light).
        notify: Takes what is cut from outside.

    Raises:
        ConfigError: A pin cannot be used.
    """
    return Relays(
        {
            part: lines.output(
                pin,
                f"the {part.value}",
                max_on_s=None if longest_s is None else longest_s + WATCH_MARGIN_S,
            )
            for part, (pin, longest_s) in parts.items()
        },
        notify,
    )


def build_thermometers(
    shapes: Sequence[ThermometerShape], notify: Notify, read: ReadFile | None = None
) -> Thermometers:
    """Make the thermometers; nothing is read before ``start``."""
    return Thermometers(shapes, notify, read or read_in_thread)
