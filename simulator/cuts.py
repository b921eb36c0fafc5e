"""Every instant is a moment for the end: a story cut at each of its points, then booted and judged.

A point is a write or sync of the disk (before and after it), a block on the bus (before and after
it is sent), an answer (before and after it is received), or a pin edge. The cut is a SIGKILL (the
world and the page cache live on) or a power cut (several disk images are possible; one is drawn).
Same story, same link, same number: same run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from config.machine import MachineSettings
from simulator.clock import run_virtual
from simulator.oracles import Allowance, check
from simulator.story_kit import Story
from simulator.whole import Whole
from simulator.world import Link

AFTER_S: Final = 1.0  # what a killed machine's world does before anybody starts vendd again

# Intents whose outcome a power cut takes the evidence of: the latch forgets, a reader resets.
BLINDED_BY_POWER: Final = frozenset({"dispense", "approval", "settle failure", "revalue"})
# Intents whose outcome a reader tells once, and an adapter acknowledges unasked.
TOLD_ONCE: Final = frozenset({"settle failure", "revalue"})


class Cut(StrEnum):
    """How the controller ends."""

    KILL = "kill"
    POWER = "power"


@dataclass(frozen=True, slots=True)
class Point:
    """One instant of a story."""

    number: int
    what: str


@dataclass(slots=True)
class Verdict:
    """What one cut came to."""

    point: Point
    findings: list[str]
    screen: str = ""
    flagged: int = 0  # how often a person was asked to look
    log: list[str] = field(default_factory=list)


class Instants:
    """Counts the points of a run, and ends the controller at one of them."""

    def __init__(self, machine: Whole, stop_at: int | None = None) -> None:
        """Hook into the machine; ``stop_at`` None only lists the points."""
        self.machine = machine
        self.stop_at = stop_at
        self.points: list[Point] = []
        self.hit = asyncio.Event()
        self.armed = False

    def arm(self) -> None:
        """Count from here on: the story begins."""
        self.armed = True
        self.machine.on_instant = self.note
        self.machine.hook_disk()
        self.machine.world.listen(self._told)

    def _told(self, kind: str, data: dict[str, Any]) -> None:
        if kind == "edge":
            self.note(f"pin {data.get('pin')} {'up' if data.get('level') else 'down'}")

    def note(self, what: str) -> None:
        """One point has come."""
        if not self.armed or self.hit.is_set():
            return
        self.points.append(Point(len(self.points) + 1, what))
        if len(self.points) == self.stop_at:
            self.machine.cut_strings()
            self.hit.set()


def points_of(settings: MachineSettings, story: Story, link: Link) -> list[Point]:
    """Run a story to its end and return its points."""

    async def run() -> list[Point]:
        machine = await story.opens(settings, link)
        instants = Instants(machine)
        instants.arm()
        await story.script(machine)
        instants.armed = False
        await machine.stop()
        return instants.points

    return run_virtual(run())


def cut(
    settings: MachineSettings, story: Story, link: Link, how: Cut, number: int, seed: int = 1
) -> Verdict:
    """Run a story to one of its points, end the controller there, boot, and judge."""

    async def run() -> Verdict:
        machine = await story.opens(settings, link, seed * 1_000_003 + number)
        instants = Instants(machine, number)
        instants.arm()
        actor = asyncio.get_running_loop().create_task(_act(story, machine))
        hit = asyncio.get_running_loop().create_task(instants.hit.wait())
        await asyncio.wait({actor, hit}, return_when=asyncio.FIRST_COMPLETED)
        hit.cancel()
        if machine.task is None and not actor.done():
            await machine.give_up(actor)  # it was starting: a story of a recovery
        actor.cancel()
        await asyncio.wait({actor})
        if not instants.hit.is_set():
            return Verdict(Point(number, "never reached"), ["the story ended before the point"])
        point = instants.points[-1]
        held = machine.held_by_an_answer()
        tokens = machine.tokens_held_by_an_answer()
        lost = machine.unfinished & BLINDED_BY_POWER
        # An adapter acknowledges a refund error by itself; then nobody says it again.
        # It acknowledges as well what became of a revalue, and nobody says that again either.
        told = link == "adapter" and not lost.isdisjoint(TOLD_ONCE)
        blind = bool(lost) if how is Cut.POWER else told
        if how is Cut.KILL:
            await machine.kill()
        else:
            await machine.cut_power()
        await asyncio.sleep(AFTER_S)
        if machine.world.pulse is not None:
            # What it has told by pulses, to nobody, is never said again.
            held = machine.held_by_an_answer()
        if how is Cut.POWER:
            await machine.restore_power()
        await machine.boot()
        await machine.sells()
        await machine.quiet()
        # An item that the changer could not hand over yet is lost with the changer's own power.
        allowance = Allowance(
            lost_answer=held if link == "adapter" or how is Cut.POWER else 0,
            lost_tokens=tokens if link == "adapter" or how is Cut.POWER else 0,
            blind=blind,
        )
        findings = check(machine, allowance)
        if not findings and machine.state.credit.total:
            machine.world.press_keys("*")
            await machine.until(lambda: not machine.state.credit.total)
            await machine.quiet()
            findings = [f"after coin return: {f}" for f in check(machine, allowance)]
        return Verdict(point, findings, machine.screen, machine.state.counters.flagged)

    return run_virtual(run())


async def _act(story: Story, machine: Whole) -> None:
    await story.script(machine)


def cuts(
    settings: MachineSettings,
    story: Story,
    link: Link,
    how: Cut,
    *,
    stride: int = 1,
    first: int = 1,
) -> Iterator[Verdict]:
    """Yield the verdict of every ``stride``-th point of a story, from ``first`` on."""
    for point in points_of(settings, story, link)[first - 1 :: stride]:
        try:
            yield cut(settings, story, link, how, point.number)
        except Exception as error:  # noqa: BLE001 - whatever breaks at a cut is a finding
            yield Verdict(point, [f"{type(error).__name__}: {error}"])
