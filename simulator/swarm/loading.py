"""Customers who put cash on a card, and machines that let them."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Final

from config.machine import MachineSettings
from simulator.peripherals.reader_settings import AtOnce
from simulator.plan import WorldPlan
from simulator.swarm.fitting import Fitting
from simulator.swarm.plan import Act, Build
from simulator.swarm.shelf import Shelf

KEY: Final = "C"  # of the demo machine's: A and B begin selections, D shows another language
CARDS: Final = ("prepaid", "prepaid", "card", "empty", "declined")
LIMITS: Final = (5_000, 5_000, 5_000, 300, 0)  # 0: the reader knows it, and never wants to


class Loads(Fitting):
    """A reader's cards take cash, up to a limit."""

    name = "loads"

    def draw(self, rng: random.Random, build: Build) -> Build:
        """A few owners want it."""
        return replace(
            build,
            loads=rng.random() < 0.2,
            load_limit=rng.choice(LIMITS),
            load_s=rng.choice((0.0, 0.4, 0.4, 3.0)),
        )

    def settings(self, settings: MachineSettings, build: Build) -> MachineSettings:
        """Set the policy."""
        policy = settings.policy.model_copy(update={"revalue": build.loads})
        return settings.model_copy(update={"policy": policy})

    def plan(self, plan: WorldPlan, build: Build) -> WorldPlan:
        """Set the readers' limit, and how long they take."""
        if not build.loads:
            return plan
        readers = {
            name: replace(
                reader,
                revalue_limit=build.load_limit,
                revalue_s=build.load_s,
                at_once=reader.at_once if build.load_s else reader.at_once | {AtOnce.REVALUE},
            )
            for name, reader in plan.readers.items()
        }
        return replace(plan, readers=readers)


def lets(build: Build) -> bool:
    """Tell whether cash may be put on cards here."""
    return build.loads


def load(rng: random.Random, shelf: Shelf) -> list[Act]:
    """Holds a card to the reader, puts money in, presses the key; buys by it, or goes."""
    acts = [
        Act("card", text=rng.choice(CARDS), after_s=0.3),
        Act("wait", after_s=rng.choice((0.5, 1.5))),
        *_money(rng),
        Act("keys", text=KEY, after_s=rng.choice((0.2, 1.0)), until=rng.choice(("credit", ""))),
    ]
    if rng.random() < 0.2:
        acts.append(Act(rng.choice(("pull", "lever")), after_s=rng.uniform(0.0, 1.5)))
    if rng.random() < 0.2:
        acts += [*_money(rng), Act("keys", text=KEY, after_s=0.5, until="credit")]
    if rng.random() < 0.5:
        acts.append(Act("keys", text=rng.choice(shelf.selections), after_s=1.0, until="credit"))
    if rng.random() < 0.7:
        acts.append(Act("keys", text="*", after_s=1.0, until="end"))
    return acts


def _money(rng: random.Random) -> list[Act]:
    if rng.random() < 0.3:
        return [Act("bill", rng.choice((500, 1_000)), after_s=0.3)]
    return [Act("coin", rng.choice((50, 100, 200)), after_s=0.6) for _ in range(rng.randint(1, 3))]


def plainly(rng: random.Random, shelf: Shelf) -> list[Act]:
    """Does that and nothing else."""
    del shelf
    return [
        Act("card", text="prepaid", after_s=0.3),
        Act("wait", after_s=1.5),
        *(Act("coin", rng.choice((50, 100, 200)), after_s=0.6) for _ in range(rng.randint(1, 3))),
        Act("keys", text=KEY, after_s=0.5, until="credit"),
    ]
