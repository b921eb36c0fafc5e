"""The exhaustive part of the proof: every story, ended at every one of its instants.

Both links, both ways to end; of each power cut as many disk images as asked for.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from config.machine import MachineSettings
from config.settings import load
from simulator.cuts import Cut, Point, Verdict, cut, points_of
from simulator.stories import EVERY
from simulator.swarm.workers import share_out
from simulator.world import Link

CONFIG: Final = Path(__file__).parent.parent / "config" / "machines" / "demo.toml"
BATCH: Final = 25  # cuts per task of a worker


@dataclass(frozen=True, slots=True)
class Job:
    """Some cuts of one story."""

    story: int
    link: Link
    how: Cut
    image: int
    numbers: tuple[int, ...]


@dataclass(slots=True)
class Row:
    """What one story on one link came to."""

    cuts: int = 0
    broken: int = 0


@dataclass(slots=True)
class Instants:
    """What the whole part came to."""

    rows: dict[tuple[str, Link, Cut], Row] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        """Return how many ends there were."""
        return sum(row.cuts for row in self.rows.values())

    def add(self, job: Job, verdicts: list[Verdict]) -> None:
        """Count the cuts of a job."""
        name = EVERY[job.story].name
        row = self.rows.setdefault((name, job.link, job.how), Row())
        for verdict in verdicts:
            row.cuts += 1
            if verdict.findings:
                row.broken += 1
                self.broken.append(
                    f"{name} / {job.link} / {job.how}, image {job.image}, at"
                    f" {verdict.point.number} ({verdict.point.what}):"
                    f" {'; '.join(verdict.findings)}"
                )


def settings() -> MachineSettings:
    """Return the demo machine's settings; nothing is written anywhere."""
    return load(CONFIG, home=Path("/nonexistent/vendd"))


def work(job: Job) -> list[Verdict]:
    """Carry out some cuts, in a worker."""
    machine = settings()
    verdicts = []
    for number in job.numbers:
        try:
            verdicts.append(cut(machine, EVERY[job.story], job.link, job.how, number, job.image))
        except Exception as error:  # noqa: BLE001 - whatever breaks at a cut is a finding
            verdicts.append(Verdict(Point(number, "?"), [f"{type(error).__name__}: {error}"]))
    return verdicts


def jobs(stride: int, images: int) -> list[Job]:
    """Return all the work, in small pieces."""
    machine = settings()
    found: list[Job] = []
    for index, story in enumerate(EVERY):
        for link in story.links:
            total = len(points_of(machine, story, link))
            for how in Cut:
                for image in range(1, (images if how is Cut.POWER else 1) + 1):
                    numbers = list(range(1, total + 1, stride))
                    found += [
                        Job(index, link, how, image, tuple(numbers[i : i + BATCH]))
                        for i in range(0, len(numbers), BATCH)
                    ]
    return found


def carry_out(work_list: list[Job], workers: int = os.cpu_count() or 1) -> Iterator[list[Verdict]]:
    """Yield the verdicts of each job, in order."""
    return share_out(work, work_list, workers)
