"""A technician's visit: opens the door, mends, refills, collects, counts, pays claims, leaves."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from controller.domain import commands as cmd
from controller.machine.inputs import CommandRefused
from controller.ports import DeviceName
from simulator.truth import CASHBOX, STACKER, TECHNICIAN
from simulator.whole import Whole

WHO: Final = "technician"
LOW: Final = 10  # coins below which a tube is filled up
AIM: Final = 30
FEW_BILLS: Final = 3  # of one type in the recycler
FULL: Final = 70  # and above which some are taken out
EMPTIES: Final = 0.3  # of the visits to a recycler take its bills along
PUTS_IN: Final = 0.3  # of them have the slot take coins for the operator, and leave it at that


class Technician:
    """Somebody with a key."""

    def __init__(self, machine: Whole) -> None:
        """Bind the machine."""
        self._machine = machine

    async def visit(self, rng: random.Random, *, hoppers: bool = False) -> list[str]:
        """Do everything there is to do; return what went wrong.

        Args:
            rng: Draws what not everybody does.
            hoppers: Count what is in them by hand, as nothing else can; the books may be old.
        """
        machine = self._machine
        world, state = machine.world, machine.state
        empties = rng.random() < EMPTIES and bool(world.bill and world.bill.settings.recycles)
        puts_in = rng.random() < PUTS_IN and self._is_ready(DeviceName.CHANGER)
        try:
            await self._do(cmd.EnterService())
            if puts_in:
                await self._do(cmd.FillCoins(on=True))
            for name, spiral in world.cabinet.spirals.items():
                if not spiral.at_home:
                    spiral.put(0.0)
                world.cabinet.load(name)
            await self._do(cmd.FillStock())
            for name in world.cabinet.spirals:
                if state.stock.of(name).disabled:
                    await self._do(cmd.EnableColumn(name))
            await self._do(cmd.ServeHealth())
            await self._coins(bills=not empties)
            if hoppers:
                await self._hoppers()
            await self._collect(empties=empties)
            for claim in list(machine.state.claims.values()):
                await self._do(cmd.CloseClaim(claim.code, "paid in cash"))
            await self._do(cmd.LeaveService())
        except CommandRefused as refusal:
            with suppress(CommandRefused):
                await self._do(cmd.LeaveService())
            return [f"a technician was refused: {refusal}"]
        return []

    async def count(self) -> None:
        """Have the tubes counted."""
        with suppress(CommandRefused, asyncio.CancelledError):  # a new life counts by itself
            await self._do(cmd.CountTubes())

    async def prices(self) -> None:
        """Have the prices of the list again, whatever was set."""
        machine = self._machine
        for column in machine.settings.columns:
            price = machine.settings.price_of(column)
            if machine.state.prices.get(column.selection, price) != price:
                with suppress(CommandRefused, asyncio.CancelledError):  # or in the next life
                    await self._do(cmd.SetPrice(column.selection, price))

    def _is_ready(self, device: DeviceName) -> bool:
        running = self._machine.running
        return running is not None and device in running.machine.desk.live.ready

    async def _coins(self, *, bills: bool) -> None:
        """Fill the tubes that are low, empty those that are full."""
        world = self._machine.world
        for value, count in world.tubes().items():
            if count < LOW:
                world.fill_tube(value, AIM - count)
            elif count > FULL:
                world.empty_tube(value, AIM)
        bill = world.bill
        for kind in () if bill is None or not bills else bill.settings.recycles:
            if bill is not None and bill.recycler.real(kind) < FEW_BILLS:
                bill.fill_recycler(kind, FEW_BILLS)

    async def _hoppers(self) -> None:
        """Tell what is in the hoppers beyond what the books say, or short of it."""
        line = self._machine.world.cctalk
        booked = {value: count for _, value, count in self._machine.state.tube_coins()}
        for hopper in () if line is None else line.hoppers:
            off = self._machine.world.truth.count(hopper.place) - booked[hopper.settings.value]
            if off:
                await self._do(cmd.PourCoins(hopper.settings.value, off))

    async def _collect(self, *, empties: bool) -> None:
        """Empty cash box and stacker, perhaps the recycler, and say what was in them."""
        world = self._machine.world
        tokens = sum(n for thing, n in world.truth.things(CASHBOX).items() if thing.name == "token")
        box = world.truth.empty(CASHBOX, TECHNICIAN, why="collected")
        bills = world.truth.count(STACKER)
        stacked = 0
        if bills and world.bill is not None:
            stacked = world.bill.remove_cashbox()
            world.bill.insert_cashbox()
        elif bills:
            stacked = world.truth.empty(STACKER, TECHNICIAN, why="collected")
        believed = self._machine.state.stacker
        recycled = world.bill.empty_recycler() if empties and world.bill is not None else None
        bills = believed if stacked else 0
        await self._do(cmd.Collect(box, stacked, bills, recycled, tokens))

    async def _do(self, command: Any) -> Mapping[str, Any]:
        machine = self._machine
        assert machine.running is not None, "visited while it lives"
        return await machine.running.machine.act(command, WHO)
