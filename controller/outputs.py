"""The guard's own composition root: a machine's outputs and how to reach them, nothing else.

``controller.app`` would do, and load ten times as much into a process that waits for ever.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from drivers.gpio.pin_shape import Line
from drivers.gpio.safe import SafeOutputs

if TYPE_CHECKING:
    from config.machine import MachineSettings


@dataclass(frozen=True, slots=True)
class Outputs:
    """What a machine drives, in plain values that another process can be told.

    Args:
        lines: The number of each output, and whether it is low when it is on.
        factory: What gpiozero calls the pins.
        arguments: What they are opened with.
    """

    lines: tuple[tuple[int, bool], ...]
    factory: str
    arguments: dict[str, str | int]

    @classmethod
    def of(cls, settings: MachineSettings) -> Outputs:
        """Read them from the configuration."""
        lines = tuple((pin.number, pin.active_low) for pin in settings.outputs())
        return cls(lines, settings.gpio.pin_factory, dict(settings.gpio.factory_arguments))

    def reach(self) -> SafeOutputs:
        """Return what drives them safe; nothing is opened yet."""
        lines = [Line(number, active_low=low) for number, low in self.lines]
        return SafeOutputs.of(lines, self.factory, self.arguments)
