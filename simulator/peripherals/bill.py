"""A bill validator with or without escrow, byte for byte.

Source: MDB/ICP 4.2, section 6.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, Final

from drivers.mdb.bill_codec import BillRoute, ValidatorStatus
from drivers.mdb.blocks import Address
from simulator.peripherals.base import ACK_ONLY, Peripheral, Reply, Timeline
from simulator.peripherals.bill_recycler import OPTION_RECYCLING, Recycler
from simulator.peripherals.bill_settings import (
    AfterPowerUp,
    BillFaults,
    BillSettings,
    bill_thing,
)
from simulator.peripherals.layout import fixed_lengths, identification
from simulator.truth import (
    CUSTOMER,
    ESCROW,
    STACKER,
    TECHNICIAN,
    TRANSPORT,
    TRAY,
    Kind,
    Thing,
    Truth,
    recycler,
)

MAX_STACKER: Final = 0x7FFF

_LENGTHS: Final[Mapping[bytes, int]] = {
    b"\x30": 1, b"\x31": 1, b"\x32": 3, b"\x33": 1, b"\x34": 5, b"\x35": 2, b"\x36": 1,
    b"\x37\x00": 2, b"\x37\x01": 6, b"\x37\x02": 2, b"\x37\x03": 2, b"\x37\x04": 20,
    b"\x37\x05": 2, b"\x37\x06": 5, b"\x37\x07": 4, b"\x37\x08": 2, b"\x37\x09": 2,
    b"\x37\x0a": 2,
    b"\x37\xfa": 7, b"\x37\xfb": 5, b"\x37\xfd": 4, b"\x37\xfe": 7,
}  # fmt: skip


class _Motion(Enum):
    IDLE = "idle"
    INTAKE = "intake"
    STACKING = "stacking"
    RETURNING = "returning"


class SimBill(Peripheral):
    """A validator with its stacker.

    Args:
        timeline: Physical time.
        truth: Where bills are.
        settings: How it is built.
    """

    faults: BillFaults

    def __init__(
        self, timeline: Timeline, truth: Truth, settings: BillSettings | None = None
    ) -> None:
        self.settings = settings or BillSettings()
        self.faults = BillFaults()
        super().__init__(
            "bill",
            Address.BILL_VALIDATOR,
            timeline,
            truth,
            self.faults,
            response_s=self.settings.response_s,
            boot_s=self.settings.boot_s,
        )
        self.accepted = 0
        self.escrowed = 0
        self.high_security = self.settings.security
        self.options = 0
        self.cashbox_in = True
        self.jammed = False
        self._broken_told = ""
        self._count = self.settings.stacked_before
        self._motion = _Motion.IDLE
        self._held: tuple[Thing, int] | None = None  # the bill inside, and its type
        self._timer: asyncio.TimerHandle | None = None
        self._late_report: asyncio.TimerHandle | None = None
        if self.settings.stacked_before:
            thing = self._thing(0)
            truth.move(thing, TECHNICIAN, STACKER, self.settings.stacked_before, why="first fill")
        self.recycler = Recycler(
            self.settings, self.faults, truth, timeline, tell=self._tell_byte, reset=self.self_reset
        )
        self._reset_state("power")

    @property
    def in_escrow(self) -> bool:
        """Tell whether a bill waits for a decision."""
        return self._held is not None and self._motion is _Motion.IDLE and not self.jammed

    @property
    def busy(self) -> bool:
        """Tell whether a bill is moving."""
        return self._motion is not _Motion.IDLE or self.recycler.paying

    @property
    def told_all(self) -> bool:
        """As the others; a report that is late is still to come."""
        report = self._late_report
        if report is None or report.cancelled() or not self.powered:
            return super().told_all
        return super().told_all and report.when() <= self._timeline.now()

    @property
    def full(self) -> bool:
        """Tell whether the stacker takes no more."""
        return self._count >= self.settings.stacker_capacity

    @property
    def steady(self) -> bool:
        """As the others; its states are told at each POLL, and change by timers or commands."""
        return (
            self.powered
            and not self._queue
            and not self.faults.waiting
            and not self.faults.unpolled_reset_s
            and self.faults.broken == self._broken_told
            and self._last == bytes(self._conditions())
            and self._now() >= self._mute_until
        )

    # -- the bus -----------------------------------------------------------------------------

    def length_of(self, head: bytes) -> int | None:
        """Return a block's length from its head."""
        return fixed_lengths(head, _LENGTHS)

    def _handle(self, payload: bytes) -> Reply:
        if len(payload) != _LENGTHS.get(payload[:1], _LENGTHS.get(payload[:2])):
            return None
        match payload[0]:
            case 0x30:
                self._end_work("reset")
                self._restart("reset")
                return ACK_ONLY
            case 0x31:
                return self._setup()
            case 0x32:
                self.high_security = int.from_bytes(payload[1:3], "big")
                return ACK_ONLY
            case 0x33:
                self._tell_broken_part()
                return self._poll()
            case 0x34:
                self.accepted = int.from_bytes(payload[1:3], "big")
                self.escrowed = int.from_bytes(payload[3:5], "big")
                return ACK_ONLY
            case 0x35:
                self._decide(stack=bool(payload[1] & 1))
                return ACK_ONLY
            case 0x36:
                count = min(MAX_STACKER, max(0, self._count + self.faults.stacker_error))
                return (count | 0x8000 if self.full else count).to_bytes(2, "big")
            case _ if payload[1] == 0xFB:  # RETRY/DENY: the master wants no file
                return ACK_ONLY
            case _:
                return self._expansion(payload[1], payload[2:])

    def _setup(self) -> bytes:
        settings = self.settings
        values = [settings.scaled(bill) for bill in settings.bills]
        values += [0] * (settings.setup_values - len(values))
        return (
            bytes((settings.level,))
            + settings.currency.to_bytes(2, "big")
            + settings.scaling.to_bytes(2, "big")
            + bytes((settings.decimals,))
            + settings.stacker_capacity.to_bytes(2, "big")
            + settings.security.to_bytes(2, "big")
            + bytes((0xFF if settings.has_escrow else 0x00,))
            + bytes(values)
        )

    def _expansion(self, sub: int, data: bytes) -> Reply:
        settings = self.settings
        if sub == 0x00:
            return identification(settings)
        if settings.level < 2:
            return None
        match sub:
            case 0x01:
                self.options = int.from_bytes(data, "big") & settings.options
                self.recycler.enabled = bool(self.options & OPTION_RECYCLING)
                return ACK_ONLY
            case 0x02:
                return identification(settings) + settings.options.to_bytes(4, "big")
            case _:
                held = self._held is not None or self._motion is not _Motion.IDLE
                answer = self.recycler.handle(sub, data, held=held)
                if sub == 0x08 and answer:
                    self._on_ack = self.recycler.forget
                return answer

    def _conditions(self) -> tuple[int, ...]:
        found: list[int] = []
        if self._motion is not _Motion.IDLE and self.settings.reports_busy:
            found.append(ValidatorStatus.BUSY)
        off = self._out_of_order or (self.settings.reports_disabled and not self.accepted)
        if off:
            found.append(ValidatorStatus.DISABLED)
        found.extend(self.recycler.conditions(held=self._held is not None))
        return tuple(found)

    @property
    def _out_of_order(self) -> bool:
        return (
            self.jammed or bool(self.faults.broken) or not self.cashbox_in or self.faults.disabled
        )

    def _tell_broken_part(self) -> None:
        """Tell a part that broke since the last POLL."""
        broken = self.faults.broken
        if broken and broken != self._broken_told:
            self._tell_byte(
                ValidatorStatus.DEFECTIVE_MOTOR
                if broken == "motor"
                else ValidatorStatus.SENSOR_PROBLEM
            )
        self._broken_told = broken

    def _tell_byte(self, byte: int) -> bool:
        """Queue one byte; dropped when sixteen wait already."""
        if not self.powered or self._pending_bytes() >= self.max_poll:
            return False
        self._tell(bytes((byte,)))
        return True

    def _tell_bill(self, route: BillRoute, kind: int) -> None:
        if self.faults.undefined_byte > 0:
            self.faults.undefined_byte -= 1
            self._tell_byte(0x14)
        self._tell_byte(0x80 | route << 4 | kind)

    # -- bills inside ------------------------------------------------------------------------

    def _thing(self, kind: int) -> Thing:
        return bill_thing(self.settings.bills[kind])

    def _decide(self, *, stack: bool) -> None:
        if not self.in_escrow:
            self._tell_byte(ValidatorStatus.INVALID_ESCROW_REQUEST)
        elif stack:
            self._begin_stack()
        else:
            self._begin_return()

    def _begin_stack(self) -> None:
        self._move(_Motion.STACKING, self.settings.stack_s, self._stacked)

    def _begin_return(self) -> None:
        self._move(_Motion.RETURNING, self.settings.return_s, self._returned)

    def _move(self, motion: _Motion, seconds: float, done: Callable[[], None]) -> None:
        self._motion = motion
        self._timer = self._timeline.after(seconds, done)

    def _rest(self) -> None:
        self._motion = _Motion.IDLE
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _place(self) -> str:
        thing = self._held
        assert thing is not None
        return ESCROW if self._truth.count(ESCROW, thing[0]) else TRANSPORT

    def _stacked(self) -> None:
        assert self._held is not None
        faults = self.faults
        self._rest()
        if faults.jam_on_stack > 0:
            faults.jam_on_stack -= 1
            self._jam()
            return
        if faults.return_when_stacking > 0:
            faults.return_when_stacking -= 1
            self._begin_return()
            return
        if faults.reset_in_stack == "before":
            faults.reset_in_stack = ""
            self.self_reset()
            return
        kind = self._held[1]
        if self.recycler.takes(kind):
            self._into_recycler(kind)
            return
        match faults.weak_stacker:
            case "held":
                return
            case "lost":
                self._into_stacker()
            case "uncounted":
                self._into_stacker(counted=False)
            case "late":
                self._into_stacker()
                self._late_report = self._timeline.after(
                    faults.weak_late_s, self._tell_bill, BillRoute.STACKED, kind
                )
            case _:
                known = self._place() == ESCROW
                self._into_stacker()
                self._tell_credit(BillRoute.STACKED, kind, known=known)

    def _into_recycler(self, kind: int) -> None:
        assert self._held is not None
        known = self._place() == ESCROW
        self._truth.move(self._held[0], self._place(), recycler(kind))
        self._held = None
        self._tell_credit(BillRoute.RECYCLED, kind, known=known)

    def _tell_credit(self, route: BillRoute, kind: int, *, known: bool) -> None:
        """Tell that a bill is ours, unless a reset comes before.

        One that was in escrow is ``known``: the counts tell the rest. Of another nobody ever hears.
        """
        resets = self.faults.reset_in_stack == "after"
        if not (resets and known):
            self._tell_bill(route, kind)
        if resets:
            self.faults.reset_in_stack = ""
            self.self_reset()

    def _into_stacker(self, *, counted: bool = True) -> None:
        assert self._held is not None
        self._truth.move(self._held[0], self._place(), STACKER)
        self._held = None
        if counted:
            self._count += 1

    def _returned(self) -> None:
        assert self._held is not None
        faults = self.faults
        self._rest()
        if faults.jam_on_return > 0:
            faults.jam_on_return -= 1
            self._jam()
            return
        kind = self._held[1]
        if faults.stack_when_returning > 0:
            faults.stack_when_returning -= 1
            self._into_stacker()
            self._tell_bill(BillRoute.STACKED, kind)
            return
        self._give_back("returned")
        self._tell_bill(BillRoute.RETURNED, kind)

    def _give_back(self, why: str) -> None:
        assert self._held is not None
        self._truth.move(self._held[0], self._place(), TRAY, why=why)
        self._held = None

    def _jam(self) -> None:
        self.jammed = True
        self._tell_byte(ValidatorStatus.JAMMED)

    # -- resets ------------------------------------------------------------------------------

    def _reset_state(self, cause: str) -> None:
        settings = self.settings
        self.accepted = 0
        self.escrowed = 0
        self.high_security = settings.security
        self.options = 0
        self.recycler.restart()
        self._broken_told = ""
        self._truth.note("reset", f"bill ({cause})")
        self._tell_byte(ValidatorStatus.JUST_RESET)
        if self.faults.rom_error:
            self._tell_byte(ValidatorStatus.ROM_CHECKSUM)
        if self.jammed:
            self._tell_byte(ValidatorStatus.JAMMED)
        if self._held is None or self.jammed or self._motion is not _Motion.IDLE:
            return
        if settings.after_power_up is AfterPowerUp.STACK and cause == "power":
            self._move(_Motion.STACKING, settings.stack_s, self._stacked_by_reset)
        else:
            self._move(_Motion.RETURNING, settings.return_s, self._returned_by_reset)

    def _stacked_by_reset(self) -> None:
        self._rest()
        self._into_stacker()

    def _returned_by_reset(self) -> None:
        assert self._held is not None
        kind = self._held[1]
        self._rest()
        self._give_back("reset")
        if self.settings.reports_reset_return and kind >= 0:
            self._tell_bill(BillRoute.RETURNED, kind)

    def _end_work(self, cause: str) -> None:
        """Stop the motor where it is; a bill inside is given back after the reset."""
        if self.busy:
            what = "payout" if self.recycler.paying else self._motion.value
            self._truth.note("bill", f"{what} stopped ({cause})")
        self._lose_power()

    def _lose_power(self) -> None:
        self._rest()
        self.recycler.stop()
        if self._late_report is not None:
            self._late_report.cancel()
            self._late_report = None

    # -- the customer ------------------------------------------------------------------------

    def insert_bill(self, value: int, *, name: str = "", bill_type: int | None = None) -> bool:
        """Let the customer offer a bill; returns False when it is not even pulled in."""
        thing = Thing(Kind.BILL, value, name)
        kind = bill_type
        if kind is None:
            kind = next(
                (index for index in range(len(self.settings.bills)) if self._thing(index) == thing),
                None,
            )
        idle = self._held is None and not self.busy
        if not self.powered or not idle or self._out_of_order or not self.accepted or self.full:
            if self.powered and not self.accepted:
                self._count_attempt()
            return False
        self._truth.move(thing, CUSTOMER, TRANSPORT)
        self._held = (thing, -1 if kind is None else kind)
        self._move(_Motion.INTAKE, self.settings.intake_s, self._read)
        return True

    def _count_attempt(self) -> None:
        for item in self._queue:
            if not item.sent and item.data[0] >> 5 == 2:
                item.data = bytes((min(0x5F, item.data[0] + 1),))
                return
        self._tell_byte(0x41)

    def _read(self) -> None:
        assert self._held is not None
        thing, kind = self._held
        self._rest()
        rejected = kind < 0 or self.faults.rejects > 0
        if self.faults.rejects > 0:
            self.faults.rejects -= 1
        if rejected or not self.accepted >> kind & 1 or self._pending_bytes() >= self.max_poll:
            self._give_back("refused")
            if rejected:
                self._tell_byte(ValidatorStatus.BILL_REJECTED)
        elif self.settings.has_escrow and self.escrowed >> kind & 1:
            self._truth.move(thing, TRANSPORT, ESCROW)
            self._tell_bill(BillRoute.ESCROW, kind)
        else:
            self._begin_stack()

    def pull_from_escrow(self) -> bool:
        """Pull the bill out of escrow by force (07, then "returned")."""
        if not self.in_escrow or self._held is None:
            return False
        kind = self._held[1]
        self._give_back("by force")
        self._tell_byte(ValidatorStatus.BILL_REMOVED)
        self._tell_bill(BillRoute.RETURNED, kind)
        return True

    def steal_credited_bill(self, value: int) -> None:
        """Pull a credited bill out of the stacker (0C)."""
        self._truth.move(Thing(Kind.BILL, value), STACKER, TRAY, why="fraud")
        self._count -= 1
        self._tell_byte(ValidatorStatus.CREDITED_BILL_REMOVED)

    # -- the technician ----------------------------------------------------------------------

    def remove_cashbox(self) -> int:
        """Take the cash box with its bills; returns their value."""
        self.cashbox_in = False
        self._tell_byte(ValidatorStatus.CASHBOX_OUT)
        return self._truth.empty(STACKER, TECHNICIAN, why="collected")

    def insert_cashbox(self) -> None:
        """Put an empty cash box back; a powered validator counts from zero."""
        self.cashbox_in = True
        if self.powered:
            self._count = 0

    def clear_jam(self, target: str = TRAY) -> None:
        """Take a jammed bill out, or push it into the stacker; by default the customer gets it."""
        if self.jammed and self._held is not None:
            self._truth.move(self._held[0], self._place(), target, why="jam cleared")
            self._held = None
            self._count += target == STACKER
        self.jammed = False
        self.recycler.jammed = False

    def fill_recycler(self, kind: int, count: int) -> None:
        """Put bills into the recycler by its own slot; each is told (5)."""
        for _ in range(count):
            self._truth.move(self._thing(kind), TECHNICIAN, recycler(kind), why="filled")
            self._tell_bill(BillRoute.FILLED_MANUALLY, kind)

    def empty_recycler(self) -> int:
        """Open the recycler and take its bills; returns their value. Nothing is told."""
        return sum(
            self._truth.empty(recycler(kind), TECHNICIAN, why="collected")
            for kind in self.settings.recycles
        )

    def move_to_stacker(self, kind: int) -> None:
        """Let the recycler move one bill to the stacker by itself (7)."""
        self._truth.move(self._thing(kind), recycler(kind), STACKER)
        self._count += 1
        self._tell_bill(BillRoute.MOVED_TO_CASHBOX, kind)

    def to_state(self) -> dict[str, Any]:
        """Return what outlives a loss of power."""
        held = self._held
        return {
            **super().to_state(),
            "count": self._count,
            "held": None if held is None else [held[0].value, held[0].name, held[1]],
            "jammed": self.jammed,
            "cashbox_in": self.cashbox_in,
            "recycler": self.recycler.to_state(),
        }

    def from_state(self, state: Mapping[str, Any]) -> None:
        """Become what `to_state` returned, as after power-up."""
        self._lose_power()
        self._count = int(state["count"])
        held = state["held"]
        self._held = None if held is None else (Thing(Kind.BILL, held[0], held[1]), held[2])
        self.jammed = bool(state["jammed"])
        self.cashbox_in = bool(state["cashbox_in"])
        self.recycler.from_state(state.get("recycler", {}))
        super().from_state(state)
