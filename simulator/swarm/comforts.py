"""What a cabinet may have besides its cold, or instead of it: defrosting, hot food, a light."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Final

from config.climate import Climate, Defrost, Health, Heating, Light, Thermometer
from config.machine import MachineSettings
from config.pins import Pin
from simulator.plan import WorldPlan
from simulator.swarm.cold import FOOD, THERMOMETER
from simulator.swarm.fitting import Fitting
from simulator.swarm.plan import Build
from simulator.thermal import ThermalPlan

DEFROSTER: Final = 41  # pins that the demo machine leaves free
HEATER: Final = 42
LIGHT: Final = 43
ON_ICE: Final = THERMOMETER.parents[1] / "28-ice" / "w1_slave"
HOT_C: Final = 57.0  # hot food is no colder
GONE_C: Final = -2.0  # the ice is, by the evaporator's thermometer
BEGINS: Final = 8  # o'clock, in Greenwich; a life takes some minutes
ZONES: Final = {"UTC": 0, "Etc/GMT-5": 5}  # the latter is five hours ahead


class Comforts(Fitting):
    """Defrosting where it is cold, hot food where it is not, a light; hours pass in a minute."""

    name = "comforts"

    def draw(self, rng: random.Random, build: Build) -> Build:
        """Some have them."""
        heated = rng.choice((0.0, 0.0, 3.0, 20.0)) if not build.cooled else 0.0
        defrosts = rng.choice(("", "clock", "ice", "heated")) if build.cooled else ""
        light = rng.choice(("", "always", "door", "schedule"))
        return replace(
            build,
            heated=heated,
            defrosts=defrosts,
            light=light if build.cooled or heated else "",
            light_zone=rng.choice(tuple(ZONES)),
        )

    def settings(self, settings: MachineSettings, build: Build) -> MachineSettings:
        """Name relays, thermometers and limits; times are shorter than a file may have them."""
        climate, health = settings.climate, settings.health
        if build.heated:
            climate = Climate(
                thermometers=(
                    Thermometer(
                        name="cabin", path=THERMOMETER, every_s=5.0, stuck_s=0.0, highest_c=90.0
                    ),
                ),
                heating=Heating(pin=Pin(HEATER), target_c=66.0, max_on_s=20.0),
            )
            hot = Health(
                products=FOOD, below_c=HOT_C, allowed_s=build.heated,
                after_filling_s=build.heated * 1.5,
            )  # fmt: skip
            health = (hot,)
        if climate is None:
            return settings
        if build.defrosts:
            climate = _defrosting(climate, build.defrosts)
        if build.light:
            climate = climate.model_copy(update={"light": _light(build)})
        return settings.model_copy(update={"climate": climate, "health": health})

    def plan(self, plan: WorldPlan, build: Build) -> WorldPlan:
        """Let it get hot and lose its heat fast."""
        if not build.heated:
            return plan
        thermal = ThermalPlan(start_c=66.0, closed_s=300.0, open_s=60.0, heating_c=180.0)
        return replace(plan, thermal=thermal)


def _defrosting(climate: Climate, how: str) -> Climate:
    defrost = Defrost(every_s=600.0, for_s=60.0).model_copy(update={"every_s": 90.0, "for_s": 25.0})
    thermometers = climate.thermometers
    if how != "clock":
        ice = Thermometer(name="ice", path=ON_ICE, every_s=5.0, stuck_s=0.0)
        thermometers = (*thermometers, ice)
        defrost = defrost.model_copy(update={"thermometer": ice.name, "end_c": GONE_C})
    if how == "heated":
        defrost = defrost.model_copy(update={"pin": Pin(DEFROSTER)})
    return climate.model_copy(update={"thermometers": thermometers, "defrost": defrost})


def _light(build: Build) -> Light:
    hour = BEGINS + ZONES[build.light_zone]
    on, off = f"{hour:02}:02", f"{hour:02}:05"
    if build.light != "schedule":
        return Light(pin=Pin(LIGHT), when="door" if build.light == "door" else "always")
    return Light(pin=Pin(LIGHT), when="schedule", on=on, off=off, zone=build.light_zone)
