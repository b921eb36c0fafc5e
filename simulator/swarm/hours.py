"""When an offer's hours end for somebody, and when a start does not know what time it is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final
from zoneinfo import ZoneInfo

from config.machine import MachineSettings
from controller.journal import records as rec
from controller.journal.envelope import Record
from simulator.swarm.prices import within

ENDED: Final = "seen.hours ended"
UNKNOWN: Final = "seen.time unknown"
EVERY: Final = ""  # phase that holds
MONEY: Final = "MONEY"


class Hours:
    """Follows one machine's records.

    Args:
        settings: Its file.
    """

    def __init__(self, settings: MachineSettings) -> None:
        self.any = bool(settings.offers)
        self._offers = {offer.name: offer for offer in settings.offers}
        self._zone = ZoneInfo(settings.machine.timezone)
        self._sold: str | None = None  # the offer by which somebody's vend is sold
        self._held: set[str] = set()  # at the last time that was known, with somebody's credit in

    def record(self, record: Record) -> Iterator[tuple[str, str]]:
        """Yield what has come about by this record: a mark, and the phase that it came in."""
        if record.type == rec.BootStarted.type and self._sold:
            yield UNKNOWN, EVERY  # as far as nobody tells it
        if record.confirmed and self._sold and not self._holds(self._sold, record):
            yield ENDED, EVERY
            self._sold = None
        match record.data:
            case rec.CoinsDeposited() if record.confirmed:
                self._held = {name for name in self._offers if self._holds(name, record)}
            case rec.VendOpened(offer=offer):
                if record.confirmed and not offer and not self._now(record) and self._held:
                    yield ENDED, MONEY
                self._sold, self._held = offer or None, set()
            case rec.VendClosed():
                self._sold, self._held = None, set()
            case _:
                pass

    def _holds(self, name: str, record: Record) -> bool:
        return within(self._offers[name], record.at_ms, self._zone)

    def _now(self, record: Record) -> bool:
        return any(self._holds(name, record) for name in self._offers)
