"""A machine whose coins are told by pulses: what the swarm builds of it."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Final

from config.machine import MachineSettings
from config.models import Pulse
from config.pins import Pin
from simulator.swarm.fitting import Fitting
from simulator.swarm.plan import Build

# Even numbers only: one pulse that is lost makes no coin of another.
PULSE: Final = Pulse(
    pin=Pin(60, active_low=True, pull="up"),
    enable=Pin(61),
    return_lever=Pin(62, active_low=True, pull="up"),
    coins={2: 5, 4: 10, 6: 20, 8: 50, 10: 100, 12: 200},
    gap_ms=120,
)


class PulseCoins(Fitting):
    """A pulse acceptor instead of the changer: coins go to the cash box, and none comes out."""

    name = "pulse coins"

    def draw(self, rng: random.Random, build: Build) -> Build:
        """A few have one."""
        return replace(build, pulse=rng.random() < 0.12)

    def settings(self, settings: MachineSettings, build: Build) -> MachineSettings:
        """Wire it."""
        if not build.pulse:
            return settings
        changer = settings.mdb.changer.model_copy(update={"enabled": False})
        mdb = settings.mdb.model_copy(update={"changer": changer})
        return settings.model_copy(update={"mdb": mdb, "pulse": PULSE})
