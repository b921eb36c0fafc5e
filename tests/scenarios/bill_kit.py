"""A bill validator, and bills that are offered to it."""

from __future__ import annotations

from dataclasses import replace

from simulator.plan import WorldPlan, bill_for, plan_for
from tests.scenarios.stage import SETTINGS, Stage

BILL = "bill"


def plan(**bill: object) -> WorldPlan:
    """The demo's devices with another validator."""
    made = replace(bill_for("EUR"), **bill)  # type: ignore[arg-type]
    return replace(plan_for(SETTINGS), bill=made)


async def offer(stage: Stage, value: int) -> None:
    """The customer offers a bill until it is pulled in."""
    await stage.until(lambda: stage.world.insert_bill(value), within_s=10.0)


def offers(stage: Stage, value: int) -> bool:
    """The customer offers a bill; whether it is pulled in."""
    return stage.world.insert_bill(value)


async def right_after(stage: Stage, value: int) -> None:
    """The customer has, in all, what the bill was worth: credit, a claim, or the bill."""
    await stage.quiet()
    assert stage.spent - stage.credit - stage.claimed == 0
    assert stage.account.inserted == value
