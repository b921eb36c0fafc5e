"""A whole brain over instant hardware and a real journal: the smallest machine that sells."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from controller.clock import Clock
from controller.domain import accounts as acc
from controller.domain.planogram import Column, Planogram, Product
from controller.domain.policy import Policy
from controller.journal.beginning import BootInfo
from controller.journal.database import Storage
from controller.journal.records import REGISTRY
from controller.journal.store import Journal
from controller.machine.desk import Desk
from controller.machine.runner import Inbox, Machine
from controller.panel.render import Renderer
from controller.panel.texts import load_texts, shipped_texts
from controller.planning import SettingsPlanner
from controller.ports import KeyPressed, Spool
from controller.saga.claims import mint
from controller.state.config import Held
from controller.state.fold import StateFold
from controller.state.state import State
from simulator.instant import InstantHardware

KEY: Final = b"a claim key of thirty-two bytes."
BUILT: Final = datetime(2026, 1, 1, tzinfo=UTC)


def planogram() -> Planogram:
    """Return two products in three columns."""
    return Planogram(
        [Product("cola", "Cola"), Product("nuts", "Nuts")],
        [
            Column("A1", "cola", 150, 10, 1),
            Column("A2", "cola", 150, 10, 2),
            Column("B1", "nuts", 220, 5, 3),
        ],
    )


@dataclass
class Shop:
    """One life of the controller; open another on the same storage for the next."""

    hardware: InstantHardware
    journal: Journal[State]
    machine: Machine
    task: asyncio.Task[str]

    @classmethod
    async def open(
        cls,
        storage: Storage,
        clock: Clock,
        hardware: InstantHardware | None = None,
        policy: Policy | None = None,
        system_boot: str = "one",
        sells: Planogram | None = None,
        planner: SettingsPlanner | None = None,
        spool: Spool | None = None,
        entropy: Callable[[int], bytes] | None = None,
    ) -> Shop:
        """Start the machine and wait until it sells; a planner has it sell what it plans."""
        hardware = hardware or InstantHardware()
        numbers = iter(range(1, 100))
        journal = await Journal.open(
            storage,
            fold=StateFold(),
            registry=REGISTRY,
            clock=clock,
            entropy=entropy or (lambda n: bytes([next(numbers)]) * n),
            boot=BootInfo("m1", "EUR", "test", "", BUILT, system_boot),
        )
        plan = None if planner is None else planner.plan(Held(), {})
        desk = Desk(
            journal,
            plan.planogram if plan else sells or planogram(),
            plan.policy if plan else policy or Policy(),
            clock,
            lambda seq, amount: mint(KEY, "m1", seq, amount),
            plan=plan,
        )
        desk.updates = spool is not None
        renderer = Renderer(load_texts(shipped_texts(), ("en",)), "en_US")
        inbox = Inbox()
        hands = replace(hardware.hands(), spool=spool)
        machine = Machine(desk, hands, renderer, inbox, planner=planner)
        hardware.bind(inbox)
        shop = cls(
            hardware, journal, machine, asyncio.get_running_loop().create_task(machine.run())
        )
        await shop.until(lambda: machine.quiet and journal.state.recovered)
        return shop

    async def until(self, done: Callable[[], bool]) -> None:
        """Let turns pass until ``done()`` is true. Raises what ended the machine, if it did."""
        while not done():
            if self.task.done():
                self.task.result()
                raise AssertionError("the machine has stopped")
            turned: asyncio.Future[None] = asyncio.get_running_loop().create_future()

            def turn(future: asyncio.Future[None] = turned) -> None:
                if not future.done():
                    future.set_result(None)

            self.machine.on_turn.append(turn)
            waits: list[asyncio.Future[Any]] = [turned, self.task]
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            self.machine.on_turn.remove(turn)

    async def coins(self, *values: int) -> None:
        """A customer puts coins in."""
        for value in values:
            await self.hardware.changer.insert(value)

    async def keys(self, keys: str) -> None:
        """A customer presses keys; returns when nothing is under way any more."""
        for key in keys:
            self.machine.inbox.notify(KeyPressed(key))
        await self.until(lambda: self.machine.quiet and not self.state.sagas)

    @property
    def state(self) -> State:
        """Return the folded state."""
        return self.journal.state

    def balance(self, account: str) -> int:
        """Return an account's balance."""
        return self.state.ledger.balance(account)

    def books_agree(self) -> None:
        """Hold the ledger against what is physically there."""
        tubes = self.balance(acc.CASH_TUBES) + self.balance(acc.CASH_CASHBOX)
        assert tubes == self.hardware.changer.cash, (tubes, self.hardware.changer.cash)
        assert self.balance(acc.CASH_STACKER) == self.hardware.bill.value
        assert sum(row.debit - row.credit for row in self.state.ledger.trial_balance()) == 0

    async def stop(self) -> None:
        """End gracefully."""
        self.machine.stop("test")
        await self.task
        await self.journal.close()

    async def kill(self) -> None:
        """End without a word: what was not committed is gone."""
        self.task.cancel()
        await asyncio.wait([self.task])
        await self.journal.close()
