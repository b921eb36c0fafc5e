"""How a failure of the table is played: what breaks it, when, and how the play ends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from config.machine import MachineSettings
from controller.saga.failure_cells import Phase
from simulator.oracles import NONE, Allowance
from simulator.plan import WorldPlan, plan_for
from tests.failures.acts import Play
from tests.scenarios.stage import SETTINGS, with_mdb

Strike = Callable[[Play], Awaitable[None]]
STARTS_S: Final = 3.0  # a computer takes longer than its peripherals
RECYCLER_SETTINGS: Final = with_mdb("bill", recycle=(500, 1_000))


async def _nothing(play: Play) -> None:
    del play


async def waits(play: Play) -> None:
    """Wait until the customer's vend has ended, and then for quiet."""
    await play.until(lambda: play.ended_vends > 0, within_s=900.0)
    await play.quiet()


@dataclass(frozen=True, slots=True)
class Break:
    """How a failure is played.

    Args:
        column: What the customer wants.
        faults: Set when the money is in, before the selection.
        change: Another, where coins have to be paid back.
        strike: Done at the cell's phase.
        early: Done before any money is in.
        ready: Done when the money is in, before the selection.
        coins: What is put in, where it matters.
        ending: How the play comes to its end.
        plan: Changes the world.
        allowance: What the failure excuses, beside what a flag says.
        sign: Tells whether it really came to that, where the table's columns can't.
        hides: What the oracles can't find where nobody can count it.
        recycler: The validator pays bills out again.
        machine: Another machine than the demo's.
        pays: More money is put in than what comes early.
    """

    column: str = "A3"
    change: str = ""
    faults: tuple[tuple[str, str, object], ...] = ()
    strike: Strike = _nothing
    early: Strike = _nothing
    ready: Strike = _nothing
    coins: tuple[int, ...] = ()
    ending: Strike = waits
    plan: Callable[[WorldPlan], WorldPlan] = lambda plan: plan
    allowance: Allowance = NONE
    sign: Callable[[Play], bool] = lambda play: True
    hides: tuple[str, ...] = ()
    recycler: bool = False
    machine: MachineSettings | None = None
    pays: bool = True

    def world(self, settings: MachineSettings = SETTINGS) -> WorldPlan:
        """Return what stands around the controller."""
        plain = self.machine or settings
        return self.plan(plan_for(RECYCLER_SETTINGS if self.recycler else plain))


async def jams_for_a_refund(play: Play) -> None:
    """What is given back must have failed before."""
    if play.cell.phase is Phase.REFUND:
        play.breaks(play.column, "jam")


async def is_over(play: Play) -> None:
    """Wait until nothing is open, in whatever mode that is."""
    await play.over()


async def power_fails(play: Play) -> None:
    """Take the power away, and give it back."""
    await play.cut_power()
    await asyncio.sleep(2.0)
    await play.restore_power()
    await asyncio.sleep(STARTS_S)
    await play.opens()
