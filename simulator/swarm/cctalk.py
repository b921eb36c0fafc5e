"""A machine whose coins and bills speak ccTalk: what the swarm builds of it."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Final

from config.machine import MachineSettings
from config.models import CcTalk, CcTalkAcceptor, CcTalkBill, CcTalkHopper
from simulator.swarm.fitting import Fitting
from simulator.swarm.plan import Build

LINE: Final = CcTalk(
    port=Path("/nonexistent/cctalk"),
    acceptor=CcTalkAcceptor(accept=(10, 20, 50, 100, 200)),
    hoppers=(
        CcTalkHopper(address=3, value=100, content=300, path=1),
        CcTalkHopper(address=4, value=20, content=300),
        CcTalkHopper(address=5, value=10, content=300),
    ),
    bill=CcTalkBill(max_value=2_000),
)


class CcTalkCash(Fitting):
    """Acceptor, hoppers and validator on a line of their own; the card reader stays on the MDB."""

    name = "cctalk"

    def draw(self, rng: random.Random, build: Build) -> Build:
        """A few machines are so."""
        if build.pulse or rng.random() >= SHARE:
            return build
        events = rng.choice((0, 0, 240, 250, 254))
        keeps = rng.random() < 0.7
        return replace(
            build, cctalk=True, recycler=False, tokens=False, events=events, keeps_inhibits=keeps
        )

    def settings(self, settings: MachineSettings, build: Build) -> MachineSettings:
        """Wire it."""
        if not build.cctalk:
            return settings
        mdb = settings.mdb
        off = {
            "changer": mdb.changer.model_copy(update={"enabled": False}),
            "bill": mdb.bill.model_copy(update={"enabled": False}),
        }
        return settings.model_copy(update={"mdb": mdb.model_copy(update=off), "cctalk": LINE})


SHARE: Final = 0.12
