"""From a seed to a life: which machine, who comes, what they do, what breaks, when it all ends.

Every step is drawn from the seed and its own number only, so that any other step can be left out.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from config.machine import MachineSettings
from simulator.swarm.plan import Act, Build, End, Life, Step, Trouble
from simulator.swarm.troubles import ANY, KINDS, Kind
from simulator.world import Link

COINS: Final = (5, 10, 20, 50, 100, 200)
BILLS: Final = (500, 1_000, 2_000)
VISIT_EVERY: Final = 12  # customers between two visits of a technician, on average
CARD_NAMES: Final = (
    "card", "card", "card", "declined", "prepaid", "empty", "discount", "token", "one-way",
)  # fmt: skip

HOW_TO_END: Final = ("kill", "power", "stop")


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
    """

    kinds: tuple[Kind, ...] = KINDS
    ends: tuple[str, ...] = HOW_TO_END
    trouble: float = 0.35
    end: float = 0.08


def luck(faults: str) -> Luck:
    """Read ``all``, ``none`` or a list of parts, faults and ends ("changer,line.loss,power").

    Raises:
        UnknownFaultsError: A word of the list is none of them.
    """
    if faults == "all":
        return Luck()
    if faults == "none":
        return Luck((), (), 0.0, 0.0)
    words = [word.strip() for word in faults.split(",") if word.strip()]
    known = {kind.part for kind in KINDS} | {kind.key for kind in KINDS} | set(HOW_TO_END)
    unknown = [word for word in words if word not in known]
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


class Shelf:
    """What is sold, as far as a customer can read it on the window."""

    def __init__(self, settings: MachineSettings) -> None:
        """Read the prices."""
        self.prices = {c.selection: settings.price_of(c) for c in settings.columns}
        self.selections = tuple(self.prices)


def draw(
    settings: MachineSettings, seed: int, vends: int, fate: Luck, link: Link | None = None
) -> Life:
    """Return the life of a seed."""
    shelf = Shelf(settings)
    steps = tuple(_step(seed, number, shelf, fate) for number in range(1, vends + 1))
    return Life(seed, _build(seed, link), steps)


def _rng(seed: int, what: object) -> random.Random:
    return random.Random(f"{seed}/{what}")  # text seeds by SHA-512: the same in every process


def _build(seed: int, link: Link | None) -> Build:
    rng = _rng(seed, "build")
    level = rng.choice((2, 3, 3))
    drawn: Link = rng.choice(("adapter", "native"))
    return Build(
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
        tube_fill=rng.choice((3, 30, 30, 79)),
        stock=rng.choice((None, None, 2)),
        display=rng.random() < 0.25,
        multi_vend=rng.random() < 0.2,
        on_unknown=rng.choice(("refund", "refund", "charge")),
    )


# ----------------------------------------------------------------------------------- customers


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


def _over(rng: random.Random, shelf: Shelf) -> list[Act]:
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


def _bill(rng: random.Random, shelf: Shelf) -> list[Act]:
    selection = rng.choice(shelf.selections)
    value = rng.choice((500, 500, 500, 1_000, 2_000, 5_000))
    acts = [Act("bill", value, after_s=0.3)]
    if rng.random() < 0.25:
        acts.insert(rng.randrange(2), Act("coin", rng.choice(COINS)))
    acts.append(_key(rng, selection))
    if rng.random() < 0.3:
        acts.append(_key(rng, rng.choice(shelf.selections), "end"))
    return acts


def _card(rng: random.Random, shelf: Shelf) -> list[Act]:
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


def _mixed(rng: random.Random, shelf: Shelf) -> list[Act]:
    """Some coins, the rest by card."""
    selection = rng.choice(shelf.selections)
    coins = _coins_for(rng, shelf.prices[selection])
    acts = [*_put_in(rng, coins[: rng.randint(1, max(1, len(coins) - 1))]), _key(rng, selection)]
    if rng.random() < 0.2:
        return [*acts, *_put_in(rng, coins)]  # and then in cash all the same
    return [*acts, Act("card", text=rng.choice(CARD_NAMES), after_s=0.5, until="card")]


def _changed_mind(rng: random.Random, shelf: Shelf) -> list[Act]:
    acts = rng.choice((_exact, _over, _bill, _card, _mixed))(rng, shelf)
    at = rng.randint(1, len(acts))
    star = Act("keys", text="*", after_s=rng.uniform(0.0, 3.0))
    return [*acts[:at], star, *(acts[at:] if rng.random() < 0.5 else ())]


def _two_keys(rng: random.Random, shelf: Shelf) -> list[Act]:
    acts = rng.choice((_exact, _over))(rng, shelf)
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


Customer = Callable[[random.Random, Shelf], list[Act]]
CUSTOMERS: Final[tuple[tuple[Customer, float], ...]] = (
    (_exact, 6.0), (_over, 7.0), (_under, 2.0), (_bill, 4.0), (_card, 5.0), (_mixed, 2.0),
    (_changed_mind, 3.0), (_two_keys, 1.0), (_walks_away, 1.0), (_lever, 1.0),
    (_presses_only, 0.4), (_slug, 0.4),
)  # fmt: skip


# ------------------------------------------------------------------------------------ bad luck


def _step(seed: int, number: int, shelf: Shelf, fate: Luck) -> Step:
    rng = _rng(seed, number)
    if rng.random() < 1 / VISIT_EVERY:
        return Step(number, visit=True)
    makers, weights = zip(*CUSTOMERS, strict=True)
    acts = rng.choices(makers, weights)[0](rng, shelf)
    if rng.random() < 0.3:
        acts.append(Act("wait", after_s=rng.choice((0.5, 3.0, 12.0)), until="end"))  # takes it late
    luckless = _rng(seed, f"{number}/luck")
    troubles = tuple(_troubles(luckless, fate, acts, shelf))
    return Step(number, tuple(acts), troubles, _end(luckless, fate))


def _troubles(
    rng: random.Random, fate: Luck, acts: Sequence[Act], shelf: Shelf
) -> Iterable[Trouble]:
    chance = fate.trouble
    while fate.kinds and rng.random() < chance:
        kind = rng.choices(fate.kinds, [kind.weight for kind in fate.kinds])[0]
        part = kind.part
        if part == "column":
            chosen = [a.text for a in acts if a.what == "keys" and a.text in shelf.prices]
            part = rng.choice(chosen or shelf.selections)
        elif part == "reader":
            part = "cashless1"
        when = rng.choice(kind.phases) if kind.phases and rng.random() < 0.6 else ""
        yield Trouble(
            part,
            kind.name,
            rng.choice(kind.values),
            when,
            round(rng.choice((0.0, 0.0, rng.uniform(0.0, 1.0 if when else 6.0))), 3),
            round(rng.uniform(0.1, kind.longest_s), 2),
        )
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
    return End(rng.choice(fate.ends), when, after, rng.choice((0.6, 1.0, 5.0, 20.0)))
