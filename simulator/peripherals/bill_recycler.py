"""A validator's recycler: bills that are kept by type and let out one by one.

Source: MDB/ICP 4.2, section 6 (EXPANSION 03 to 0A, recycler status).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final

from drivers.mdb.bill_codec import RecyclerStatus
from simulator.peripherals.base import Timeline
from simulator.peripherals.bill_settings import BillFaults, BillSettings, bill_thing
from simulator.truth import TECHNICIAN, TRAY, Truth, recycler

OPTION_RECYCLING: Final = 1 << 1
TYPES: Final = 16
MAX_COUNT: Final = 0xFFFF
NOT_RECYCLED: Final[tuple[int, ...]] = (0,) * TYPES


class Recycler:
    """What is kept, and one payout at a time.

    Args:
        tell: Queues a one-byte item for the next POLL.
        reset: Called when the device must reset itself in the middle of a payout.
    """

    def __init__(
        self,
        settings: BillSettings,
        faults: BillFaults,
        truth: Truth,
        timeline: Timeline,
        *,
        tell: Callable[[int], object],
        reset: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._faults = faults
        self._truth = truth
        self._timeline = timeline
        self._tell = tell
        self._reset = reset
        self._left: list[int] = []
        self._timer: asyncio.TimerHandle | None = None
        self._units_since_poll = 0
        self.enabled = False  # option b1 is on
        self.qualities = NOT_RECYCLED  # as RECYCLER ENABLE told; all zeros after a reset
        self.manual = 0
        self.paid: dict[int, int] = {}
        """Bills paid per type since the last payout command; forgotten once it was told."""
        self.jammed = False
        self.paying = False
        for kind, count in enumerate(settings.recycled_before):
            if count:
                truth.move(
                    bill_thing(settings.bills[kind]), TECHNICIAN, recycler(kind), count, why="fill"
                )

    # -- what is inside ----------------------------------------------------------------------

    def real(self, kind: int) -> int:
        """Return how many bills of a type are in it."""
        return self._truth.count(recycler(kind))

    def takes(self, kind: int) -> bool:
        """Tell whether the next bill of this type goes into it."""
        return (
            self.enabled
            and not self.jammed
            and kind in self._settings.recycles
            and bool(self.qualities[kind])
            and self.real(kind) < self._settings.recycler_capacity
        )

    # -- its commands ------------------------------------------------------------------------

    def handle(self, sub: int, data: bytes, *, held: bool) -> bytes | None:
        """Answer EXPANSION 03 to 0A; b"" is ACK, None silence.

        Args:
            sub: The sub-command.
            data: What follows it.
            held: A bill is in escrow or moves, so nothing can be paid out.
        """
        if not self.enabled or not self._settings.recycles:
            return None
        match sub:
            case 0x03:
                return sum(1 << kind for kind in self._settings.recycles).to_bytes(2, "big")
            case 0x04:
                self.manual = int.from_bytes(data[:2], "big")
                self.qualities = tuple(data[2:])
                return b""
            case 0x05:
                return self._counts()
            case 0x06:
                self._begin([data[0] & 0x0F] * int.from_bytes(data[1:3], "big"), held=held)
                return b""
            case 0x07:
                self._begin(self._plan(int.from_bytes(data, "big")), held=held)
                return b""
            case 0x08:
                return b"" if self.paying else self._status()
            case 0x09:
                return self._value()
            case 0x0A:
                self._left = []
                return b""
            case _:
                return None

    def _counts(self) -> bytes:
        capacity = self._settings.recycler_capacity
        kinds = self._settings.recycles
        full = sum(1 << kind for kind in kinds if self.real(kind) >= capacity)
        last = max(kinds, default=-1)
        error = self._faults.recycler_error
        counts = [min(MAX_COUNT, max(0, self.real(kind) + error)) for kind in range(last + 1)]
        told = (n if kind in kinds else 0 for kind, n in enumerate(counts))
        return full.to_bytes(2, "big") + b"".join(n.to_bytes(2, "big") for n in told)

    def _plan(self, units: int) -> list[int]:
        """Choose bills for a value in scaling factors, the largest first, as far as they last."""
        plan: list[int] = []
        settings = self._settings
        for kind in sorted(settings.recycles, key=lambda k: -settings.bills[k].value):
            value = settings.scaled(settings.bills[kind])
            count = min(units // value, self.real(kind))
            units -= count * value
            plan += [kind] * count
        return plan

    def _status(self) -> bytes:
        last = max(self.paid, default=-1)
        counts = (self.paid.get(kind, 0) for kind in range(last + 1))
        return b"".join(count.to_bytes(2, "big") for count in counts) or b"\x00"

    def _value(self) -> bytes:
        if not self.paying and not self._units_since_poll:
            return b""
        units, self._units_since_poll = self._units_since_poll, 0
        return units.to_bytes(2, "big")

    # -- a payout ----------------------------------------------------------------------------

    def _begin(self, bills: list[int], *, held: bool) -> None:
        if self.paying or held or self.jammed:
            return  # it keeps no queue
        faults = self._faults
        self._left = bills
        if faults.dispense_short > 0:
            self._left = bills[: max(0, len(bills) - faults.dispense_short)]
            faults.dispense_short = 0
        if faults.dispense_extra > 0 and bills:
            self._left = self._left + [bills[-1]] * faults.dispense_extra
            faults.dispense_extra = 0
        self.paid = {}
        self._units_since_poll = 0
        self.paying = True
        self._wait()

    def _wait(self) -> None:
        self._timer = self._timeline.after(self._settings.dispense_s, self._step)

    def _step(self) -> None:
        self._timer = None
        faults = self._faults
        if faults.dispense_stall and self._left:
            self._wait()  # and on, until it is cancelled
            return
        if faults.dispense_reset_after == 0:
            faults.dispense_reset_after = -1
            self._reset()
            return
        if faults.dispense_jam_after == 0 and self._left:
            faults.dispense_jam_after = -1
            self._left = []
            self.jammed = True
            self.paying = False
            self._tell(RecyclerStatus.DISPENSER_JAM)
            return
        while self._left and not self.real(self._left[0]):
            self._left.pop(0)
        if not self._left:
            self.paying = False
            return
        kind = self._left.pop(0)
        thing = bill_thing(self._settings.bills[kind])
        self._truth.move(thing, recycler(kind), TRAY, why="payout")
        self.paid[kind] = self.paid.get(kind, 0) + 1
        self._units_since_poll += self._settings.scaled(self._settings.bills[kind])
        for name in ("dispense_jam_after", "dispense_reset_after"):
            if getattr(faults, name) > 0:
                setattr(faults, name, getattr(faults, name) - 1)
        self._wait()

    def stop(self) -> None:
        """End a payout where it is; the memory of it is lost."""
        self.paying = False
        self._left = []
        self.forget()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def forget(self) -> None:
        """Clear what PAYOUT STATUS would tell."""
        self.paid = {}
        self._units_since_poll = 0

    # -- its life ----------------------------------------------------------------------------

    def restart(self) -> None:
        """Be as after power-up, break or RESET."""
        self.stop()
        self.enabled = False
        self.qualities = NOT_RECYCLED
        self.manual = 0

    def conditions(self, *, held: bool) -> tuple[int, ...]:
        """Return the states that are repeated at each POLL."""
        if not self.enabled or not any(self.qualities):
            return ()
        if self.paying:
            return (RecyclerStatus.PAYOUT_BUSY,)
        return (RecyclerStatus.DISPENSER_DISABLED,) if self.jammed or held else ()

    def to_state(self) -> Mapping[str, Any]:
        """Return what outlives a loss of power; the bills are in the truth."""
        return {"jammed": self.jammed}

    def from_state(self, state: Mapping[str, Any]) -> None:
        """Become what `to_state` returned."""
        self.jammed = bool(state.get("jammed", False))
