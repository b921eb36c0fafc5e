"""How a simulated bill validator is built, and what can go wrong with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from simulator.peripherals.faults import (
    PeripheralFaults,
    amount,
    counter,
    switch,
    whole,
    word,
)
from simulator.peripherals.layout import scaled_units
from simulator.truth import Kind, Thing


@dataclass(frozen=True, slots=True)
class BillSpec:
    """One bill type: its value in minor units (0: unused), or a token."""

    value: int = 0
    token: bool = False


class AfterPowerUp(StrEnum):
    """What becomes of a bill in escrow when power comes back, or at a reset."""

    RETURN = "return"
    STACK = "stack"


@dataclass(frozen=True, slots=True)
class BillSettings:
    """A validator as it leaves the factory. Times are physical seconds unless said otherwise."""

    level: int = 1
    currency: int = 0x1978
    exponent: int = 2
    scaling: int = 500
    decimals: int = 2
    bills: tuple[BillSpec, ...] = field(
        default_factory=lambda: tuple(BillSpec(value) for value in (500, 1000, 2000, 5000))
    )
    setup_values: int = 0  # bill values sent in SETUP: unused ones are added up to this number
    security: int = 0xFFFF
    has_escrow: bool = True
    stacker_capacity: int = 600
    stacked_before: int = 0  # bills in the stacker when the world begins
    options: int = 0  # level 2 only
    manufacturer: str = "XYZ"
    serial: str = "B00000000815"
    model: str = "BILL-1"
    software: int = 0x0100
    intake_s: float = 1.0
    stack_s: float = 1.2
    return_s: float = 0.8
    recycles: tuple[int, ...] = ()  # types that the recycler can hold; level 2 with its option
    recycler_capacity: int = 30  # bills of each type
    recycled_before: tuple[int, ...] = ()  # by type, when the world begins
    dispense_s: float = 1.5  # for each bill paid out
    reports_disabled: bool = True  # 09 at each POLL while nothing is accepted
    reports_busy: bool = True  # 03 while a bill moves
    reports_reset_return: bool = False  # "returned" for a bill given back by a reset
    after_power_up: AfterPowerUp = AfterPowerUp.RETURN
    response_s: float = 0.0015
    boot_s: float = 0.1

    def scaled(self, bill: BillSpec) -> int:
        """Return a bill's value byte; ValueError when it can't be told."""
        if bill.token:
            return 0xFF
        return scaled_units(bill.value, self.scaling, self.decimals - self.exponent, largest=0xFE)


def bill_thing(bill: BillSpec) -> Thing:
    """Return what a bill of this type is in the truth."""
    return Thing(Kind.BILL, bill.value, "token" if bill.token else "")


@dataclass(slots=True)
class BillFaults(PeripheralFaults):
    """What can go wrong with a validator."""

    jam_on_stack: int = counter("the next N bills jam on their way to the stacker (05)")
    jam_on_return: int = counter("the next N bills jam on their way back (05)")
    weak_stacker: str = word(
        "the stacker motor fails: 'lost' stacks without a report, 'late' reports after "
        "`weak_late_s`, 'held' leaves the bill in escrow, 'uncounted' neither reports nor counts"
    )
    weak_late_s: float = amount("how late a late stacker reports, physical seconds", 20.0)
    reset_in_stack: str = word(
        "the next stacking ends in a self-reset: 'before' or 'after' the bill is in"
    )
    stack_when_returning: int = counter("the next N bills to be returned are stacked instead")
    return_when_stacking: int = counter("the next N bills to be stacked are returned instead")
    rejects: int = counter("the next N bills are not recognised (0B)")
    stacker_error: int = whole("told stacker count less true count", 0)
    disabled: bool = switch("disabled by itself (09), whatever it is told")
    broken: str = word("'motor' (01) or 'sensor' (02) is broken: told once, then disabled")
    rom_error: bool = switch("reports a ROM checksum error (04) after each reset")
    dispense_jam_after: int = whole("a payout of bills jams after N more (27), 29 until mended")
    dispense_reset_after: int = whole("a payout of bills ends in a self-reset after N more")
    dispense_short: int = whole("the next payout of bills stops N early", 0)
    dispense_extra: int = whole("the next payout lets N bills too many out", 0)
    dispense_stall: bool = switch("payouts of bills stand still until they are cancelled")
    recycler_error: int = whole("told recycler counts less true counts", 0)
    undefined_byte: int = counter("the next N bill events come behind an undefined byte (14)")
