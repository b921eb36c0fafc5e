"""Customers as a cell of the failure table needs them: they pay by its tender, and that is all."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from controller.saga.failure_cells import Cell
from simulator.swarm import loading, people, rights
from simulator.swarm.plan import Act, Build
from simulator.swarm.shelf import Shelf

Draws = Callable[[random.Random, Shelf], list[Act]]
Payment = tuple[list[Act], str]

PAYERS: Final[Mapping[str, Draws]] = {
    "COINS": people.over,
    "BILL": people.bill,
    "CARD": people.card,
    "MIXED": people.mixed,
    "BILL_CARD": people.bill_and_card,
    "TOKEN": rights.token,
    "FREE": rights.free,
    "APP": rights.app,
    "HOUR": rights.in_a_free_hour,
    "BASKET": rights.basket,
    "REVALUE": loading.plainly,
    "ANY": people.over,
}
TRIES: Final = 12  # draws of somebody who pays as wanted, before the last one has to do
STRAY: Final = 0.1  # of them do whatever else comes to their mind
SWITCHED: Final = "A3"  # the demo machine's column that can tell that it is empty; cola, in it
YOUNG: Final = "B1"  # crisps, which some owners sell from sixteen on
TOKENED: Final = ("A1", "A3")  # what a token buys
FOOD: Final = ("A3", "B2")  # under the health timer
SHORT_S: Final = "8"  # how long a promise is good for that is to lapse


def payer(rng: random.Random, shelf: Shelf, build: Build, cell: Cell) -> Payment:
    """Return somebody who pays by a cell's tender, and the selection they want."""
    draws = PAYERS[cell.tender.name]
    acts = draws(rng, shelf)
    if cell.tender.name == "REVALUE":
        return acts, rng.choice(shelf.selections)
    if rng.random() >= STRAY:
        for _ in range(TRIES):
            if _pays(acts, cell):
                break
            acts = draws(rng, shelf)
        acts = _plainly(acts, shelf, cell)
        acts = _wanting(rng, acts, shelf, build, cell)
        if cell.phase.name in ("PAYOUT", "REFUND"):
            # Where the owner leaves what is over as credit, it takes a word to have it paid.
            acts.append(Act("keys", text="*", after_s=1.0, until="end"))
    if "while it waits" in cell.failure:
        acts = _waiting(acts)
    if build.basket and cell.tender.name != "BASKET":
        acts = rights.confirmed(acts, shelf)
    chosen = [act.text[:2] for act in acts if act.what == "keys" and act.text[:2] in shelf.prices]
    return acts, chosen[-1] if chosen else rng.choice(shelf.selections)


def _pays(acts: list[Act], cell: Cell) -> bool:
    """Tell whether these acts come to the cell's way to pay."""
    what = [act.what for act in acts]
    match cell.tender.name:
        case "MIXED" | "BILL_CARD":
            return "card" in what
        case "TOKEN":
            return what.count("coin") == 1
        case "APP":
            return "coin" not in what
        case "BASKET":
            return "card" not in what
        case _:
            return True


def _plainly(acts: list[Act], shelf: Shelf, cell: Cell) -> list[Act]:
    """Leave out what is neither money nor the first choice; let every card be a good one."""
    kept: list[Act] = []
    chosen = False
    for act in acts:
        if act.what == "keys" and cell.tender.name != "BASKET":
            if chosen or act.text not in shelf.prices:
                continue
            chosen = True
        if act.what in ("pull", "lever", "chord") or act.text == "*":
            continue
        kept.append(replace(act, text="card") if act.what == "card" else act)
    return kept


def _wanting(
    rng: random.Random, acts: list[Act], shelf: Shelf, build: Build, cell: Cell
) -> list[Act]:
    """Have them choose what such a cell is about, and nothing that asks for an age besides."""
    wanted: tuple[str, ...] = ()
    if cell.failure == "column says that it is empty":
        wanted = (SWITCHED,)
    elif cell.failure.startswith("health timer"):
        wanted = FOOD
    elif cell.tender.name == "TOKEN":
        wanted = TOKENED
    free = anyones(shelf, build)
    if cell.failure == "thermometer dies":  # nobody knows how warm food is: it is not sold
        free = [one for one in free if one not in FOOD]
    if "age" in cell.failure.split():
        return [replace(act, text=SWITCHED) if act.what == "keys" else act for act in acts]
    if not wanted and cell.tender.name != "BILL_CARD":
        return [
            replace(act, text=rng.choice(free)) if act.what == "keys" and act.text not in free
            and act.text in shelf.prices else act
            for act in acts
        ]  # fmt: skip
    fitting = [one for one in wanted if one in free]
    if not fitting or cell.tender.name == "BILL_CARD":
        return acts
    text = rng.choice(fitting)
    keyed = [
        replace(act, text=text) if act.what == "keys" and act.text in shelf.prices else act
        for act in acts
    ]
    if cell.tender.name in ("COINS", "BILL"):
        return [Act("coin", 200, after_s=0.4), *keyed]  # it may cost more
    return keyed


def anyones(shelf: Shelf, build: Build) -> list[str]:
    """Return the selections that ask for no age."""
    asked = {SWITCHED} if build.flagged else set()
    asked |= {YOUNG} if build.youths else set()
    return [one for one in shelf.selections if one not in asked]


def _waiting(acts: list[Act]) -> list[Act]:
    """Leave it at the token, or at a promise that lapses soon."""
    first = acts[0]
    words = first.text.split()
    if first.what in ("app", "free") and len(words) == 3:
        first = replace(first, text=" ".join((*words[:2], SHORT_S)))
    return [first, Act("wait", after_s=5.0)]


def with_a_claim(rng: random.Random, shelf: Shelf, build: Build, cell: Cell) -> Payment:
    """Return somebody who pays by card, gets a claim for it, keys it in, and buys with it."""
    first, second = rng.sample(anyones(shelf, build), 2)
    if cell.failure == "column says that it is empty":
        first, second = rng.choice([one for one in shelf.selections if one != SWITCHED]), SWITCHED
    sure = "#" if build.basket else ""
    return [
        Act("keys", text=first + sure, after_s=0.3),
        Act("card", text="card", after_s=0.5, until="card"),
        Act("wait", until="end"),
        Act("redeem", after_s=0.5),
        Act("keys", text=second + sure, after_s=1.0, until="credit"),
    ], second
