"""``./run soak``: the long proof. The swarm, every instant, kills of real processes, planted bugs.

Prints progress while it runs and tables at the end, and writes the figures into a page if asked to;
exit code 0 only if no promise was broken and every planted bug was found.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from controller.clock import SystemClock
from simulator import soak_fleet, soak_instants, soak_kills, soak_page
from simulator.soak_instants import Instants
from simulator.soak_progress import Bar
from simulator.swarm import coverage
from simulator.swarm.report import Tally, replay_command
from simulator.swarm.run import Order, carry_out_all
from simulator.swarm.workers import quietly, stopped_by_term

ROOT: Final = Path(__file__).parent.parent
CONFIG: Final = ROOT / "config" / "machines" / "demo.toml"
PARTS: Final = ("swarm", "instants", "kills", "fleet", "mutants")
KILLS: Final = ("tests/e2e/test_kills.py", "tests/e2e/test_kills_of_acts.py")
KILL_DAYS: Final = (0, 1, 2)  # together they have all
FAULTS: Final = "tests/fleet/test_every_fault.py"
FAULT_SEEDS: Final = 3
CUSTOMERS: Final = 40  # in one life
SHOWN: Final = 50  # findings on the screen
INTERRUPTED: Final = 130


class Soak:
    """One run of the proof."""

    def __init__(self, given: argparse.Namespace, console: Console) -> None:
        """Keep what was asked for."""
        self.given = given
        self.console = console
        self.clock = SystemClock()
        self.broken = 0

    def swarm(self) -> None:
        """Play fresh seeds until there are vends enough, or the time is over."""
        given, clock = self.given, self.clock
        began = clock.monotonic_s()
        tally = Tally()
        try:
            with Bar(self.console, clock, "vends", given.vends) as bar:
                for verdict in carry_out_all(self._orders(tally, began), given.workers):
                    tally.add(verdict)
                    if verdict.findings:
                        self._say(f"seed {verdict.life.seed}: {'; '.join(verdict.findings)}")
                        self._say(f"  again: {replay_command(verdict)}")
                    rate = tally.vends / max(clock.monotonic_s() - began, 1e-9)
                    hit = coverage.share(tally.cells)
                    bar.advance(verdict.vends, f"{rate:.0f}/s, {hit:.0%} of the cells")
        except BaseException:
            given.write = None  # what it found until then is told, and is no whole run's
            raise
        finally:
            self.broken += len(tally.broken)
            seconds = clock.monotonic_s() - began
            lines = soak_page.swarm_lines(tally, seconds, CUSTOMERS, given.workers)
            self._tell("swarm", list(lines))

    def _orders(self, tally: Tally, began: float) -> Iterator[Order]:
        seed = self.given.seed
        limit = None if self.given.minutes is None else self.given.minutes * 60.0
        while tally.vends < self.given.vends:
            if limit is not None and self.clock.monotonic_s() - began > limit:
                return
            yield Order(seed, CUSTOMERS)
            seed += 1

    def instants(self) -> None:
        """End every story at every one of its instants."""
        given = self.given
        began = self.clock.monotonic_s()
        stride = max(1, given.stride)
        work = soak_instants.jobs(stride, given.images)
        done = Instants()
        total = sum(len(job.numbers) for job in work)
        with Bar(self.console, self.clock, "instants", total) as bar:
            for job, verdicts in zip(
                work, soak_instants.carry_out(work, given.workers), strict=True
            ):
                done.add(job, verdicts)
                bar.advance(len(verdicts))
        self.broken += len(done.broken)
        table = Table("story", "link", "cut", "instants", "broken promises")
        for (name, link, how), row in done.rows.items():
            table.add_row(name, link, how.value, str(row.cuts), str(row.broken))
        self.console.print(table)
        for line in done.broken[:SHOWN]:
            self._say(line)
        seconds = self.clock.monotonic_s() - began
        self._tell("instants", list(soak_page.instants_lines(done, seconds, stride, given.images)))

    def kills(self) -> None:
        """Kill a real vendd at each of its writes and syncs: the model of the disk is honest.

        Then at each type of record and each kind of act, of which the tests have a day's share.
        """
        began = self.clock.monotonic_s()
        stride = max(1, self.given.stride)
        rows = soak_kills.kill_at_every_call(self.console, self.clock, CONFIG, stride)
        self.broken += sum(len(row.problems) for row in rows)
        seconds = self.clock.monotonic_s() - began
        self._tell("kills", list(soak_kills.kills_lines(rows, seconds, stride)))
        self._kills_of_the_tests()

    def _kills_of_the_tests(self) -> None:
        if not (ROOT / KILLS[0]).is_file():
            self._say("no kills at records and acts here: they come with the tests")
            return
        for day in KILL_DAYS:
            self._tests(KILLS, VENDD_KILLS_DAY=str(day))

    def _tests(self, names: Sequence[str], **environment: str) -> None:
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *names]
        done = subprocess.run(  # noqa: S603 - ours
            command, cwd=ROOT, env={**os.environ, **environment}, check=False
        )
        self.broken += done.returncode != 0

    def fleet(self) -> None:
        """Kill whatever stands between a machine and its fleet; then play every fault there is."""
        if not (ROOT / FAULTS).is_file():
            self._say("no faults between machine and fleet here: they come with the tests")
            return
        began, given = self.clock.monotonic_s(), self.given
        rows = soak_fleet.kill_between(
            self.console, self.clock, ROOT, given.seed, given.fleet_minutes
        )
        self.broken += sum(len(row.problems) for row in rows)
        seconds = self.clock.monotonic_s() - began
        self._tell("fleet", list(soak_fleet.fleet_lines(rows, seconds)))
        self._tests([FAULTS], VENDD_FAULT_SEEDS=str(FAULT_SEEDS))

    def mutants(self) -> None:
        """Hunt the planted bugs; they are in the tests, and in nothing that is installed."""
        if not (ROOT / "tests" / "mutants").is_dir():
            self._say("no planted bugs here: they come with the tests")
            return
        command = [sys.executable, "-m", "tests.mutants.check", "--json"]
        command += ["--workers", str(self.given.workers)]
        done = subprocess.run(  # noqa: S603 - this Python, and a module of this project
            command, cwd=ROOT, stdout=subprocess.PIPE, check=False
        )
        found: list[dict[str, Any]] = json.loads(done.stdout)
        self.broken += sum(not row["found"] for row in found)
        self._tell("mutants", list(soak_page.mutants_lines(found)))

    def _tell(self, name: str, lines: list[str]) -> None:
        """Show what a part came to, and write it into the page."""
        for line in lines:
            self.console.print(line, markup=False, highlight=False, soft_wrap=True)
        page = self.given.write
        if page is not None:
            text = page.read_text(encoding="utf-8")
            page.write_text(soak_page.replace_block(text, name, lines), encoding="utf-8")

    def _say(self, line: str) -> None:
        self.console.print(line, style="red", markup=False, soft_wrap=True)


def main(arguments: list[str] | None = None) -> int:
    """Run the proof."""
    parser = argparse.ArgumentParser(prog="./run soak", description=__doc__)
    parser.add_argument("--only", choices=PARTS, action="append", help="this part; may be repeated")
    parser.add_argument("--vends", type=int, default=1_000_000, help="of the swarm (a million)")
    parser.add_argument("--minutes", type=float, help="the swarm ends after so long at the latest")
    parser.add_argument("--seed", type=int, default=1, help="the swarm's first seed")
    parser.add_argument("--stride", type=int, default=1, help="take every N-th instant (1: all)")
    parser.add_argument(
        "--images", type=int, default=3, help="disk images of each power cut (0: kills alone)"
    )
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--fleet-minutes", type=float, default=30.0, help="of kills around a fleet")
    parser.add_argument("--write", type=Path, help="put the figures into this page")
    given = parser.parse_args(arguments)
    parts: Sequence[str] = given.only or PARTS
    if given.write is not None:
        try:
            page = given.write.read_text(encoding="utf-8")
            for part in parts:
                soak_page.replace_block(page, part, [])
        except (OSError, ValueError) as error:
            parser.error(f"{given.write}: {error}")
    quietly()
    soak = Soak(given, Console(highlight=False))
    try:
        with stopped_by_term():
            for part in parts:
                getattr(soak, part)()
    except KeyboardInterrupt:
        soak.console.print("stopped before its end")
        return 1 if soak.broken else INTERRUPTED
    return 1 if soak.broken else 0


if __name__ == "__main__":
    sys.exit(main())
