"""One thing that a machine of the swarm may have: drawn, told to its controller, set up."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from typing import ClassVar

from config.machine import MachineSettings
from simulator.plan import WorldPlan
from simulator.swarm.plan import Build


class Fitting(ABC):
    """One thing that a machine may have; most need no more than a part of this."""

    name: ClassVar[str]
    """What it is called; the seed draws by it."""

    @abstractmethod
    def draw(self, rng: random.Random, build: Build) -> Build:
        """Return the build with or without it."""

    def settings(self, settings: MachineSettings, build: Build) -> MachineSettings:
        """Return what the controller is told; as it is, where there is nothing to tell."""
        del build
        return settings

    def plan(self, plan: WorldPlan, build: Build) -> WorldPlan:
        """Return what stands around it; as it is, where that follows from the settings."""
        del build
        return plan
