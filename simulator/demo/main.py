"""The command line of the demo, and its run from the first process to the exit status."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from controller.clock import SystemClock
from simulator.client import SimulatorError
from simulator.demo import facts, tables
from simulator.demo.stage import Stage, StoryError
from simulator.demo.stories import STORIES, Story
from simulator.demo.teller import Teller, Tone
from simulator.demo.verdict import Judge, Verdict
from simulator.reckoning import Reckoning
from simulator.rig import Rig, RigError, RigOptions
from simulator.vendd_client import VenddGoneError, VenddRefusedError, VenddWaitError

CONFIG: Final = Path(__file__).parents[2] / "config" / "machines" / "demo.toml"
SPEED: Final = 3.0  # a turn takes 0.7 s: fast enough for an audience, slow enough to be read
EXIT_FAILED: Final = 1
EXIT_INTERRUPTED: Final = 130  # as a shell reports Ctrl-C

WENT_WRONG: Final = (
    StoryError, SimulatorError, VenddGoneError, VenddRefusedError, VenddWaitError, RigError,
)  # fmt: skip


class Demo:
    """One performance.

    Args:
        rig: The processes; the simulator runs.
        console: Where it is told.
        stories: What is played.
    """

    def __init__(self, rig: Rig, console: Console, stories: Sequence[Story]) -> None:
        self._rig = rig
        self._console = console
        self._stories = stories
        settings = rig.settings
        names = {product.id: product.name for product in settings.products}
        self.teller = Teller(console, settings.machine.currency, names)
        self._playing = False
        self.verdicts: list[Verdict] = []
        self.reckoning: Reckoning | None = None
        self.verified: dict[str, Any] = {}

    async def play(self) -> bool:
        """Play every story; returns whether all of them and the ledger hold."""
        rig = self._rig
        async with self._told():
            self.teller.say("vendd starts ...", Tone.FATE)
            await rig.start_vendd()
            for number, story in enumerate(self._stories, 1):
                self.verdicts.append(await self._story(number, story))
                if not rig.api.gone:
                    continue
                self.teller.say("vendd has gone: the other stories can't be played", Tone.BAD)
                break
        if not rig.api.gone:
            self.reckoning = await rig.reckoning()
            self.verified = await rig.api.call("journal.verify")
        return self.good

    @property
    def good(self) -> bool:
        """Tell whether every story, the ledger and the journal hold."""
        return (
            len(self.verdicts) == len(self._stories)
            and all(verdict.good for verdict in self.verdicts)
            and self.reckoning is not None
            and self.reckoning.agrees
            and bool(self.verified.get("ok"))
        )

    def to_json(self, took_s: float) -> dict[str, Any]:
        """Return the closing tables."""
        return {
            "ok": self.good,
            "took_s": round(took_s, 1),
            "currency": self._rig.settings.machine.currency,
            "stories": [verdict.to_json() for verdict in self.verdicts],
            "ledger": [
                {
                    "account": line.name,
                    "words": line.words,
                    "ledger": line.ledger,
                    "truth": line.truth,
                    "equal": line.equal,
                }
                for line in (self.reckoning.lines if self.reckoning else ())
            ],
            "journal": self.verified,
        }

    def close(self, took_s: float) -> None:
        """Print the closing tables and the last word."""
        console, teller = self._console, self.teller
        tables.stories(console, teller, self.verdicts)
        if self.reckoning is not None:
            tables.ledger(console, teller, self.reckoning)
        if self.verified:
            whole = "whole" if self.verified["ok"] else f"damaged: {self.verified['problem']}"
            teller.say(
                f"The journal's {self.verified['records']} records are chained and {whole}.",
                Tone.PLAIN if self.verified["ok"] else Tone.BAD,
            )
        failed = [verdict.story for verdict in self.verdicts if not verdict.good]
        if self.good:
            told = f"All {len(self.verdicts)} stories" if len(self.verdicts) > 1 else "The story"
            holds = "hold" if len(self.verdicts) > 1 else "holds"
            words = f"{told} and the ledger {holds}, to the cent. {took_s:.0f} s"
            teller.say(words, Tone.GOOD)
        else:
            what = f"stories failed: {', '.join(failed)}" if failed else "the books do not agree"
            teller.say(f"It does not hold: {what}. {took_s:.0f} s", Tone.BAD)

    async def _story(self, number: int, story: Story) -> Verdict:
        rig, teller = self._rig, self.teller
        clock = SystemClock()
        stage = Stage(rig, teller, story.who)
        began_s = clock.monotonic_s()
        teller.begin(number, len(self._stories), story.title, story.who)
        await rig.sim.customer(story.who)
        problems: list[str] = []
        verdict = Verdict(story.name, story.title)
        try:
            judge = await Judge.begin(rig, story)
            await stage.welcomed()
            self._playing = True
            teller.frame((await rig.sim.display()).lines)
            await story.play(stage)
            await stage.settled()
            await stage.takes()
            verdict = await judge.measure(teller.frames)
        except WENT_WRONG as error:
            problems.append(str(error))
            await self._tidy_up()
        self._playing = False
        verdict.problems += problems
        verdict.took_s = clock.monotonic_s() - began_s
        teller.end(self._summary(verdict), good=verdict.good, details=verdict.problems)
        return verdict

    async def _tidy_up(self) -> None:
        """Make the machine fit for the next story after one that failed."""
        rig = self._rig

        async def alive() -> None:
            if rig.api.gone:
                await rig.start_vendd()

        steps = (alive, rig.sim.clear_faults, rig.settled, self._give_back, rig.settled)
        for step in steps:
            with contextlib.suppress(*WENT_WRONG):
                await step()

    async def _give_back(self) -> None:
        await self._rig.api.act("credit.return")

    def _summary(self, verdict: Verdict) -> str:
        money, parts = self.teller.money, []
        if verdict.paid_in:
            parts.append(f"paid in {money(verdict.paid_in)}")
        parts += [f"got {self.teller.product(product)}" for product in verdict.products]
        if verdict.paid_back:
            parts.append(f"paid back {money(verdict.paid_back)} ({' + '.join(verdict.ways)})")
        return ", ".join(parts) or "nothing paid, nothing owed"

    @asynccontextmanager
    async def _told(self) -> AsyncIterator[None]:
        """Tell what happens in the world for as long as this lasts."""
        sim = self._rig.sim
        await sim.subscribe(["fact", "display"])
        task = asyncio.create_task(self._tell())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _tell(self) -> None:
        async for event in self._rig.sim.events():
            if event["kind"] == "display":
                if self._playing:
                    self.teller.frame(event["data"]["lines"])
            elif event["kind"] == "fact" and self._playing:
                facts.tell(self.teller, event["data"])


def main(arguments: Sequence[str] | None = None, stories: Sequence[Story] = STORIES) -> int:
    """Run the demo; returns 0 only if every story and the ledger hold."""
    given = _parser(stories).parse_args(arguments)
    if given.list:
        for story in stories:
            print(f"{story.name:16} {story.title}")
        return 0
    chosen = [story for story in stories if not given.story or story.name in given.story]
    console = Console(stderr=given.json, highlight=False)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal without a euro sign gets a ?
    try:
        return asyncio.run(_perform(given, chosen, console))
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except RigError as error:
        sys.stderr.write(f"demo: {error}\n")
        return EXIT_FAILED


async def _perform(given: argparse.Namespace, stories: Sequence[Story], console: Console) -> int:
    clock = SystemClock()
    began_s = clock.monotonic_s()
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    options = RigOptions(given.config, home=given.dir, link=given.link, speed=given.speed)
    try:
        async with Rig(options) as rig:
            demo = Demo(rig, console, stories)
            demo.teller.say(
                f"A simulated machine at {given.speed:g} x the speed of life, and vendd on it; "
                f"the display and all bytes are real ({rig.hello.link} link).",
                Tone.PLAIN,
            )
            good = await demo.play()
            took_s = clock.monotonic_s() - began_s
            demo.close(took_s)
            if given.json:
                print(json.dumps(demo.to_json(took_s), indent=2, ensure_ascii=False))
    except asyncio.CancelledError:
        return EXIT_INTERRUPTED
    return 0 if good else EXIT_FAILED


def _parser(stories: Sequence[Story]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="./run demo",
        description="Start a simulated machine and a vendd on it, and play stories through the "
        "real bytes. Ends with 0 only if every story and the ledger hold.",
    )
    parser.add_argument(
        "--story",
        action="append",
        metavar="NAME",
        choices=[story.name for story in stories],
        help="play this one only; may be given again",
    )
    parser.add_argument("--list", action="store_true", help="say which stories there are")
    parser.add_argument("--json", action="store_true", help="print the closing tables as JSON")
    parser.add_argument("--link", choices=("adapter", "native"), help="how the bus is reached")
    parser.add_argument(
        "--speed", type=float, default=SPEED, metavar="N", help="times the speed of life"
    )
    parser.add_argument("--config", type=Path, default=CONFIG, metavar="FILE")
    parser.add_argument(
        "--dir", type=Path, metavar="DIR", help="run here, and leave journal and logs behind"
    )
    return parser
