"""Customers who walk into a drawn cell of the failure table: what chance alone would seldom bring.

A cell is drawn, then somebody who pays by its tender, then one of its marks, set to strike in its
phase. Whether it comes to that is the life's affair; ``coverage`` counts only what did.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from controller.saga.failure_cells import Cell
from controller.saga.failures import TABLE
from simulator.peripherals.faults import FaultValue
from simulator.swarm import people, rights
from simulator.swarm.causes import CAUSES
from simulator.swarm.people import Shelf
from simulator.swarm.plan import Act, Build, End, Trouble
from simulator.swarm.troubles import BY_KEY, Kind

Draws = Callable[[random.Random, Shelf], list[Act]]

PAYERS: Final[Mapping[str, Draws]] = {
    "COINS": people.over,
    "BILL": people.bill,
    "CARD": people.card,
    "MIXED": people.mixed,
    "BILL_CARD": people.bill_and_card,
    "TOKEN": rights.token,
    "FREE": rights.free,
    "APP": rights.app,
    "BASKET": rights.basket,
    "ANY": people.over,
}
# By a cell's phase: the record behind which a trouble strikes, and an end begins to count.
BEHIND: Final[Mapping[str, tuple[str, ...]]] = {
    "IDLE": ("",),
    "MONEY": ("coins.deposited", "bill.stacked"),
    "APPROVAL": ("approval.requested",),
    "TURN": ("dispense.intended",),
    "DROP": ("dispense.intended",),
    "SETTLE": ("settle.intended",),
    "REFUND": ("dispense.finished",),
    "PAYOUT": ("payout.intended",),
    "ESCROW": ("bill.escrowed", "stack.intended"),
    "RECOVERY": ("dispense.intended",),
}
LASTS_S: Final = 25.0
AWAY_S: Final = 200.0
PATIENT: Final = 4  # times that somebody waits for the end who is owed something
# Of a product that needs some time to fall: a cut that late finds it in the bin.
FALLEN: Final = (30, 60)
SOON: Final = (1, 25)


@dataclass(frozen=True, slots=True)
class Misfortune:
    """A customer and what is to happen to them."""

    acts: tuple[Act, ...]
    troubles: tuple[Trouble, ...] = ()
    end: End | None = None


def misfortune(rng: random.Random, shelf: Shelf, build: Build) -> Misfortune:
    """Return somebody on their way into a cell of the table."""
    cell = rng.choice(TABLE)
    mark = rng.choice(CAUSES.get(cell.failure, ("",)))
    claimed = cell.tender.name == "CLAIM"
    acts, selection = (_with_a_claim if claimed else _payer)(rng, shelf, build, cell)
    first = next((act.text[:2] for act in acts if act.what == "keys"), selection)
    troubles = _before(rng, cell, first, selection)
    kind, _, rest = mark.partition(".")
    if kind == "act":
        acts = _acting(rng, cell, acts, rest)
    elif kind == "end":
        return Misfortune(tuple(acts), troubles, _end(rng, cell, rest))
    elif kind != "seen":
        troubles += _trouble(rng, cell, mark, selection)
        if _outlasts(cell):
            acts += [Act("wait", until="end")] * PATIENT
    return Misfortune(tuple(acts), troubles)


def _payer(rng: random.Random, shelf: Shelf, build: Build, cell: Cell) -> tuple[list[Act], str]:
    acts = PAYERS[cell.tender.name](rng, shelf)
    if build.basket and cell.tender.name != "BASKET":
        acts = rights.confirmed(acts, shelf)
    chosen = [act.text[:2] for act in acts if act.what == "keys" and act.text[:2] in shelf.prices]
    return acts, chosen[-1] if chosen else rng.choice(shelf.selections)


def _with_a_claim(
    rng: random.Random, shelf: Shelf, build: Build, cell: Cell
) -> tuple[list[Act], str]:
    """Pays by card, gets a claim for it, keys it in, and buys with it."""
    del cell
    first, second = rng.sample(shelf.selections, 2)
    sure = "#" if build.basket else ""
    return [
        Act("keys", text=first + sure, after_s=0.3),
        Act("card", text="card", after_s=0.5, until="card"),
        Act("wait", until="end"),
        Act("redeem", after_s=0.5),
        Act("keys", text=second + sure, after_s=1.0, until="credit"),
    ], second


def _before(rng: random.Random, cell: Cell, first: str, selection: str) -> tuple[Trouble, ...]:
    """Return what has to go wrong first: a refund needs a failed vend, a claim a reader's."""
    if cell.tender.name == "CLAIM":
        # Whatever is bought first jams, and its reader can't give the money back.
        lost = Trouble("cashless1", "refund", "error", when="approval.requested", for_s=90.0)
        return (lost, Trouble(first, "jam", when="approval.requested", for_s=20.0))
    if cell.phase.name == "REFUND":
        name = rng.choice(("jam", "seized", "no_start"))
        return (Trouble(selection, name, when="vend.opened", for_s=LASTS_S),)
    return ()


def _acting(rng: random.Random, cell: Cell, acts: list[Act], mark: str) -> list[Act]:
    """Have the customer do it, where the phase is."""
    what, _, text = mark.partition(" ")
    if what == "card":
        return [replace(act, text=text) if act.what == "card" else act for act in acts]
    act = Act(what, text=text or ("2B" if what == "chord" else ""), after_s=rng.uniform(0.1, 3.5))
    keyed = next((i for i, one in enumerate(acts) if one.what == "keys"), len(acts))
    match cell.phase.name:
        case "IDLE" | "MONEY":
            at = keyed
        case "APPROVAL":
            at = keyed + 1
        case _:
            at = len(acts)
    return [*acts[:at], act, *acts[at:]]


def _end(rng: random.Random, cell: Cell, how: str) -> End:
    when = _behind(rng, cell)
    if cell.phase.name == "RECOVERY":
        again = (End(how, "boot.started", rng.randint(1, 300), rng.choice((0.6, 5.0))),)
        return End("kill", when, rng.randint(5, 40), 0.6, again)
    low, high = FALLEN if cell.phase.name == "DROP" else SOON
    return End(how, when, rng.randint(low, high), rng.choice((0.6, 5.0)))


def _behind(rng: random.Random, cell: Cell) -> str:
    if cell.tender.name == "CLAIM" and cell.phase.name != "IDLE":
        return "claim.redeemed"
    return rng.choice(BEHIND[cell.phase.name])


def _trouble(rng: random.Random, cell: Cell, mark: str, selection: str) -> tuple[Trouble, ...]:
    key, _, wanted = mark.partition("=")
    kind = BY_KEY.get(key)
    if kind is None:
        return ()
    part = {"column": selection, "reader": "cashless1"}.get(kind.part, kind.part)
    # What waits for its moment by itself may be set early.
    early = kind.part == "reader" and kind.name in ("refund", "dies_at", "resets_at")
    early = early or (cell.tender.name != "CLAIM" and rng.random() < 0.3)
    when = "" if early else _behind(rng, cell)
    if _outlasts(cell):  # only a device that stays away is given up
        return (Trouble(part, "silent", True, when, 0.0, AWAY_S),)
    value = _value(rng, kind, wanted, selection)
    return (Trouble(part, kind.name, value, when, 0.0, rng.uniform(8.0, LASTS_S)),)


def _outlasts(cell: Cell) -> bool:
    """Tell whether it comes to this only when a device is away for long."""
    away = ("is gone" in cell.failure) or ("dies in payout" in cell.failure)
    return away and "claim.opened" in cell.journaled


def _value(rng: random.Random, kind: Kind, wanted: str, selection: str) -> FaultValue:
    if kind.part == "stock":
        return selection
    fitting = [value for value in kind.values if str(value) == wanted]
    return fitting[0] if fitting else rng.choice(kind.values)
