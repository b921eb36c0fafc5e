"""SIGKILL of a real vendd at each call that changes its disk, to show that the model is honest.

One scene after the other on one machine: vendd runs under ``simulator.tracer``, which ends it at
the N-th write, sync or change of a name after the scene began. What was really done to the disk
is then done to the modelled one (``simulator.disk``), and both are asked:

* the files left are, byte for byte, those that the model says a killed process leaves;
* every record that vendd had told anybody of is in the real journal, and in the journal that opens
  from each image of the model, were the power cut at this instant;
* no image holds a record that the real journal does not;
* the next vendd recovers, and its ledger equals the physical truth to the cent.
"""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from controller.faults import JournalError
from controller.journal.ballast import BALLAST_FILE
from controller.journal.beginning import BootInfo
from controller.journal.records import REGISTRY
from controller.journal.sqlite_aio import DirectoryStorage
from controller.journal.store import Journal
from controller.journal.verify import verify_storage
from controller.state.fold import StateFold
from simulator.client import SimulatorError
from simulator.clock import VirtualClock
from simulator.disk import Disk
from simulator.disk_sqlite import DiskStorage
from simulator.real_machines import MACHINES, Killed
from simulator.rig import QUIET_S, Rig, Vendd
from simulator.tracer import DiskCall, read_log
from simulator.vendd_client import VenddGoneError

UP_S: Final = 90.0  # a reader that is asked about its last vend takes up to 20 s
SCENE_S: Final = 60.0
LOW: Final = 2  # products of a column, before somebody fills it
FILL: Final = 30  # coins in each tube when somebody has been there
LEAST_IN_TUBES: Final = 2_500  # minor units: bills are taken only while they can be changed
IMAGES: Final = 4  # nothing kept, everything kept, and two that are drawn
KILLED: Final = 128 + 9


@dataclass(slots=True)
class Found:
    """What one kill came to."""

    scene: str
    number: int  # of the call that was not made any more
    reached: bool = True  # the scene was over before, otherwise
    after: str = ""  # the last call that was made
    calls: int = 0  # by this vendd, since it started
    images: int = 0  # of the model, opened
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Left:
    """What one killed vendd has left.

    Args:
        before: The journal's files when that vendd started.
        calls: What it did to them.
        told: The last record that it told anybody of.
    """

    before: Mapping[str, bytes]
    calls: Sequence[DiskCall]
    told: int


class CallKiller:
    """Kills vendds of one machine at their calls.

    Args:
        rig: A machine; nothing runs on it yet.
        machine: Which of them it is.
        seed: Draws the images.
    """

    def __init__(self, rig: Rig, machine: Killed = MACHINES["money"], seed: int = 1) -> None:
        self._rig = rig
        self._machine = machine
        self._seed = seed
        self._folder = Path(rig.settings.journal.folder)
        self._log = rig.home / "calls.log"
        self._armed = rig.home / "armed"
        self.last: Left | None = None  # what ``examine`` was given last
        self._calls = 0  # of the last scene that came to its end

    async def begin(self) -> None:
        """Let a first vendd count what is in the machine."""
        if self._machine.before is not None:
            await self._machine.before(self._rig)
        vendd = await self._rig.start_vendd()
        await vendd.stop()

    async def count(self, scene: str) -> int:
        """Return how many calls a scene makes when nobody ends it."""
        await self._play(scene, 0)
        return self._calls

    async def kill(self, scene: str, number: int) -> Found:
        """Play a scene, end vendd at one of its calls, and look at what is left."""
        before = _files(self._folder)
        told, ended = await self._play(scene, number)
        found = Found(scene, number, reached=ended)
        if not ended:
            return found
        self.last = Left(before, read_log(self._log), told)
        await self.examine(found, self.last)
        return found

    async def examine(self, found: Found, left: Left) -> None:
        """Compare the disk that a killed vendd has left with what the model says."""
        calls, told = left.calls, left.told
        found.calls = len(calls)
        if calls:
            found.after = f"{calls[-1].call} {calls[-1].name}"
        disk = model_of(left.before, calls)
        found.problems += _differences(_files(self._folder), disk)
        real = await verify_storage(DirectoryStorage(self._folder), StateFold(), REGISTRY)
        if not real.ok:
            found.problems.append(f"the journal: {real.problem}")
        if real.last_good < told:
            found.problems.append(f"{told} was told, the journal ends at {real.last_good}")
        rng = random.Random(self._seed * 1_000_003 + found.number)
        for image in disk.images(rng, IMAGES):
            found.images += 1
            try:
                last = await self._last_in(image)
            except JournalError as error:
                found.problems.append(f"an image does not open; {told} was told: {error}")
                continue
            if not told <= last <= real.last_good:
                found.problems.append(
                    f"an image ends at {last}; {told} was told, {real.last_good} written"
                )

    async def finish(self) -> list[str]:
        """Start a vendd that nobody ends; returns what is wrong then."""
        vendd = await self._rig.start_vendd()
        problems = await self._in_order()
        await vendd.stop()
        return problems

    async def _play(self, scene: str, number: int) -> tuple[int, bool]:
        """Play a scene on a fresh vendd; returns the last record told, and whether it was killed.

        Raises:
            AssertionError: Recovery from the kill before left something wrong.
        """
        rig = self._rig
        self._armed.unlink(missing_ok=True)
        vendd = await rig.start_vendd(
            selling=False,
            under=(
                sys.executable, "-m", "simulator.tracer", "--folder", str(self._folder),
                "--log", str(self._log), "--armed", str(self._armed), "--kill-at", str(number),
                "--",
            ),
        )  # fmt: skip
        up = ("idle", "credit", "out_of_service")
        await vendd.api.until(lambda api: api.mode in up, "it is up", UP_S)
        problems = await self._in_order()
        assert not problems, "; ".join(problems)
        await self._mend()
        self._armed.touch()
        playing = asyncio.ensure_future(self._to_its_end(scene))
        dying = asyncio.ensure_future(vendd.process.wait())
        try:
            async with asyncio.timeout(SCENE_S):
                await asyncio.wait({playing, dying}, return_when=asyncio.FIRST_COMPLETED)
                if not dying.done() and playing.exception() is not None:
                    await dying  # it went away, as it should
        except TimeoutError as error:
            last = [record["type"] for record in rig.api.records[-12:]]
            said = f"mode {rig.api.mode}, display {rig.api.screen}, records {last}"
            raise AssertionError(f"{scene}, call {number}: {said}, {playing}") from error
        finally:
            killed = dying.done()
            for task in (playing, dying):
                task.cancel()
            with suppress(asyncio.CancelledError, VenddGoneError, SimulatorError):
                await playing
        if not killed:
            self._calls = read_log(self._log)[-1].number
            await vendd.stop()
        else:
            await self._heard_out(vendd)
            assert vendd.process.returncode == KILLED
        told = max((record["seq"] for record in vendd.api.records), default=0)
        return told, killed

    async def _heard_out(self, vendd: Vendd) -> None:
        """Take the last words that a vendd said before it died."""
        await vendd.api.until(lambda api: api.gone, "its last words", SCENE_S)
        await vendd.api.close()

    async def _to_its_end(self, scene: str) -> None:
        await self._machine.scenes[scene](self._rig)
        problems = await self._in_order()
        assert not problems, "; ".join(problems)

    async def _in_order(self) -> list[str]:
        """Have a customer ask for what is left; returns where ledger and truth differ."""
        rig = self._rig
        await rig.settled(UP_S)
        if (await rig.api.call("credit.show"))["total"]:
            await rig.api.act("credit.return")
            await rig.settled(UP_S)
        return await self._machine.agree(rig)

    async def _mend(self) -> None:
        """Have a technician set right what the scene before has broken, and fill up."""
        rig = self._rig
        await rig.sim.clear_faults()
        # A machine that refunds again and again stops selling until somebody has been there.
        before = await rig.sim.truth()
        low = self._machine.filled and before.totals.tubes < LEAST_IN_TUBES
        if low or rig.api.mode == "out_of_service":
            await rig.api.act("service.enter")
            for value, there in before.tubes.items():
                if low and there < FILL:
                    await rig.sim.fill_tubes(value, FILL - there)
            rig.staff_moved((await rig.sim.truth()).totals.tubes - before.totals.tubes)
            newest = max(record["seq"] for record in rig.api.records)
            await rig.api.act("service.leave")
            if low:
                await rig.api.until_record("tubes.counted", UP_S, after=newest)
        await rig.api.until_selling()
        await rig.sim.wait_for(quiet_s=QUIET_S, timeout_s=UP_S)  # its acceptors have been told
        for column in (await rig.api.call("stock.show"))["columns"]:
            name = column["column"]
            if column["disabled"]:
                await rig.sim.unjam(name, home=True)
                await rig.api.act("stock.enable", column=name)
            if column["count"] <= LOW:
                await rig.sim.load(name)
                await rig.api.act("stock.fill", column=name)

    async def _last_in(self, disk: Disk) -> int:
        """Return the last record of the journal that opens from a disk."""
        machine = self._rig.settings.machine
        now = datetime(2026, 1, 1, tzinfo=UTC)
        journal = await Journal.open(
            DiskStorage(disk),
            fold=StateFold(),
            registry=REGISTRY,
            clock=VirtualClock(asyncio.get_running_loop(), now),
            entropy=random.Random(1).randbytes,
            boot=BootInfo(machine.id, machine.currency, "test", "", now),
        )
        last = journal.next_seq - 2  # the start itself is a record
        await journal.close()
        return last


def model_of(before: Mapping[str, bytes], calls: Sequence[DiskCall]) -> Disk:
    """Do to a modelled disk what was done to a real one.

    Args:
        before: The files that were there, and safe.
        calls: What was done to them.
    """
    disk = Disk()
    for name, content in before.items():
        disk.create(name)
        disk.write(name, content, 0)
        disk.sync(name)
    disk.sync_folder()
    disk.settle()
    for call in calls:
        if call.name != BALLAST_FILE:
            _do(disk, call)
        disk.settle()
    return disk


def _do(disk: Disk, call: DiskCall) -> None:
    here = call.name in disk.files
    match call.call:
        case "create":
            disk.create(call.name)
        case "write":
            disk.write(call.name, bytes.fromhex(call.data), call.offset)
        case "truncate" if here:
            disk.truncate(call.name, call.offset)
        case "sync" if here:
            disk.sync(call.name)
        case "sync" if not call.name:
            disk.sync_folder()
        case "remove" if here:
            disk.remove(call.name)
        case "rename" if here:
            disk.rename(call.name, call.other)
        case "link" if here:
            disk.link(call.name, call.other)
        case _:
            pass  # refused: there is no such file


def _files(folder: Path) -> dict[str, bytes]:
    """Return all files but the ballast, which is 8 MiB of nothing."""
    return {
        path.name: path.read_bytes()
        for path in sorted(folder.iterdir())
        if path.is_file() and path.name != BALLAST_FILE
    }


def _differences(real: Mapping[str, bytes], disk: Disk) -> list[str]:
    """Return where the files left differ from those that the model says."""
    problems = []
    for name in sorted(set(real) | set(disk.files)):
        if name not in disk.files or name not in real:
            problems.append(f"{name} is only {'there' if name in real else 'in the model'}")
            continue
        if real[name] != bytes(disk.files[name].data):
            problems.append(f"{name} differs from the model")
    return problems
