"""The climate of the cabinet and the health timer, as sections of a machine's file.

Temperatures are degrees Celsius.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from config.models import FilePath, ProductId, Section, Selection, between, shaped
from config.pins import Pin

Celsius = Annotated[float, between(-40, 120, "°C")]
Degrees = Annotated[float, between(0.1, 20, "°C")]
Name = Annotated[str, shaped(r"[a-z][a-z0-9-]{0,15}", "small letters, digits and dashes")]
Clock = Annotated[str, shaped(r"([01][0-9]|2[0-3]):[0-5][0-9]", 'a time of day, e.g. "07:30"')]


class Thermometer(Section):
    """A file of the kernel's: ``w1_slave`` of a 1-wire sensor, or a hwmon's ``temp1_input``."""

    name: Name
    path: FilePath  # /sys/bus/w1/devices/28-.../w1_slave, /sys/class/hwmon/hwmon0/temp1_input
    every_s: Annotated[float, between(1, 60, "s")] = 10.0  # between two readings
    lowest_c: Celsius = -40.0  # what is below is no temperature but a fault
    highest_c: Celsius = 80.0
    stuck_s: Annotated[float, between(0, 86_400, "s")] = 21_600.0  # never the same so long; 0: may


class Cooling(Section):
    """The compressor's relay."""

    pin: Pin
    target_c: Celsius  # cooled down to this
    hysteresis_c: Degrees = 1.5  # it starts again so much above
    min_on_s: Annotated[float, between(0, 1_800, "s")] = 120.0
    min_off_s: Annotated[float, between(0, 1_800, "s")] = 300.0  # after a restart as well
    max_on_s: Annotated[float, between(60, 86_400, "s")] = 14_400.0
    lost_on_s: Annotated[float, between(0, 3_600, "s")] = 600.0  # without a thermometer; 0: off
    lost_off_s: Annotated[float, between(60, 7_200, "s")] = 1_200.0
    weak_after_s: Annotated[float, between(60, 86_400, "s")] = 7_200.0  # runs, and stays warm


class Defrost(Section):
    """Getting rid of ice."""

    every_s: Annotated[float, between(600, 604_800, "s")] = 21_600.0
    for_s: Annotated[float, between(60, 7_200, "s")] = 1_200.0  # at most
    end_c: Celsius | None = None  # done when its thermometer is so warm; None: after for_s
    thermometer: Name | None = None  # the evaporator's
    pin: Pin | None = None  # of its heater; None: the compressor rests, no more


class Heating(Section):
    """A heater's relay: against frost, or for hot food."""

    pin: Pin
    target_c: Celsius
    hysteresis_c: Degrees = 1.0
    max_on_s: Annotated[float, between(10, 21_600, "s")] = 3_600.0


class Light(Section):
    """The light's relay."""

    pin: Pin
    when: Literal["always", "door", "schedule"] = "always"  # it is on while the door is open, too
    on: Clock = "06:00"
    off: Clock = "22:00"
    zone: Annotated[str, shaped(r"[A-Za-z_+\-/0-9]{1,40}", 'e.g. "Europe/Berlin"')] = "UTC"


class Climate(Section):
    """All that keeps the goods as they should be."""

    thermometers: Annotated[tuple[Thermometer, ...], Field(min_length=1, max_length=4)]
    cabinet: Name | None = None  # the thermometer that leads; None: the first
    cooling: Cooling | None = None
    defrost: Defrost | None = None
    heating: Heating | None = None
    light: Light | None = None

    @property
    def leading(self) -> str:
        """Return the name of the thermometer that leads."""
        return self.cabinet or self.thermometers[0].name

    def pins(self) -> Iterator[tuple[str, Pin]]:
        """Yield the pins that are driven, each with its key."""
        for name in ("cooling", "defrost", "heating", "light"):
            part = getattr(self, name)
            if part is not None and part.pin is not None:
                yield f"{name}.pin", part.pin


class Health(Section):
    """Limits of the health timer, for some products or columns.

    The defaults are those of the rules: 15 minutes above a limit, 30 after a filling; two hours
    below the limit of hot food. Source: Okla. Admin. Code 310:257-7-36, Minn. Rules 4626.0615.
    """

    products: tuple[ProductId, ...] = ()
    columns: tuple[Selection, ...] = ()  # besides; a column's own rule goes before its product's
    above_c: Celsius | None = None  # cold food: warmer is wrong
    below_c: Celsius | None = None  # hot food: colder is wrong
    allowed_s: Annotated[float, between(1, 86_400, "s")] | None = None  # None: 900, hot 7,200
    after_filling_s: Annotated[float, between(1, 86_400, "s")] | None = None  # None: 1,800, 7,200
    thermometer: Name | None = None  # None: the one that leads
