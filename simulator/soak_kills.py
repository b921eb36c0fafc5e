"""A part of ``./run soak``: a real vendd ends at every write and sync of every scene.

Two machines side by side, on the native link: an adapter that acknowledges by itself may lose what
one poll answer held. ``simulator.real_kills`` says what is
asked after each kill.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from rich.console import Console

from controller.clock import Clock
from simulator.client import SimulatorError
from simulator.real_kills import CallKiller
from simulator.real_machines import MACHINES
from simulator.rig import BUSY_MS, Rig, RigError, RigOptions
from simulator.soak_progress import Bar
from simulator.tracer import TracerError
from simulator.vendd_client import VenddGoneError, VenddRefusedError, VenddWaitError

LANES: Final = 2
SCENES: Final = 4  # of one machine, before another one has its turn
SPEED: Final = 4.0  # a dead vendd's motor stands before its spiral has turned twice
NAMED: Final = 20  # problems on the page
_WRONG: Final = (
    RigError, TracerError, SimulatorError, VenddGoneError, VenddWaitError, VenddRefusedError,
    AssertionError, TimeoutError,
)  # fmt: skip


@dataclass(slots=True)
class Row:
    """What one scene came to."""

    scene: str
    kills: int = 0
    past: int = 0  # planned behind the scene's last call: commits are grouped as they come
    images: int = 0
    problems: list[str] = field(default_factory=list)


async def _scene(killer: CallKiller, row: Row, stride: int, bar: Bar) -> None:
    numbers = range(1, await killer.count(row.scene) + 1, stride)
    bar.expect(len(numbers))
    for number in numbers:
        found = await killer.kill(row.scene, number)
        row.kills += found.reached
        row.past += not found.reached
        row.images += found.images
        row.problems += [f"call {number}, after {found.after}: {what}" for what in found.problems]
        bar.advance()


async def _machine(
    config: Path, name: str, scenes: Sequence[str], stride: int, bar: Bar
) -> list[Row]:
    rows: list[Row] = []
    machine = MACHINES[name]
    options = RigOptions(
        config, link="native", speed=SPEED, edits=machine.edits, heartbeat_ms=BUSY_MS
    )
    try:
        async with Rig(options) as rig:
            killer = CallKiller(rig, machine)
            await killer.begin()
            for scene in scenes:
                rows.append(row := Row(scene))
                await _scene(killer, row, stride, bar)
            rows[-1].problems += await killer.finish()
    except _WRONG as error:
        # The next kills would stand on what is wrong already.
        rows = rows or [Row("the first start")]
        rows[-1].problems.append(f"{rows[-1].kills} kills, then {type(error).__name__}: {error}")
    return rows


def kill_at_every_call(console: Console, clock: Clock, config: Path, stride: int) -> list[Row]:
    """Run the part, with a bar that moves."""
    waiting = [
        (name, list(machine.scenes)[first : first + SCENES])
        for name, machine in MACHINES.items()
        for first in range(0, len(machine.scenes), SCENES)
    ]

    async def lane(bar: Bar) -> list[Row]:
        rows: list[Row] = []
        while waiting:
            name, scenes = waiting.pop(0)
            rows += await _machine(config, name, scenes, stride, bar)
        return rows

    async def side_by_side(bar: Bar) -> list[list[Row]]:
        return await asyncio.gather(*(lane(bar) for _ in range(LANES)))

    with Bar(console, clock, "kills of a real vendd") as bar:
        return [row for part in asyncio.run(side_by_side(bar)) for row in part]


def kills_lines(rows: Sequence[Row], seconds: float, stride: int) -> Iterator[str]:
    """Yield what the kills came to, for a page."""
    kills, images = sum(row.kills for row in rows), sum(row.images for row in rows)
    problems = [f"{row.scene}: {what}" for row in rows for what in row.problems]
    every = "every write, sync and change of a name" if stride == 1 else f"every {stride}th call"
    yield f"{kills} kills of a real vendd, at {every} of each scene, and {images} disk images that"
    yield f"the model allows at those instants, in {seconds:.0f} s: {len(problems)} problems."
    yield ""
    yield "| scene | kills | images | problems |"
    yield "|---|---:|---:|---:|"
    for row in rows:
        yield f"| {row.scene} | {row.kills} | {row.images} | {len(row.problems)} |"
    for line in problems[:NAMED]:
        yield f"* {line}"
