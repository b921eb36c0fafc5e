"""A flight recorder as a fitting of the swarm's machines, and its oracle.

Whatever it kept, a brain that is given the same must decide the same.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from config.machine import MachineSettings
from config.models import Recorder
from controller.recorder.keeping import MemoryKeeper
from controller.recorder.replay import ReplayError, replay
from simulator.swarm.fitting import Fitting
from simulator.swarm.plan import Build

SHARE: Final = 0.06  # of all machines: packing costs as much as some vends
GAPS: Final = ("a part is missing",)  # what can't be replayed says so


class BlackBox(Fitting):
    """A flight recorder."""

    name = "black box"

    def draw(self, rng: random.Random, build: Build) -> Build:
        """Few have one."""
        return replace(build, recorded=rng.random() < SHARE)

    def settings(self, settings: MachineSettings, build: Build) -> MachineSettings:
        """Switch it on or off."""
        wanted = Recorder() if build.recorded else None
        return settings.model_copy(update={"recorder": wanted})


def replays(keeper: MemoryKeeper) -> Iterator[str]:
    """Yield what came out otherwise."""
    for name, lines in keeper.kept.items():
        try:
            found = replay(lines)
        except ReplayError as error:
            if not str(error).startswith(GAPS):
                yield f"recording {name} can't be replayed: {error}"
        else:
            if found.difference is not None:
                other = found.difference
                yield (
                    f"recording {name}, input {other.input}: other {other.what}:"
                    f" {other.recorded[:200]} was recorded, {other.decided[:200]} came out"
                )
