"""A bill that waits in escrow, on a machine whose nuts are dearer than it is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from config.machine import MachineSettings
from simulator.plan import WorldPlan, plan_for
from simulator.truth import ESCROW, STACKER
from tests.scenarios.stage import Stage, with_policy

BILL, READER = "bill", "cashless1"
DEAR = 740  # of B2: more than the bill of 5.00


def machine(escrow: str = "auto", **policy: Any) -> MachineSettings:
    """The demo machine, its nuts dearer than a bill."""
    settings = with_policy(escrow=escrow, **policy)
    columns = tuple(
        column.model_copy(update={"price": DEAR}) if column.selection == "B2" else column
        for column in settings.columns
    )
    return settings.model_copy(update={"columns": columns})


def reader(settings: MachineSettings, **changes: Any) -> WorldPlan:
    """The demo's devices with another reader."""
    plan = plan_for(settings)
    made = {name: replace(one, **changes) for name, one in plan.readers.items()}
    return replace(plan, readers=made)


async def bill(stage: Stage, value: int = 500) -> None:
    """The customer's bill goes into escrow and is shown as credit."""
    assert stage.world.insert_bill(value)
    await stage.until(lambda: stage.state.escrow is not None and stage.state.escrow.waits)
    await stage.passes(0.5)
    assert stage.world.truth.count(ESCROW) == 1
    assert f"{(value + stage.credit) / 100:.2f}" in stage.screen


def stacked(stage: Stage) -> int:
    """How many bills are in the stacker."""
    return stage.world.truth.count(STACKER)
