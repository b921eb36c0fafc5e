"""Customers whom chance would seldom bring, each for a rule that would else hardly be put to it.

Each sort draws from numbers of its own, and only where everything may go wrong.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from simulator.swarm import rights
from simulator.swarm.guided import RECOUNTED_S, Misfortune
from simulator.swarm.payers import FOOD, SWITCHED, YOUNG, anyones
from simulator.swarm.plan import Act, Build, End, Trouble
from simulator.swarm.shelf import Shelf

YEARS_S: Final = 3.2e8  # a clock that is wrong by ten years
ALIKE: Final = ("A1", "A2")  # of one product
HEARD: Final = (68, 92)  # instants of a start: devices have told of a cut, and nothing is on record
BEHIND_S: Final = (0.1, 0.4)  # a reset loses the next question, and is deaf for a moment


def _owed(first: str, build: Build, *more: str) -> tuple[list[Act], tuple[Trouble, ...]]:
    """Return somebody whose card keeps the money of a vend that fails: a claim is made of it."""
    keys = [Act("keys", text=one, after_s=0.6) for one in (first, *more)]
    if build.basket:
        keys.append(Act("keys", text="#", after_s=0.6))
    if build.always_idle:
        acts = [*keys, Act("card", text="card", after_s=0.5, until="card")]
    else:
        acts = [Act("card", text="card", after_s=0.3), Act("wait", after_s=1.5), *keys]
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


def with_a_token(rng: random.Random, shelf: Shelf, build: Build) -> Misfortune:
    """Puts a token in where nothing is left that it buys, and wants something else for it."""
    del shelf
    wait = Act("wait", after_s=rng.choice((7.0, 9.0)))
    keys = Act("keys", text="B3#" if build.basket else "B3", after_s=0.5, until="credit")
    off = Trouble("config", "tokens", for_s=30.0)
    return Misfortune((wait, Act("coin", 0, "token"), keys), (off,))


def behind_an_app(rng: random.Random, shelf: Shelf, build: Build) -> Misfortune:
    """Wants what several have paid for in their apps, of another column, which jams.

    Where few are left all are set aside, and there is none for anybody else.
    """
    first, second = rng.sample(ALIKE, 2)
    price, sure = shelf.prices[first], "#" if build.basket else ""
    acts = [
        Act("app", price, f"app-{rng.getrandbits(48):012x} {first} 30", after_s=0.2)
        for _ in range(rng.choice((2, 8, 8, 8)))
    ]
    keys = Act("keys", text=second + sure, after_s=0.5, until="credit")
    acts += [Act("coin", 200, after_s=0.4), keys]
    if rng.random() < 0.5:
        acts.append(Act("keys", text=first + sure, after_s=1.0, until="end"))
    return Misfortune(tuple(acts), (Trouble(second, "jam", when="vend.opened", for_s=20.0),))


def basket_with_a_claim(rng: random.Random, shelf: Shelf, build: Build) -> Misfortune:
    """Wants two things on a card, which keeps what the first of them cost."""
    first, second = rng.sample([one for one in anyones(shelf, build) if one not in ALIKE], 2)
    acts, troubles = _owed(first, build, second)
    return Misfortune(tuple(acts), troubles)


def basket_with_a_right(rng: random.Random, shelf: Shelf, build: Build) -> Misfortune:
    """Was promised one for nothing, and wants two: with too little money, and perhaps with more."""
    wanted = rng.choice([one for one in anyones(shelf, build) if one not in FOOD])
    acts = [
        Act("free", 0, f"free-{rng.getrandbits(48):012x} {rng.choice((wanted, '-'))} 60"),
        *(Act("keys", text=wanted, after_s=0.6) for _ in range(2)),
        Act("keys", text="#", after_s=0.8, until="credit"),
    ]
    if rng.random() < 0.5:
        coins = [Act("coin", 50, after_s=0.4)] * -(-shelf.prices[wanted] // 50)
        acts += [*coins, Act("keys", text="#", after_s=1.0, until="credit")]
    return Misfortune(tuple(acts))


def wants_a_bill_back(rng: random.Random, shelf: Shelf, build: Build) -> Misfortune:
    """Puts a bill in, perhaps a coin beside it, and has all of it back."""
    del shelf, build
    acts = [Act("bill", rng.choice((500, 500, 1_000)), after_s=0.3)]
    if rng.random() < 0.4:
        acts.insert(rng.randrange(2), Act("coin", rng.choice((50, 200)), after_s=0.4))
    return Misfortune((*acts, Act("keys", text="*", after_s=1.0, until="credit")))


def cut_and_killed(rng: random.Random, shelf: Shelf, build: Build) -> Misfortune:
    """Pays by card as the power goes; the life that hears of the cut dies before it has told."""
    wanted = rng.choice([one for one in anyones(shelf, build) if one not in FOOD])
    acts, _ = _owed(wanted, build)
    then = End("kill", "boot.started", rng.randint(*HEARD), 0.6)
    when = rng.choice(("approval.finished", "dispense.intended", "settle.intended"))
    cut = End("power", when, rng.randint(1, 12), 0.6, (then,))
    jams = Trouble(wanted, "jam", when="approval.requested", for_s=20.0)
    return Misfortune(tuple(acts), (jams,), cut)


def old_enough_for_one(rng: random.Random, shelf: Shelf, build: Build) -> Misfortune:
    """Proves to be sixteen, for one product, and wants another that is for grown-ups."""
    del shelf, build
    return Misfortune(
        (
            Act("keys", text=YOUNG, after_s=0.3),
            Act("card", text="youth", after_s=0.5, until="proof"),
            *(Act("coin", 100, after_s=0.4) for _ in range(2)),
            Act("keys", text=SWITCHED, after_s=rng.choice((0.6, 3.0)), until="credit"),
            Act("keys", text="*", after_s=2.0, until="end"),
        )
    )


def one_way_beside_a_bill(rng: random.Random, shelf: Shelf, build: Build) -> Misfortune:
    """Pays the rest of what a bill does not suffice for by a card that takes nothing back."""
    del shelf
    dear = "B2#" if build.basket else "B2"
    card = Act("card", text="one-way", after_s=0.3), Act("wait", after_s=1.5)
    bill = Act("bill", 500, after_s=0.5), Act("wait", after_s=3.0)
    first, then = rng.choice(((card, bill), (bill, card)))
    acts = (*first, *then, Act("keys", text=dear, after_s=0.5, until="credit"))
    return Misfortune((*acts, Act("wait", until="end")))


def coin_behind_a_reset(rng: random.Random, shelf: Shelf, build: Build) -> Misfortune:
    """Puts a coin in just behind a reset of the acceptor, before anybody has asked it again."""
    del build
    resets = Trouble("acceptor", "resets", 1, at_s=1.0, for_s=10.0)
    coin = Act("coin", 200, after_s=1.0 + rng.uniform(*BEHIND_S))
    wanted = Act("keys", text=rng.choice(shelf.selections), after_s=1.0, until="credit")
    return Misfortune((coin, Act("wait", after_s=RECOUNTED_S), wanted), (resets,))


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


def _has_baskets(build: Build) -> bool:
    return build.basket


def _asks_for_money(build: Build) -> bool:
    return build.basket and not (build.always_idle or build.offers)


def _holds_bills(build: Build) -> bool:
    """Tell whether a bill may wait in escrow."""
    return build.escrow and build.bill_waits != "keep"


def _checks_two_ages(build: Build) -> bool:
    return build.youths and build.checks_age and not (build.always_idle or build.basket)


def _knows_cards(build: Build) -> bool:
    """Tell whether a reader says, before it is asked, that a card takes nothing back."""
    return _holds_bills(build) and build.dear and build.wide and not build.always_idle


def _takes_at_once(build: Build) -> bool:
    return build.keeps_inhibits


SORTS: Final[tuple[Seldom, ...]] = (
    Seldom("back", back_with_a_code, 0.008, _any_machine),
    Seldom("token", with_a_token, 0.01, rights.takes_tokens),
    Seldom("aside", behind_an_app, 0.008, _any_machine),
    Seldom("coin behind a reset", coin_behind_a_reset, 0.12, _takes_at_once),
    Seldom("basket with a claim", basket_with_a_claim, 0.05, _has_baskets),
    Seldom("basket with a right", basket_with_a_right, 0.12, _asks_for_money),
    Seldom("bill back", wants_a_bill_back, 0.01, _holds_bills),
    Seldom("cut and killed", cut_and_killed, 0.015, _any_machine),
    Seldom("sixteen", old_enough_for_one, 0.2, _checks_two_ages),
    Seldom("one way", one_way_beside_a_bill, 0.25, _knows_cards),
)


def seldom(
    numbers: Callable[[str], random.Random], shelf: Shelf, build: Build
) -> Misfortune | None:
    """Return one of these customers, if one comes now."""
    for sort in SORTS:
        rng = numbers(sort.name)
        if sort.fits(build) and rng.random() < sort.share:
            return sort.meets(rng, shelf, build)
    return None
