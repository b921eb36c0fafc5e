"""Kill one kind of process between machine and database again and again, and compare both ends."""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Final

from benchmarks.children.given import given, hand_back
from benchmarks.children.killed_books import Compared
from benchmarks.children.killed_machine import ENOUGH
from cloud.contract.topics import Address
from cloud.fleet.database import FleetDatabase
from cloud.fleet.home import Home
from tests.fleet.crew import Crew
from tests.fleet.servers import Mosquitto, Postgres, bridge, running

LIMIT_S: Final = 120.0  # until there is progress again
HURRY_S: Final = 1.0  # between two words to the link that somebody waits
SPREAD_S: Final = 1.0  # a kill is this long behind the sign of life, at most
DOWN_S: Final = 0.5  # a killed process is away for so long, at most
IN_RECOVERY: Final = 0.25  # of the kills do not wait for progress since the last one
Strike = Callable[[], Awaitable[None]]


class Machine:
    """The machine's process, and what it has said."""

    def __init__(self, crew: Crew, address: Address, folder: Path) -> None:
        self.address = address
        self.folder = folder
        self.port = crew.broker.port
        self.home: Path | None = crew.home
        self.acked = 0
        self.durable = (0, "")
        self.told: list[tuple[int, str]] = []  # before each end: number and hash
        self.accounts: dict[str, int] = {}
        self._process: Process | None = None
        self._hearing: asyncio.Task[None] | None = None
        self._moved = asyncio.Event()
        self._sells = True

    async def start(self) -> None:
        """Start it, on the disk that it has."""
        command = [
            sys.executable, "-m", "benchmarks.children.killed_machine",
            "--folder", str(self.folder), "--port", str(self.port),
            "--tenant", self.address.tenant, "--machine", self.address.machine,
        ]  # fmt: skip
        if self.home is not None:
            command += ["--home", str(self.home)]
        with self.folder.with_suffix(".log").open("ab") as words:
            self._process = await asyncio.create_subprocess_exec(
                *command, stdin=PIPE, stdout=PIPE, stderr=words
            )
        self._hearing = asyncio.create_task(self._hear(self._process))

    async def _hear(self, process: Process) -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            if line.startswith(b"{"):
                self.accounts = json.loads(line)
            elif line == ENOUGH:
                self._sells = False
            elif line.endswith(b"\n"):  # the last one of a killed process may be cut off
                seq, digest, acked = line.decode().split()
                self.durable, self.acked = (int(seq), digest), int(acked)
            self._moved.set()

    def _say(self, word: str) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(f"{word}\n".encode())

    async def kill(self) -> None:
        """SIGKILL. What it said until then must be there later."""
        assert self._process is not None
        self._process.kill()
        await self._gone()

    async def _gone(self) -> None:
        assert self._process is not None
        assert self._hearing is not None
        await self._hearing
        await self._process.wait()
        if self.durable[0]:
            self.told.append(self.durable)

    async def until(self, holds: Callable[[], bool]) -> None:
        """Return when something holds that it has said; it is in a hurry meanwhile."""
        async with asyncio.timeout(LIMIT_S):
            while not holds():
                if self._hearing is None or self._hearing.done():
                    log = self.folder.with_suffix(".log").read_text(errors="replace")
                    raise AssertionError(f"the machine has ended: {log[-2_000:]}")
                self._moved.clear()
                try:
                    async with asyncio.timeout(HURRY_S):
                        await self._moved.wait()
                except TimeoutError:
                    self._say("hurry")

    async def progress(self) -> None:
        """Return when the fleet has acknowledged more than it had."""
        before = self.acked
        await self.until(lambda: self.acked > before)

    async def end(self) -> None:
        """Have it sell no more, wait until the fleet has all, and stop it in order."""
        self._say("enough")
        await self.until(lambda: not self._sells and self.acked == self.durable[0])
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._gone()


class Scene:
    """A fleet, one machine that sells, and what can be killed.

    Args:
        crew: The fleet's processes.
        machine: The machine.
        chance: Draws the moments.
    """

    def __init__(self, crew: Crew, machine: Machine, chance: random.Random) -> None:
        self.crew = crew
        self.machine = machine
        self.chance = chance
        self.local: Mosquitto | None = None  # the bridge beside the machine
        self.waiting: list[int] = []  # records that were not acknowledged, at each kill

    async def _away(self) -> None:
        await asyncio.sleep(self.chance.uniform(0, DOWN_S))

    async def broker(self) -> None:
        """Kill the fleet's broker. Every other one loses its memory."""
        broker = self.crew.broker
        await asyncio.to_thread(broker.kill)
        self.crew.remember(self.chance.random() < 0.5)
        await self._away()
        await asyncio.to_thread(broker.start)

    async def server(self) -> None:
        """Kill the server, or one of its workers."""
        worker = self.chance.choice([*self.crew.workers.values()])
        await asyncio.to_thread(worker.kill)
        await self._away()
        worker.start()

    async def machine_itself(self) -> None:
        """Kill the machine."""
        await self.machine.kill()
        await self._away()
        await self.machine.start()

    async def bridge(self) -> None:
        """Kill the bridge. Every other one loses its memory."""
        assert self.local is not None
        await asyncio.to_thread(self.local.kill)
        if self.chance.random() < 0.5:
            (self.local.folder / "mosquitto.db").unlink(missing_ok=True)
        await self._away()
        await asyncio.to_thread(self.local.start)

    async def any_two(self) -> None:
        """Kill two of them at once, or nearly."""
        strikes: list[Strike] = [self.broker, self.server, self.machine_itself, self.bridge]
        await asyncio.gather(*(strike() for strike in self.chance.sample(strikes, 2)))

    async def play(self, strike: Strike, kills: int, seconds: float) -> None:
        """Kill so often, or for so long, at moments that are drawn."""
        await self.machine.progress()
        end = time.monotonic() + seconds
        while len(self.waiting) < kills and time.monotonic() < end:
            if self.chance.random() >= IN_RECOVERY:
                await self.machine.progress()
            await asyncio.sleep(self.chance.uniform(0, SPREAD_S))
            self.waiting.append(self.machine.durable[0] - self.machine.acked)
            await strike()
        await self.machine.end()


def _bridged(crew: Crew, address: Address) -> Mosquitto:
    """Make a bridge with the machine's own certificate."""
    certificate, key = Home(crew.home).machine_files(address)
    return bridge(
        crew.home.parent / "local",
        crew.broker.port,
        address,
        f"bridge_cafile {crew.home / 'tls' / 'ca.pem'}",
        f"bridge_certfile {certificate}",
        f"bridge_keyfile {key}",
    )


@asynccontextmanager
async def scene(kind: str, folder: Path, seed: int) -> AsyncIterator[tuple[Scene, FleetDatabase]]:
    """Start a fleet and its machine, everything that this kind of kill needs."""
    async with AsyncExitStack() as stack:
        url = "sqlite+aiosqlite:///fleet.db"
        if kind == "worker":
            postgres = Postgres()
            stack.callback(postgres.remove)
            await asyncio.to_thread(stack.enter_context, running(postgres))
            url = postgres.make_database("fleet")
        crew = await asyncio.to_thread(Crew, folder / "home", url)
        stack.callback(crew.end)
        await asyncio.to_thread(crew.broker.start)
        if kind == "worker":
            crew.hire("w1")
            crew.hire("w2")
        else:
            crew.hire("serve", how="serve")
        await crew.ready()
        address = await asyncio.to_thread(crew.add, "m1")
        machine = Machine(crew, address, folder / "disk")
        machine.folder.mkdir()
        made = Scene(crew, machine, random.Random(seed))
        if kind in ("bridge", "two"):
            made.local = _bridged(crew, address)
            await asyncio.to_thread(stack.enter_context, running(made.local))
            machine.port, machine.home = made.local.port, None
        where = url.replace("///", f"///{crew.home}/") if kind != "worker" else url
        database = FleetDatabase(where)
        stack.push_async_callback(database.close)
        await machine.start()
        stack.push_async_callback(_end, machine)
        yield made, database


async def _end(machine: Machine) -> None:
    with suppress(ProcessLookupError):
        await machine.kill()


async def measure(kind: str, folder: Path, kills: int, seconds: float, seed: int) -> dict[str, int]:
    """Kill, and compare."""
    async with scene(kind, folder, seed) as (made, database):
        strikes: dict[str, Strike] = {
            "broker": made.broker,
            "server": made.server,
            "worker": made.server,
            "machine": made.machine_itself,
            "bridge": made.bridge,
            "two": made.any_two,
        }
        await made.play(strikes[kind], kills, seconds)
        machine = made.machine
        found = await Compared(
            database, machine.address, machine.folder, machine.told, machine.accounts
        ).compare()
    return {**found, "kills": len(made.waiting), "waiting": min(made.waiting)}


def main() -> None:
    """Measure, and print what was found."""
    options = given(__doc__, kind=str, folder=Path, kills=int, seconds=float, seed=int)
    found = measure(options.kind, options.folder, options.kills, options.seconds, options.seed)
    hand_back(asyncio.run(found))


if __name__ == "__main__":
    main()
