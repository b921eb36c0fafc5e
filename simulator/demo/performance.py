"""One performance: stories one after the other on one machine, each told and judged."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

from rich.console import Console

from controller.clock import SystemClock
from simulator.client import SimulatorError
from simulator.demo import facts, tables
from simulator.demo.stage import Stage, StoryError
from simulator.demo.stories import Story
from simulator.demo.teller import Teller, Tone
from simulator.demo.verdict import Judge, Verdict
from simulator.reckoning import Reckoning
from simulator.rig import Rig, RigError
from simulator.vendd_client import VenddGoneError, VenddRefusedError, VenddWaitError

WENT_WRONG: Final = (
    StoryError, SimulatorError, VenddGoneError, VenddRefusedError, VenddWaitError, RigError,
)  # fmt: skip


class Performance:
    """Stories, and what became of them.

    Args:
        rig: The processes; the simulator runs.
        console: Where it is told.
        hurry: For nobody who reads: no story waits for the last one's words to go.
    """

    def __init__(self, rig: Rig, console: Console, *, hurry: bool = False) -> None:
        self._rig = rig
        self._console = console
        self._hurry = hurry
        self._playing = False
        self._frames: list[tuple[str, ...]] = []
        settings = rig.settings
        names = {product.id: product.name for product in settings.products}
        self.teller = Teller(console, settings.machine.currency, names)
        self.verdicts: list[Verdict] = []
        self.reckoning: Reckoning | None = None
        self.verified: dict[str, Any] = {}

    async def play(self, stories: Sequence[Story]) -> bool:
        """Play stories; returns whether all of them, the ledger and the journal hold."""
        rig = self._rig
        async with self.told():
            self.teller.say("vendd starts ...", Tone.FATE)
            await rig.start_vendd()
            for number, story in enumerate(stories, 1):
                await self.story(story, number, len(stories))
                if rig.api.gone:
                    self.teller.say("vendd has gone: nothing more can be played", Tone.BAD)
                    break
        if not rig.api.gone:
            self.reckoning = await rig.reckoning()
            self.verified = await rig.api.call("journal.verify")
        return self.good and len(self.verdicts) == len(stories)

    @property
    def good(self) -> bool:
        """Tell whether every story played, the ledger and the journal hold."""
        return (
            all(verdict.good for verdict in self.verdicts)
            and self.reckoning is not None
            and self.reckoning.agrees
            and bool(self.verified.get("ok"))
        )

    @contextlib.asynccontextmanager
    async def told(self) -> AsyncIterator[None]:
        """Tell what happens in the world for as long as this lasts."""
        await self._rig.sim.subscribe(["fact", "display"])
        task = asyncio.create_task(self._tell())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    @property
    def rig(self) -> Rig:
        """Return the processes."""
        return self._rig

    async def story(self, story: Story, number: int = 1, of: int = 1, where: str = "") -> Verdict:
        """Play one story on a vendd that sells, while ``told``; returns what became of it."""
        rig, teller, clock = self._rig, self.teller, SystemClock()
        stage = Stage(rig, teller, story.who, hurry=self._hurry)
        verdict = Verdict(story.name, story.title)
        began_s = clock.monotonic_s()
        teller.begin(number, of, story.title, f"{where}: {story.who}" if where else story.who)
        await rig.sim.customer(story.who)
        self._frames.clear()
        try:
            judge = await Judge.begin(rig, story)
            await stage.welcomed()
            self._playing = True
            self._shown((await rig.sim.display()).lines)
            await story.play(stage)
            await stage.settled()
            await stage.takes()
            verdict = await judge.measure(self._frames)
        except WENT_WRONG as error:
            verdict.problems.append(str(error))
            await self._tidy_up()
        self._playing = False
        verdict.took_s = clock.monotonic_s() - began_s
        self.verdicts.append(verdict)
        teller.end(self._summary(verdict), good=verdict.good, details=verdict.problems)
        return verdict

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
        teller.say(self._last_word(took_s), Tone.GOOD if self.good else Tone.BAD)

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

    # -------------------------------------------------------------------------------- inside

    async def _tidy_up(self) -> None:
        """Make the machine fit for the next story after one that failed."""
        rig = self._rig

        async def alive() -> None:
            if rig.api.gone:
                await rig.start_vendd()

        for step in (alive, rig.sim.clear_faults, rig.settled, self._give_back, rig.settled):
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

    def _last_word(self, took_s: float) -> str:
        if self.good:
            many = len(self.verdicts) > 1
            told = f"All {len(self.verdicts)} stories" if many else "The story"
            return f"{told} and the ledger hold, to the cent ({took_s:.0f} s)."
        failed = [verdict.story for verdict in self.verdicts if not verdict.good]
        what = f"failed: {', '.join(failed)}" if failed else "the books do not agree"
        return f"It does not hold: {what} ({took_s:.0f} s)."

    async def _tell(self) -> None:
        async for event in self._rig.sim.events():
            if self._playing and event["kind"] == "display":
                self._shown(event["data"]["lines"])
            elif self._playing and event["kind"] == "fact":
                facts.tell(self.teller, event["data"])

    def _shown(self, lines: Sequence[str]) -> None:
        self._frames.append(tuple(lines))
        self.teller.frame(lines)
