"""A hopper, byte for byte: it pays one coin after the other and remembers what a cut interrupted.

Source: ccTalk Generic Specification 4.7, part 2 (headers 160-172, 217); what is kept without power:
Money Controls SCH2 manual.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from drivers.cctalk.frames import NAK
from drivers.cctalk.headers import Header
from drivers.cctalk.hopper_codec import (
    CIPHER_BYTES,
    DISPENSE_COUNT_STEPS,
    ENABLE,
    SERIAL_BYTES,
    DispenseKind,
)
from simulator.peripherals.base import Timeline
from simulator.peripherals.cctalk_base import ACK, CcTalkDevice, CcTalkFaults, Reply
from simulator.peripherals.faults import counter, switch, whole
from simulator.truth import TECHNICIAN, TRAY, Kind, Thing, Truth, tube

_POWER_UP: Final = 0x40
_DISABLED: Final = 0x80
_TIMEOUT: Final = 0x02
_MAX_CURRENT: Final = 0x01
_CUT_IN_PAYOUT: Final = 0x01  # register 3
_AFTER: Final = ("jam_after", "reset_after", "bridged_after", "cut_after")
_CUT_S: Final = 1.0  # a loose plug, or a supply that several motors have pulled down


@dataclass(frozen=True, slots=True)
class HopperSettings:
    """How a hopper is built.

    Args:
        value: Its coin, minor units.
        coins: Inside at first.
        kind: How it wants a dispense proved.
        coin_s: Between two coins.
        empty_s: Without a coin, before it gives up.
        counts_refusals: Its event counter moves on a NAK too (Suzo-Happ Flow).
        remembers_cut: It refuses to pay after a cut in mid payout, until it is reset.
    """

    value: int
    coins: int = 100
    kind: DispenseKind = DispenseKind.SERIAL
    coin_s: float = 0.2
    empty_s: float = 3.0
    counts_refusals: bool = False
    remembers_cut: bool = True


@dataclass(slots=True)
class HopperFaults(CcTalkFaults):
    """What can go wrong with a hopper."""

    stall: bool = switch("the motor turns and pays nothing, for ever")
    jam_after: int = whole("jams after so many coins of a payout")
    reset_after: int = whole("resets itself after so many coins of a payout")
    bridged_after: int = whole("its coins bridge after so many of a payout: no more of them comes")
    cut_after: int = whole("its supply fails for a second after so many coins of a payout")
    lost_dispenses: int = counter("the next N dispense commands are not heard")
    extra_coins: int = counter("the next payout lets N coins more fall, uncounted")


class SimHopper(CcTalkDevice):
    """One hopper.

    Args:
        timeline: Physical time.
        truth: Where coins are; filled once, here.
        settings: How it is built.
        address: 3 to 10 as a rule.
        coin_type: Its place in the truth is the tube of this type.
    """

    faults: HopperFaults

    def __init__(
        self,
        timeline: Timeline,
        truth: Truth,
        settings: HopperSettings,
        *,
        address: int = 3,
        coin_type: int = 15,
    ) -> None:
        self.settings = settings
        self.faults = HopperFaults()
        plain = settings.kind is not DispenseKind.SERIAL
        super().__init__(
            f"hopper{address}",
            address,
            "Payout",
            timeline,
            truth,
            self.faults,
            model="SCH2-NOENCRYPT" if plain else "SIM-HOPPER",
            serial=10_000 + address,
        )
        self.place = tube(coin_type)
        self.dispensed = 1_000 * address
        """Coins ever paid; kept without power, as the two below."""
        self.paid = 0
        self.unpaid = 0
        self._cut = False
        self._timer: asyncio.TimerHandle | None = None
        self._supply: asyncio.TimerHandle | None = None  # its own supply comes back
        self.event = 0
        self.remaining = 0
        self.enabled = False
        self._keyed = False
        if settings.coins:
            truth.move(self._thing, TECHNICIAN, self.place, settings.coins, why="first fill")
        self._reset_state()
        self._flag = _POWER_UP

    @property
    def _thing(self) -> Thing:
        return Thing(Kind.COIN, self.settings.value)

    def fill(self, count: int) -> None:
        """Pour coins in by hand; negative: take some out. Nothing counts them."""
        if count > 0:
            self._truth.move(self._thing, TECHNICIAN, self.place, count, why="poured in")
        elif count:
            self._truth.move(self._thing, self.place, TECHNICIAN, -count, why="taken out")

    @property
    def quiet(self) -> bool:
        """Tell whether the motor stands."""
        return not self.remaining

    def _handle(self, header: int, data: bytes) -> Reply:
        match header:
            case Header.REQUEST_HOPPER_STATUS:
                return bytes((self.event, self.remaining, self.paid, self.unpaid))
            case Header.REQUEST_DISPENSE_COUNT:
                return self.dispensed.to_bytes(3, "little")
            case Header.TEST_HOPPER:
                first = self._flag | (0 if self.enabled else _DISABLED)
                return bytes((first, 0, _CUT_IN_PAYOUT if self._cut else 0))
            case Header.ENABLE_HOPPER:
                self.enabled = data[:1] == bytes((ENABLE,))
                return ACK
            case Header.REQUEST_CIPHER_KEY:
                self._keyed = True
                return bytes(range(CIPHER_BYTES))
            case Header.PUMP_RNG:
                return ACK
            case Header.DISPENSE_HOPPER_COINS:
                return self._dispense(data)
            case Header.EMERGENCY_STOP:
                left = self.remaining
                self._stop()
                return bytes((left,))
            case Header.REQUEST_PAYOUT_HIGH_LOW:
                return b"\0"
            case _:
                return None

    def _dispense(self, data: bytes) -> Reply:
        faults = self.faults
        if faults.lost_dispenses > 0:
            faults.lost_dispenses -= 1
            return None
        security, count = data[:-1], data[-1] if data else 0
        serial = self.settings.kind is DispenseKind.SERIAL
        fits = len(security) == (SERIAL_BYTES if serial else CIPHER_BYTES)
        proved = security == self._serial if serial else self._keyed
        if not fits:
            return None
        blocked = bool(self._flag & _MAX_CURRENT) or self._cut
        if not self.enabled or not proved or self.remaining or blocked or not count:
            if self.settings.counts_refusals:
                self._count_event()
            return NAK
        self._keyed = False
        self._flag &= ~_TIMEOUT
        self._count_event()
        self.remaining, self.paid, self.unpaid = count, 0, 0
        self._wait()
        return ACK if self.settings.kind is DispenseKind.PLAIN else bytes((self.event,))

    def _count_event(self) -> None:
        self.event = 1 if self.event >= 255 else self.event + 1

    # -- the motor ---------------------------------------------------------------------------

    def _wait(self, seconds: float | None = None) -> None:
        self._timer = self._timeline.after(seconds or self.settings.coin_s, self._step)

    def _step(self) -> None:
        self._timer = None
        faults = self.faults
        if faults.stall:
            return
        if faults.reset_after == 0:
            faults.reset_after = -1
            self.self_reset()
            return
        if faults.jam_after == 0:
            faults.jam_after = -1
            self._flag |= _MAX_CURRENT
            self._stop()
            return
        if faults.cut_after == 0:
            faults.cut_after = -1
            self.power_off()
            self._supply = self._timeline.after(_CUT_S, self.power_on)
            return
        bridged = faults.bridged_after == 0
        if bridged:
            faults.bridged_after = -1
        if bridged or not self._truth.count(self.place, self._thing):
            self._flag |= _TIMEOUT
            self._timer = self._timeline.after(self.settings.empty_s, self._stop)
            return
        self._truth.move(self._thing, self.place, TRAY, why="payout")
        self.dispensed = (self.dispensed + 1) % DISPENSE_COUNT_STEPS
        self.paid += 1
        self.remaining -= 1
        for name in _AFTER:
            if getattr(faults, name) > 0:
                setattr(faults, name, getattr(faults, name) - 1)
        if self.remaining:
            self._wait()
            return
        for _ in range(faults.extra_coins):
            if self._truth.count(self.place, self._thing):
                self._truth.move(self._thing, self.place, TRAY, why="one too many")
        faults.extra_coins = 0

    def _stop(self) -> None:
        self._halt()
        self.unpaid, self.remaining = self.remaining, 0

    def _halt(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _no_supply(self) -> None:
        """Forget that the supply comes back by itself: it has, or all the machine is dark now."""
        if self._supply is not None:
            self._supply.cancel()
            self._supply = None

    # -- resets ------------------------------------------------------------------------------

    def _reset_state(self) -> None:
        self.event = 0
        self.remaining = 0
        self.enabled = False
        self._keyed = False
        self._flag = 0
        self._cut = False

    def _end_work(self) -> None:
        self._stop()

    def _lose_power(self) -> None:
        """A cut keeps what was unpaid; one while it stands clears it."""
        self._halt()
        self._no_supply()
        self.unpaid = self.remaining
        self.remaining = 0

    def _power_returned(self) -> None:
        self._no_supply()
        self._flag = _POWER_UP
        self._cut = self.settings.remembers_cut and self.unpaid > 0

    def to_state(self) -> dict[str, Any]:
        """Return what outlives a loss of power."""
        kept = {"dispensed": self.dispensed, "paid": self.paid, "unpaid": self.unpaid}
        return super().to_state() | kept

    def from_state(self, state: Mapping[str, Any]) -> None:
        """Become what `to_state` returned."""
        super().from_state(state)
        self.dispensed = state["dispensed"]
        self.paid, self.unpaid = state["paid"], state["unpaid"]
