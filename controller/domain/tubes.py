"""Change: which coins and bills to pay, how much can be paid, when to ask for exact change.

Pure. Amounts are ``int`` minor units of the machine's one currency. Sets of amounts are bits of an
``int`` (bit n: the amount n), so that "everything these tubes can pay" costs a few shifts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from operator import mul
from typing import Final

# A coin's price when it is one of k left: _SCALE/k, so the last one costs most. 720720 is the
# least common multiple of 1..16: exact where it matters, in nearly empty tubes.
_SCALE: Final = 720_720
# Beyond four full tubes of one value (a changer counts 255 in each) a coin is not scarce at all.
_PLENTY: Final = 1_020
# _SCARCITY[k]: what paying all of k coins of one value costs.
_SCARCITY: Final = tuple(accumulate((_SCALE // k for k in range(1, _PLENTY + 1)), initial=0))


BILLS_FROM: Final = 16
"""In a plan over coins and bills together, bill type t of the recycler has the number 16 + t."""


@dataclass(frozen=True, slots=True)
class TubeCoins:
    """The pieces of one type that can be paid out now. A defective tube is left out or has 0."""

    type: int  # coin type of the changer, 0..15; BILLS_FROM and on: bill type of the recycler
    value: int  # minor units; a token (0) never pays
    count: int


@dataclass(frozen=True, slots=True)
class PayoutPlan:
    """What to pay: (coin type, count), greatest value first, so a payout that breaks owes least."""

    amount: int
    coins: tuple[tuple[int, int], ...] = ()

    @property
    def pieces(self) -> int:
        """Return how many coins and bills leave."""
        return sum(count for _, count in self.coins)

    @property
    def bills(self) -> tuple[tuple[int, int], ...]:
        """Return what the recycler pays: (bill type, count)."""
        return tuple((type_ - BILLS_FROM, n) for type_, n in self.coins if type_ >= BILLS_FROM)


NOTHING: Final = PayoutPlan(0)


def plan_payout(amount: int, available: Sequence[TubeCoins]) -> PayoutPlan | None:
    """Plan exactly ``amount`` (>= 0) from ``available``; None when no set of coins sums to it.

    Among all exact plans: the fewest coins; of those the least scarcity, where paying one of the
    k coins left of a value costs 1/k (the machine keeps its rare coins); of those the one with
    more of the greater values. Of two types with one value the higher-numbered goes first
    (MDB/ICP 4.2, section 5, DISPENSE), so a bill before a coin.
    """
    if amount <= 0:
        return NOTHING if amount == 0 else None
    values, counts = _by_value(available)
    reach = _suffix_reach(values, counts, amount)
    if not reach[0] >> amount & 1:
        return None
    takes = _fewest(values, counts, reach, amount)
    return PayoutPlan(amount, _pick(dict(zip(values, takes, strict=True)), available))


def best_partial(amount: int, available: Sequence[TubeCoins]) -> PayoutPlan:
    """Plan the largest payable sum that is not above ``amount``; a plan of 0 when there is none.

    The rest is the shortfall. Never more than ``amount``: a customer is not paid from the next one.
    """
    if amount <= 0:
        return NOTHING
    best = payable(available, amount).bit_length() - 1
    return plan_payout(best, available) or NOTHING


def can_change(amount: int, available: Sequence[TubeCoins]) -> bool:
    """Tell whether ``amount`` can be paid exactly."""
    return amount == 0 or (amount > 0 and bool(payable(available, amount) >> amount & 1))


def payable(available: Sequence[TubeCoins], limit: int) -> int:
    """Return all exactly payable amounts 0..``limit`` as bits; bit 0 is always set."""
    values, counts = _by_value(available)
    return _suffix_reach(values, counts, limit)[0]


def left_by_greatest_first(
    amount: int, available: Sequence[TubeCoins]
) -> tuple[int, list[TubeCoins]]:
    """Pay as a changer does that picks its coins itself: the greatest first, as far as they last.

    Returns what of ``amount`` stays unpaid, and the coins that stay in the tubes.
    """
    rest: list[TubeCoins] = []
    for coins in sorted(available, key=lambda coins: (coins.value, coins.type), reverse=True):
        taken = min(coins.count, amount // coins.value) if coins.value > 0 else 0
        amount -= taken * coins.value
        rest.append(TubeCoins(coins.type, coins.value, coins.count - taken))
    return amount, rest


def exact_change_only(
    available: Sequence[TubeCoins],
    prices: Iterable[int],
    accepted: Iterable[int],
    max_change: int,
) -> bool:
    """Tell whether some accepted overpayment cannot be changed; see ``ChangeRule``."""
    return ChangeRule(prices, accepted, max_change).exact_change_only(available)


class ChangeRule:
    """When the machine says "exact change only"; built once per price list, asked per tube change.

    The overpayments of an accepted value d are the amounts s + d - p > 0, for each price p on
    sale and each sum s < p that accepted values can make (0 among them): the customer was short
    of p and the piece d took the credit beyond it. Those above ``max_change`` are not
    promised and left out: such a piece is for the acceptance limit to refuse. Coins of the same
    sale are not counted on: they may all go to the cash box.
    """

    __slots__ = ("_accepted", "_key", "_needed", "_unsafe", "max_change")

    def __init__(self, prices: Iterable[int], accepted: Iterable[int], max_change: int) -> None:
        """Work out which change each accepted value can call for.

        Args:
            prices: Of everything on sale; prices of 0 ask for no change.
            accepted: Values of coins and bills, minor units; tokens (0) are ignored.
            max_change: Largest change that is promised, minor units.
        """
        wanted = {price for price in prices if price > 0}
        self._accepted = sorted({value for value in accepted if value > 0})
        self.max_change = max_change
        self._key: tuple[tuple[int, int], ...] | None = None
        self._unsafe: frozenset[int] = frozenset()
        sums = _unlimited_sums(self._accepted, max(wanted, default=0))
        largest = min(max(max_change, 0), max(self._accepted, default=0))
        promised = (2 << largest) - 2  # amounts 1..max_change: none is above what is put in last
        self._needed: dict[int, int] = {}
        for value in self._accepted:
            needed = 0
            for price in wanted:
                below = sums & ((1 << price) - 1)
                needed |= (below << value) >> price
            self._needed[value] = needed & promised

    def unchangeable(self, available: Sequence[TubeCoins]) -> frozenset[int]:
        """Return the accepted values with an overpayment that the tubes can't change exactly."""
        key = tuple((coins.value, coins.count) for coins in available)
        if key != self._key:
            lacking = ~payable(available, max(self.max_change, 0))
            self._unsafe = frozenset(v for v, needed in self._needed.items() if needed & lacking)
            self._key = key
        return self._unsafe

    def exact_change_only(self, available: Sequence[TubeCoins]) -> bool:
        """Tell whether any accepted value could leave a customer without change."""
        return bool(self.unchangeable(available))


# ----------------------------------------------------------------------------- the search


def _by_value(available: Sequence[TubeCoins]) -> tuple[list[int], list[int]]:
    """Return distinct values, greatest first, and how many coins of each there are."""
    total: dict[int, int] = {}
    for coins in available:
        if coins.value > 0 and coins.count > 0:
            total[coins.value] = total.get(coins.value, 0) + coins.count
    values = sorted(total, reverse=True)
    return values, [total[value] for value in values]


def _suffix_reach(values: list[int], counts: list[int], limit: int) -> list[int]:
    """Return for each index the sums <= ``limit`` that the values from there on can make."""
    limit = min(limit, sum(map(mul, values, counts)))
    mask = (2 << limit) - 1
    reach = [1] * (len(values) + 1)
    for index in range(len(values) - 1, -1, -1):
        value = values[index]
        left = min(counts[index], limit // value)
        bits, step = reach[index + 1], 1
        while left > 0:  # 1, 2, 4, ... and the rest make every number of coins up to the count
            part = min(step, left)
            bits |= bits << part * value & mask
            left -= part
            step <<= 1
        reach[index] = bits
    return reach


def _unlimited_sums(values: list[int], limit: int) -> int:
    """Return the sums <= ``limit`` of any number of coins of ``values``."""
    mask = (2 << limit) - 1
    bits = 1
    for value in values:
        step = value
        while step <= limit:
            bits |= bits << step & mask
            step <<= 1
    return bits


def _scarcity(count: int, taken: int) -> int:
    """Return what taking ``taken`` of ``count`` coins of one value costs the next customers."""
    top = min(count, _PLENTY)
    return _SCARCITY[top] - _SCARCITY[min(count - taken, top)]


def _fewest(values: list[int], counts: list[int], reach: list[int], amount: int) -> tuple[int, ...]:
    """Return how many coins of each value pay ``amount``, which is known to be payable.

    Branch and bound: from the greatest value down, most coins first, and only into rests that
    the smaller values can make; a branch ends when even its best case needs more coins than the
    best found. Each (value, rest) is solved once.
    """
    last = len(values) - 1
    known: dict[tuple[int, int], tuple[int, int, tuple[int, ...]]] = {}

    def solve(index: int, rest: int) -> tuple[int, int, tuple[int, ...]]:
        if rest == 0:
            return 0, 0, (0,) * (last + 1 - index)
        value, count = values[index], counts[index]
        if index == last:
            taken = rest // value
            return taken, _scarcity(count, taken), (taken,)
        key = (index, rest)
        if (found := known.get(key)) is not None:
            return found
        below, smaller = reach[index + 1], values[index + 1]
        best: tuple[int, int, tuple[int, ...]] | None = None
        for taken in range(min(count, rest // value), -1, -1):
            left = rest - taken * value
            if best is not None and taken - (-left // smaller) > best[0]:
                break
            if below >> left & 1:
                pieces, cost, takes = solve(index + 1, left)
                pieces, cost = pieces + taken, cost + _scarcity(count, taken)
                if best is None or (pieces, cost) < best[:2]:
                    best = (pieces, cost, (taken, *takes))
        assert best is not None, "reach promised a way"
        known[key] = best
        return best

    return solve(0, amount)[2]


def _pick(takes: dict[int, int], available: Sequence[TubeCoins]) -> tuple[tuple[int, int], ...]:
    """Spread the coins of each value over its types, the higher-numbered type first."""
    coins: list[tuple[int, int]] = []
    for tube in sorted(available, key=lambda tube: (tube.value, tube.type), reverse=True):
        taken = min(takes.get(tube.value, 0), max(tube.count, 0))
        if taken:
            coins.append((tube.type, taken))
            takes[tube.value] -= taken
    return tuple(coins)
