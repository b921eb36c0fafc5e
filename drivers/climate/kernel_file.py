"""What a kernel's temperature file says. Pure.

A 1-wire thermometer's ``w1_slave`` holds the scratchpad twice, its checksum's verdict and
thousandths of a degree; a hwmon's ``temp1_input`` (and a newer kernel's ``temperature``) the
thousandths alone. Source: the Linux kernel's Documentation/w1/slaves/w1_therm.rst and
Documentation/hwmon/sysfs-interface.rst; the DS18B20's data sheet.
"""

from __future__ import annotations

import re
from typing import Final

_CHECKSUM: Final = re.compile(r"crc=[0-9a-f]{2} (YES|NO)\b")
_THOUSANDTHS: Final = re.compile(r"\bt=(-?\d{1,6})\b")
_PLAIN: Final = re.compile(r"-?\d{1,6}")

# What a DS18B20's scratchpad holds between power-up and its first measurement; no cabinet is so
# hot, and a bus with a loose contact tells it again and again.
_POWER_UP: Final = 85_000
# All bits one: the wire is open and nobody answered. All bits zero: it is shorted to ground, which
# reads like freezing point with a right checksum; a chip's own bytes 5 and 7 are never zero.
_NOBODY: Final = ("ff ff ff ff ff ff ff ff ff", "00 00 00 00 00 00 00 00 00")


class NoTemperatureError(ValueError):
    """The file holds no temperature; the text says why."""


def temperature(text: str) -> float:
    """Return degrees Celsius.

    Raises:
        NoTemperatureError: The checksum is wrong, the sensor had not measured, or it is no such
            file.
    """
    stripped = text.strip()
    if not stripped:
        raise NoTemperatureError("the sensor does not answer")
    if _PLAIN.fullmatch(stripped):
        return int(stripped) / 1000
    verdict, value = _CHECKSUM.search(stripped), _THOUSANDTHS.search(stripped)
    if verdict is None or value is None:
        raise NoTemperatureError(f"no temperature file: {stripped[:40]!r}")
    if stripped.startswith(_NOBODY):
        raise NoTemperatureError("its wire is open or shorted")
    if verdict[1] != "YES":
        raise NoTemperatureError("its checksum is wrong")
    if int(value[1]) == _POWER_UP:
        raise NoTemperatureError("it has been without power and has not measured")
    return int(value[1]) / 1000
