"""Card readers of every kind, who pays at them, and what is fair."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from config.machine import MachineSettings
from controller.ports import DeviceName
from simulator.peripherals.reader_settings import Card
from simulator.plan import WorldPlan, cards, plan_for, reader_for
from simulator.truth import AuthState
from tests.scenarios.stage import SETTINGS, Stage

READER = "cashless1"
KINDS = ("always idle", "classic")
MOMENTS = ("session", "request", "approval", "success", "failure", "complete")


def plan(kind: str = "always idle", more: tuple[Card, ...] = (), **reader: Any) -> WorldPlan:
    """The demo's devices with another reader."""
    made = replace(reader_for("EUR"), **reader)
    if kind == "classic":
        made = replace(made, options=0)
    return replace(plan_for(SETTINGS), readers={READER: made}, cards=(*cards(), *more))


async def pay(stage: Stage, keys: str, card: str = "card") -> None:
    """Choose and pay by card, in the order that the reader wants; returns when all is quiet."""
    before = len(stage.records("vend.closed"))
    await ask(stage, keys, card)
    await stage.until(lambda: len(stage.records("vend.closed")) > before, within_s=300.0)
    await stage.quiet()


async def ask(stage: Stage, keys: str, card: str = "card") -> None:
    """Bring a request under way, whose card is read."""
    if is_classic(stage):
        await begin(stage, card)
        stage.press(keys)
        await stage.until(lambda: "approval" in stage.intents or bool(stage.state.closed))
        return
    assert stage.running is not None
    ready = stage.running.machine.desk.live.ready
    await stage.until(lambda: DeviceName.CASHLESS1 in ready, within_s=60.0)
    stage.press(keys)
    await stage.until(lambda: "approval" in stage.intents, within_s=10.0)
    await stage.until(lambda: stage.world.present_card(card), within_s=10.0)


async def begin(stage: Stage, card: str = "card") -> None:
    """Hold a card to a classic reader, again and again, until its session has begun."""
    assert stage.running is not None
    live = stage.running.machine.desk.live

    def begun() -> bool:
        stage.world.present_card(card)
        return live.session is not None

    await stage.until(begun, within_s=200.0)


def is_classic(stage: Stage) -> bool:
    """Tell which kind of reader stands there."""
    return not stage.world.reader().settings.options


def quarters() -> MachineSettings:
    """The demo machine with prices that a reader of 25 cents can tell."""
    return SETTINGS.model_copy(
        update={"columns": tuple(c.model_copy(update={"price": 75}) for c in SETTINGS.columns)}
    )


def charged(stage: Stage) -> int:
    """What the card's owner pays for good."""
    return sum(
        auth.amount
        for auth in stage.world.truth.authorisations.values()
        if auth.state is AuthState.CAPTURED
    )


def fair(stage: Stage, price: int) -> None:
    """Paid and delivered, or not paid; else a claim over the card's money."""
    assert stage.products in ([], ["cola"])
    due = price if stage.products else 0
    assert stage.spent - stage.claimed == due
    assert all(claim.tender == "card" for claim in stage.state.claims.values())
    assert stage.account.returned == 0, "card money never becomes cash"
