"""The second act: a broker, a server, and machines with real vendds that belong to them."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import sys
import tempfile
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from cloud.fleet import registry, reports
from cloud.fleet.database import FleetDatabase
from controller.clock import SystemClock
from simulator.demo import tables
from simulator.demo.ledgers import Compared, compare_machine
from simulator.demo.performance import WENT_WRONG, Performance
from simulator.demo.scenes import Scene
from simulator.demo.stage import PATIENCE_S, Stage, StoryError
from simulator.demo.stories import Story
from simulator.demo.teller import Tone
from simulator.demo.verdict import Verdict
from simulator.fleet import books
from simulator.fleet.site import Site, SiteError
from simulator.rig import BUSY_MS, Rig, RigError, RigOptions

WRONG: Final = (*WENT_WRONG, SiteError)
WEEK_DAYS: Final = 7
WEEK_SEED: Final = 1
WEEK_LIMIT_S: Final = 300.0  # on a slow machine, and beside the first act
CATCH_UP_LIMIT_S: Final = 60.0
LOOK_S: Final = 0.01
_LINK: Final = re.compile(r'(?m)^link = "[^"]*"')
_ID: Final = re.compile(r'(?m)^id = "[^"]*"')


@dataclass(frozen=True, slots=True)
class CatchUp:
    """How a machine came back after a week."""

    past: Mapping[str, Any]
    records: int
    seconds: float
    amiss: tuple[str, ...]  # what the comparison at its start has found


class Week:
    """The week of one machine, lived beside the first act in a process of its own."""

    def __init__(self, config: Path, folder: Path, days: float = WEEK_DAYS) -> None:
        """Keep the names; nothing runs yet."""
        self.config = config
        self.folder = folder
        self.days = days
        self._process: Process | None = None

    async def begin(self) -> None:
        """Begin to live it, behind whoever is in a hurry."""
        self._process = await asyncio.create_subprocess_exec(
            "nice", "-n", "5", sys.executable, "-m", "simulator", "live", "--json",
            "--config", str(self.config), "--dir", str(self.folder),
            "--days", str(self.days), "--seed", str(WEEK_SEED),
            stdin=asyncio.subprocess.DEVNULL, stdout=PIPE, stderr=PIPE, process_group=0,
        )  # fmt: skip

    @property
    def over(self) -> bool:
        """Tell whether it has been lived."""
        return self._process is not None and self._process.returncode is not None

    async def end(self) -> dict[str, Any]:
        """Wait until it is lived; return what is left of it. Raises RigError."""
        assert self._process is not None, "it has begun"
        async with asyncio.timeout(WEEK_LIMIT_S):
            said, words = await self._process.communicate()
        if self._process.returncode != 0:
            raise RigError(f"the week: {words.decode(errors='replace').strip()[-500:]}")
        found: dict[str, Any] = json.loads(said)
        return found

    async def abandon(self) -> None:
        """End it, wherever it is."""
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()


class Fleet:
    """The second act.

    Args:
        config: The machine's file, of which each machine has its own copy.
        console: Where it is told.
        speed: How much faster than life the worlds are.
        scenes: What is played.
        home: Everything happens in a new folder below it; None: one that goes at the end.
        link: How the machines' buses are reached, instead of what the file says.
        hurry: For nobody who reads.
        days: How long a machine that comes back has been alone.
    """

    def __init__(
        self,
        config: Path,
        console: Console,
        speed: float,
        scenes: Sequence[Scene],
        home: Path | None = None,
        *,
        link: str | None = None,
        hurry: bool = False,
        days: float = WEEK_DAYS,
    ) -> None:
        self._days = days
        self._config = config
        self._console = console
        self._speed = speed
        self._scenes = scenes
        self._given = home
        self._link = link
        self._hurry = hurry
        self._clock = SystemClock()
        self._stack = AsyncExitStack()
        self._performances: dict[str, Performance] = {}
        self._catch_up: CatchUp | None = None
        self.mark = 0  # the last record before the scene
        self.verdicts: list[Verdict] = []
        self.compared: list[Compared] = []
        self.problems: list[str] = []

    async def __aenter__(self) -> Fleet:
        """Begin the week, which takes its time."""
        if self._given is None:
            self.home = Path(tempfile.mkdtemp(prefix="vendd-fleet-"))
            self._stack.callback(shutil.rmtree, self.home, ignore_errors=True)
        else:
            self.home = _new_folder(self._given)
        self._weeks: dict[str, Week] = {}
        try:
            for name in {scene.machine for scene in self._scenes if scene.lived}:
                week = self._weeks[name] = Week(self._file_of(name), self.home / name, self._days)
                self._stack.push_async_callback(week.abandon)
                await week.begin()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """End every process."""
        await self._stack.aclose()

    @property
    def good(self) -> bool:
        """Tell whether every scene holds, and every machine's books."""
        return (
            not self.problems
            and len(self.verdicts) == len(self._scenes)
            and all(verdict.good for verdict in self.verdicts)
            and len(self.compared) == len({scene.machine for scene in self._scenes})
            and all(one.equal for one in self.compared)
        )

    # ---------------------------------------------------------------------------- the act

    async def play(self) -> None:
        """Put the fleet up, play the scenes, compare the books."""
        try:
            await self._put_up()
            for number, scene in enumerate(self._scenes, 1):
                await self._scene(scene, number)
            for name in dict.fromkeys(scene.machine for scene in self._scenes):
                self.compared.append(await self._compare(name, self._performances[name]))
        except* (*WRONG, TimeoutError) as errors:
            self.problems += [str(error) or type(error).__name__ for error in _each(errors)]

    async def _put_up(self) -> None:
        names = list(dict.fromkeys(scene.machine for scene in self._scenes))
        self.site = Site(self.home)
        await self._stack.enter_async_context(self.site)
        self.database: FleetDatabase = self.site.database()
        self._stack.push_async_callback(self.database.close)
        now = datetime.now(UTC)  # noqa: TID251 - of a shell that adds machines
        for name in names:
            await registry.add(self.database, self.site.home, self.site.address(name), now)
        async with asyncio.TaskGroup() as group:
            for name in names:
                if name not in self._weeks:
                    group.create_task(self._start_selling(name))

    async def _start_selling(self, name: str) -> None:
        await (await self._start(name)).start_vendd()

    async def _start(self, name: str, *, state: Path | None = None) -> Rig:
        """Start a machine's world, and on it a vendd that knows its fleet."""
        options = RigOptions(
            self._file_of(name),
            home=self.home / name,
            speed=self._speed,
            edits={"[machine]\n": self.site.section(name) + "[machine]\n"},
            state=state,
            heartbeat_ms=BUSY_MS,
        )
        rig = await self._stack.enter_async_context(Rig(options))
        performance = Performance(rig, self._console, hurry=self._hurry)
        await self._stack.enter_async_context(performance.told())
        self._performances[name] = performance
        return rig

    def _file_of(self, name: str) -> Path:
        path = self.home / f"{name}.toml"
        if not path.exists():
            text = _ID.sub(f'id = "{name}"', self._config.read_text(encoding="utf-8"), count=1)
            if self._link is not None:
                text = _LINK.sub(f'link = "{self._link}"', text, count=1)
            path.write_text(text, encoding="utf-8")
        return path

    async def _scene(self, scene: Scene, number: int) -> None:
        if scene.lived and scene.machine not in self._performances:
            await self._come_back(scene.machine)
        performance = self._performances[scene.machine]
        rig = performance.rig
        self.mark = (await rig.api.call("ledger.show"))["seq"]
        story = Story(
            scene.name,
            scene.title,
            scene.who,
            lambda stage: scene.play(self, stage),
            scene.expected,
            scene.by_app,
        )
        of = len(self._scenes)
        self.verdicts.append(await performance.story(story, number, of, scene.machine))

    async def _come_back(self, name: str) -> None:
        """A week is over: world and journal are taken over, and the network is there again."""
        week = self._weeks[name]
        if not week.over:
            self._console.print(f"The week of {name} is still being lived ...", style="dim")
        past = await week.end()
        rig = await self._start(name, state=Path(past["state"]))
        rig.staff_paid_claim(past["by_hand"])
        rig.left_behind(past["left_behind"])
        watching = asyncio.create_task(self._watch(name, past["records"]))
        try:
            await rig.start_vendd()
            async with asyncio.timeout(CATCH_UP_LIMIT_S):
                seconds = await watching
        finally:
            watching.cancel()
        balances = {
            row["account"]: row["debit"] - row["credit"]
            for row in (await rig.api.call("ledger.show"))["accounts"]
            if row["debit"] != row["credit"]
        }
        flagged = [
            record["type"]
            for record in await rig.api.journal(past["records"])
            if record["type"] == "review.flagged"
        ]
        amiss = tuple(
            f"{account}: {past['balances'].get(account, 0)} before, {balances.get(account, 0)} now"
            for account in sorted({*balances, *past["balances"]})
            if balances.get(account, 0) != past["balances"].get(account, 0)
        )
        self._catch_up = CatchUp(past, past["records"], seconds, (*amiss, *flagged))

    async def _watch(self, name: str, records: int) -> float:
        """Return how long it took from its being online to its last record in the database."""
        address = self.site.address(name)
        online: float | None = None
        while True:
            count, is_online = await books.stored_and_online(self.database, address)
            now = self.now()
            if online is None and (is_online or count):
                online = now
            if count >= records:
                return max(now - (online or now), LOOK_S)
            await asyncio.sleep(LOOK_S)

    async def _compare(self, name: str, performance: Performance) -> Compared:
        rig = performance.rig
        await rig.settled()
        await self.until_stored(name, (await rig.api.call("ledger.show"))["seq"])
        return await compare_machine(rig, self.database, self.site.address(name))

    def close(self, took_s: float) -> None:
        """Print the closing table and the last word."""
        console = self._console
        teller = next(iter(self._performances.values())).teller if self._performances else None
        if teller is not None and self.compared:
            tables.fleet(console, teller, self.compared)
        for problem in self.problems:
            console.print(problem, style=Tone.BAD.value, markup=False, highlight=False)
        console.print(self._last_word(took_s), style=(Tone.GOOD if self.good else Tone.BAD).value)

    def _last_word(self, took_s: float) -> str:
        if self.good:
            many = len(self.compared)
            machines = f"{many} machines" if many > 1 else "One machine"
            return f"{machines}: cloud, ledger and truth are equal, to the cent ({took_s:.0f} s)."
        failed = [verdict.story for verdict in self.verdicts if not verdict.good]
        failed += [one.machine for one in self.compared if not one.equal]
        what = f"failed: {', '.join(failed)}" if failed else "it could not be played"
        return f"The fleet does not hold: {what} ({took_s:.0f} s)."

    def to_json(self) -> dict[str, Any]:
        """Return scenes and closing table."""
        found = self._catch_up
        return {
            "ok": self.good,
            "stories": [verdict.to_json() for verdict in self.verdicts],
            "machines": [one.to_json() for one in self.compared],
            "caught_up": None
            if found is None
            else {"records": found.records, "seconds": round(found.seconds, 3)},
            "problems": self.problems,
        }

    # ------------------------------------------------------------------------- for scenes

    def now(self) -> float:
        """Return seconds."""
        return self._clock.monotonic_s()

    def rig(self, machine: str) -> Rig:
        """Return a machine's processes."""
        return self._performances[machine].rig

    def tell_catch_up(self, stage: Stage) -> None:
        """Tell how the week went, and the way back. Raises StoryError."""
        found = self._catch_up
        assert found is not None, "only a machine that was away"
        past, say = found.past, stage.teller.caption
        broke = sum(count for fault, count in past["faults"].items() if "." in fault)
        say(
            f"{self._days:g} days: {past['customers']} customers, {past['vends']} vends, "
            f"{broke} faults",
            Tone.FATE,
        )
        if found.amiss:
            raise StoryError(f"its start found a difference: {'; '.join(found.amiss)}")
        say("a real vendd starts: each coin and product is there", Tone.FACT)
        rate = f"{found.records / found.seconds:,.0f} a second"
        say(f"{found.records:,} records in {found.seconds:.2f} s: {rate}", Tone.FACT)

    async def command(self, stage: Stage, machine: str, kind: str, *arguments: str) -> None:
        """Sign a command in the fleet's shell, and wait for what the machine answers."""
        stage.teller.caption(f"vendcloud cmd send {kind} {' '.join(arguments)}", Tone.FATE)
        sent = await self.site.ask(
            "cmd", "send", str(self.site.address(machine)), kind, *arguments, "--as", "demo"
        )
        address = self.site.address(machine)

        async def answered() -> bool:
            lines = await reports.commands(self.database, address)
            outcome = next((line["outcome"] for line in lines if line["id"] == sent["id"]), "")
            if outcome not in ("", "done"):
                raise StoryError(f"{kind}: {outcome}")
            return bool(outcome)

        await self._until(answered, f"an answer to {kind}")
        stage.teller.caption(f"{machine} answers: done", Tone.FACT)

    async def until_stored(self, machine: str, seq: int) -> None:
        """Wait until a record is committed in the fleet's database. Raises StoryError."""
        address = self.site.address(machine)

        async def there() -> bool:
            return await books.stored(self.database, address) >= seq

        await self._until(there, f"record {seq} of {machine} in the fleet's database")

    async def until_sale(
        self, machine: str, wanted: Callable[[dict[str, Any]], object]
    ) -> dict[str, Any]:
        """Wait for a line of ``vendcloud sales`` and return it. Raises StoryError."""
        found: list[dict[str, Any]] = []

        async def there() -> bool:
            lines = await reports.sales(self.database, self.site.address(machine))
            found.extend(line for line in lines if wanted(line))
            return bool(found)

        await self._until(there, f"a sale of {machine} in the fleet's database")
        return found[0]

    async def _until(self, done: Callable[[], Any], what: str) -> None:
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not await done():  # noqa: ASYNC110 - another process's database tells nobody
                    await asyncio.sleep(LOOK_S)
        except TimeoutError as error:
            raise StoryError(f"not within {PATIENCE_S:g} s: {what}") from error


def _new_folder(below: Path) -> Path:
    """Make a folder for this run: a fleet, like a journal, is never made over another one."""
    number = 1
    while True:
        folder = below / (f"fleet-{number}" if number > 1 else "fleet")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            number += 1
        else:
            return folder


def _each(group: BaseExceptionGroup[Any]) -> list[BaseException]:
    found: list[BaseException] = []
    for error in group.exceptions:
        found += _each(error) if isinstance(error, BaseExceptionGroup) else [error]
    return found
