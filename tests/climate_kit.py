"""The demo machine with a refrigerated cabinet, for tests."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from config.climate import Climate, Cooling, Defrost, Health, Heating, Light, Thermometer
from config.machine import MachineSettings
from config.pins import Pin
from simulator.plan import WorldPlan, plan_for
from simulator.thermal import ThermalPlan
from tests.scenarios.stage import SETTINGS

CABIN: Final = Path("/nonexistent/w1/28-cabin/w1_slave")
FROST: Final = Path("/nonexistent/w1/28-evaporator/w1_slave")
COMPRESSOR: Final = 40
DEFROST: Final = 41
HEATER: Final = 42
LIGHT: Final = 43
COLA: Final = Health(products=("cola",), above_c=5.0)


def cooled(
    *, health: tuple[Health, ...] = (COLA,), settings: MachineSettings = SETTINGS, **changes: Any
) -> MachineSettings:
    """Return the demo machine, cooled to 3 °C, its cola under the health timer."""
    cooling = Cooling(pin=Pin(COMPRESSOR), target_c=3.0, hysteresis_c=1.5)
    climate = Climate(
        thermometers=(Thermometer(name="cabin", path=CABIN, stuck_s=0.0),), cooling=cooling
    )
    return settings.model_copy(
        update={"climate": climate.model_copy(update=changes), "health": health}
    )


def with_defrost(**changes: Any) -> MachineSettings:
    """Return it with an evaporator that is defrosted by a heater, every hour."""
    defrost = Defrost(
        every_s=3_600.0, for_s=600.0, end_c=8.0, thermometer="evaporator", pin=Pin(DEFROST)
    )
    thermometers = (
        Thermometer(name="cabin", path=CABIN, stuck_s=0.0),
        Thermometer(name="evaporator", path=FROST, stuck_s=0.0),
    )
    return cooled(thermometers=thermometers, defrost=defrost, **changes)


def heated() -> MachineSettings:
    """Return it with a heater against frost and a light, without a compressor."""
    return cooled(
        cooling=None,
        heating=Heating(pin=Pin(HEATER), target_c=5.0),
        light=Light(pin=Pin(LIGHT), when="door"),
        health=(),
    )


def thermal(settings: MachineSettings, **changes: Any) -> WorldPlan:
    """Return what stands around it, its air different."""
    return replace(plan_for(settings), thermal=replace(ThermalPlan(), **changes))
