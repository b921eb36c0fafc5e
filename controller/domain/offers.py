"""Discounts and free vends by time of day, in the machine's own zone. Pure.

They hold only while the time is known: a clock that nobody confirmed gives nothing away, and takes
no offer from anybody either who pays the list price that the panel shows.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Final

from controller.domain.planogram import Planogram

FREE: Final = 100  # percent
_DAY: Final = 7


@dataclass(frozen=True, slots=True)
class Offer:
    """One window.

    Args:
        name: What records call it.
        percent: Off the price; 100 is free.
        columns: Selections that it is for.
        days: On which it begins, Monday is 0.
        start: Minute of the day.
        end: Minute of the day, itself no more in it; not after ``start``: on the next day.
        step: The price is rounded down to a multiple of this, minor units; but never to nothing.
    """

    name: str
    percent: int
    columns: frozenset[str]
    days: frozenset[int]
    start: int
    end: int
    step: int = 5

    def holds(self, local: datetime) -> bool:
        """Tell whether it holds at a local time."""
        minute, day = local.hour * 60 + local.minute, local.weekday()
        if self.start < self.end:
            return day in self.days and self.start <= minute < self.end
        late = day in self.days and minute >= self.start
        return late or ((day - 1) % _DAY in self.days and minute < self.end)

    def price(self, price: int) -> int:
        """Return a price with it; rounding alone gives nothing away."""
        left = price * (FREE - self.percent) // FREE
        if left < self.step and self.percent < FREE:
            return min(price, self.step)
        return left - left % self.step


@dataclass(frozen=True, slots=True)
class Offers:
    """All windows of a machine, and the zone that they are meant in."""

    all: tuple[Offer, ...] = ()
    zone: tzinfo = UTC

    def at(self, utc_ms: int) -> tuple[Offer, ...]:
        """Return those that hold at a time, UTC in ms."""
        local = datetime.fromtimestamp(utc_ms // 1000, self.zone)
        return tuple(offer for offer in self.all if offer.holds(local))


def reduced(listed: Planogram, active: Iterable[Offer]) -> Planogram:
    """Return the planogram with the best of these offers on each column."""
    active = tuple(active)
    best: dict[str, tuple[int, str]] = {}
    for name, column in listed.columns.items():
        for offer in active:
            price = offer.price(column.price)
            if name in offer.columns and price < best.get(name, (column.price, ""))[0]:
                best[name] = (price, offer.name)
    return listed.with_offers(best) if best else listed
