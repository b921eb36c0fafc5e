"""Many machines against a real broker and a real server, in one process, with the real link."""

from __future__ import annotations

import asyncio
import random
import resource
import ssl
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from cloud.contract.topics import Address
from cloud.fleet import registry
from cloud.fleet.database import FleetDatabase
from cloud.fleet.home import Home
from cloud.link import trust
from cloud.mqtt import Broker
from config import fleet as configuration
from controller.clock import SystemClock
from simulator.fleet import pattern
from simulator.fleet.chaos import Chaos
from simulator.fleet.compare import differences
from simulator.fleet.machine import Light, journal_of
from simulator.fleet.site import BROKER, SERVER, Site
from simulator.fleet.tally import Lag, Result, cpu_s, some

CURRENCY: Final = "EUR"
DESCRIPTORS_EACH: Final = 4  # the connection, paho's pair, and one for a handshake under way
DESCRIPTORS_BESIDE: Final = 200
CONNECT_LIMIT_S: Final = 60.0  # and besides for each machine:
CONNECT_EACH_S: Final = 0.3
DRAIN_LIMIT_S: Final = 180.0  # a link's longest patience is 120 s
LOOK_S: Final = 0.05
HURRY_S: Final = 1.0  # between two pushes for those who wait before they try again
IDLE_MOST: Final = 0.05  # of one core, for the server of 500 idle machines
SETTLE_S: Final = 3.0  # before idling is measured: the last answers are on their way
REGISTERED_AT_ONCE: Final = 50


class FleetError(Exception):
    """It can't be run here; says why and what to do."""


@dataclass(frozen=True, slots=True)
class Options:
    """What is run.

    Args:
        machines: How many.
        seconds: How long they sell, or idle.
        rate: Vends a second, over all of them.
        backlog: Vends that each has behind it when it connects first.
        idle: Nobody sells; what that costs the server is measured.
        chaos: Connections, broker and server die while they sell.
        home: The folder of a server that runs; None: an own one, for this run.
        host: Where its broker is; None: as its configuration says.
        seed: Everything is drawn from it.
    """

    machines: int
    seconds: float
    rate: float
    backlog: int = 5
    idle: bool = False
    chaos: bool = False
    home: Path | None = None
    host: str | None = None
    seed: int = 1

    @property
    def mode(self) -> str:
        """Return it in a word."""
        return "idle" if self.idle else "chaos" if self.chaos else "selling"


@dataclass(frozen=True, slots=True)
class _Server:
    """The fleet's server, whoever has started it."""

    home: Home
    tenant: str
    host: str
    port: int
    database: FleetDatabase
    site: Site | None


class FleetRun:
    """One run.

    Args:
        options: What is run.
        entropy: Randomness for keys and nonces.
        now: The wall's time, for certificates.
    """

    def __init__(
        self, options: Options, entropy: Callable[[int], bytes], now: Callable[[], datetime]
    ) -> None:
        self.options = options
        self.machines: list[Light] = []
        self.stage = "starting"
        self.done = 0
        self.lag = Lag()
        self.result = Result(options.machines, options.mode)
        self._entropy = entropy
        self._now = now
        self._clock = SystemClock()
        self._rng = random.Random(options.seed)
        self._chaos: Chaos | None = None

    async def run(self) -> Result:
        """Do it all, and end every process and connection.

        Raises:
            FleetError: It can't be run here.
            SiteError: Broker or server did not start.
        """
        enough_descriptors(self.options.machines)
        async with AsyncExitStack() as stack:
            self._begin("starting broker and server")
            server = await self._server(stack)
            try:
                await self._make(server, stack)
                await self._connect()
                if self.options.idle:
                    await self._idle(server)
                else:
                    await self._sell(server)
                self._begin("comparing")
                found = [words async for words in differences(server.database, self.machines)]
                self.result.differences = some(found)
            except TimeoutError:
                waiting = [m for m in self.machines if not m.in_sync]
                self.result.problems.append(
                    f"{self.stage}: {len(waiting)} of {len(self.machines)} machines were not in "
                    f"sync in time; the first: {_why(waiting)}"
                )
            self._begin("ending")
            self._count()
        return self.result

    def words(self) -> str:
        """Return how far it is, in a line."""
        synced = sum(machine.in_sync for machine in self.machines)
        acked = sum(machine.journal.acked_seq for machine in self.machines)
        total = sum(machine.journal.durable_seq for machine in self.machines)
        p99 = self.lag.at(0.99)
        late = "" if p99 is None else f", lag p99 {p99 * 1000:.0f} ms"
        done = f" {self.done}" if self.done else ""
        return f"{self.stage}{done}: {synced} in sync, {acked:,} of {total:,} records{late}"

    def _begin(self, stage: str) -> None:
        self.stage, self.done = stage, 0

    # ------------------------------------------------------------------------------- stages

    async def _server(self, stack: AsyncExitStack) -> _Server:
        options = self.options
        if options.home is None:
            site = await stack.enter_async_context(Site())
            database = site.database()
            stack.push_async_callback(database.close)
            port = site.settings.broker.port
            return _Server(site.home, site.tenant, "localhost", port, database, site)
        if options.chaos:
            raise FleetError("chaos kills broker and server: only those that it started itself")
        home = Home(options.home)
        if not (home.tls / "ca.pem").exists():
            raise FleetError(f"{options.home} is no server's folder: `vendcloud init` makes one")
        settings = configuration.load(home.config)
        tenant = next((path.stem.rpartition("-")[0] for path in home.keys.glob("*-1.key")), "")
        if not tenant:
            raise FleetError(f"{home.keys}: no operational key, and so no tenant")
        database = FleetDatabase(home.database_url(settings))
        stack.push_async_callback(database.close)
        host = options.host or settings.broker.host
        return _Server(home, tenant, host, settings.broker.port, database, None)

    async def _make(self, server: _Server, stack: AsyncExitStack) -> None:
        """Register every machine, and make its journal with what it sold before."""
        options = self.options
        stack.push_async_callback(self._stop)
        self._begin("making machines")
        run = self._entropy(3).hex()  # a server may know machines of earlier runs
        for number in range(options.machines):
            address = Address(server.tenant, f"sim-{run}-{number + 1}")
            await registry.add(server.database, server.home, address, self._now())
            certificate, key = server.home.machine_files(address)
            try:
                tls: ssl.SSLContext = trust.context(server.home.tls / "ca.pem", certificate, key)
            except OSError as error:
                raise FleetError(f"{certificate}: {error}") from error
            broker = Broker(server.host, server.port, str(address).replace("/", "-"), tls=tls)
            journal = await journal_of(address.machine, CURRENCY, self._entropy)
            rng = random.Random(f"{options.seed}/{number}")
            for _ in range(options.backlog):
                pattern.vend(journal, rng)
            await journal.commit()
            machine = Light(address, broker, journal, rng, self._entropy, self.lag.add)
            self.machines.append(machine)
            self.done += 1
            if self.done % REGISTERED_AT_ONCE == 0:
                await asyncio.sleep(0)

    async def _connect(self) -> None:
        self._begin("connecting")
        began = self._clock.monotonic_s()
        for machine in self.machines:
            machine.start()
        limit = CONNECT_LIMIT_S + CONNECT_EACH_S * len(self.machines)
        async with asyncio.timeout(limit):
            while not all(machine.connections for machine in self.machines):  # noqa: ASYNC110 - many tell nobody
                await asyncio.sleep(LOOK_S)
            self.result.connected_s = self._clock.monotonic_s() - began
            self._begin("catching up")
            await self._all_in_sync()
        self.result.caught_up = sum(machine.journal.durable_seq for machine in self.machines)
        self.result.caught_up_s = self._clock.monotonic_s() - began

    async def _all_in_sync(self) -> None:
        hurried = self._clock.monotonic_s()
        while not all(machine.in_sync for machine in self.machines):
            await asyncio.sleep(LOOK_S)
            if self._clock.monotonic_s() - hurried > HURRY_S:
                hurried = self._clock.monotonic_s()
                for machine in self.machines:
                    if not machine.in_sync:
                        machine.link.sync_now()

    async def _sell(self, server: _Server) -> None:
        self._begin(self.options.mode)
        before = self._records(), self._acked()
        cpu = _cpu_of(server)
        began = self._clock.monotonic_s()
        chaos: asyncio.Task[None] | None = None
        if self.options.chaos:
            assert server.site is not None, "its own, as asked for above"
            self._chaos = Chaos(server.site, self.machines, self._rng, self._clock)
            chaos = asyncio.create_task(self._chaos.run(self.options.seconds))
        try:
            await self._customers(began)
            self.result.seconds = self._clock.monotonic_s() - began
            self.result.sent = self._records() - before[0]
            self.result.acked = self._acked() - before[1]
            self.result.cpu = _shares(cpu, _cpu_of(server), self.result.seconds)
            if chaos is not None:
                self._begin("mending")
                await chaos
        finally:
            if chaos is not None:
                chaos.cancel()
                await asyncio.gather(chaos, return_exceptions=True)
        self._begin("draining")
        ended = self._clock.monotonic_s()
        async with asyncio.timeout(DRAIN_LIMIT_S):
            await self._all_in_sync()
        self.result.drain_s = self._clock.monotonic_s() - ended

    async def _customers(self, began: float) -> None:
        """Let customers come, at random, to whichever machine."""
        due, end = began, began + self.options.seconds
        while True:
            due += self._rng.expovariate(self.options.rate)
            if due > end or self._clock.monotonic_s() > end:
                break
            await asyncio.sleep(max(0.0, due - self._clock.monotonic_s()))
            await self._rng.choice(self.machines).sell()
        await asyncio.sleep(max(0.0, end - self._clock.monotonic_s()))

    async def _idle(self, server: _Server) -> None:
        self._begin("idle")
        await asyncio.sleep(SETTLE_S)
        before, began = _cpu_of(server), self._clock.monotonic_s()
        await asyncio.sleep(self.options.seconds)
        result = self.result
        result.seconds = self._clock.monotonic_s() - began
        result.cpu = _shares(before, _cpu_of(server), result.seconds)
        share = result.cpu.get(SERVER)
        if share is not None and share > IDLE_MOST:
            result.problems.append(
                f"the server needs {share:.1%} of a core for {len(self.machines)} idle machines; "
                f"{IDLE_MOST:.0%} at most"
            )

    # --------------------------------------------------------------------------- in the end

    def _records(self) -> int:
        return sum(machine.journal.durable_seq for machine in self.machines)

    def _acked(self) -> int:
        return sum(machine.journal.acked_seq for machine in self.machines)

    def _count(self) -> None:
        result = self.result
        result.records = self._records()
        result.vends = sum(machine.vends for machine in self.machines)
        result.bytes = sum(machine.link.status.sent for machine in self.machines)
        result.connections = sum(machine.connections for machine in self.machines)
        p50, p99 = self.lag.at(0.5), self.lag.at(0.99)
        result.lag_p50_ms = None if p50 is None else round(p50 * 1000, 1)
        result.lag_p99_ms = None if p99 is None else round(p99 * 1000, 1)
        result.broken = [] if self._chaos is None else self._chaos.done

    async def _stop(self) -> None:
        ends = await asyncio.gather(*(m.stop() for m in self.machines), return_exceptions=True)
        surprises = [repr(end) for end in ends if isinstance(end, Exception)]
        self.result.problems += some([f"a link ended: {words}" for words in surprises])


def enough_descriptors(machines: int) -> None:
    """Make room for so many connections, in this process and those that it starts.

    Raises:
        FleetError: There is not enough; says how to get it.
    """
    needed = machines * DESCRIPTORS_EACH + DESCRIPTORS_BESIDE
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        fit = (hard - DESCRIPTORS_BESIDE) // DESCRIPTORS_EACH
        raise FleetError(
            f"{machines} machines need {needed} file descriptors, and {hard} are allowed here: "
            f"take --machines {max(fit, 0)}, or raise the limit (`ulimit -Hn {needed}`, as root)"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def _cpu_of(server: _Server) -> dict[tuple[str, int], float]:
    """Return the processor's seconds of what we started ourselves, and our own; by process."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    found = {("machines", 0): usage.ru_utime + usage.ru_stime}
    site = server.site
    if site is None:
        return found
    for name in (BROKER, SERVER):
        with suppress(OSError):  # chaos has just killed it
            found[name, site.pid(name)] = cpu_s(site.pid(name))
    return found


def _shares(
    before: dict[tuple[str, int], float], after: dict[tuple[str, int], float], seconds: float
) -> dict[str, float]:
    """Return shares of one core, of what has lived all the time."""
    return {
        key[0]: round((after[key] - before[key]) / max(seconds, 1e-9), 4)
        for key in after
        if key in before
    }


def _why(waiting: list[Light]) -> str:
    if not waiting:
        return "none any more"
    first = waiting[0]
    status = first.link.status
    error = f", {status.last_error}" if status.last_error else ""
    return f"{first.address} is {status.phase.value}, {status.backlog} records behind{error}"
