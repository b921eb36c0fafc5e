"""The oracle of the prices: each sale at the list price less the best offer that holds.

What a record says of its discount is the machine's own reckoning; here it is reckoned once more,
from the machine's file and from what was set since.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from config.models import Offer
from controller.journal import records as rec
from controller.journal.envelope import Record
from simulator.swarm.evidence import Evidence
from simulator.whole import Whole

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class Prices:
    """Follows the prices of one machine, from one journal's first record on."""

    def __init__(self, machine: Whole) -> None:
        """Begin with those of the file."""
        self._machine = machine
        self._file = {c.selection: machine.settings.price_of(c) for c in machine.settings.columns}
        self._set: dict[str, int] = {}
        self._ever = set(self._file.values())  # all that ever were on the list
        self.rules: dict[type[Any], Any] = {
            rec.JournalBegun: self._begins,
            rec.PriceSet: self._is_set,
            rec.PlanogramApplied: self._is_applied,
            rec.VendOpened: self._opens,
        }

    @property
    def ever(self) -> set[int]:
        """Return all prices that ever held, or may with an offer."""
        offers = self._machine.settings.offers
        return self._ever | {price_with(offer, p) for offer in offers for p in self._ever}

    def _begins(self, record: Record, data: rec.JournalBegun, evidence: Evidence) -> None:
        del record, evidence
        if data.previous is not None:  # what was set holds on
            self._set = dict(self._machine.state.prices)
            self._file.update(
                (name, shelf.price)
                for name, shelf in self._machine.state.config.held.shelves.items()
            )
            self._ever.update(self._set.values(), self._file.values())

    def _is_set(self, record: Record, data: rec.PriceSet, evidence: Evidence) -> None:
        del record, evidence
        self._set[data.column] = data.price
        self._ever.add(data.price)

    def _is_applied(self, record: Record, data: rec.PlanogramApplied, evidence: Evidence) -> None:
        del record, evidence
        for name, shelf in data.columns.items():
            self._set.pop(name, None)
            self._file[name] = shelf.price
            self._ever.add(shelf.price)

    def _opens(self, record: Record, opened: rec.VendOpened, evidence: Evidence) -> None:
        if opened.test or record.boot != self._machine.state.boot:
            return
        name, tell = opened.selection, evidence.findings.append
        listed = self._set.get(name, self._file.get(name))
        if listed is None:
            return
        if opened.price + opened.discount != listed:
            tell(
                f"{name} is sold at {opened.price}, less {opened.discount}, and its price is"
                f" {listed}"
            )
        offers = [offer for offer in self._machine.settings.offers if self._means(offer, name)]
        given = next((offer for offer in offers if offer.name == opened.offer), None)
        if given is not None and opened.price != price_with(given, listed):
            tell(
                f"{name} is sold at {opened.price} by the offer {given.name!r}, which makes"
                f" {price_with(given, listed)} of {listed}"
            )
        if record.confirmed:
            best = min(self._surely(offers, listed, record), default=listed)
            if opened.price > best:
                tell(f"{name} is sold at {opened.price}, and an offer makes {best} of it now")

    def _means(self, offer: Offer, name: str) -> bool:
        products = {c.selection: c.product for c in self._machine.settings.columns}
        everything = not offer.columns and not offer.products
        return everything or name in offer.columns or products.get(name) in offer.products

    def _surely(self, offers: Iterable[Offer], listed: int, record: Record) -> Iterable[int]:
        """Yield the prices with the offers that hold now, and did a second ago."""
        zone = ZoneInfo(self._machine.settings.machine.timezone)
        for offer in offers:
            if all(within(offer, at_ms, zone) for at_ms in (record.at_ms, record.at_ms - 1_000)):
                yield price_with(offer, listed)


def price_with(offer: Offer, listed: int) -> int:
    """Return a price less an offer's percentage, rounded down to its step, and to no gift."""
    left = listed * (100 - offer.percent) // 100
    if offer.percent < 100 and left < offer.step:
        return min(listed, offer.step)
    return left - left % offer.step


def within(offer: Offer, at_ms: int, zone: ZoneInfo) -> bool:
    """Tell whether a window of an offer is open at a time, which may have begun yesterday."""
    local = datetime.fromtimestamp(at_ms / 1_000, UTC).astimezone(zone)
    minute = f"{local:%H:%M}"
    today, yesterday = (DAYS[(local - timedelta(days=back)).weekday()] for back in (0, 1))
    if offer.start < offer.end:
        return today in offer.days and offer.start <= minute < offer.end
    late = today in offer.days and minute >= offer.start
    return late or (yesterday in offer.days and minute < offer.end)
