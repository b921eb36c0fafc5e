"""A bill validator on ccTalk, byte for byte.

Source: ccTalk Generic Specification 4.7, parts 2 and 3 (headers 152-159, 228, 231).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from drivers.cctalk.frames import Checksum
from drivers.cctalk.headers import Header
from simulator.peripherals.base import Timeline
from simulator.peripherals.cctalk_base import ACK, CcTalkDevice, CcTalkFaults, EventLog, Reply
from simulator.peripherals.faults import counter, switch
from simulator.truth import CUSTOMER, ESCROW, STACKER, TRANSPORT, TRAY, Kind, Thing, Truth

WATCHDOG_S: Final = 5.0
"""Without a read of its events it inhibits itself, and only a command lifts that."""
_MODE_ESCROW: Final = 0x02
_ESCROW_EMPTY: Final = b"\xfe"
_FAULT_FULL: Final = 45
_FAULT_REMOVED: Final = 44
_FAULT_JAM: Final = 39


@dataclass(frozen=True, slots=True)
class ValidatorSettings:
    """How a validator is built.

    Args:
        ids: Bill id and value in minor units, by type from 1.
        scales: Factor and decimals, by country.
        has_escrow: It can hold a bill.
        escrow_s: For how long it holds one.
        intake_s: To read a bill.
        stack_s: To stack or return one.
        capacity: Bills in the stacker.
        counts: It keeps accept counters without power.
        empty_in_motion: It says that its escrow is empty while a bill is on its way out of it.
    """

    ids: Mapping[int, tuple[str, int]] = field(
        default_factory=lambda: {
            1: ("EU0005A", 500),
            2: ("EU0010A", 1_000),
            3: ("EU0020A", 2_000),
            4: ("EU0050A", 5_000),
        }
    )
    scales: Mapping[str, tuple[int, int]] = field(default_factory=lambda: {"EU": (100, 2)})
    has_escrow: bool = True
    escrow_s: float = 30.0
    intake_s: float = 1.0
    stack_s: float = 0.6
    capacity: int = 500
    counts: bool = True
    empty_in_motion: bool = False


@dataclass(slots=True)
class ValidatorFaults(CcTalkFaults):
    """What can go wrong with a validator."""

    rejects: int = counter("the next N bills are not recognised")
    lost_routes: int = counter("the next N routing orders are not heard")
    pulled: int = counter(
        "the next N bills are pulled out of its mouth on their way to the stacker"
    )
    jam: bool = switch("bills jam in the transport")
    stacker_out: bool = switch("the stacker is removed")


class SimCcTalkBill(CcTalkDevice):
    """One bill validator.

    Args:
        timeline: Physical time.
        truth: Where bills are.
        settings: How it is built.
        address: Usually 40.
        checksum: Usually the CRC.
    """

    faults: ValidatorFaults

    def __init__(
        self,
        timeline: Timeline,
        truth: Truth,
        settings: ValidatorSettings | None = None,
        *,
        address: int = 40,
        checksum: Checksum = Checksum.CRC,
    ) -> None:
        self.settings = settings or ValidatorSettings()
        self.faults = ValidatorFaults()
        super().__init__(
            "billcc",
            address,
            "Bill Validator",
            timeline,
            truth,
            self.faults,
            checksum=checksum,
            model="SIM-BILL",
        )
        self.log = EventLog()
        self.stacked: dict[int, int] = {}
        """Bills ever stacked, by type; kept without power."""
        self.held: tuple[Thing, int] | None = None
        self._motion: asyncio.TimerHandle | None = None
        self._dog: asyncio.TimerHandle | None = None
        self._routed = False  # out of escrow: to the stacker, or back
        self._reset_state()

    @property
    def quiet(self) -> bool:
        """Tell whether no bill is on its way; one that waits in escrow is not."""
        return self.held is None or bool(
            self._truth.count(ESCROW, self.held[0]) and not self._routed
        )

    @property
    def told_all(self) -> bool:
        """Tell whether every event has been read."""
        return self.log.told or not self.powered

    def _handle(self, header: int, data: bytes) -> Reply:
        match header:
            case Header.READ_BUFFERED_BILL_EVENTS:
                self.polled(self._timeline.now())
                self._told = self.log.read()
                return self._told
            case Header.REQUEST_BILL_ID:
                return self.settings.ids.get(data[0], (".......", 0))[0].encode()
            case Header.REQUEST_COUNTRY_SCALING_FACTOR:
                factor, decimals = self.settings.scales.get(data.decode("latin-1"), (0, 0))
                return factor.to_bytes(2, "little") + bytes((decimals,))
            case Header.REQUEST_VARIABLE_SET:
                return bytes((len(self.settings.ids), 1))
            case Header.REQUEST_OPTION_FLAGS:
                escrow = 0x02 if self.settings.has_escrow else 0
                return bytes((0x01 | escrow | (0x14 if self.settings.counts else 0),))
            case Header.REQUEST_INDIVIDUAL_ACCEPT_COUNTER if self.settings.counts:
                return self.stacked.get(data[0], 0).to_bytes(3, "little")
            case Header.REQUEST_BILL_OPERATING_MODE:
                return bytes((self.mode,))
            case Header.ROUTE_BILL:
                return self._route(data[0])
            case Header.PERFORM_SELF_CHECK:
                return bytes((self._fault(),))
            case _:
                return self._set(header, data)

    def _set(self, header: int, data: bytes) -> Reply:
        match header:
            case Header.MODIFY_INHIBIT_STATUS:
                self.accepted = int.from_bytes(data, "little")
            case Header.MODIFY_MASTER_INHIBIT:
                self.master = bool(data[0] & 1)
            case Header.MODIFY_BILL_OPERATING_MODE:
                self.mode = data[0]
            case _:
                return None
        return ACK

    def _fault(self) -> int:
        if self.faults.jam:
            return _FAULT_JAM
        if self.faults.stacker_out:
            return _FAULT_REMOVED
        return _FAULT_FULL if self.full else 0

    @property
    def full(self) -> bool:
        """Tell whether no bill fits into the stacker."""
        return sum(self._truth.things(STACKER).values()) >= self.settings.capacity

    def polled(self, at: float) -> None:
        """Feed the watchdog."""
        if self._dog is not None:
            self._dog.cancel()
        self._dog = self._timeline.loop.call_at(at + WATCHDOG_S, self._inhibit)

    def _events(self) -> bytes:
        return self.log.answer

    def _inhibit(self) -> None:
        self._dog = None
        if self.powered and self.master:
            self.master = False
            self.log.add(0, 0)

    # -- bills -------------------------------------------------------------------------------

    def insert_bill(self, value: int) -> bool:
        """Let the customer offer a bill; False when it is not even pulled in."""
        busy = self.held is not None or self._motion is not None
        blocked = self.faults.jam or self.faults.stacker_out or self.full
        if not self.powered or busy or blocked or not self.master or not self.accepted:
            return False
        thing = Thing(Kind.BILL, value)
        kinds = (kind for kind, (_, worth) in self.settings.ids.items() if worth == value)
        self._truth.move(thing, CUSTOMER, TRANSPORT)
        self.held = thing, next(kinds, 0)
        self._after(self.settings.intake_s, self._read)
        return True

    def _after(self, seconds: float, callback: object) -> None:
        assert callable(callback)
        self._motion = self._timeline.after(seconds, callback)

    def _read(self) -> None:
        self._motion = None
        assert self.held is not None, "something is being read"
        thing, kind = self.held
        if not kind or self.faults.rejects > 0:
            self.faults.rejects = max(0, self.faults.rejects - 1)
            self.log.add(0, 2)
            self._out(TRANSPORT, "refused")
        elif not self.accepted >> kind - 1 & 1 or not self.master:
            self.log.add(0, 4)
            self._out(TRANSPORT, "inhibited")
        elif self.settings.has_escrow and self.mode & _MODE_ESCROW:
            self._truth.move(thing, TRANSPORT, ESCROW)
            self.log.add(kind, 1)
            self._after(self.settings.escrow_s, self._give_up)
        else:
            self._stacked(TRANSPORT)

    def _give_up(self) -> None:
        self._motion = None
        self._out(ESCROW, "escrow time over")

    def _route(self, where: int) -> Reply:
        if self.faults.lost_routes > 0:
            self.faults.lost_routes -= 1
            return None
        if self.held is None or not self._truth.count(ESCROW, self.held[0]):
            return _ESCROW_EMPTY
        if self._routed and self.settings.empty_in_motion:
            return _ESCROW_EMPTY
        self._halt()
        self._routed = where in (0, 1)
        match where:
            case 1:
                self._after(self.settings.stack_s, self._stack)
            case 0:
                self._after(self.settings.stack_s, self._return)
            case _:
                self._after(self.settings.escrow_s, self._give_up)
        return ACK

    def _stack(self) -> None:
        self._motion = None
        if self.faults.pulled > 0:
            self.faults.pulled -= 1
            assert self.held is not None, "a bill is pulled at"
            thing, _ = self.held
            self.held, self._routed = None, False
            self._truth.move(thing, ESCROW, TRAY, why="pulled out")
            self.log.add(0, 8)  # and no word that it was returned
            return
        if self.faults.jam:
            self._routed = False  # it stays where it is, until somebody pulls at it
            self.log.add(0, 6)
            return
        self._stacked(ESCROW)

    def _return(self) -> None:
        self._motion = None
        self._out(ESCROW, "returned")

    def _stacked(self, source: str) -> None:
        assert self.held is not None, "a bill is stacked"
        thing, kind = self.held
        self.held, self._routed = None, False
        self._truth.move(thing, source, STACKER)
        self.stacked[kind] = self.stacked.get(kind, 0) + 1
        self.log.add(kind, 0)
        if self.full:
            self.log.add(0, 14)

    def _out(self, source: str, why: str) -> None:
        assert self.held is not None, "a bill goes back"
        thing, _ = self.held
        self.held, self._routed = None, False
        self._truth.move(thing, source, TRAY, why=why)
        self.log.add(0, 1)

    def _halt(self) -> None:
        if self._motion is not None:
            self._motion.cancel()
            self._motion = None

    # -- resets ------------------------------------------------------------------------------

    def _reset_state(self) -> None:
        self.log.clear()
        self.accepted = 0
        self.master = False
        self.mode = 0x03

    def _end_work(self) -> None:
        """A reset hands out what is not stacked."""
        self._halt()
        if self.held is not None:
            thing, _ = self.held
            self.held = None
            source = ESCROW if self._truth.count(ESCROW, thing) else TRANSPORT
            self._truth.move(thing, source, TRAY, why="reset")

    def _lose_power(self) -> None:
        self._halt()
        self._routed = False
        if self._dog is not None:
            self._dog.cancel()
            self._dog = None

    def _power_returned(self) -> None:
        self._end_work()
        self.log.clear()

    def to_state(self) -> dict[str, Any]:
        """Return what outlives a loss of power."""
        kinds = {str(kind): count for kind, count in self.stacked.items()}
        return super().to_state() | {"stacked": kinds}

    def from_state(self, state: Mapping[str, Any]) -> None:
        """Become what `to_state` returned."""
        super().from_state(state)
        self.stacked = {int(kind): count for kind, count in state["stacked"].items()}
