"""``./run soak``: the long proof. Every story, cut at every one of its instants, on both links.

Prints progress while it runs and a table at the end; exit code 0 only if no cut broke a promise.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from config.machine import MachineSettings
from config.settings import load
from controller.clock import SystemClock
from simulator.cuts import Cut, Verdict, cut, points_of
from simulator.stories import EVERY
from simulator.world import Link

CONFIG: Final = Path(__file__).parent.parent / "config" / "machines" / "demo.toml"
BATCH: Final = 25  # cuts per task of a worker


@dataclass(frozen=True, slots=True)
class Job:
    """Some cuts of one story."""

    story: int
    link: Link
    how: Cut
    numbers: tuple[int, ...]


@dataclass(slots=True)
class Row:
    """What one story on one link came to."""

    cuts: int = 0
    broken: int = 0


def settings() -> MachineSettings:
    """Return the demo machine's settings; nothing is written anywhere."""
    return load(CONFIG, home=Path("/nonexistent/vendd"))


def _quietly() -> None:
    logging.disable(logging.CRITICAL)


def work(job: Job) -> list[Verdict]:
    """Carry out some cuts, in a worker."""
    machine = settings()
    verdicts = []
    for number in job.numbers:
        try:
            verdicts.append(cut(machine, EVERY[job.story], job.link, job.how, number))
        except Exception as error:  # noqa: BLE001 - whatever breaks at a cut is a finding
            from simulator.cuts import Point  # noqa: PLC0415 - only on the way out

            verdicts.append(Verdict(Point(number, "?"), [f"{type(error).__name__}: {error}"]))
    return verdicts


def jobs(stride: int) -> list[Job]:
    """Return all the work, in small pieces."""
    machine = settings()
    found: list[Job] = []
    for index, story in enumerate(EVERY):
        for link in ("adapter", "native"):
            total = len(points_of(machine, story, link))
            for how in Cut:
                numbers = list(range(1, total + 1, stride))
                found += [
                    Job(index, link, how, tuple(numbers[i : i + BATCH]))
                    for i in range(0, len(numbers), BATCH)
                ]
    return found


def main(arguments: list[str] | None = None) -> int:
    """Run the proof."""
    parser = argparse.ArgumentParser(prog="./run soak", description=__doc__)
    parser.add_argument("--stride", type=int, default=1, help="take every N-th instant (1: all)")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args(arguments)
    _quietly()
    console = Console()
    clock = SystemClock()
    began = clock.monotonic_s()
    rows: dict[tuple[int, Link, Cut], Row] = {}
    broken: list[str] = []
    work_list = jobs(max(1, given.stride))
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with (
        Progress(*columns, TimeRemainingColumn(), console=console) as progress,
        ProcessPoolExecutor(
            given.workers, mp_context=get_context("spawn"), initializer=_quietly
        ) as pool,
    ):
        task = progress.add_task("instants", total=sum(len(job.numbers) for job in work_list))
        for job, verdicts in zip(work_list, pool.map(work, work_list), strict=True):
            row = rows.setdefault((job.story, job.link, job.how), Row())
            for verdict in verdicts:
                row.cuts += 1
                if verdict.findings:
                    row.broken += 1
                    name = EVERY[job.story].name
                    broken.append(
                        f"{name} / {job.link} / {job.how} at {verdict.point.number}"
                        f" ({verdict.point.what}): {'; '.join(verdict.findings)}"
                    )
            progress.advance(task, len(verdicts))
    table = Table("story", "link", "cut", "instants", "broken promises")
    for (index, link, how), row in rows.items():
        table.add_row(EVERY[index].name, link, how.value, str(row.cuts), str(row.broken))
    console.print(table)
    total = sum(row.cuts for row in rows.values())
    seconds = clock.monotonic_s() - began
    console.print(f"{total} instants in {seconds:.0f} s, {len(broken)} broken promises")
    for line in broken[:50]:
        console.print(line, style="red", markup=False)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
