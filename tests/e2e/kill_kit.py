"""A vendd that is going to be killed, a scene that is played until then, and the money after it.

``crashing_vendd`` says how it is killed, ``scenes`` what happens meanwhile.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from controller.domain import accounts as acc
from simulator.client import SimulatorError
from simulator.rig import Rig, RigError, Vendd
from simulator.vendd_client import VenddGoneError
from tests.e2e.scenes import Scene, first_start

Job = TypeVar("Job")
CRASHING = str(Path(__file__).with_name("crashing_vendd.py"))
CLIMATE = """[climate]
cooling = { pin = 25, target_c = 3, hysteresis_c = 1.5, min_off_s = 0, min_on_s = 0 }
thermometers = [{ name = "cabin", path = "cabin", every_s = 1, stuck_s = 0 }]

[[health]]
products = ["cola"]
above_c = 5
allowed_s = 2
after_filling_s = 2

[guard]"""
ADULTS = {'id = "cola"': 'id = "cola"\nmin_age = 18'}
COOLED = {"[guard]": CLIMATE}

# What an adapter acknowledges by itself, nobody says again.
BOTH = ("adapter", "native")

# A day has every third chain; the soak plays three days. ``VENDD_KILLS_DAY=N`` plays a day's again.
DAY = "VENDD_KILLS_DAY"
TURNS = 3

DEATH_S = 90.0  # a reader that says nothing is waited for, 20 s
UP_S = 90.0  # a reader that is asked about its last vend takes up to 20 s


def the_day() -> int:
    """Return the number of the day, or of the one that is to be had once more."""
    return int(os.environ.get(DAY) or datetime.now(UTC).toordinal())


def places(jobs: Sequence[Job]) -> range:
    """Count what a day has of them."""
    return range(-(-len(jobs) // TURNS))


def of_the_day(jobs: Sequence[Job], place: int, day: int) -> Job:
    """Return the one of a place in a day's share."""
    return jobs[(place * TURNS + day) % len(jobs)]


def each_has_its_day(jobs: Sequence[Job]) -> bool:
    """Tell whether days that follow each other have them all."""
    first = 739_000
    had = [of_the_day(jobs, p, first + day) for day in range(TURNS) for p in places(jobs)]
    soaked = [of_the_day(jobs, p, day) for day in range(TURNS) for p in places(jobs)]
    return all(job in had and job in soaked for job in jobs)


async def in_order(rig: Rig) -> None:
    """Have the customer ask for what is left, and hold the ledger against the truth."""
    await rig.settled()
    if (await rig.api.call("credit.show"))["total"]:
        await rig.api.act("credit.return")
        await rig.settled()
    await agrees(rig)


async def kept_in_order(rig: Rig) -> None:
    """The same where nobody asks: credit is kept after a while."""
    await rig.settled()
    while (await rig.api.call("credit.show"))["total"]:
        await rig.api.until_record("credit.kept")
    await agrees(rig)


async def cool_in_order(rig: Rig) -> None:
    """The same in a cabinet that was warm: it is cold again, and its goods are new."""
    await rig.sim.temperature(2.0)
    while any(one["celsius"] is None or one["celsius"] > 3.0 for one in await thermometers(rig)):
        await rig.sim.wait_for(still_s=0.2)
    await rig.api.act("health.served")
    await in_order(rig)


async def thermometers(rig: Rig) -> list[dict[str, Any]]:
    """Return what vendd reads."""
    found: list[dict[str, Any]] = (await rig.api.call("climate.show"))["thermometers"]
    return found


async def rights_in_order(rig: Rig) -> None:
    """Where products are not paid in money: nothing is held, and apps owe what was bought."""
    await rig.settled()
    ledger = await rig.api.call("ledger.show")
    balance = {row["account"]: row["debit"] - row["credit"] for row in ledger["accounts"]}
    pieces = {row["account"]: row["pieces"] for row in ledger["tokens"]}
    assert balance[acc.HELD_APP] == pieces[acc.TOKENS_HELD] == 0
    waiting = sum(right["amount"] for right in (await rig.api.call("credit.show"))["rights"])
    assert balance[acc.APP_RECEIVABLE] == waiting - balance[acc.REVENUE_APP]
    cash = (await rig.reckoning()).lines[:4]
    assert all(line.equal for line in cash), cash


async def agrees(rig: Rig) -> None:
    """Hold the ledger against the truth."""
    reckoning = await rig.reckoning()
    assert reckoning.agrees, "\n".join(reckoning.differences)


async def empty_tubes(rig: Rig) -> None:
    """Nobody has filled the tubes yet."""
    before = (await rig.sim.truth()).totals.tubes
    await rig.sim.empty_tubes()
    rig.staff_moved(-before)


@dataclass(frozen=True)
class Case:
    """A scene, and at what vendd is killed in it: types of record, or kinds of act.

    ``first``: a kill after the commit of this type comes first; then the recovery is killed.
    """

    scene: Scene
    kinds: tuple[str, ...]
    first: str = ""


@dataclass(frozen=True)
class Chain:
    """Cases on one machine, one after the other.

    Args:
        cases: In this order.
        options: What is different about the machine, see ``RigOptions``.
        links: Over which the chain is gone through: both where what an adapter has acknowledged
            by itself makes a difference.
        before: What happens before the first start.
        in_order: Ends what a killed scene left open, and holds the ledger against the truth.
    """

    cases: tuple[Case, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    links: tuple[str, ...] = ("native",)
    before: Callable[[Rig], Awaitable[None]] | None = None
    in_order: Callable[[Rig], Awaitable[None]] = in_order


# Records of coins that nothing else tells of: an adapter has acknowledged them before vendd writes.
UNHEARD = "coins.deposited"
# What a kill at one of them takes along: the coin itself, or the next one of its customer as well
# or alone, whose answer waited for this commit.
TAKEN_ALONG = {"before": (100, 200), "after": (0, 100)}


class Killer:
    """Kills the vendds of one machine, chain by chain."""

    def __init__(self, rig: Rig, chain: Chain) -> None:
        self.rig = rig
        self.chain = chain
        self.taken_along: tuple[int, ...] = ()  # by the last kill, and nobody says it again

    async def run(self, when: str) -> None:
        """Kill at each kind of each case; then see that all is well."""
        rig, chain = self.rig, self.chain
        if chain.before is not None:
            await chain.before(rig)
        covered: set[str] = set()
        for case in chain.cases:
            for kind in case.kinds:
                if kind not in covered:
                    if case.first:
                        await self.die(case.first, "after", case.scene)
                    scene = first_start if case.first else case.scene
                    covered.update(await self.die(kind, when, scene))
            if "claim.closed" in case.kinds and when == "after":
                rig.staff_paid_claim(200)
            if "credit.granted" in case.kinds and when == "after":
                rig.staff_granted(50)
        await self.recovered(await rig.start_vendd(selling=False))
        assert (await rig.api.call("journal.verify"))["ok"]

    async def die(self, kind: str, when: str, scene: Scene) -> list[str]:
        """Let a vendd recover, play the scene until it is killed; returns what was covered.

        Of a commit that is every type of record in it.
        """
        rig = self.rig
        armed, killed = rig.home / "armed", rig.home / "killed"
        killed.unlink(missing_ok=True)
        at_boot = scene is first_start
        if at_boot:
            armed.touch()
        try:
            vendd = await rig.start_vendd(
                program=(CRASHING,), arguments=(kind, when), selling=False
            )
        except (RigError, VenddGoneError):
            if not killed.exists():
                raise
        else:
            if at_boot and await survives(vendd) and not killed.exists():
                # It stood in the journal before: two devices are counted in no fixed order.
                await self.chain.in_order(rig)
                await vendd.stop()
                shutil.rmtree(rig.home / "journal")
                return await self.die(kind, when, scene)
            await self.play(vendd, f"{when} {kind}", scene)
        await rig.sim.clear_faults()
        held: list[str] = json.loads(killed.read_text())
        if rig.hello.link == "adapter" and UNHEARD in held:
            self.taken_along = TAKEN_ALONG[when]
        return held

    async def recovered(self, vendd: Vendd) -> None:
        """Wait until vendd is up, and see that all is well."""
        await vendd.api.until(
            lambda api: api.mode in ("idle", "credit", "service"), "it is up", UP_S
        )
        if vendd.api.mode == "service":
            await vendd.api.act("service.leave")
        if self.taken_along:
            await self.found_again()
        await self.chain.in_order(self.rig)

    async def found_again(self) -> None:
        """See that the coins of an answer that was lost are counted, and booked as nobody's."""
        await self.rig.settled()
        (unclaimed,) = (
            line.ledger for line in (await self.rig.reckoning()).lines if line.name == acc.UNCLAIMED
        )
        assert unclaimed in self.taken_along
        self.rig.left_behind(unclaimed)
        self.taken_along = ()

    async def play(self, vendd: Vendd, case: str, scene: Scene) -> None:
        """Play a scene until vendd is dead."""
        rig = self.rig
        if scene is not first_start:
            await self.recovered(vendd)
            rig.api.records.clear()
            (rig.home / "armed").touch()
        playing = asyncio.ensure_future(scene(rig))
        try:
            code = await vendd.ended(DEATH_S)
        except RigError as error:
            last = [record["type"] for record in rig.api.records[-12:]]
            facts = [fact.detail for fact in (await rig.sim.facts())[-6:]]
            said = rig.api.mode, rig.api.screen, (playing, last, facts)
            raise AssertionError(f"{case}: {said}") from error
        finally:
            playing.cancel()
            with suppress(asyncio.CancelledError, VenddGoneError, SimulatorError):
                await playing
        assert code == 128 + 9


async def survives(vendd: Vendd) -> bool:
    """Tell whether a start comes to its end."""
    try:
        await vendd.api.until_selling()
        await vendd.api.call("status")
    except VenddGoneError:
        return False
    return True
