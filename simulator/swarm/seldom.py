"""Customers whom chance would seldom bring, each for a rule that would else hardly be put to it.

Each sort draws from numbers of its own, and only where everything may go wrong.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from simulator.swarm.guided import Misfortune
from simulator.swarm.payers import anyones
from simulator.swarm.plan import Act, Build, Trouble
from simulator.swarm.shelf import Shelf

YEARS_S: Final = 3.2e8  # a clock that is wrong by ten years


def _owed(first: str, build: Build) -> tuple[list[Act], tuple[Trouble, ...]]:
    """Return somebody whose card keeps the money of a vend that fails: a claim is made of it."""
    sure = "#" if build.basket else ""
    keys = Act("keys", text=first + sure, after_s=0.3)
    if build.always_idle:
        acts = [keys, Act("card", text="card", after_s=0.5, until="card")]
    else:
        acts = [Act("card", text="card", after_s=0.3), Act("wait", after_s=1.5), keys]
    return [*acts, Act("wait", until="end")], (
        Trouble("cashless1", "refund", "error", when="approval.requested", for_s=90.0),
        Trouble(first, "jam", when="approval.requested", for_s=20.0),
    )


def back_with_a_code(rng: random.Random, shelf: Shelf, build: Build) -> Misfortune:
    """Keys in the code of a claim at a clock that has gone ten years ahead meanwhile."""
    first, second = rng.sample(anyones(shelf, build), 2)
    acts, troubles = _owed(first, build)
    ahead = Trouble("clock", "jump_s", YEARS_S, when="claim.opened", for_s=90.0)
    sure = "#" if build.basket else ""
    acts += [
        Act("redeem", after_s=1.0),
        Act("keys", text=second + sure, after_s=1.0, until="credit"),
    ]
    return Misfortune(tuple(acts), (*troubles, ahead))


@dataclass(frozen=True, slots=True)
class Seldom:
    """One sort of customer.

    Args:
        name: What its numbers are drawn by.
        meets: Draws what they do, and what goes wrong.
        share: Of the customers of a machine that fits.
        fits: Whether such a machine is of any use.
    """

    name: str
    meets: Callable[[random.Random, Shelf, Build], Misfortune]
    share: float
    fits: Callable[[Build], bool]


def _any_machine(build: Build) -> bool:
    del build
    return True


SORTS: Final[tuple[Seldom, ...]] = (Seldom("back", back_with_a_code, 0.008, _any_machine),)


def seldom(
    numbers: Callable[[str], random.Random], shelf: Shelf, build: Build
) -> Misfortune | None:
    """Return one of these customers, if one comes now."""
    for sort in SORTS:
        rng = numbers(sort.name)
        if sort.fits(build) and rng.random() < sort.share:
            return sort.meets(rng, shelf, build)
    return None
