"""A refrigerated cabinet as a fitting of the swarm's machines."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Final

from config.climate import Climate, Cooling, Health, Thermometer
from config.machine import MachineSettings
from config.pins import Pin
from simulator.plan import WorldPlan
from simulator.swarm.fitting import Fitting
from simulator.swarm.plan import Build
from simulator.thermal import ThermalPlan

COMPRESSOR: Final = 40  # a pin that the demo machine leaves free
THERMOMETER: Final = Path("/nonexistent/w1/28-cabin/w1_slave")
FOOD: Final = ("cola", "nuts")


class Cold(Fitting):
    """A refrigerated cabinet with food under the health timer; hours pass in a minute."""

    name = "cold"

    def draw(self, rng: random.Random, build: Build) -> Build:
        """Some have one."""
        return replace(build, cooled=rng.choice((0.0, 0.0, 0.0, 3.0, 20.0)))

    def settings(self, settings: MachineSettings, build: Build) -> MachineSettings:
        """Name thermometer, compressor and limits."""
        if not build.cooled:
            return settings
        cooling = Cooling(
            pin=Pin(COMPRESSOR), target_c=3.0, min_on_s=5.0, min_off_s=10.0, max_on_s=300.0,
            lost_on_s=10.0, lost_off_s=60.0,
        )  # fmt: skip
        thermometer = Thermometer(name="cabin", path=THERMOMETER, every_s=5.0, stuck_s=0.0)
        climate = Climate(thermometers=(thermometer,), cooling=cooling)
        health = Health(
            products=FOOD, above_c=5.0, allowed_s=build.cooled, after_filling_s=build.cooled * 1.5
        )
        return settings.model_copy(update={"climate": climate, "health": (health,)})

    def plan(self, plan: WorldPlan, build: Build) -> WorldPlan:
        """Let it warm and cool fast."""
        if not build.cooled:
            return plan
        thermal = ThermalPlan(closed_s=300.0, open_s=30.0, cooling_s=40.0)
        return replace(plan, thermal=thermal)
