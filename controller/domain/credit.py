"""What a customer can still spend or get back, lot by lot, so that each cent keeps its origin.

Pure and synchronous. A lot is money taken at once and bears the ``seq`` of its record. Its money
is free (credit), then held (locked for a vend), then gone (earned, or paid out). Deciding and
doing are apart: ``pick`` only says which lots to use; the journal's fold calls the others with
the lots that a record names. Amounts are ``int`` minor units.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from controller.faults import InvariantError

Lots = tuple[tuple[int, int], ...]  # (lot's seq, amount of it)


class Pocket(StrEnum):
    """Which kind of cash a lot came as; each has its own credit account."""

    COINS = "coins"
    BILLS = "bills"
    PRODUCT = "product"  # no cash: it buys, and is never paid out in coins


class Order(StrEnum):
    """Which lots are used first; among equals always the oldest."""

    OLDEST = "oldest"
    COINS_FIRST = "coins_first"
    BILLS_FIRST = "bills_first"


_FIRST: Final = {Order.COINS_FIRST: Pocket.COINS, Order.BILLS_FIRST: Pocket.BILLS}


@dataclass(slots=True)
class Lot:
    """One lot; it is forgotten once nothing of it is free or held."""

    seq: int
    pocket: Pocket
    free: int
    held: int = 0


@dataclass(frozen=True, slots=True)
class Picked:
    """Lots to use for an amount, with their sum per pocket, as records want them."""

    lots: Lots
    coins: int
    bills: int
    product: int = 0

    @property
    def amount(self) -> int:
        """Return the sum of all pockets."""
        return self.coins + self.bills + self.product


class Credit:
    """All lots that are not used up, oldest first. Only the journal's fold changes it."""

    __slots__ = ("_lots",)

    def __init__(self, lots: Iterable[Lot] = ()) -> None:
        """Start with ``lots``, or empty; the credit owns them from now on."""
        self._lots: dict[int, Lot] = {lot.seq: lot for lot in lots}

    # ------------------------------------------------------------------------------ reading

    @property
    def lots(self) -> tuple[Lot, ...]:
        """Return the lots, oldest first; look, don't touch."""
        return tuple(self._lots.values())

    @property
    def coins(self) -> int:
        """Return the free credit that came as coins."""
        return self.free(Pocket.COINS)

    @property
    def bills(self) -> int:
        """Return the free credit that came as bills."""
        return self.free(Pocket.BILLS)

    @property
    def total(self) -> int:
        """Return all free credit: what the panel shows."""
        if not self._lots:  # asked some times in every turn, and mostly nobody has put any in
            return 0
        return sum([lot.free for lot in self._lots.values()])

    @property
    def product(self) -> int:
        """Return the free credit that only buys."""
        return self.free(Pocket.PRODUCT)

    @property
    def cash(self) -> int:
        """Return the free credit that can be paid out."""
        return self.total - self.product

    @property
    def held(self) -> int:
        """Return what is locked for vends that have not ended."""
        return sum(lot.held for lot in self._lots.values())

    def free(self, pocket: Pocket) -> int:
        """Return the free credit of one pocket."""
        return sum(lot.free for lot in self._lots.values() if lot.pocket is pocket)

    def pick(self, amount: int, order: Order = Order.OLDEST) -> Picked | None:
        """Say which free lots make ``amount`` (>= 0) exactly; None when there is less. No change.

        Credit that only buys goes first, so that what can be paid out stays. Only the last lot of
        each kind may be used in part.
        """
        product = [lot for lot in self._lots.values() if lot.pocket is Pocket.PRODUCT]
        cash = [lot for lot in self._lots.values() if lot.pocket is not Pocket.PRODUCT]
        if not product:
            return self._pick(cash, amount, order)
        bought = self._pick(product, min(amount, self.product), order)
        rest = self._pick(cash, amount - min(amount, self.product), order)
        if bought is None or rest is None:
            return None
        return Picked(bought.lots + rest.lots, rest.coins, rest.bills, bought.product)

    def _pick(self, lots: Iterable[Lot], amount: int, order: Order) -> Picked | None:
        first = _FIRST.get(order)
        if first is not None:
            lots = sorted(
                lots, key=lambda lot: lot.pocket is not first
            )  # stable: oldest stays first
        rest = amount
        used: list[tuple[int, int]] = []
        sums = dict.fromkeys(Pocket, 0)
        for lot in lots:
            if rest <= 0:
                break
            if part := min(lot.free, rest):
                used.append((lot.seq, part))
                sums[lot.pocket] += part
                rest -= part
        if rest:
            return None
        return Picked(tuple(used), sums[Pocket.COINS], sums[Pocket.BILLS], sums[Pocket.PRODUCT])

    def pick_cash(self, amount: int | None = None) -> Picked:
        """Say which lots make so much of the free credit that can be paid out; None: all of it.

        ``amount`` is at most ``cash``.
        """
        cash = [lot for lot in self._lots.values() if lot.pocket is not Pocket.PRODUCT]
        picked = self._pick(cash, self.cash if amount is None else amount, Order.OLDEST)
        assert picked is not None, "the sum is always there"
        return picked

    def pick_product(self) -> Picked:
        """Say which lots make all free credit that only buys."""
        product = [lot for lot in self._lots.values() if lot.pocket is Pocket.PRODUCT]
        picked = self._pick(product, self.product, Order.OLDEST)
        assert picked is not None, "the sum is always there"
        return picked

    # ----------------------------------------------------------------------------- changing

    def deposit(self, seq: int, pocket: Pocket, amount: int) -> None:
        """Add a lot of ``amount`` > 0 that record ``seq`` took in; nothing for an amount of 0.

        Raises:
            InvariantError: ``amount`` is negative, or the lot is there or is no newer than another.
        """
        if amount == 0:
            return
        if amount < 0:
            raise InvariantError(f"lot {seq} of {amount}")
        if self._lots and seq <= next(reversed(self._lots)):
            raise InvariantError(f"lot {seq} came after lot {next(reversed(self._lots))}")
        self._lots[seq] = Lot(seq, pocket, amount)

    def lock(self, lots: Sequence[tuple[int, int]]) -> None:
        """Make free money held: a vend was authorised. Raises InvariantError."""
        self._move(lots, free=-1, held=1)

    def restore(self, lots: Sequence[tuple[int, int]]) -> None:
        """Make held money free again: the vend failed. Raises InvariantError."""
        self._move(lots, free=1, held=-1)

    def earn(self, lots: Sequence[tuple[int, int]]) -> None:
        """Use up held money: the product was delivered. Raises InvariantError."""
        self._move(lots, free=0, held=-1)

    def withdraw(self, lots: Sequence[tuple[int, int]]) -> None:
        """Use up free money: it is on its way back to the customer. Raises InvariantError."""
        self._move(lots, free=-1, held=0)

    def _move(self, lots: Sequence[tuple[int, int]], *, free: int, held: int) -> None:
        for seq, amount in lots:
            lot = self._lots.get(seq)
            if lot is None or amount < 0:
                raise InvariantError(f"{amount} of lot {seq}, which is {lot}")
            lot.free += free * amount
            lot.held += held * amount
            if lot.free < 0 or lot.held < 0:
                raise InvariantError(f"{amount} of lot {seq} was more than it had: now {lot}")
            if not lot.free and not lot.held:
                del self._lots[seq]

    # ----------------------------------------------------------------------------- snapshots

    def to_json(self) -> list[list[int | str]]:
        """Return ``[seq, pocket, free, held]`` per lot, oldest first."""
        return [[lot.seq, lot.pocket.value, lot.free, lot.held] for lot in self._lots.values()]

    @classmethod
    def from_json(cls, rows: Iterable[Sequence[int | str]]) -> Credit:
        """Make it from what ``to_json`` returned."""
        return cls(
            Lot(int(seq), Pocket(str(pocket)), int(free), int(held))
            for seq, pocket, free, held in rows
        )

    def __eq__(self, other: object) -> bool:
        """Compare lot by lot."""
        return isinstance(other, Credit) and self.lots == other.lots

    __hash__ = None  # type: ignore[assignment]  # it changes, so it is no key
