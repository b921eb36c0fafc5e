"""A changer's payout: coins that leave the tubes one by one, and what is remembered of it.

Source: MDB/ICP 4.2, section 5 (DISPENSE, EXPANSION 02 to 04).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from simulator.peripherals.base import Timeline
from simulator.peripherals.changer_settings import (
    BusyStyle,
    ChangerFaults,
    ChangerSettings,
    CoinSpec,
)
from simulator.truth import TRAY, Kind, Thing, Truth, tube

MAX_COUNT: Final = 255
"""Counts are one byte."""


def coin_thing(coin: CoinSpec) -> Thing:
    """Return what a coin of this type is in the truth."""
    return Thing(Kind.COIN, coin.value, "token" if coin.token else "")


class Tubes:
    """The tubes: what really is in them, and what the changer believes."""

    def __init__(self, settings: ChangerSettings, faults: ChangerFaults, truth: Truth) -> None:
        self.coins = settings.coin_table()
        self._faults = faults
        self._truth = truth

    def real(self, coin_type: int) -> int:
        """Return how many coins are in a tube."""
        return self._truth.count(tube(coin_type))

    def told(self, coin_type: int) -> int:
        """Return how many coins the changer says are there; 0 for a defective tube."""
        if self._faults.defective.get(coin_type):
            return 0
        error = self._faults.count_error.get(coin_type, 0)
        return min(MAX_COUNT, max(0, self.real(coin_type) + error))

    def has_tube(self, coin_type: int) -> bool:
        """Tell whether a type has a tube."""
        return coin_type < len(self.coins) and self.coins[coin_type].capacity > 0

    def is_full(self, coin_type: int) -> bool:
        """Tell whether no coin fits in any more, by the sensor or in fact."""
        capacity = self.coins[coin_type].capacity
        return self.has_tube(coin_type) and (
            self.told(coin_type) >= capacity or self.real(coin_type) >= capacity
        )

    def types(self) -> list[int]:
        """Return the types that have tubes, ascending."""
        return [index for index, coin in enumerate(self.coins) if coin.capacity]

    def take(self, coin_type: int, target: str, why: str) -> bool:
        """Let one coin out; False when the tube is empty."""
        if not self.real(coin_type):
            return False
        self._truth.move(coin_thing(self.coins[coin_type]), tube(coin_type), target, why=why)
        return True

    def miscount(self, coin_type: int, by: int) -> None:
        """Make the believed count differ more from the real one."""
        errors = self._faults.count_error
        errors[coin_type] = errors.get(coin_type, 0) + by


class Payout:
    """One payout, and the memory of the last one.

    Args:
        ended: Called when it is over, with the type that jammed or None.
        reset: Called when the changer must reset itself in the middle.
    """

    def __init__(
        self,
        settings: ChangerSettings,
        faults: ChangerFaults,
        tubes: Tubes,
        timeline: Timeline,
        *,
        ended: Callable[[int | None], None],
        reset: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._faults = faults
        self._tubes = tubes
        self._timeline = timeline
        self._ended = ended
        self._reset = reset
        self._left: list[int] = []
        self._remembered = False
        self._timer: asyncio.TimerHandle | None = None
        self.running = False
        self.paid: dict[int, int] = {}
        """Coins paid per type since the last PAYOUT, as the changer believes."""
        self.units_since_poll = 0

    def plan_value(self, units: int) -> list[int]:
        """Choose coins for a value in scaling factors, the largest first, as far as they last."""
        plan: list[int] = []
        tubes = self._tubes
        by_value = sorted(
            (self._settings.scaled(tubes.coins[kind]), kind)
            for kind in tubes.types()
            if not tubes.coins[kind].token
        )
        for value, kind in reversed(by_value):
            count = min(units // value, tubes.told(kind))
            units -= count * value
            plan += [kind] * count
        return plan

    @property
    def ordered(self) -> bool:
        """Tell whether it runs, or is about to."""
        return self.running or self._timer is not None

    def begin(self, coins: Sequence[int], *, remembered: bool) -> None:
        """Start to pay coins, given by type.

        Args:
            coins: One entry for each coin.
            remembered: PAYOUT STATUS begins anew (it does not for DISPENSE).
        """
        faults = self._faults
        order = self._settings.pays_first
        rank = {kind: place for place, kind in enumerate(order)}
        self._left = sorted(coins, key=lambda kind: (rank.get(kind, len(order)), -kind))
        if faults.extra_coins > 0 and self._left:
            self._left += [self._left[-1]] * faults.extra_coins
            faults.extra_coins = 0
        if faults.short_by > 0:
            del self._left[max(0, len(self._left) - faults.short_by) :]
            faults.short_by = 0
        if remembered:
            self.paid = {}
            self.units_since_poll = 0
        self._remembered = remembered
        if self._settings.busy is BusyStyle.LATE:
            self._timer = self._timeline.after(self._settings.late_s, self._start)
        else:
            self._start()

    def _start(self) -> None:
        self.running = True
        self._wait()

    def abort(self) -> None:
        """Stop where it is; the memory of it is lost."""
        self.running = False
        self._left = []
        self.forget()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def forget(self) -> None:
        """Clear what PAYOUT STATUS would tell."""
        self.paid = {}
        self.units_since_poll = 0

    def _wait(self) -> None:
        self._timer = self._timeline.after(self._settings.payout_s, self._step)

    def _step(self) -> None:
        self._timer = None
        faults = self._faults
        if faults.stall:
            return
        if faults.reset_after == 0:
            faults.reset_after = -1
            self._reset()
            return
        if not self._left:
            self.running = False
            self._ended(None)
            return
        kind = self._left.pop(0)
        if faults.jam_after == 0:
            faults.jam_after = -1
            self._left = []
            self.running = False
            self._ended(kind)
            return
        if self._tubes.take(kind, TRAY, "payout"):
            self._count(kind)
        elif self._settings.detects_empty:
            self._left = [other for other in self._left if other != kind]
        else:
            self._tubes.miscount(kind, -1)
            self._count(kind)
        for name in ("jam_after", "reset_after"):
            if getattr(faults, name) > 0:
                setattr(faults, name, getattr(faults, name) - 1)
        if not self._left and self._settings.busy is BusyStyle.NEVER:
            self.running = False  # who says nothing of it takes the next order right away
            self._ended(None)
            return
        self._wait()

    def _count(self, kind: int) -> None:
        if self._remembered:
            self.paid[kind] = self.paid.get(kind, 0) + 1
            self.units_since_poll += self._settings.scaled(self._tubes.coins[kind])
