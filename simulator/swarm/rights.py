"""Customers without money of their own in the swarm: tokens, free vends, credit paid in an app."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from config.machine import MachineSettings
from config.models import Column, Offer, Tokens
from controller.app.books import BUILT
from controller.domain import commands as cmd
from controller.machine.inputs import CommandRefused
from simulator.plan import WorldPlan
from simulator.swarm.fitting import Fitting
from simulator.swarm.plan import Act, Build
from simulator.swarm.prices import DAYS
from simulator.swarm.shelf import Shelf
from simulator.whole import Whole


class TokenSlot(Fitting):
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


WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat")  # which a night's offer begins on
ZONES: Final = ("UTC", "UTC", "Asia/Tokyo", "America/New_York")


SINCE: Final = BUILT + timedelta(days=36, hours=8)  # a time that somebody may confirm
BRIEF: Final = 16  # hours of a minute each: they end in somebody's vend now and then
SMALL_HOUR: Final = 2  # in the middle of the night's offer
FREE_COLUMN: Final = "B4"  # in its hours


def brief_hours(zone: str) -> tuple[Offer, ...]:
    """Return offers that hold every other minute from the beginning of a life on."""
    since = SINCE.astimezone(ZoneInfo(zone))
    minutes = [f"{since + timedelta(minutes=n):%H:%M}" for n in range(2 * BRIEF + 1)]
    return tuple(
        Offer(
            name=f"{name}-{n}", percent=percent, columns=columns,
            start=minutes[2 * n + 1], end=minutes[2 * n + 2],
        )
        for n in range(BRIEF)
        for name, percent, columns in (("less", 40, ()), ("free", 100, (FREE_COLUMN,)))
    )  # fmt: skip


class HappyHours(Fitting):
    """Something costs less for half of the day, or nothing; NTP confirms the time after a while."""

    name = "offers"

    def draw(self, rng: random.Random, build: Build) -> Build:
        """Some owners have such hours."""
        offers, zone = rng.random() < 0.3, rng.choice(ZONES)
        return replace(build, offers=offers, zone=zone, brief=offers and rng.random() < 0.5)

    def settings(self, settings: MachineSettings, build: Build) -> MachineSettings:
        """Set them."""
        less = Offer(name="less", percent=30, start="00:00", end="12:00", products=("cola", "nuts"))
        free = Offer(name="free", percent=100, start="00:30", end="01:30", columns=("B4",))
        late = Offer(
            name="late", percent=20, start="20:00", end="06:00", products=("water", "gum"),
            days=WEEKDAYS,
        )  # fmt: skip
        if not build.offers:
            return settings.model_copy(update={"offers": ()})
        where = settings.machine.model_copy(update={"timezone": build.zone})
        # A clock that jumps comes upon each.
        offers = brief_hours(build.zone) if build.brief else (less, free, late)
        return settings.model_copy(update={"offers": offers, "machine": where})


class Nights(Fitting):
    """A life begins in a small hour, when an offer holds that began on the evening before, or not.

    That it depends on yesterday shows only where a week's days differ: on a Sunday and on a Monday.
    """

    name = "nights"

    def draw(self, rng: random.Random, build: Build) -> Build:
        """Half of those whose hours are long."""
        night = rng.choice(("", "", "sun", "mon"))
        return replace(build, night=night if build.offers and not build.brief else "")


def since(build: Build) -> datetime:
    """Return what the wall clock of a machine with offers says when its life begins."""
    if not build.night:
        return SINCE
    there = SINCE.astimezone(ZoneInfo(build.zone))
    days = (DAYS.index(build.night) - there.weekday()) % len(DAYS)
    return (there + timedelta(days=days)).replace(hour=SMALL_HOUR)


class GrownUps(Fitting):
    """A product is not for everybody; most readers can check an age."""

    name = "age"

    def draw(self, rng: random.Random, build: Build) -> Build:
        """Few machines sell such things."""
        return replace(build, flagged=rng.random() < 0.25, checks_age=rng.random() < 0.8)

    def settings(self, settings: MachineSettings, build: Build) -> MachineSettings:
        """Flag the product."""
        years = 18 if build.flagged else 0
        products = tuple(
            product.model_copy(update={"min_age": years if product.id == "cola" else 0})
            for product in settings.products
        )
        return settings.model_copy(update={"products": products})

    def plan(self, plan: WorldPlan, build: Build) -> WorldPlan:
        """The reader can, or can't."""
        readers = {
            name: replace(reader, checks_age=build.checks_age)
            for name, reader in plan.readers.items()
        }
        return replace(plan, readers=readers)


class Youths(Fitting):
    """Another product is for those who are sixteen: a proof of that is none of being grown up."""

    name = "youths"

    def draw(self, rng: random.Random, build: Build) -> Build:
        """Half of those with a product for grown-ups."""
        return replace(build, youths=build.flagged and rng.random() < 0.5)

    def settings(self, settings: MachineSettings, build: Build) -> MachineSettings:
        """Flag it as well."""
        if not build.youths:
            return settings
        products = tuple(
            product.model_copy(update={"min_age": 16}) if product.id == "crisps" else product
            for product in settings.products
        )
        return settings.model_copy(update={"products": products})


def is_flagged(build: Build) -> bool:
    """Tell whether something is for grown-ups alone."""
    return build.flagged


def grown_up(rng: random.Random, shelf: Shelf) -> list[Act]:
    """Wants cola, and shows a card that proves an age, or one that does not."""
    proof = Act("card", text=rng.choice(("identity", "identity", "grown-up", "child", "card")),
                after_s=0.5, until="proof")  # fmt: skip
    acts = [Act("coin", 200, after_s=0.4) for _ in range(rng.choice((1, 1, 2, 0)))]
    acts += [Act("keys", text="A3", after_s=0.5, until="credit"), proof]
    if rng.random() < 0.2:
        acts.append(Act("keys", text="*", after_s=rng.uniform(0.0, 2.0)))
    if rng.random() < 0.3:
        acts.append(Act("keys", text=rng.choice(shelf.selections), after_s=1.0))
    return acts


class BasketShop(Fitting):
    """Several selections, then "#"."""

    name = "basket"

    def draw(self, rng: random.Random, build: Build) -> Build:
        """Few owners want that; its reader may keep a session open."""
        return replace(build, basket=rng.random() < 0.2, multivend_reader=rng.random() < 0.4)

    def settings(self, settings: MachineSettings, build: Build) -> MachineSettings:
        """Set the policy."""
        policy = settings.policy.model_copy(update={"basket": build.basket})
        return settings.model_copy(update={"policy": policy})

    def plan(self, plan: WorldPlan, build: Build) -> WorldPlan:
        """The reader says whether it is multivend."""
        readers = {
            name: replace(reader, multivend=build.multivend_reader)
            for name, reader in plan.readers.items()
        }
        return replace(plan, readers=readers)


def has_baskets(build: Build) -> bool:
    """Tell whether selections are collected."""
    return build.basket


def basket(rng: random.Random, shelf: Shelf) -> list[Act]:
    """Buys several things at once, in coins, by card or with both."""
    chosen = [rng.choice(shelf.selections) for _ in range(rng.choice((2, 2, 3)))]
    acts = [Act("keys", text=one, after_s=0.6) for one in chosen]
    price = sum(shelf.prices[one] for one in chosen)
    if rng.random() < 0.6:
        paid = price if rng.random() < 0.7 else price // 2
        coins = [Act("coin", 200, after_s=0.5) for _ in range(-(-paid // 200))]
        acts = [*coins, *acts]
    elif rng.random() < 0.7:
        acts = [Act("card", text="card", after_s=0.3), Act("wait", after_s=1.5), *acts]
    acts.append(Act("keys", text="#", after_s=0.8, until="credit"))
    if rng.random() < 0.3:
        acts.append(Act("card", text="card", after_s=0.5, until="card"))
    if rng.random() < 0.1:
        acts.append(Act("keys", text="*", after_s=rng.uniform(0.0, 8.0)))
    return acts


def confirmed(acts: list[Act], shelf: Shelf) -> list[Act]:
    """Let a customer of such a machine press "#" behind a selection."""
    return [
        replace(act, text=f"{act.text}#")
        if act.what == "keys" and act.text in shelf.prices
        else act
        for act in acts
    ]


def bought_by_tokens(settings: MachineSettings) -> tuple[Column, ...]:
    """Return the columns of what a token buys."""
    tokens = settings.tokens
    return tuple(
        column
        for column in settings.columns
        if column.selection in tokens.columns or column.product in tokens.products
    )


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


def in_a_free_hour(rng: random.Random, shelf: Shelf) -> list[Act]:
    """Has seen that something costs nothing now."""
    del shelf
    return [Act("keys", text=FREE_COLUMN, after_s=rng.uniform(0.3, 20.0))]


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
