"""Customers without money of their own in the swarm: tokens, free vends, credit paid in an app."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from config.machine import MachineSettings
from config.models import Tokens
from controller.domain import commands as cmd
from controller.machine.inputs import CommandRefused
from simulator.plan import WorldPlan
from simulator.swarm.plan import Act, Build
from simulator.whole import Whole

if TYPE_CHECKING:
    from simulator.swarm.people import Shelf


class TokenSlot:
    """Tokens that buy some of the products."""

    name = "tokens"

    def draw(self, rng: random.Random, build: Build) -> Build:
        """Some owners give tokens out."""
        return replace(build, tokens=rng.random() < 0.4)

    def settings(self, settings: MachineSettings, build: Build) -> MachineSettings:
        """Name what they buy."""
        if not build.tokens:
            return settings
        return settings.model_copy(update={"tokens": Tokens(products=("water", "cola", "gum"))})

    def plan(self, plan: WorldPlan, build: Build) -> WorldPlan:
        """Nothing: the changer of such a machine knows them."""
        del build
        return plan


def takes_tokens(build: Build) -> bool:
    """Tell whether tokens are of any use here."""
    return build.tokens


def token(rng: random.Random, shelf: Shelf) -> list[Act]:
    """Puts a token in, perhaps a coin as well, and chooses; or wants it back."""
    acts = [Act("coin", 0, "token") for _ in range(rng.choice((1, 1, 1, 2)))]
    if rng.random() < 0.2:
        acts.insert(rng.randrange(len(acts) + 1), Act("coin", rng.choice((10, 50, 200))))
    if rng.random() < 0.15:
        return [*acts, Act("keys", text="*", after_s=1.0, until="credit")]
    chosen = rng.choice(shelf.selections)
    acts.append(Act("keys", text=chosen, after_s=0.5, until="credit"))
    if rng.random() < 0.4:
        acts.append(Act("keys", text=rng.choice(shelf.selections), after_s=0.5, until="end"))
    return acts


def app(rng: random.Random, shelf: Shelf) -> list[Act]:
    """Pays in an app, whose command may come twice, and takes the product, or something else."""
    selection = rng.choice(shelf.selections)
    price = shelf.prices[selection]
    amount = rng.choice((price, price, price, price + 50, max(1, price - 50)))
    id_ = f"app-{rng.getrandbits(48):012x}"
    grant = Act("app", amount, f"{id_} {selection} {rng.choice((8, 60, 60))}", after_s=0.3)
    acts = [grant]
    if amount < price:
        acts += [Act("coin", 50, after_s=0.5)]
    if rng.random() < 0.3:
        acts.append(replace(grant, after_s=rng.uniform(0.0, 3.0)))  # sent again: no answer came
    if rng.random() < 0.2:
        acts.append(Act("wait", after_s=rng.choice((3.0, 10.0))))
    if rng.random() < 0.85:
        acts.append(Act("keys", text=selection, after_s=0.5, until="credit"))
    if rng.random() < 0.3:
        acts.append(replace(grant, after_s=rng.uniform(0.0, 6.0)))
    return acts


def free(rng: random.Random, shelf: Shelf) -> list[Act]:
    """Was promised one for nothing."""
    selection = rng.choice(shelf.selections)
    bound = selection if rng.random() < 0.5 else "-"
    give = Act("free", 0, f"free-{rng.getrandbits(48):012x} {bound} 60", after_s=0.3)
    acts = [give, Act("keys", text=selection, after_s=0.5, until="credit")]
    return [*acts, replace(give, after_s=rng.uniform(0.0, 4.0))] if rng.random() < 0.3 else acts


async def grant(machine: Whole, act: Act) -> None:
    """Send the command, as whoever sends such things does: without waiting for the answer."""
    id_, column, lives = act.text.split()
    column = "" if column == "-" else column
    command: Any = (
        cmd.GrantAppCredit(id_, act.value, float(lives), column)
        if act.what == "app"
        else cmd.GiveFreeVend(id_, float(lives), "promised", column)
    )
    running = machine.running
    if running is None or machine.ended or running.journal.read_only:
        return
    sending = asyncio.ensure_future(running.machine.act(command, "fleet"))
    with suppress(CommandRefused, asyncio.CancelledError, TimeoutError):
        async with asyncio.timeout(2.0):
            await sending
