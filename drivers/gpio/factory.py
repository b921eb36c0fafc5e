"""Find and open a gpiozero pin factory by name.

A factory that does not open is an error that says what to change, never a silent simulation.
gpiozero's process-wide ``Device.pin_factory`` is not touched.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import Any, Final

from controller.faults import ConfigError, HardwareError

GROUP: Final = "gpiozero_pin_factories"  # gpiozero's own entry point group

_HINTS: Final[Mapping[str, str]] = {
    "lgpio": (
        "is this a Raspberry Pi, is the extra 'pi' installed, may this user open /dev/gpiochip* "
        "(group gpio), and can LG_WD (the working folder) be written?"
    ),
    "vendsim": "is the simulated machine running, and does gpio.factory_arguments name its socket?",
    "rpigpio": "RPi.GPIO does not work on a Raspberry Pi 5; take lgpio",
    "pigpio": "is pigpiod running? It does not work on a Raspberry Pi 5; take lgpio",
}


def open_factory(name: str, arguments: Mapping[str, str | int] | None = None) -> Any:
    """Open the pin factory ``name`` with keyword ``arguments``.

    Returns:
        A ``gpiozero.Factory`` (the library ships no types).

    Raises:
        ConfigError: No such factory is installed, or an argument is wrong.
        HardwareError: It could not be opened.
    """
    found = {point.name: point for point in entry_points(group=GROUP)}
    if name not in found:
        raise ConfigError(
            f'gpio.pin_factory = "{name}": is not installed; allowed: {", ".join(sorted(found))}'
        )
    try:
        return found[name].load()(**dict(arguments or {}))
    except Exception as error:
        # A wrong argument says by itself what is wrong.
        is_argument = isinstance(error, TypeError | ValueError)
        hint = "" if is_argument or name not in _HINTS else f"; {_HINTS[name]}"
        said = str(error) or type(error).__name__
        kind = ConfigError if is_argument else HardwareError
        raise kind(f'gpio.pin_factory = "{name}": cannot be opened: {said}{hint}') from error
