"""Who comes, and what they mean to do. A new way to pay is a function here and a row in PEOPLE.

A function returns the acts of one customer; ``customers.ACTS`` says how each act is done. Whoever
needs something that not every machine has says so in the row's ``fits``.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final

from simulator.swarm import loading, rights
from simulator.swarm.plan import Act, Build
from simulator.swarm.shelf import Shelf

COINS: Final = (5, 10, 20, 50, 100, 200)
BILLS: Final = (500, 1_000, 2_000)
CARD_NAMES: Final = (
    "card", "card", "card", "declined", "prepaid", "empty", "discount", "token", "one-way",
)  # fmt: skip


def _coins_for(rng: random.Random, amount: int) -> list[int]:
    """Return coins that make an amount exactly, not always the largest ones."""
    coins: list[int] = []
    while amount > 0:
        fitting = [c for c in COINS if c <= amount]
        coin = fitting[-1] if rng.random() < 0.7 or len(coins) > 8 else rng.choice(fitting)
        coins.append(coin)
        amount -= coin
    rng.shuffle(coins)
    return coins


def _put_in(rng: random.Random, coins: Iterable[int]) -> list[Act]:
    hasty = rng.random() < 0.2
    return [
        Act("coin", coin, after_s=rng.choice((0.2, 0.25)) if hasty else rng.choice((0.3, 0.6)))
        for coin in coins
    ]


def _key(rng: random.Random, selection: str, until: str = "credit") -> Act:
    return Act("keys", text=selection, after_s=rng.choice((0.1, 0.3, 1.0)), until=until)


def _exact(rng: random.Random, shelf: Shelf) -> list[Act]:
    selection = rng.choice(shelf.selections)
    return [*_put_in(rng, _coins_for(rng, shelf.prices[selection])), _key(rng, selection)]


def over(rng: random.Random, shelf: Shelf) -> list[Act]:
    """Pays too much, and waits for the change."""
    selection = rng.choice(shelf.selections)
    more = rng.choice((5, 10, 20, 30, 50, 50, 100, 150))
    coins = _coins_for(rng, shelf.prices[selection] + more)
    if rng.random() < 0.5:
        coins = [200] * -(-shelf.prices[selection] // 200)
    return [*_put_in(rng, coins), _key(rng, selection)]


def _under(rng: random.Random, shelf: Shelf) -> list[Act]:
    """Pays too little, is told so, then adds the rest or gives up."""
    selection = rng.choice(shelf.selections)
    coins = _coins_for(rng, shelf.prices[selection])
    first, rest = coins[: len(coins) // 2], coins[len(coins) // 2 :]
    acts = [*_put_in(rng, first), _key(rng, selection)]
    if rng.random() < 0.6:
        return [*acts, *_put_in(rng, rest), _key(rng, selection)]
    return [*acts, Act("keys", text="*", after_s=1.0)]


def bill(rng: random.Random, shelf: Shelf) -> list[Act]:
    """Pays with a bill, perhaps a coin, perhaps for two things."""
    selection = rng.choice(shelf.selections)
    value = rng.choice((500, 500, 500, 1_000, 2_000, 5_000))
    acts = [Act("bill", value, after_s=0.3)]
    if rng.random() < 0.25:
        acts.insert(rng.randrange(2), Act("coin", rng.choice(COINS)))
    acts.append(_key(rng, selection))
    if rng.random() < 0.3:
        acts.append(_key(rng, rng.choice(shelf.selections), "end"))
    return acts


def card(rng: random.Random, shelf: Shelf) -> list[Act]:
    """Choose, then hold the card; or the other way, where the reader takes cards any time."""
    selection = rng.choice(shelf.selections)
    name = rng.choice(CARD_NAMES)
    card = Act("card", text=name, after_s=rng.choice((0.3, 1.0)), until="card")
    if rng.random() < 0.6:
        acts = [_key(rng, selection, ""), card]
    else:
        acts = [Act("card", text=name, after_s=0.3), Act("wait", after_s=1.5), _key(rng, selection)]
    if rng.random() < 0.12:
        acts.append(Act("pull", after_s=rng.uniform(0.0, 4.0)))
    if rng.random() < 0.1:
        acts.append(_key(rng, rng.choice(shelf.selections), "end"))
    return acts


def mixed(rng: random.Random, shelf: Shelf) -> list[Act]:
    """Some coins, the rest by card."""
    selection = rng.choice(shelf.selections)
    coins = _coins_for(rng, shelf.prices[selection])
    acts = [*_put_in(rng, coins[: rng.randint(1, max(1, len(coins) - 1))]), _key(rng, selection)]
    if rng.random() < 0.2:
        return [*acts, *_put_in(rng, coins)]  # and then in cash all the same
    return [*acts, Act("card", text=rng.choice(CARD_NAMES), after_s=0.5, until="card")]


def bill_and_card(rng: random.Random, shelf: Shelf) -> list[Act]:
    """A bill, perhaps coins, and a card for what is still missing."""
    selection = max(shelf.prices, key=lambda name: shelf.prices[name])
    acts = [Act("bill", rng.choice((500, 500, 1_000)), after_s=0.3)]
    if rng.random() < 0.4:
        acts.insert(rng.randrange(2), Act("coin", rng.choice(COINS)))
    acts.append(_key(rng, selection))
    return [*acts, Act("card", text=rng.choice(CARD_NAMES), after_s=0.5, until="card")]


def _changed_mind(rng: random.Random, shelf: Shelf) -> list[Act]:
    acts = rng.choice((_exact, over, bill, card, mixed))(rng, shelf)
    at = rng.randint(1, len(acts))
    star = Act("keys", text="*", after_s=rng.uniform(0.0, 3.0))
    return [*acts[:at], star, *(acts[at:] if rng.random() < 0.5 else ())]


def _two_keys(rng: random.Random, shelf: Shelf) -> list[Act]:
    acts = rng.choice((_exact, over))(rng, shelf)
    other = rng.choice(shelf.selections)
    chosen = acts[-1]
    pair = "".join(sorted({chosen.text[0], other[-1]}))
    return [*acts[:-1], Act("chord", text=pair, after_s=0.4, until="credit"), chosen]


def _walks_away(rng: random.Random, shelf: Shelf) -> list[Act]:
    """Leaves the money in the machine for whoever comes next."""
    del shelf
    return _put_in(rng, [rng.choice(COINS) for _ in range(rng.randint(1, 3))])


def _lever(rng: random.Random, shelf: Shelf) -> list[Act]:
    del shelf
    coins = _put_in(rng, [rng.choice(COINS) for _ in range(rng.randint(1, 4))])
    return [*coins, Act("lever", after_s=0.5, until="credit")]


def _presses_only(rng: random.Random, shelf: Shelf) -> list[Act]:
    return [Act("keys", text=rng.choice((*shelf.selections, "D9", "*", "#")), after_s=0.2)]


def _slug(rng: random.Random, shelf: Shelf) -> list[Act]:
    return [Act("coin", 0, "slug"), *_exact(rng, shelf)]


def guesser(rng: random.Random) -> list[Act]:
    """Keys in codes that are none, whose check digits fit: seven, two more than are listened to."""
    codes = []
    for _ in range(7):
        body = f"{rng.randrange(10**18):018d}"
        codes.append(f"{body}{98 - int(body + '00') % 97:02d}")
    return [Act("keys", text=f"#{code}", after_s=0.5) for code in codes]


def refused_by_its_reader(build: Build) -> list[Act]:
    """Pays by a card that takes nothing back, and is about to be denied what was approved."""
    card = Act("card", text="one-way", after_s=0.3)
    keys = Act("keys", text="B4#" if build.basket else "B4", after_s=0.3)
    if build.always_idle:
        return [keys, replace(card, until="card")]
    return [card, Act("wait", after_s=1.5), keys]


def _any_machine(build: Build) -> bool:
    del build
    return True


@dataclass(frozen=True, slots=True)
class Person:
    """One sort of customer.

    Args:
        acts: Draws what they do.
        weight: How often they come.
        fits: Whether such a machine is of any use to them.
    """

    acts: Callable[[random.Random, Shelf], list[Act]]
    weight: float
    fits: Callable[[Build], bool] = _any_machine


PEOPLE: Final[tuple[Person, ...]] = (
    Person(_exact, 6.0),
    Person(over, 7.0),
    Person(_under, 2.0),
    Person(bill, 4.0),
    Person(card, 5.0),
    Person(mixed, 2.0),
    Person(_changed_mind, 3.0),
    Person(_two_keys, 1.0),
    Person(_walks_away, 1.0),
    Person(_lever, 1.0),
    Person(_presses_only, 0.4),
    Person(_slug, 0.4),
    Person(bill_and_card, 4.0, lambda build: build.dear),
    Person(rights.token, 2.0, rights.takes_tokens),
    Person(rights.app, 1.5),
    Person(rights.free, 0.7),
    Person(rights.grown_up, 4.0, rights.is_flagged),
    Person(rights.basket, 12.0, rights.has_baskets),
    Person(loading.load, 10.0, loading.lets),
)


def somebody(rng: random.Random, shelf: Shelf, build: Build) -> list[Act]:
    """Return the acts of somebody who comes to this machine."""
    people = [person for person in PEOPLE if person.fits(build)]
    person = rng.choices(people, [person.weight for person in people])[0]
    acts = person.acts(rng, shelf)
    if build.basket and person.acts is not rights.basket:
        acts = rights.confirmed(acts, shelf)
    if build.second_reader:
        which = rng.randint(0, 1)
        acts = [replace(act, value=which) if act.what == "card" else act for act in acts]
    return acts
