"""Who comes in the days of a machine, and what breaks: from the seed, day by day.

Only what leaves evidence is drawn. What is told twice, lost on the line or fallen unseen can't be
told apart by any machine; the swarm plays it and judges by what it excuses, but a past that is
handed over has to be right to the cent.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from config.machine import MachineSettings
from simulator.swarm.draw import troubles
from simulator.swarm.people import somebody
from simulator.swarm.plan import Act, Build, End, Step
from simulator.swarm.shelf import Shelf
from simulator.swarm.troubles import KINDS, Kind

DAY_S: Final = 86_400.0
HOUR_S: Final = 3_600.0

# How many come in each hour of a day, in proportion: a lobby's day.
_HOURS: Final = (0, 0, 0, 0, 0, 1, 3, 7, 9, 7, 8, 6, 10, 9, 6, 7, 8, 7, 5, 3, 2, 2, 1, 0)
# It is started at this hour of that day, whatever clocks say: one seed is one past.
_FIRST_HOUR: Final = 8
BETWEEN_S: Final = 60.0  # the last one has gone when the next one comes
_VISIT_HOUR: Final = 14  # a technician's, each day: they fill, collect and mend
_TROUBLE: Final = 0.12  # of the customers meet some
_END: Final = 0.02  # of them see vendd end
_PLUG: Final = 0.4  # of those see the plug pulled

# A price that changes by itself, or a clock that jumps, would make a past that nobody can read.
_NO_PARTS: Final = ("config", "clock", "stock")
CERTAIN: Final[tuple[Kind, ...]] = tuple(
    kind for kind in KINDS if not kind.excuses and kind.part not in _NO_PARTS
)
# Paid for in an app or not at all, or for less than the price: no money of this machine.
_NO_ACTS: Final = ("app", "free")
_NO_CARDS: Final = ("discount", "token")


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody, and when they come.

    Args:
        at_s: Since the first start.
        step: What they do.
    """

    at_s: float
    step: Step


@dataclass(frozen=True, slots=True)
class Days:
    """What is lived.

    Args:
        days: How many.
        customers: How many come on a day, on average.
        seed: Everything is drawn from it.
        faults: Whether anything breaks.
    """

    days: float
    customers: int
    seed: int
    faults: bool = True


def build_of(settings: MachineSettings) -> Build:
    """Return what a drawer of customers and faults needs to know of a machine."""
    mdb = settings.mdb
    return Build(
        link=settings.mdb.link,
        second_reader=mdb.cashless2.enabled,
        recycler=bool(mdb.bill.recycle),
        cctalk=settings.cctalk is not None,
        pulse=settings.pulse is not None,
        multi_vend=settings.policy.multi_vend,
        basket=settings.policy.basket,
    )


def visitors(settings: MachineSettings, days: Days) -> Iterator[Visitor]:
    """Yield everybody who comes, in their order."""
    build, shelf = build_of(settings), Shelf(settings)
    number = 0
    after = 0.0
    for wished_s, technician in _times(days):
        number += 1
        at_s = after = max(wished_s, after + BETWEEN_S)
        if technician:
            yield Visitor(at_s, Step(number, visit=True))
        else:
            yield Visitor(at_s, _customer(days, number, shelf, build))
    # Whoever left money in it comes back for it: what is handed over owes nobody an open credit.
    star = Act("keys", text="*", until="end")
    yield Visitor(max(days.days * DAY_S, after + BETWEEN_S), Step(number + 1, (star,)))


def _times(days: Days) -> list[tuple[float, bool]]:
    """Return when somebody comes, and whether it is the technician."""
    rng = random.Random(f"{days.seed}/times")
    end = days.days * DAY_S - 2 * BETWEEN_S
    zero = -_FIRST_HOUR * HOUR_S  # midnight before the start
    found: list[tuple[float, bool]] = []
    for day in range(int(days.days) + 2):
        midnight = zero + day * DAY_S
        for _ in range(days.customers):
            hour = rng.choices(range(len(_HOURS)), _HOURS)[0]
            found.append((midnight + (hour + rng.random()) * HOUR_S, False))
        found.append((midnight + _VISIT_HOUR * HOUR_S, True))
    return sorted(entry for entry in found if BETWEEN_S <= entry[0] <= end)


def _customer(days: Days, number: int, shelf: Shelf, build: Build) -> Step:
    rng = random.Random(f"{days.seed}/{number}")
    acts = somebody(rng, shelf, build)
    while any(act.what in _NO_ACTS or act.text in _NO_CARDS for act in acts):
        acts = somebody(rng, shelf, build)
    if not days.faults:
        return Step(number, tuple(acts))
    luckless = random.Random(f"{days.seed}/{number}/luck")
    found = tuple(troubles(luckless, CERTAIN, _TROUBLE, acts, shelf, build))
    if found or luckless.random() >= _END:
        return Step(number, tuple(acts), found)
    if luckless.random() < _PLUG:
        # While nobody has money in the slot: a cut forgets what a changer has not told yet.
        cut = End("power", "", luckless.randint(1, 5), luckless.choice((5.0, 60.0, 600.0)))
        return Step(number, (Act("keys", text="*"),), (), cut)
    how = luckless.choice(("kill", "kill", "stop"))
    end = End(how, "dispense.intended", luckless.randint(1, 30), luckless.choice((1.0, 5.0)))
    return Step(number, tuple(acts), (), end)
