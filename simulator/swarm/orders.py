"""Machines of the swarm that a fleet orders about: which have one, and what it wants of them.

What an order is to do is drawn here, as an act among those of a customer; ``fleet`` signs, sends
and judges. Only what leaves prices and stock as they are: the other oracles go on as they did.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from simulator.swarm.fitting import Fitting
from simulator.swarm.plan import Act, Build
from simulator.whole import Whole

if TYPE_CHECKING:
    from simulator.swarm.shelf import Shelf

SHARE: Final = 0.12  # of all machines: reading signatures costs as much as some bus time
OFTEN: Final = 0.6  # of the customers of such a machine meet an order
FORGED, FOREIGN, LATE, GOOD = "forged", "foreign", "late", "good"
HELD: Final = "held"  # up by the broker, until a newer one has come
OVERTAKEN: Final = 0.4  # of those that can be, by one of the same kind
FATES: Final = (GOOD,) * 12 + (FORGED, FOREIGN, LATE)
KINDS: Final = (
    "echo", "message.show", "price.set", "planogram.apply", "credit.grant", "credit.grant",
    "vend.free", "refund.local", "refund.local", "machine.lock", "audit.read",
)  # fmt: skip
# Of these a later one takes the place of an earlier one that has not run.
REPLACED: Final = frozenset({"message.show", "price.set", "planogram.apply", "machine.lock"})
# Such a one may wait while somebody's credit is in the machine, over many customers.
PATIENT: Final = frozenset({"planogram.apply"})


class Ordered(Fitting):
    """A fleet, at the other end of a link."""

    name = "fleet"

    def draw(self, rng: random.Random, build: Build) -> Build:
        """Some have one."""
        return replace(build, ordered=rng.random() < SHARE)


@dataclass(frozen=True, slots=True)
class Order:
    """What an act of a fleet says."""

    id: str
    fate: str
    kind: str
    args: dict[str, Any]
    lives_s: int

    @property
    def text(self) -> str:
        """Return it in words, as an act has them."""
        words = json.dumps(self.args, sort_keys=True)
        return f"{self.id} {self.fate} {self.kind} {words}"

    @classmethod
    def of(cls, lives_s: int, text: str) -> Order:
        """Read the words of an act."""
        id_, fate, kind, words = text.split(" ", 3)
        return cls(id_, fate, kind, json.loads(words), lives_s)


def ordered(rng: random.Random, acts: Sequence[Act], shelf: Shelf) -> list[Act]:
    """Return what a customer does with orders of the fleet in between."""
    told = list(acts)
    if rng.random() >= OFTEN:
        return told
    for _ in range(rng.choice((1, 1, 2, 3))):
        order = _order(rng, shelf)
        at = rng.randint(0, len(told))
        act = Act("order", order.lives_s, order.text, rng.choice((0.0, 0.0, rng.uniform(0.0, 4.0))))
        told.insert(at, act)
        if order.fate == GOOD and order.kind in REPLACED and rng.random() < OVERTAKEN:
            held = replace(order, id=_id(rng, "c"), fate=HELD)
            told.insert(at, replace(act, text=held.text))
        if rng.random() < 0.3:  # the broker, or somebody who listens, says it once more
            told.insert(rng.randint(at + 1, len(told)), replace(act, after_s=rng.uniform(0.0, 2.0)))
    return told


def _order(rng: random.Random, shelf: Shelf) -> Order:
    kind = rng.choice(KINDS)
    column = rng.choice(shelf.selections)
    args: dict[str, Any] = {}
    match kind:
        case "echo":
            args = {"text": "hello"}
        case "message.show":
            args = {"text": "Try our nuts!", "seconds": 20}
        case "price.set":
            args = {"column": column, "price": shelf.prices[column]}
        case "planogram.apply":
            args = {"columns": {"B4": {"product": "gum"}}}
        case "credit.grant":
            amount = max(1, shelf.prices[column] + rng.choice((0, 0, 0, 50, -50)))
            seconds = rng.choice((8, 60))
            args = {"credit": _id(rng, "paid"), "amount": amount, "seconds": seconds}
            if rng.random() < 0.7:
                args["column"] = column
        case "vend.free":
            args = {"column": column}
        case _:
            pass
    return Order(_id(rng, "c"), rng.choice(FATES), kind, args, rng.choice((3, 600, 600, 600)))


def _id(rng: random.Random, what: str) -> str:
    return f"{what}-{rng.getrandbits(40):010x}"


async def deliver(machine: Whole, act: Act) -> None:
    """Have the fleet send it, without waiting for what comes of it."""
    if machine.on_order is not None:
        machine.on_order(act.value, act.text)
