"""The guard's own composition root: a machine's outputs and how to reach them, nothing else.

``controller.app`` would do, and load ten times as much into a process that waits for ever.
"""

from __future__ import annotations

from config.machine import MachineSettings
from drivers.gpio.safe import SafeOutputs


def safe_outputs(settings: MachineSettings) -> SafeOutputs:
    """Return the machine's outputs and how to reach them; nothing is opened yet."""
    gpio = settings.gpio
    return SafeOutputs.of(settings.outputs(), gpio.pin_factory, dict(gpio.factory_arguments))
