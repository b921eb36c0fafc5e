"""Customers who walk into a drawn cell of the failure table: what chance alone would seldom bring.

A cell is drawn of those that can come about on this machine, then somebody who pays by its tender,
then one of its marks, set to strike in its phase. Whether it comes to that is the life's affair;
``coverage`` counts only what did.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from controller.saga.failure_cells import Cell
from controller.saga.failures import TABLE
from simulator.peripherals.faults import FaultValue
from simulator.swarm import fitting_cells
from simulator.swarm.payers import payer, with_a_claim
from simulator.swarm.plan import Act, Build, End, Trouble
from simulator.swarm.shelf import Shelf
from simulator.swarm.troubles import ALWAYS_SHORT, BY_KEY, Kind

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
    "REVALUE": ("revalue.intended",),
    "RECOVERY": ("dispense.intended",),
}
# The same where the way to pay has records of its own.
MONEY_BEHIND: Final[Mapping[str, str]] = {
    "TOKEN": "token.inserted",
    "FREE": "right.granted",
    "APP": "right.granted",
    "BILL": "bill.stacked",
    "COINS": "coins.deposited",
    "CLAIM": "claim.redeemed",
}
LASTS_S: Final = 25.0
AWAY_S: Final = 200.0
PATIENT: Final = 4  # times that somebody waits for the end who is owed something
# Of a product that needs some time to fall: a cut that late finds it in the bin.
UNHEARD: Final = frozenset(
    (
        "acceptor resets with a coin that nobody has read",
        "acceptor tells more than its buffer holds",
        "vendd is killed while a coin pulses",
        "vendd starts while a coin pulses",
        "power is lost while a coin pulses",
    )
)
FALLEN: Final = (30, 60)
SOON: Final = (1, 25)
FALLING_S: Final = (0.8, 2.2)  # into a turn: the product is about to fall
SHORT_AGAIN_S: Final = tuple(half / 2 for half in range(120))  # whenever the next is ordered
MEASURED_S: Final = 20.0  # the air has been measured and judged by then
MISSED_S: Final = 72.0  # a thermometer that says nothing is given up by then
SLOW_S: Final = 12.0  # a reader's answer, in which food gets too warm
FORGOTTEN_S: Final = 20.0  # what was promised for some seconds has lapsed by then
ROLLING_S: Final = (0.1, 0.3)  # a coin's way to the sensor of an acceptor
HASTE_S: Final = 0.07  # between two coins of somebody who pours them in
HASTY: Final = 8  # coins; more than an acceptor's buffer tells of
RECOUNTED_S: Final = 35.0  # it has been asked by then how many coins it took
# What has to last for as long as a payout or a bill is waited for.
ENDLESS: Final = frozenset(
    (
        "changer never ends its payout",
        "hopper never ends its payout",
        "hopper hears no order at all",
    )
)
IN_MID_PAYOUT: Final = frozenset(("hopper dies in payout", "ccTalk line is cut in payout"))
PAYS_S: Final = (0.3, 0.45)  # behind the intent: a hopper has been told, and its first coin falls
ODD: Final = 5  # the one coin that no acceptor on a ccTalk line is to take
COUNTED: Final = 254  # events; with the coins of whoever comes then it begins again
STACKED_S: Final = (0.6, 0.85)  # behind an order to stack: in the stacker, and told to nobody
WARM: Final = 20.0  # degrees
# Of the last seconds of an offer's hours: then a vend begins in which they end.
PASSED_S: Final[Mapping[str, tuple[float, float]]] = {
    "MONEY": (7.0, 12.0),
    "APPROVAL": (4.0, 5.8),
    "TURN": (3.4, 5.8),
    "PAYOUT": (1.5, 4.0),
}
OTHER_CARD: Final = "other.card"  # somebody else's, at the reader beside


@dataclass(frozen=True, slots=True)
class Misfortune:
    """A customer and what is to happen to them."""

    acts: tuple[Act, ...]
    troubles: tuple[Trouble, ...] = ()
    end: End | None = None


def misfortune(
    rng: random.Random, shelf: Shelf, build: Build, cell: Cell | None = None
) -> Misfortune:
    """Return somebody on their way into a cell of the table, a drawn one unless it is given."""
    cell = cell or rng.choices(TABLE, cum_weights=fitting_cells.odds(build))[0]
    mark = rng.choice(fitting_cells.marks(build, cell) or ("",))
    claimed = cell.tender.name == "CLAIM"
    draw = with_a_claim if claimed else payer
    acts, selection = draw(rng, shelf, build, cell)
    first = next((act.text[:2] for act in acts if act.what == "keys"), selection)
    troubles = _before(rng, cell, first, selection)
    kind, _, rest = mark.partition(".")
    if mark == OTHER_CARD:
        kind, rest = "act", OTHER_CARD
    if cell.failure in UNHEARD:
        return _unheard(rng, cell, acts, rest)
    if cell.failure == "acceptor's counter begins again behind 255":
        # Coins that it does not know are events as well.
        acts = [*[Act("coin", ODD, after_s=0.1)] * (COUNTED - build.events), *acts]
    if cell.failure == "an offer's hours end":
        return Misfortune(tuple(_until_they_end(rng, cell, acts)))
    if mark == "seen.time unknown":
        acts = _until_they_end(rng, cell, acts)
        unknown = Trouble("clock", "unknown", when="vend.opened", for_s=AWAY_S)
        return Misfortune(tuple(acts), (unknown,), _end(rng, cell, "kill"))
    if kind == "act":
        acts = _acting(rng, cell, acts, rest)
    elif kind == "end":
        return Misfortune(tuple(acts), troubles, _end(rng, cell, rest))
    elif mark == "seen.empty":
        troubles += (Trouble("stock", "gone", selection, for_s=1.0),)
    elif kind != "seen":
        troubles += _trouble(rng, cell, mark, selection)
        if _outlasts(cell):
            acts += [Act("wait", until="end")] * PATIENT
        if cell.phase.name == "IDLE" and kind in ("climate", "cabin"):
            after_s = MISSED_S if cell.failure == "thermometer dies" else MEASURED_S
            acts = [Act("wait", after_s=after_s), *acts]
        if cell.phase.name == "RECOVERY":
            return Misfortune(tuple(acts), troubles, End("kill", _behind(rng, cell), 5, 0.6))
    return Misfortune(tuple(acts), troubles)


def _until_they_end(rng: random.Random, cell: Cell, acts: list[Act]) -> list[Act]:
    """Have the customer choose just before an offer's hours end, or wait until they have."""
    at = next((i for i, act in enumerate(acts) if act.what == "keys"), len(acts))
    late = cell.phase.name == "TURN" and cell.tender.name in ("CARD", "MIXED")
    passed_s = (0.5, 4.0) if late else PASSED_S.get(cell.phase.name, (0.0, 0.0))
    left_s = rng.uniform(*passed_s)
    waits = [Act("wait", after_s=0.0, until="hours"), Act("wait", after_s=left_s)]
    chosen = [
        replace(act, until="", after_s=0.1) if act.what == "keys" else act for act in acts[at:]
    ]
    return [*acts[:at], *waits, *chosen]


def _unheard(rng: random.Random, cell: Cell, acts: list[Act], mark: str) -> Misfortune:
    """Return somebody with a coin that is in the machine before anybody has heard of it."""
    if "pulses" in cell.failure:
        how = mark.partition("=")[2]
        dark_s = 0.6 if "starts" in cell.failure else 5.0
        coins = [Act("coin", 200, after_s=0.4), Act("coin", 200, after_s=0.4)]
        end = End(how, "coins.deposited", rng.randint(2, 20), dark_s)
        return Misfortune((*coins, *acts), end=end)
    first_s = 1.0
    if "resets" in cell.failure:
        at_s = first_s + rng.uniform(*ROLLING_S)
        trouble = Trouble("acceptor", "resets", 1, at_s=at_s, for_s=10.0)
        coins = [Act("coin", 200, after_s=first_s)]
    else:
        trouble = Trouble("acceptor", "silent", True, at_s=first_s + HASTE_S, for_s=HASTE_S * HASTY)
        coins = [Act("coin", 50, after_s=first_s if n == 0 else HASTE_S) for n in range(HASTY)]
    return Misfortune((*coins, Act("wait", after_s=RECOUNTED_S), *acts), (trouble,))


def _before(rng: random.Random, cell: Cell, first: str, selection: str) -> tuple[Trouble, ...]:
    """Return what has to go wrong first: a refund needs a failed vend, a claim a reader's."""
    if cell.tender.name == "CLAIM":
        # Whatever is bought first jams, and its reader can't give the money back.
        lost = Trouble("cashless1", "refund", "error", when="approval.requested", for_s=90.0)
        return (lost, Trouble(first, "jam", when="approval.requested", for_s=20.0))
    if cell.phase.name == "REFUND":
        name = rng.choice(("jam", "seized", "no_start"))
        return (Trouble(selection, name, when="vend.opened", for_s=LASTS_S),)
    if cell.failure == "health timer runs out meanwhile":
        return (Trouble("cashless1", "extra_approve_s", SLOW_S, for_s=2 * LASTS_S),)
    return ()


def _acting(rng: random.Random, cell: Cell, acts: list[Act], mark: str) -> list[Act]:
    """Have the customer do it, where the phase is."""
    what, _, text = mark.partition(" ")
    if what == "card":
        return [replace(act, text=text) if act.what == "card" else act for act in acts]
    if mark == OTHER_CARD:
        act = Act("card", value=1, text="prepaid", after_s=rng.uniform(0.1, 3.5))
    else:
        act = Act(
            what, text=text or ("2B" if what == "chord" else ""), after_s=rng.uniform(0.1, 3.5)
        )
    keyed = next((i for i, one in enumerate(acts) if one.what == "keys"), len(acts))
    match cell.phase.name:
        case "IDLE" | "MONEY":
            at = keyed
        case "APPROVAL" | "REVALUE":
            at = keyed + 1
        case "SETTLE":
            at, act = len(acts), replace(act, after_s=0.0, until="settle")
        case _:
            at = len(acts)
    return [*acts[:at], act, *acts[at:]]


def _end(rng: random.Random, cell: Cell, how: str) -> End:
    when = _behind(rng, cell)
    if cell.phase.name == "RECOVERY":
        again = (End(how, "boot.started", rng.randint(1, 120), rng.choice((0.6, 5.0))),)
        return End("kill", when, rng.randint(5, 40), 0.6, again)
    if cell.failure == "bill is stacked after power-up":
        # Nobody resets the validator before it has.
        later = (End("kill", "boot.started", rng.randint(1, 8), 5.0),)
        return End(how, "bill.escrowed", rng.randint(*SOON), 0.6, later)
    if "while it waits" in cell.failure:
        return End(how, when, rng.randint(*SOON), FORGOTTEN_S)
    low, high = FALLEN if cell.phase.name == "DROP" else SOON
    return End(how, when, rng.randint(low, high), rng.choice((0.6, 5.0)))


def _behind(rng: random.Random, cell: Cell) -> str:
    if cell.phase.name == "MONEY":
        return MONEY_BEHIND.get(cell.tender.name) or rng.choice(BEHIND["MONEY"])
    if cell.tender.name == "CLAIM" and cell.phase.name != "IDLE":
        # Its own vend turns after another one has: only a vend on credit is authorised so.
        turns = cell.phase.name in ("TURN", "DROP", "RECOVERY")
        return "credit.authorised" if turns else "claim.redeemed"
    return rng.choice(BEHIND[cell.phase.name])


def _trouble(rng: random.Random, cell: Cell, mark: str, selection: str) -> tuple[Trouble, ...]:
    key, _, wanted = mark.partition("=")
    of, _, name = key.partition(".")
    kind = BY_KEY.get(f"reader.{name}" if of in ("own", "other") else key)
    if kind is None:
        return ()
    reader = "cashless2" if of == "other" else "cashless1"
    part = {"column": selection, "reader": reader}.get(kind.part, kind.part)
    if cell.failure in IN_MID_PAYOUT:
        at_s = rng.uniform(*PAYS_S)
        return (Trouble(part, kind.name, kind.values[0], "payout.intended", at_s, AWAY_S),)
    if _outlasts(cell):  # only a device that stays away is given up
        return (Trouble(part, "silent", True, _behind(rng, cell), 0.0, AWAY_S),)
    value = _value(rng, kind, wanted, cell, selection)
    if cell.failure == "changer pays too little again and again":
        return tuple(
            Trouble(part, kind.name, value, "payout.intended", at, AWAY_S) for at in SHORT_AGAIN_S
        )
    if cell.failure in ENDLESS:
        return (Trouble(part, kind.name, value, "payout.intended", 0.0, AWAY_S),)
    if cell.phase.name == "RECOVERY":
        return (Trouble(part, kind.name, value, "boot.started", 0.0, LASTS_S),)
    if cell.failure == "thermometer dies":
        return (Trouble(part, kind.name, "gone", for_s=AWAY_S),)
    if cell.failure == "ccTalk validator resets behind the stack":
        return (Trouble(part, kind.name, value, "stack.intended", rng.uniform(*STACKED_S), 5.0),)
    # What waits for its moment by itself may be set early.
    early = kind.part == "reader" and kind.name in ("refund", "dies_at", "resets_at")
    early = early or (cell.tender.name != "CLAIM" and rng.random() < 0.3)
    if key == "door.open" and cell.phase.name == "DROP":
        when = _behind(rng, cell)
        return (Trouble(part, kind.name, value, when, rng.uniform(*FALLING_S), 5.0),)
    when = "" if early else _behind(rng, cell)
    # A claim's vend turns a moment after it was authorised.
    at = 0.3 if cell.tender.name == "CLAIM" and kind.part in ("sensor", "door") and when else 0.0
    return (Trouble(part, kind.name, value, when, at, rng.uniform(8.0, LASTS_S)),)


def _outlasts(cell: Cell) -> bool:
    """Tell whether it comes to this only when a device is away for long."""
    away = ("is gone", "dies in payout", "is cut in payout")
    return any(word in cell.failure for word in away) and "claim.opened" in cell.journaled


def _value(rng: random.Random, kind: Kind, wanted: str, cell: Cell, selection: str) -> FaultValue:
    if kind.part == "stock":
        return selection
    if kind.key == "column.unseen_drop":
        return 2  # the extra turn's as well
    if kind.key == "cabin.warm":
        return WARM
    if cell.failure == "changer pays too little again and again":
        return ALWAYS_SHORT
    if cell.tender.name == "REVALUE" and wanted:
        return wanted  # a moment that no vend has
    fitting = [value for value in kind.values if str(value) == wanted]
    return fitting[0] if fitting else rng.choice(kind.values)
