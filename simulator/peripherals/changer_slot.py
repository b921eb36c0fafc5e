"""A coin's way from the slot to tube, cash box or back to the customer.

Source: MDB/ICP 4.2, section 5 (POLL: coins deposited, slugs, status codes).
"""

from __future__ import annotations

from typing import Protocol

from drivers.mdb.changer_codec import ChangerStatus, CoinRoute
from simulator.peripherals.base import Timeline
from simulator.peripherals.changer_payout import Tubes, coin_thing
from simulator.peripherals.changer_settings import ChangerFaults, ChangerSettings
from simulator.truth import CASHBOX, CUSTOMER, SLOT, TRAY, Thing, Truth, tube


class Head(Protocol):
    """The changer's electronics, as the coin path sees them."""

    accepted: int

    @property
    def alive(self) -> bool:
        """Tell whether the acceptor works at all."""

    def has_room(self, size: int) -> bool:
        """Tell whether an item of so many bytes can still be told."""

    def tell_status(self, status: ChangerStatus) -> None:
        """Tell a one-time status."""

    def tell_coin(self, route: CoinRoute, kind: int) -> None:
        """Tell a coin and where it went."""

    def tell_slug(self) -> None:
        """Tell a worthless disc."""


class CoinPath:
    """Slot, sensors and gate. Without power the gate stands open to the tray."""

    def __init__(
        self,
        settings: ChangerSettings,
        faults: ChangerFaults,
        tubes: Tubes,
        timeline: Timeline,
        truth: Truth,
        head: Head,
    ) -> None:
        self._settings = settings
        self._faults = faults
        self._tubes = tubes
        self._timeline = timeline
        self._truth = truth
        self._head = head
        self._rolling: list[Thing] = []
        self._last_at = float("-inf")  # when the coin that was put in last is at the gate
        self._generation = 0

    def insert(self, thing: Thing, kind: int | None) -> None:
        """Take a coin from the customer; it reaches the gate after the transport time."""
        self._truth.move(thing, CUSTOMER, SLOT)
        if not self._head.alive:
            self._reject(thing, "acceptor dead")
            return
        self._rolling.append(thing)
        now = self._timeline.now()
        soonest = now + self._timeline.real(self._settings.transport_s)
        self._last_at = max(soonest, self._last_at + self._settings.gap_s)
        self._timeline.loop.call_later(
            self._last_at - now,
            self._arrive,
            thing,
            self._kind_of(thing) if kind is None else kind,
            self._generation,
        )

    def lose_power(self) -> None:
        """Let everything fall back to the customer, a jammed coin excepted."""
        self._generation += 1
        for thing in self._rolling:
            self._reject(thing, "no power")
        self._rolling.clear()

    def clear_jam(self) -> None:
        """Give jammed coins back; those that still roll go on."""
        self._faults.coin_jam = False
        stuck = self._truth.things(SLOT)
        for thing in self._rolling:
            stuck[thing] -= 1
        for thing, count in stuck.items():
            if count:
                self._truth.move(thing, SLOT, TRAY, count, why="jam cleared")

    def _kind_of(self, thing: Thing) -> int | None:
        for kind, coin in enumerate(self._tubes.coins):
            if (coin.value or coin.token) and coin_thing(coin) == thing:
                return kind
        return None

    def _arrive(self, thing: Thing, kind: int | None, generation: int) -> None:
        if generation != self._generation:
            return
        self._rolling.remove(thing)
        head, faults = self._head, self._faults
        if faults.coin_jam:
            head.tell_status(ChangerStatus.COIN_JAM)
        elif kind is None:
            self._reject(thing, "unknown")
            if self._settings.reports_slugs:
                head.tell_slug()
        elif not head.alive or not head.accepted >> kind & 1:
            self._reject(thing, "inhibited")
            if self._settings.reports_rejects and head.accepted and head.has_room(2):
                head.tell_coin(CoinRoute.REJECT, kind)
        elif not head.has_room(2):
            self._reject(thing, "nobody listens")
        elif faults.double_arrivals > 0:
            faults.double_arrivals -= 1
            self._reject(thing, "double arrival")
            head.tell_status(ChangerStatus.DOUBLE_ARRIVAL)
        elif faults.lost_credits > 0:
            faults.lost_credits -= 1
            self._reject(thing, "no credit")
            head.tell_status(ChangerStatus.NO_CREDIT)
        else:
            self._keep(thing, kind)

    def _keep(self, thing: Thing, kind: int) -> None:
        tubes, faults, head = self._tubes, self._faults, self._head
        if not tubes.has_tube(kind) or tubes.is_full(kind) or faults.defective.get(kind):
            self._truth.move(thing, SLOT, CASHBOX)
            head.tell_coin(CoinRoute.CASHBOX, kind)
        elif faults.misroutes > 0:
            faults.misroutes -= 1
            self._truth.move(thing, SLOT, CASHBOX, why="wrong route")
            head.tell_coin(CoinRoute.TUBE, kind)
            head.tell_status(ChangerStatus.ROUTING_ERROR)
        else:
            self._truth.move(thing, SLOT, tube(kind))
            head.tell_coin(CoinRoute.TUBE, kind)

    def _reject(self, thing: Thing, why: str) -> None:
        self._truth.move(thing, SLOT, TRAY, why=why)
