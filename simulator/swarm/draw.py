"""From a seed to a life: which machine, who comes, what they do, what breaks, when it all ends.

Every step is drawn from the seed and its own number only, so that any other step can be left out.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from config.machine import MachineSettings
from simulator.swarm.build import settings_of
from simulator.swarm.damage import DAMAGES, IN_A_TURN
from simulator.swarm.elsewhere import keyed_in
from simulator.swarm.fittings import FITTINGS
from simulator.swarm.guided import misfortune
from simulator.swarm.orders import ordered
from simulator.swarm.people import guesser, refused_by_its_reader, somebody
from simulator.swarm.plan import Act, Build, End, Life, Step, Trouble
from simulator.swarm.seldom import seldom
from simulator.swarm.shelf import Shelf
from simulator.swarm.troubles import ANY, KINDS, Kind
from simulator.world import Link

VISIT_EVERY: Final = 12  # customers between two visits of a technician, on average
FINALE: Final = 0.2  # of the lives end with a damaged journal
IN_TURNS: Final = 0.6  # of the others do so while somebody is served, by numbers of their own
GUESSES: Final = 0.004  # of the customers try to guess the code of a claim
DENIALS: Final = 0.004  # meet a reader that denies what it approved, and a vendd that dies over it
RESTARTED: Final = 0.6  # of those meet an end in between
BETWEEN_CODES: Final = 1_500  # instants behind the first wrong code: some of them
RECORD: Final = 0.6  # of those with a damaged log do so while a motor turns
HOW_TO_END: Final = ("kill", "power", "stop")
LONG_S: Final = 20.0  # without a controller; mostly it is a second
WARM_S: Final = 180.0  # without power: it warms up a cooled cabinet


class UnknownFaultsError(ValueError):
    """A name in the list of faults is none; the text says which there are."""


@dataclass(frozen=True, slots=True)
class Luck:
    """How bad it may get.

    Args:
        kinds: The troubles that may be drawn.
        ends: How a life may end before its time.
        trouble: Chance that a customer meets one; as many again of those meet two.
        end: Chance that the controller's life ends during a customer.
        guided: Chance that a customer walks into a drawn cell of the failure table.
    """

    kinds: tuple[Kind, ...] = KINDS
    ends: tuple[str, ...] = HOW_TO_END
    trouble: float = 0.35
    end: float = 0.08
    guided: float = 0.0


def luck(faults: str) -> Luck:
    """Read ``all``, ``none`` or a list of parts, faults and ends ("changer,line.loss,power").

    Raises:
        UnknownFaultsError: A word of the list is none of them.
    """
    words = [word.strip() for word in faults.split(",") if word.strip()]
    if words == ["all"]:
        return Luck(guided=0.3)
    if words == ["none"]:
        return Luck((), (), 0.0, 0.0)
    known = {kind.part for kind in KINDS} | {kind.key for kind in KINDS} | set(HOW_TO_END)
    unknown = [word for word in words if word not in known]
    if not words:
        raise UnknownFaultsError("no fault is named; none asks for none, all for all of them")
    if alone := [word for word in unknown if word in ("all", "none")]:
        raise UnknownFaultsError(f"{alone[0]!r} stands alone, without other faults beside it")
    if unknown:
        parts = sorted({kind.part for kind in KINDS})
        raise UnknownFaultsError(
            f"no fault {unknown[0]!r}; there are: all, none, {', '.join(HOW_TO_END)}, "
            f"{', '.join(parts)}, and names as in {KINDS[0].key}"
        )
    kinds = tuple(kind for kind in KINDS if kind.part in words or kind.key in words)
    ends = tuple(how for how in HOW_TO_END if how in words)
    # Where only deaths are asked for, there are many.
    end = (0.08 if kinds else 0.5) if ends else 0.0
    return Luck(kinds, ends, 0.35 if kinds else 0.0, end)


def draw(
    settings: MachineSettings, seed: int, vends: int, fate: Luck, link: Link | None = None
) -> Life:
    """Return the life of a seed."""
    machine = _build(seed, link)
    shelf = Shelf(settings_of(settings, machine))
    steps = tuple(_step(seed, number, shelf, machine, fate) for number in range(1, vends + 1))
    # What hoppers hold is told by their journal alone: a new one can't know it.
    finale = "" if machine.cctalk else _finale(seed, fate)
    return Life(seed, machine, steps, finale)


def _finale(seed: int, fate: Luck) -> str:
    rng = _rng(seed, "finale")
    may = any(kind.part == "disk" for kind in fate.kinds)
    if not may:
        return ""
    if rng.random() >= FINALE:
        return IN_A_TURN if _rng(seed, "finale/turn").random() < IN_TURNS else ""
    damage = rng.choice(DAMAGES)
    return IN_A_TURN if damage == "log" and rng.random() < RECORD else damage


def _rng(seed: int, what: object) -> random.Random:
    return random.Random(f"{seed}/{what}")  # text seeds by SHA-512: the same in every process


def _build(seed: int, link: Link | None) -> Build:
    rng = _rng(seed, "build")
    level = rng.choice((2, 3, 3))
    drawn: Link = rng.choice(("adapter", "native"))
    build = Build(
        link=link or drawn,
        changer_level=level,
        busy_silence=rng.random() < 0.3,
        lowest_first=rng.random() < 0.3,
        detects_empty=rng.random() < 0.8,
        by_value=rng.random() < 0.8,
        escrow=rng.random() < 0.8,
        bill_stacks_at_power_up=rng.random() < 0.3,
        always_idle=rng.random() < 0.6,
        reader_refunds=rng.random() < 0.85,
        reader_level=rng.choice((1, 2, 3, 3)),
        tube_fill=rng.choice((0, 3, 30, 30, 79)),
        stock=rng.choice((None, None, 2)),
        display=rng.random() < 0.25,
        multi_vend=rng.random() < 0.2,
        on_unknown=rng.choice(("refund", "refund", "charge")),
    )
    # Each fitting draws from its own numbers, so that a new one leaves the others as they were.
    for fitting in FITTINGS:
        build = fitting.draw(_rng(seed, f"build/{fitting.name}"), build)
    return build


# ------------------------------------------------------------------------------------ bad luck


def _step(seed: int, number: int, shelf: Shelf, machine: Build, fate: Luck) -> Step:
    rng = _rng(seed, number)
    if rng.random() < 1 / VISIT_EVERY:
        return Step(number, visit=True)
    if fate.guided:
        one = seldom(lambda what: _rng(seed, f"{number}/{what}"), shelf, machine)
        if one is not None:
            return Step(number, one.acts, one.troubles, one.end)
    if fate.guided and rng.random() < fate.guided:
        met = misfortune(_rng(seed, f"{number}/cell"), shelf, machine)
        return Step(number, met.acts, met.troubles, met.end)
    denying = _rng(seed, f"{number}/denial")
    if "kill" in fate.ends and fate.kinds and denying.random() < DENIALS:
        return denial(denying, number, machine)
    acts = somebody(rng, shelf, machine)
    guessing = _rng(seed, f"{number}/guess")
    guesses = guessing.random() < GUESSES
    if guesses:
        acts = guesser(guessing)
    if rng.random() < 0.3:
        acts.append(Act("wait", after_s=rng.choice((0.5, 3.0, 12.0)), until="end"))  # takes it late
    if machine.ordered:
        acts = ordered(_rng(seed, f"{number}/orders"), acts, shelf)
        acts = keyed_in(_rng(seed, f"{number}/elsewhere"), acts, shelf)
    luckless = _rng(seed, f"{number}/luck")
    found = tuple(troubles(luckless, fate.kinds, fate.trouble, acts, shelf, machine))
    end = _end(luckless, fate)
    if guesses and fate.ends and guessing.random() < RESTARTED:
        # A new life must know of the wrong codes that the one before has counted.
        after = guessing.randint(1, BETWEEN_CODES)
        end = End(guessing.choice(fate.ends), "claim.refused", after, guessing.choice((0.6, 5.0)))
    return Step(number, tuple(acts), found, end)


def denial(rng: random.Random, number: int, machine: Build) -> Step:
    """Draw the moment in which a refund error is told to nobody: a kill around a VEND FAILURE."""
    denies = Trouble("cashless1", "denies_approved", "stays", when="approval.requested")
    asked = rng.random() < 0.5
    when = "approval.requested" if asked else "approval.cancel_intended"
    after = rng.randint(30, 60) if asked else rng.randint(1, 28)
    end = End("kill", when, after, rng.choice((0.6, 5.0)))
    return Step(number, tuple(refused_by_its_reader(machine)), (denies,), end)


def troubles(
    rng: random.Random,
    kinds: Sequence[Kind],
    chance: float,
    acts: Sequence[Act],
    shelf: Shelf,
    machine: Build,
) -> Iterable[Trouble]:
    """Draw what one customer meets: of these kinds, with this chance for the first."""
    drawn: set[str] = set()  # one trouble twice at once would hide whether it ever struck
    while kinds and rng.random() < chance:
        weights = [kind.weight for kind in kinds]  # all 0: asked for by name, seldom as it is
        kind = rng.choices(kinds, weights if any(weights) else None)[0]
        part, value = kind.part, rng.choice(kind.values)
        chosen = [k for a in acts if a.what == "keys" and (k := a.text[:2]) in shelf.prices]
        if part == "column":
            part = rng.choice(chosen or shelf.selections)
        elif part == "stock":
            value = rng.choice(chosen or shelf.selections)
        elif part == "reader":
            part = rng.choice(("cashless1", "cashless2")) if machine.second_reader else "cashless1"
        when = rng.choice(kind.phases) if kind.phases and rng.random() < 0.6 else ""
        trouble = Trouble(
            part,
            kind.name,
            value,
            when,
            round(rng.choice((0.0, 0.0, rng.uniform(0.0, 1.0 if when else 6.0))), 3),
            round(rng.uniform(0.1, kind.longest_s), 2),
        )
        if trouble.key not in drawn:
            yield trouble
        drawn.add(trouble.key)
        chance = 0.4


def _end(rng: random.Random, fate: Luck) -> End | None:
    if not fate.ends or rng.random() >= fate.end:
        return None
    again: tuple[End, ...] = ()
    while rng.random() < 0.3 and len(again) < 3:
        again = (*again, _one_end(rng, fate, rng.choice(("", "", "boot.started"))))
    first = _one_end(rng, fate, rng.choice(("", *ANY, *ANY)))
    return End(first.how, first.when, first.after, first.dark_s, again)


def _one_end(rng: random.Random, fate: Luck, when: str) -> End:
    after = rng.choice((rng.randint(1, 12), rng.randint(1, 80), rng.randint(1, 400)))
    how, dark_s = rng.choice(fate.ends), rng.choice((0.6, 1.0, 5.0, LONG_S))
    # Without power a cabinet gets warm meanwhile.
    return End(how, when, after, WARM_S if how == "power" and dark_s == LONG_S else dark_s)
