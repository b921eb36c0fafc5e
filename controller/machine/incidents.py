"""Faults as incidents: opened once per cause, and closed when the cause is gone.

Drivers tell a fault once and tell its end, but a cause may end while nobody runs. What stood in
the journal at the start and is told by nobody until its part works is closed then.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from controller.faults import FaultCode, part_and_code
from controller.journal import records as rec
from controller.machine import effects as fx
from controller.machine.cash import CashHandling
from controller.machine.desk import Desk
from controller.ports import DeviceName

FIRST_LOOK_S: Final = 0.1  # after recovery: at a drop sensor that was blind when vendd ended
_KEPT: Final = (  # no start heals them: what shows the contrary does, or who has looked
    FaultCode.BILL_STUCK_IN_ESCROW.value,
    FaultCode.MACHINE_REFUNDS.value,
    FaultCode.BILL_UNCOUNTED.value,  # until a collection has counted them
    FaultCode.CHANGER_PAID_OTHER.value,  # the next payout that agrees, or who has looked
)
_KNOWN: Final = frozenset(FaultCode)


class Incidents:
    """Opens and closes faults, and draws their consequences."""

    def __init__(self, desk: Desk, cash: CashHandling, devices: tuple[DeviceName, ...]) -> None:
        """Bind the desk; ``devices`` are those the configuration names."""
        self._desk = desk
        self._cash = cash
        self._parts = frozenset(name.value for name in devices)
        self._doubtful: set[str] = set()  # stood at the start, and nobody has told of them since
        self._told: set[str] = set()  # by somebody in this life: a bus may speak before the boot

    def booted(self) -> None:
        """Doubt every fault of a device or the panel that the journal brought along."""
        columns = self._desk.planogram.columns
        self._doubtful = {
            key
            for key in self._desk.state.faults
            for part, code in [part_and_code(key)]
            if part not in columns and part != "sensor" and code not in _KEPT
        } - self._told

    def raised(self, part: str, code: FaultCode, detail: str = "") -> None:
        """Open an incident, unless it is open."""
        desk = self._desk
        if code is FaultCode.BILL_STUCK_IN_ESCROW and desk.state.escrow is None:
            return  # its driver waits for a word that will never come; the count has settled it
        self._doubtful.discard(f"{part} {code.value}")
        self._told.add(f"{part} {code.value}")
        desk.raise_fault(part, code, detail)
        if code is FaultCode.BILL_STACKER_FULL:
            desk.live.stacker_full = True
        elif code is FaultCode.CHANGER_ROUTING and DeviceName.CHANGER in desk.live.ready:
            desk.do(fx.CountTubes("check"))  # a coin is not where it was said to be
        elif code in (FaultCode.BILL_REMOVED, FaultCode.BILL_JAM):
            self._cash.escrow_in_trouble()

    def cleared(self, part: str, code: FaultCode) -> None:
        """Close an incident, if it is open."""
        desk = self._desk
        self._doubtful.discard(f"{part} {code.value}")
        self._told.discard(f"{part} {code.value}")
        desk.clear_fault(part, code)
        if code is FaultCode.BILL_STACKER_FULL:
            desk.live.stacker_full = False
        elif code is FaultCode.BILL_JAM:
            self._cash.look_again()

    def ready(self, device: DeviceName) -> None:
        """A device works: what stands was told while it was initialised."""
        self._close_doubtful(lambda part: part == device.value)
        self._desk.clear_fault(device.value, FaultCode.DEVICE_SILENT)

    def recovered(self) -> None:
        """Everything but absent devices has been heard."""
        self._close_doubtful(lambda part: part not in self._parts)
        if f"sensor {FaultCode.SENSOR_BLIND.value}" in self._desk.state.faults:
            self._desk.do(fx.Wake("sensor", FIRST_LOOK_S))

    def _close_doubtful(self, told: Callable[[str], bool]) -> None:
        for key in sorted(self._doubtful):
            part, code = part_and_code(key)
            if not told(part):
                continue
            if code in _KNOWN:
                self.cleared(part, FaultCode(code))
            else:  # another version's: it has no consequence here
                self._doubtful.discard(key)
                self._desk.write(rec.FaultCleared(part=part, code=code))
