"""What the stories are made of: the shape of one, and what customers do in several of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from config.machine import MachineSettings
from simulator.plan import WorldPlan, plan_for
from simulator.whole import Whole
from simulator.world import Link

Script = Callable[[Whole], Awaitable[None]]
LINKS: Final[tuple[Link, ...]] = ("adapter", "native")


async def nothing(machine: Whole) -> None:
    """Nothing comes before the story."""
    del machine


@dataclass(frozen=True, slots=True)
class Story:
    """One script with its name and what the customer must end up with."""

    name: str
    script: Script
    product: str = ""  # what falls for the customer, one after the other: "water, cola"
    spent: int = 0  # by the customer, in minor units, claims and credit left aside
    settings: Callable[[MachineSettings], MachineSettings] = lambda base: base
    plan: Callable[[MachineSettings], WorldPlan] = plan_for  # what stands around, by its settings
    before: Script = nothing  # what has happened when the story begins; it is never cut
    links: tuple[Link, ...] = LINKS  # the ways to reach the MDB on which it is played

    async def opens(self, settings: MachineSettings, link: Link, seed: int = 1) -> Whole:
        """Return a machine that sells, at the beginning of the story."""
        made = self.settings(settings)
        machine = Whole(made, link=link, seed=seed, plan=self.plan(made))
        await machine.boot()
        await machine.sells()
        await self.before(machine)
        return machine


def with_policy(settings: MachineSettings, **changes: object) -> MachineSettings:
    """Return a machine whose owner decided otherwise."""
    policy = settings.policy.model_copy(update=changes)
    return settings.model_copy(update={"policy": policy})


def with_baskets(settings: MachineSettings) -> MachineSettings:
    """Return a machine that sells several items at once."""
    return with_policy(settings, basket=True)


async def coins(machine: Whole, *values: int) -> None:
    """Put coins in, each when the last one is credit."""
    for value in values:
        before = machine.state.credit.total
        machine.world.insert_coin(value)
        await machine.until(lambda: machine.state.credit.total > before)  # noqa: B023 - awaited here


async def choose(machine: Whole, keys: str) -> None:
    """Key a selection, and wait until nothing moves any more."""
    ended = machine.state.counters.vends + machine.state.counters.refunds
    machine.world.press_keys(keys)
    await machine.until(
        lambda: (
            machine.state.counters.vends + machine.state.counters.refunds > ended
            or bool(machine.state.sagas)
        )
    )
    await machine.until(lambda: not machine.state.sagas)
    await machine.quiet()


async def pay_by_card(machine: Whole, keys: str, card_name: str) -> None:
    """Key a selection, hold a card to the reader when asked, wait for the end."""
    ended = len(machine.state.closed)
    machine.world.press_keys(keys)
    await machine.until(lambda: "Hold your card" in machine.screen)
    await machine.until(lambda: machine.world.present_card(card_name))
    await machine.until(lambda: len(machine.state.closed) > ended)
    await machine.quiet()


async def lists(machine: Whole, *selections: str) -> None:
    """Key selections into the basket, and see each one listed."""
    assert machine.running is not None, "it sells"
    live = machine.running.machine.desk.live
    for number, selection in enumerate(selections, 1):
        machine.world.press_keys(selection)
        await machine.until(lambda: len(live.basket.items) == number)  # noqa: B023 - awaited here


async def buys_listed(machine: Whole, ended: int) -> None:
    """Confirm the basket, and wait until so many vends have ended in all."""
    machine.world.press_keys("#")
    await machine.until(lambda: len(machine.state.closed) >= ended)
    await machine.until(lambda: not machine.state.sagas)
    await machine.quiet()
