"""A simulated machine and a vendd on it, as the real processes that they are.

For stories, end-to-end tests and benchmarks: both run in one folder, each in a process group of its
own with its words in a log file. Readiness is heard, never slept for: the simulator says so on its
standard output, vendd through the service manager's socket. Every process is ended by its id.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import socket
import sys
import tempfile
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from config.machine import MachineSettings
from config.settings import load
from simulator.async_client import AsyncSimClient
from simulator.pulsed import PulsedCoins
from simulator.reckoning import Reckoning, reckon
from simulator.shapes import Hello, TruthView
from simulator.vendd_client import VenddClient

START_LIMIT_S: Final = 90.0  # a bare Raspberry Pi imports for some seconds
STOP_LIMIT_S: Final = 60.0  # vendd ends what is open within 25 s
SIM_STOP_LIMIT_S: Final = 45.0
SETTLE_LIMIT_S: Final = 60.0  # a payout of many coins on a slow machine
# The guard's patience where ten processes share two cores, and vendd only waits for its turn.
BUSY_MS: Final = 10_000
# Longer than a round of polls: nothing was about to be said.
QUIET_S: Final = 0.3
LOG_TAIL: Final = 15  # lines of a log that an error shows

SIM_LOG: Final = "vendsim.log"
VENDD_LOG: Final = "vendd.log"
CONFIG_NAME: Final = "machine.toml"
NOTIFY_NAME: Final = "notify.sock"


class RigError(Exception):
    """A process did not start, or not end, as it should; says what it said last."""


@dataclass(frozen=True, slots=True)
class RigOptions:
    """What is put up.

    Args:
        config: The machine's file.
        home: The folder of this run; None: a new one with a short name, removed at the end.
        link: adapter or native; None: what the file says.
        speed: How much faster than life the world is; vendd's own times stay what they are.
        pins_on_exit: What pins do when the process that drives them ends: keep or input.
        edits: Texts of the file and what stands in their place, for machines that differ.
        state: Where the world is kept; a world that was lived in begins there.
        heartbeat_ms: How long the guard waits for a sign of life; None: what the file says. A
            machine that is busy with other things may keep vendd from giving one.
    """

    config: Path
    home: Path | None = None
    link: str | None = None
    speed: float = 1.0
    pins_on_exit: str = "keep"
    edits: Mapping[str, str] = field(default_factory=dict)
    state: Path | None = None
    heartbeat_ms: int | None = None


class Vendd:
    """One life of the daemon, with a client that is connected to it.

    Args:
        process: What was started: the guard, or vendd itself.
        pid: Of vendd itself.
        api: A client.
    """

    def __init__(self, process: Process, pid: int, api: VenddClient) -> None:
        self.process = process
        self.pid = pid
        self.api = api

    @property
    def alive(self) -> bool:
        """Tell whether what was started has not ended yet."""
        return self.process.returncode is None

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to vendd itself."""
        os.kill(self.pid, number)

    async def kill(self) -> int:
        """SIGKILL vendd itself, and wait until its guard has ended; returns the exit code."""
        with suppress(ProcessLookupError):
            self.signal(signal.SIGKILL)
        return await self.ended()

    async def stop(self) -> int:
        """SIGTERM what was started, and wait; returns the exit code. Raises RigError."""
        if self.alive:
            self.process.terminate()
        return await self.ended(STOP_LIMIT_S)

    async def ended(self, within_s: float = 60.0) -> int:
        """Wait for the end; returns the exit code. Raises RigError when it does not come."""
        try:
            async with asyncio.timeout(within_s):
                code = await self.process.wait()
        except TimeoutError as error:
            raise RigError(f"vendd did not end within {within_s:g} s") from error
        await self.api.close()
        return code

    async def destroy(self) -> None:
        """Leave nothing of it, whatever state it is in."""
        with suppress(ProcessLookupError):
            self.signal(signal.SIGCONT)
        if self.alive:
            self.process.terminate()
            try:
                async with asyncio.timeout(STOP_LIMIT_S):
                    await self.process.wait()
            except TimeoutError:
                self.process.kill()
                await self.process.wait()
        # A guard that was killed leaves vendd, which ends by itself; be sure of it.
        with suppress(ProcessLookupError):
            self.signal(signal.SIGKILL)
        await self.api.close()


class Rig:
    """A simulator, and vendds on it one after the other.

    ``async with Rig(options) as rig`` starts the simulator; ``start_vendd`` comes then.
    """

    sim: AsyncSimClient
    hello: Hello
    home: Path

    def __init__(self, options: RigOptions) -> None:
        """Keep the options; nothing is started."""
        self.options = options
        self.vendd: Vendd | None = None
        self._temporary = options.home is None
        self._machine: Process | None = None
        self._lives: list[Vendd] = []
        self._opening = 0
        self._by_hand = 0
        self._kept = 0
        self._by_app = 0
        self._unheard = 0
        self.pulsed = PulsedCoins()

    # ----------------------------------------------------------------------------- processes

    async def __aenter__(self) -> Self:
        """Start the simulator. Raises RigError."""
        given = self.options.home
        self.home = Path(tempfile.mkdtemp(prefix="vendd-")) if given is None else given
        try:
            self.home.mkdir(parents=True, exist_ok=True)
            self.config = self._write_config()
            self.settings: MachineSettings = load(self.config, home=self.home)
            self.hello = await self._start_machine()
            self.sim = await AsyncSimClient.connect(Path(self.hello.paths.control))
            truth = await self.sim.truth()
            self._opening = truth.totals.supplied
        except BaseException:
            await self._take_down()
            raise
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """End every process; the folder of this run goes, if it was made here."""
        await self._take_down()

    async def start_vendd(
        self,
        *,
        guard: bool = True,
        program: Sequence[str] = ("-m", "controller"),
        arguments: Sequence[str] = (),
        under: Sequence[str] = (),
        selling: bool = True,
    ) -> Vendd:
        """Start a vendd and wait until it answers technicians and, if asked to, until it sells.

        Args:
            guard: Under its guard, as in a machine.
            program: What Python runs.
            arguments: Further arguments of ``program``, behind its command.
            under: A command that runs the whole, such as one that takes rights away.
            selling: Wait until it sells, too.

        Raises:
            RigError: It ended, or was not ready in time; shows what it said.
        """
        command = [
            *under, sys.executable, *program, "guard" if guard else "run",
            "--config", str(self.config), "--home", str(self.home), *arguments,
        ]  # fmt: skip
        address = self.home / NOTIFY_NAME
        with _Notified(address) as notified:
            process = await self._spawn(
                command, self.home / VENDD_LOG, {"NOTIFY_SOCKET": str(address)}
            )
            try:
                await self._ready(process, notified)
                pid = _child_of(process.pid) if guard else process.pid
                api = await VenddClient.connect(self.settings.api.socket)
            except BaseException:
                await _end(process)
                raise
        vendd = Vendd(process, pid, api)
        self._lives.append(vendd)
        self.vendd = vendd
        if selling:
            await api.until_selling()
            await self.sim.wait_for(quiet_s=QUIET_S)  # its acceptors have been told
        return vendd

    async def try_vendd(self, command: str = "run") -> tuple[int, str]:
        """Start a vendd that is expected to end by itself; returns its exit code and its words.

        Raises:
            RigError: It runs on.
        """
        return await run_program(
            "-m", "controller", command, "--config", str(self.config), "--home", str(self.home)
        )

    async def _start_machine(self) -> Hello:
        options = self.options
        command = [
            sys.executable, "-m", "simulator", "machine", "--json", "--config", str(self.config),
            "--dir", str(self.home), "--speed", str(options.speed),
            "--pins-on-exit", options.pins_on_exit,
            *(() if options.state is None else ("--state", str(options.state))),
        ]  # fmt: skip
        process = self._machine = await self._spawn(command, self.home / SIM_LOG, {}, stdout=PIPE)
        assert process.stdout is not None
        try:
            async with asyncio.timeout(START_LIMIT_S):
                line = await process.stdout.readline()
        except TimeoutError as error:
            raise RigError(f"the simulator was not ready within {START_LIMIT_S:g} s") from error
        if not line:
            code = await process.wait()
            raise RigError(f"the simulator ended with code {code}:\n{self._tail(SIM_LOG)}")
        return Hello.model_validate(json.loads(line))

    async def lose_machine(self) -> None:
        """Kill the simulator: pins, bus, display and keys are gone, and so is its world."""
        assert self._machine is not None, "it was started with the rig"
        await self.sim.close()
        self._machine.kill()
        await self._machine.wait()

    async def new_machine(self) -> None:
        """Start another one in the place of one that was lost: the parts are back, full and new."""
        self.hello = await self._start_machine()
        self.sim = await AsyncSimClient.connect(Path(self.hello.paths.control))
        self._opening = (await self.sim.truth()).totals.supplied

    async def _ready(self, process: Process, notified: _Notified) -> None:
        ready = asyncio.ensure_future(notified.ready())
        ended = asyncio.ensure_future(process.wait())
        try:
            await asyncio.wait(
                {ready, ended}, timeout=START_LIMIT_S, return_when=asyncio.FIRST_COMPLETED
            )
            if ended.done():
                raise RigError(f"vendd ended with code {ended.result()}:\n{self._tail(VENDD_LOG)}")
            if not ready.done():
                raise RigError(
                    f"vendd was not ready within {START_LIMIT_S:g} s:\n{self._tail(VENDD_LOG)}"
                )
        finally:
            ready.cancel()
            ended.cancel()
            await asyncio.gather(ready, ended, return_exceptions=True)

    async def _spawn(
        self,
        command: Sequence[str],
        log: Path,
        environment: Mapping[str, str],
        stdout: int = asyncio.subprocess.DEVNULL,
    ) -> Process:
        with log.open("ab") as words:
            # A process group of its own: a key on the terminal is for the story, which then ends
            # its processes in good order.
            return await asyncio.create_subprocess_exec(
                *command, stdin=asyncio.subprocess.DEVNULL, stdout=stdout, stderr=words,
                env={**os.environ, **environment}, process_group=0,
            )  # fmt: skip

    async def _take_down(self) -> None:
        for vendd in self._lives:
            await vendd.destroy()
        if hasattr(self, "sim"):
            await self.sim.close()
        if self._machine is not None:
            await _end(self._machine)
        if self._temporary:
            shutil.rmtree(self.home, ignore_errors=True)

    def _write_config(self) -> Path:
        """Write this run's own file; only what the options say differs from the given one."""
        text = self.options.config.read_text(encoding="utf-8")
        edits = dict(self.options.edits)
        if self.options.link is not None:
            for link in ("adapter", "native"):
                if link != self.options.link and f'link = "{link}"' in text:
                    edits[f'link = "{link}"'] = f'link = "{self.options.link}"'
        for old, new in edits.items():
            if text.count(old) != 1:
                raise RigError(f"{old!r} stands {text.count(old)} times in {self.options.config}")
            text = text.replace(old, new)
        if self.options.heartbeat_ms is not None:
            patience = f"heartbeat_timeout_ms = {self.options.heartbeat_ms}"
            text, found = re.subn(r"^heartbeat_timeout_ms = \d+", patience, text, flags=re.M)
            if not found:
                text += f"\n[guard]\n{patience}\n"
        path = self.home / CONFIG_NAME
        path.write_text(text, encoding="utf-8")
        return path

    def _tail(self, name: str) -> str:
        lines = (self.home / name).read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(lines[-LOG_TAIL:])

    # ------------------------------------------------------------------------------- waiting

    @property
    def api(self) -> VenddClient:
        """Return the client of the vendd that runs. Raises RigError when there was none yet."""
        if self.vendd is None:
            raise RigError("no vendd has been started yet")
        return self.vendd.api

    async def settled(self, within_s: float = SETTLE_LIMIT_S) -> None:
        """Wait until nothing moves and no vend is open. Raises RigError."""
        try:
            async with asyncio.timeout(within_s):
                while True:
                    await self.api.until(
                        lambda vendd: not vendd.mode.startswith(("vending", "paying", "recover")),
                        "the vend has ended",
                        within_s,
                    )
                    await self.sim.wait_for(quiet_s=QUIET_S, timeout_s=within_s)
                    status = await self.api.call("status")
                    if not status["open"] and not status["escrow"]:
                        return
        except TimeoutError as error:
            raise RigError(f"a vend was still open after {within_s:g} s") from error

    async def reckoning(self) -> Reckoning:
        """Return what vendd believes beside what is physically so; ask when all is settled."""
        ledger = await self.api.call("ledger.show")
        stock = await self.api.call("stock.show")
        truth = await self.sim.truth()
        return self.reckoned(ledger, stock, truth)

    def reckoned(
        self, ledger: Mapping[str, Any], stock: Mapping[str, Any], truth: TruthView
    ) -> Reckoning:
        """Return what anybody believes of this machine, in vendd's words, beside what is so."""
        return reckon(
            ledger, stock, truth, self._opening, self._by_hand, self._kept, self._by_app,
            self._unheard,
        )  # fmt: skip

    def staff_paid_claim(self, amount: int) -> None:
        """Remember a claim that staff paid out of their own pocket."""
        self._by_hand += amount

    def staff_granted(self, amount: int) -> None:
        """Remember credit that staff gave and nobody had paid for."""
        self._by_hand -= amount

    def paid_in_app(self, amount: int) -> None:
        """Remember credit that was paid in an app."""
        self._by_app += amount

    def fell_unheard(self, amount: int) -> None:
        """Remember coins that a pulse acceptor told a vendd that died, and tells nobody again."""
        self._unheard += amount

    def left_behind(self, amount: int) -> None:
        """Remember credit that nobody came back for, on a machine that keeps it."""
        self._kept += amount

    def staff_moved(self, amount: int) -> None:
        """Remember money that staff put into the tubes (or took out: negative)."""
        self._opening += amount


class _Notified:
    """The service manager's end of the socket on which vendd says that it is ready."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)

    def __enter__(self) -> Self:
        self._path.unlink(missing_ok=True)
        self._socket.bind(str(self._path))
        self._socket.setblocking(False)
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._socket.close()
        self._path.unlink(missing_ok=True)

    async def ready(self) -> None:
        """Return when vendd says so."""
        loop = asyncio.get_running_loop()
        while b"READY=1" not in await loop.sock_recv(self._socket, 4_096):
            continue


async def run_program(*arguments: str, stderr: bool = True) -> tuple[int, str]:
    """Run Python with these arguments to its end; returns the exit code and what it said.

    Args:
        arguments: Behind the interpreter's name.
        stderr: Return its errors, too, in the order they came.

    Raises:
        RigError: It runs on after ``START_LIMIT_S``.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, stdin=asyncio.subprocess.DEVNULL, stdout=PIPE,
        stderr=asyncio.subprocess.STDOUT if stderr else None, process_group=0,
    )  # fmt: skip
    try:
        async with asyncio.timeout(START_LIMIT_S):
            said, _ = await process.communicate()
    except TimeoutError as error:
        words = " ".join(arguments)
        raise RigError(f"it still runs after {START_LIMIT_S:g} s: {words}") from error
    finally:
        await _end(process)
    assert process.returncode is not None
    return process.returncode, said.decode(errors="replace")


async def _end(process: Process) -> None:
    """End a process in good order, by force after a while."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(SIM_STOP_LIMIT_S):
                await process.wait()
        except TimeoutError:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()


def _child_of(pid: int) -> int:
    """Return the one child of a process. Raises RigError."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with suppress(OSError):
                # The second field is a name in brackets, which may hold anything.
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                if int(fields[1]) == pid:
                    return int(entry.name)
    raise RigError(f"process {pid} has no child")
