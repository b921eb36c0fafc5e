"""How each part of a machine is broken and mended: one hand for each sort of part.

A fault of a device that the world's registry knows needs no hand of its own: ``DeviceHand`` sets
it. What is no such switch (the disk, the clock, the door, the configuration) has one in ``HANDS``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from contextlib import suppress
from typing import Final, Protocol

from controller.domain.commands import (
    Command,
    DisableColumn,
    EnableColumn,
    EnableReader,
    EnterService,
    LeaveService,
    SetPrice,
)
from controller.machine.inputs import CommandRefused
from simulator.disk import Io
from simulator.swarm.plan import Trouble
from simulator.swarm.rights import bought_by_tokens
from simulator.whole import Whole

TECHNICIAN: Final = "technician"
SWITCHED_OFF: Final = "switched off by the swarm"
# Faults that set themselves back when they have struck, beside those that count down.
ONCE: Final = frozenset(
    (
        "dies_at", "resets_at", "jam_after", "reset_after", "short_by", "reset_in_stack",
        "dispense_jam_after", "dispense_reset_after", "dispense_short", "bridged_after",
        "cut_after",
    )
)  # fmt: skip
FULL_MARGIN: Final = 4_096  # bytes that a full disk still has


class Hand(Protocol):
    """Breaks one part, and mends it."""

    def strike(self, machine: Whole, trouble: Trouble) -> bool:
        """Break it; False when this machine has no such part."""
        ...

    def mend(self, machine: Whole, trouble: Trouble) -> bool:
        """Mend it; False when it never came to anything."""
        ...


class DeviceHand:
    """Everything that the world's registry of faults knows."""

    def strike(self, machine: Whole, trouble: Trouble) -> bool:
        """Set the fault."""
        if trouble.part not in machine.world.faults.parts:
            return False  # a native line has no adapter, and so no bus behind one
        machine.world.faults.set(trouble.part, trouble.name, trouble.value)
        return True

    def mend(self, machine: Whole, trouble: Trouble) -> bool:
        """Set it back, and take out by hand what got stuck; tell whether it came to anything."""
        registry = machine.world.faults
        part, name = trouble.part, trouble.name
        left = registry.get(part, name)
        counts = "counts down" in registry.describe(part)[name]
        registry.set(part, name, registry.default(part, name))
        free(machine, part)
        if name in ONCE:
            return bool(left == registry.default(part, name))
        return not counts or left != trouble.value


class DiskHand:
    """Slow, failing, full: the journal's disk."""

    def strike(self, machine: Whole, trouble: Trouble) -> bool:
        """Break it."""
        disk = machine.disk
        match trouble.name:
            case "latency_s":
                assert isinstance(trouble.value, float), "seconds"
                seconds = trouble.value
                disk.sync_latency = lambda: seconds
            case "sync_fails":
                disk.fail(Io.SYNC)
            case "write_fails":
                disk.fail(Io.WRITE)
            case "read_only":
                disk.read_only = True
            case _:
                disk.fill_up(FULL_MARGIN)
        return True

    def mend(self, machine: Whole, trouble: Trouble) -> bool:
        """Put in a good one with the same content."""
        del trouble
        machine.disk.heal()
        return True


YEAR_S: Final = 3.0e7


class ClockHand:
    """The wall clock jumps, and only an error of years is seen; or nobody keeps it right."""

    def strike(self, machine: Whole, trouble: Trouble) -> bool:
        """Jump."""
        if trouble.name == "unknown":
            known, machine.time_known = machine.time_known, False
            return known
        assert isinstance(trouble.value, float), "seconds"
        machine.clock.jump_wall(trouble.value)
        return True

    def mend(self, machine: Whole, trouble: Trouble) -> bool:
        """Set it, if it was years off; somebody may keep it right again."""
        if trouble.name == "unknown":
            machine.time_known = True
        elif isinstance(trouble.value, float) and abs(trouble.value) > YEAR_S:
            machine.clock.jump_wall(-trouble.value)
        return True


class DoorHand:
    """Somebody opens the door."""

    def strike(self, machine: Whole, trouble: Trouble) -> bool:
        """Open it."""
        del trouble
        machine.world.cabinet.set_door(True)
        return True

    def mend(self, machine: Whole, trouble: Trouble) -> bool:
        """Close it."""
        del trouble
        machine.world.cabinet.set_door(False)
        return True


class StockHand:
    """Products leave a column behind the machine's back."""

    def strike(self, machine: Whole, trouble: Trouble) -> bool:
        """Empty the column that its customer means to buy from."""
        assert isinstance(trouble.value, str), "a column"
        return machine.world.cabinet.empty(trouble.value) > 0

    def mend(self, machine: Whole, trouble: Trouble) -> bool:
        """Nothing: they are gone until somebody fills up."""
        del machine, trouble
        return True


class ConfigHand:
    """Somebody changes prices, switches things off, wants the machine, while it sells."""

    def strike(self, machine: Whole, trouble: Trouble) -> bool:
        """Do it, by a technician's command."""
        match trouble.name:
            case "price":
                assert isinstance(trouble.value, int), "minor units"
                return _set_prices(machine, trouble.value)
            case "column":
                names = [column.selection for column in machine.settings.columns]
                return _tell(machine, *(DisableColumn(name, SWITCHED_OFF) for name in names))
            case "tokens":
                names = [column.selection for column in bought_by_tokens(machine.settings)]
                return _tell(machine, *(DisableColumn(name, SWITCHED_OFF) for name in names))
            case "reader":
                return _tell(machine, EnableReader("cashless1", on=False))
            case _:
                return _tell(machine, EnterService())

    def mend(self, machine: Whole, trouble: Trouble) -> bool:
        """Set it back."""
        match trouble.name:
            case "price":
                _set_prices(machine, 0)
            case "column" | "tokens" if machine.running is not None:
                names = [column.selection for column in machine.settings.columns]
                off = [n for n in names if machine.state.stock.of(n).disabled == SWITCHED_OFF]
                _tell(machine, *(EnableColumn(name) for name in off))
            case "reader":
                _tell(machine, EnableReader("cashless1", on=True))
            case "service":
                _tell(machine, LeaveService())
            case _:
                pass
        return True


def _tell(machine: Whole, *orders: Command) -> bool:
    running = machine.running
    if running is None or machine.ended:
        return False
    for order in orders:
        machine.loop.create_task(_told(running.machine.act(order, TECHNICIAN)))
    return True


def _set_prices(machine: Whole, more: int) -> bool:
    columns = machine.settings.columns
    prices = [(c.selection, machine.settings.price_of(c) + more) for c in columns]
    return _tell(machine, *(SetPrice(name, price) for name, price in prices))


async def _told(acting: Awaitable[object]) -> None:
    with suppress(CommandRefused, asyncio.CancelledError):  # a life that ends answers nobody
        await acting


class CabinHand:
    """Warm goods are loaded, or the sun shines in: the air is warm at once."""

    def strike(self, machine: Whole, trouble: Trouble) -> bool:
        """Warm it."""
        cabin = machine.world.cabin
        if cabin is None:
            return False
        assert isinstance(trouble.value, float), "degrees"
        cabin.put(trouble.value)
        return True

    def mend(self, machine: Whole, trouble: Trouble) -> bool:
        """Nothing: the compressor has to."""
        del machine, trouble
        return True


HANDS: Final[Mapping[str, Hand]] = {
    "cabin": CabinHand(),
    "disk": DiskHand(),
    "clock": ClockHand(),
    "door": DoorHand(),
    "stock": StockHand(),
    "config": ConfigHand(),
}
DEVICE: Final[Hand] = DeviceHand()


def hand_of(trouble: Trouble) -> Hand:
    """Return who breaks and mends this part."""
    return HANDS.get(trouble.part, DEVICE)


def free(machine: Whole, part: str) -> None:
    """Take out by hand what got stuck."""
    world = machine.world
    bill = world.bill
    if part == "bill" and bill is not None and (bill.jammed or bill.recycler.jammed):
        bill.clear_jam()
    elif part == "changer" and world.changer is not None:
        world.changer.clear_coin_jam()
        world.changer.faults.defective.clear()
