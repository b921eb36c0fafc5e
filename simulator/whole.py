"""vendd's real controller, drivers and journal against a world, in one process and virtual time.

A ``Whole`` outlives the controllers that run on it: ``kill`` ends one as SIGKILL does (nothing of
it acts any more; its pins keep their levels until the guard switches them off), ``cut_power`` as a
power cut does (what was not synced is lost or torn as well). ``boot`` starts the next one.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from config.machine import MachineSettings
from config.models import KernelKeypad
from config.pins import Pin
from controller import app
from controller.domain import accounts as acc
from controller.journal.beginning import begin_new
from controller.journal.envelope import Record, Remembering
from controller.journal.records import REGISTRY
from controller.ports import DeviceEvent, KeyPressed
from controller.recorder.keeping import MemoryKeeper
from controller.state.fold import StateFold
from controller.state.state import State
from drivers.gpio.on_time import LoopWatch
from drivers.gpio.safe import SafeOutputs
from drivers.links.adapter_text import AdapterTextLink
from drivers.links.mdb_link import MdbLink
from drivers.links.ninth_bit import NinthBitLink
from drivers.panel.keypad_evdev import EventDecoder
from simulator.clock import VirtualClock, VirtualLoop
from simulator.disk import Disk, IoEvent
from simulator.disk_sqlite import DiskStorage
from simulator.foresight import LineForesight, WorldForesight
from simulator.keypad import KernelKeys
from simulator.native_wire import Pacing
from simulator.peripherals.bill_settings import AfterPowerUp
from simulator.pins.factory import SimulatorFactory
from simulator.plan import WorldPlan
from simulator.ports import MemoryNinthBitPort, MemoryPort
from simulator.spool import MemorySpool
from simulator.truth import CASHBOX, TRANSPORT
from simulator.world import Link, World

GUARD_S: Final = 0.5  # the guard's patience: outputs are safe this long after a kill
COARSE_S: Final = 0.045  # an answer of 36 bytes comes in two pieces, 41 ms apart (Pacing.EDGES)
QUIET_STEP_S: Final = 0.05
Notify = Callable[[DeviceEvent], None]

LONGEST_S: Final = 600.0  # virtual; a machine that is not quiet by then never will be


class NotQuietError(AssertionError):
    """Something never came to its end."""


class MemoryKeypad:
    """The kernel's input events of the world's keypad, through the driver's own decoder."""

    def __init__(self, keys: KernelKeys, codes: Mapping[int, str], notify: Notify) -> None:
        """Bind both ends."""
        self._keys = keys
        self._decoder = EventDecoder(codes)
        self._notify = notify

    def start(self) -> None:
        """Listen."""
        self._keys.sink = self._feed

    def stop(self) -> None:
        """Let go; keys pressed from now on reach nobody."""
        self._keys.sink = _nobody

    def _feed(self, data: bytes) -> None:
        for key in self._decoder.feed(data):
            self._notify(KeyPressed(key))


def _nobody(data: bytes) -> None:
    del data


class Whole:
    """One machine with its surroundings."""

    def __init__(
        self,
        settings: MachineSettings,
        *,
        link: Link = "adapter",
        seed: int = 1,
        plan: WorldPlan | None = None,
        disk: Disk | None = None,
        pacing: Pacing = Pacing.EDGES,
        fold_idle: bool = False,
    ) -> None:
        """Build the world on the running (virtual) loop; no controller runs yet.

        ``fold_idle`` answers polls that bring nothing without the line, and runs of them, while
        no device, timer, task or fault has anything to do, as one step.
        """
        loop = asyncio.get_running_loop()
        self.loop = loop
        self.settings = settings
        self.rng = random.Random(seed)
        self.clock = VirtualClock(loop)
        self.world = World(
            loop, self.clock, settings, plan=plan, link=link, pacing=pacing, seed=seed
        )
        self.link: Link = link
        self.disk = disk or Disk()
        self.running: app.Running | None = None
        self.power_ups = 1
        self.recordings = MemoryKeeper()  # over all lives
        self.boots = 0
        self._on_instant: Callable[[str], None] | None = None
        self._durable: dict[str, int] = {}  # the cash accounts after the last commit
        self._durable_tokens = 0
        self._unfinished: frozenset[str] = frozenset()
        self._storage: DiskStorage | None = None
        self._pins: SimulatorFactory | None = None
        self._lines: dict[MemoryPort, str] = {}  # the open ports, and the line of each
        self._task: asyncio.Task[str] | None = None
        self._fold_idle = fold_idle
        self.time_known = False  # NTP keeps the wall clock right
        self.spool = MemorySpool()  # over all lives
        # Who has a fleet send an order, which lives so many seconds and says this.
        self.on_order: Callable[[int, str], None] | None = None
        self.on_promise: Callable[[int, str], None] | None = None  # of another machine
        self._outputs: tuple[Pin, ...] = ()  # asked after each customer
        self._outputs_of: MachineSettings | None = None
        self._registry = Remembering(REGISTRY)  # each life reads the records of those before it
        self._let_leap()

    # -------------------------------------------------------------------------------- lives

    async def boot(self) -> app.Running:
        """Start a controller; returns when it runs, which is before it sells."""
        self.boots += 1
        self._pins = self.world.pins()
        self.running = await app.compose(self.settings, self._parts())
        self._remember()
        self.running.machine.on_commit.append(self._committed)
        if self.running.journal.read_only:
            return self.running  # stranded: the panel says so, and nothing is taken or paid
        self._task = self.loop.create_task(self.running.run())
        return self.running

    def _parts(self) -> app.Parts:
        self._storage = DiskStorage(self.disk)
        foresight = self._foresight() if self._fold_idle else None
        pins = self._pins = self._pins or self.world.pins()
        return app.Parts(
            clock=self.clock,
            storage=self._storage,
            entropy=self.rng.randbytes,
            link=self._link(),
            pins=pins,
            watch=LoopWatch(),
            system_boot=f"power-up {self.power_ups}",
            inline_i2c=self.world.i2c,
            keypad=self._keypad(),
            foresight=foresight,
            cctalk=self._open_cctalk,
            cctalk_foresight=None if foresight is None else self._line_foresight(foresight),
            read_file=self._read_file,
            time_known=(lambda: self.time_known) if self.settings.offers else None,
            keeper=self.recordings,
            spool=self.spool,
            registry=self._registry,
        )

    async def begin_journal(self, reason: str) -> None:
        """Begin a new journal, as a technician has vendd do whose journal is refused."""
        parts = self._parts()
        await begin_new(
            parts.storage,
            fold=StateFold(),
            registry=REGISTRY,
            clock=self.clock,
            entropy=self.rng.randbytes,
            boot=app.boot_info(self.settings, parts),
            reason=reason,
            by="technician",
        )

    def _foresight(self) -> WorldForesight:
        assert isinstance(self.loop, VirtualLoop), "only virtual time can be folded"
        return WorldForesight(self.loop, self.world.wire)

    def _line_foresight(self, beside: WorldForesight) -> LineForesight | None:
        line = self.world.cctalk
        if line is None:
            return None
        assert isinstance(self.loop, VirtualLoop), "only virtual time can be folded"
        return LineForesight(self.loop, line.wire, beside)

    @property
    def ended(self) -> bool:
        """Tell whether the controller has ended by itself."""
        return self._task is not None and self._task.done()

    @property
    def task(self) -> asyncio.Task[str] | None:
        """Return the life of the controller, None between two of them."""
        return self._task

    def _committed(self, records: list[Record]) -> None:
        del records
        self._remember()

    def _remember(self) -> None:
        self._durable = self.booked()
        self._durable_tokens = self.state.ledger.balance(acc.TOKENS_CASHBOX)
        self._unfinished = self._intents()

    def _intents(self) -> frozenset[str]:
        if self.running is None:
            return frozenset()
        sagas = self.state.sagas.values()
        acts = {saga.intent + ("" if saga.intent_success else " failure") for saga in sagas}
        if any(saga.intent == "approval" and saga.cancel_intended for saga in sagas):
            acts.add("cancel")
        return frozenset(acts)

    def _keypad(self) -> Callable[[Notify], MemoryKeypad] | None:
        keys, shape = self.world.panel.keypad, self.settings.keypad
        if not (isinstance(keys, KernelKeys) and isinstance(shape, KernelKeypad)):
            return None  # a matrix is scanned over the pins
        return lambda notify: MemoryKeypad(keys, shape.codes, notify)

    def _link(self) -> MdbLink:
        if self.link == "native":
            return NinthBitLink(self._open_native, slack_s=COARSE_S)
        return AdapterTextLink(self._open)

    def _open(self) -> MemoryPort:
        port = self.world.port()
        self._lines[port] = "bus"
        self._listen(port)
        return port

    async def _read_file(self, path: Path) -> str:
        """Read a thermometer as the kernel does."""
        cabin = self.world.cabin
        text = None if cabin is None else cabin.content(path)
        if text is None:
            raise FileNotFoundError(2, "No such file or directory", str(path))
        return text

    def _open_cctalk(self) -> MemoryPort:
        line = self.world.cctalk
        assert line is not None, "only a machine with such a line opens it"
        port = line.port()
        self._lines[port] = "cctalk"
        self._listen(port)
        return port

    @property
    def on_instant(self) -> Callable[[str], None] | None:
        """Return who is told of each instant at which a life may end; set None for nobody."""
        return self._on_instant

    @on_instant.setter
    def on_instant(self, told: Callable[[str], None] | None) -> None:
        self._on_instant = told
        self._let_leap()
        for port in self._lines:
            self._listen(port)

    def _let_leap(self) -> None:
        """Have the wires carry a whole exchange at once, unless its instants are counted."""
        leaps = None
        if self._fold_idle and self._on_instant is None:
            assert isinstance(self.loop, VirtualLoop), "only virtual time can be folded"
            leaps = self.loop
        self.world.wire.leaps = leaps
        if self.world.cctalk is not None:
            self.world.cctalk.wire.leaps = leaps

    def _listen(self, port: MemoryPort) -> None:
        """Have a port tell of its traffic, if anybody counts: it costs words for each chunk."""
        told = self._on_instant
        if told is None:
            port.on_traffic = None
            return
        line = self._lines[port]
        port.on_traffic = lambda what, data: told(f"{line} {what} {data.hex(' ')}")

    def _open_native(self) -> MemoryNinthBitPort:
        port = self._open()
        assert isinstance(port, MemoryNinthBitPort), "the world's link is native as well"
        return port

    @property
    def outputs(self) -> tuple[Pin, ...]:
        """Return every pin that the controller drives."""
        if self._outputs_of is not self.settings:
            self._outputs_of, self._outputs = self.settings, self.settings.outputs()
        return self._outputs

    async def kill(self) -> None:
        """End the controller as SIGKILL does; the guard switches its outputs off."""
        await self._die()
        await asyncio.sleep(GUARD_S)
        pins = self.world.pins()
        SafeOutputs(self.outputs, lambda: pins).drive()
        pins.abandon()  # the guard's process ends as well

    async def cut_power(self) -> None:
        """Take everything's power away: controller, devices, latch, and what was not synced."""
        await self._die()
        self.disk = self.disk.power_cut(self.rng)
        self.world.cut_power()

    async def restore_power(self) -> None:
        """Give the power back; a controller is started by ``boot``."""
        self.power_ups += 1
        self.world.restore_power()

    async def stop(self) -> str:
        """End the controller gracefully; returns why it ended."""
        assert self.running is not None
        assert self._task is not None
        self.running.machine.stop("test")
        reason = await self._task
        await self.running.close()
        self.running = None
        return reason

    def hook_disk(self) -> None:
        """Tell ``on_instant`` of every write and sync, before and after it."""

        def told(event: IoEvent) -> None:
            when = "after" if event.done else "before"
            if self.on_instant is not None:
                self.on_instant(f"disk {when} {event.kind} {event.name.rpartition('.')[2]}")

        self.disk.on_io = told

    async def give_up(self, booting: asyncio.Task[Any]) -> None:
        """End a start that was cut: it gets no further, and nothing of it reaches the world."""
        self.cut_strings()
        if self._storage is not None:
            self._storage.kill()
            self._storage.let_go()
        booting.cancel()
        await asyncio.wait({booting})

    def cut_strings(self) -> None:
        """Let nothing that the controller does from now on reach the world."""
        if self._storage is not None:
            self._storage.detach()
        if self._pins is not None:
            self._pins.abandon()
        for port in self._lines:
            port.close()

    async def ends(self) -> str:
        """Wait until the controller ends by itself; returns why. What it knew can still be read."""
        assert self._task is not None, "a controller runs"
        return await self._task

    async def _die(self) -> None:
        """Cut every string first, so that nothing its clean-up does reaches the world."""
        self.disk.on_io = None
        self.cut_strings()
        if self._storage is not None:
            self._storage.kill()
        self._lines.clear()
        if self._task is not None:
            running, task = self.running, self._task
            if running is not None:
                running.deafen()
            task.cancel()
            await asyncio.wait([task])
            if not task.cancelled():
                task.exception()
        self._unfinished = self.unfinished  # what the next life finds, should it come to look
        self.running = self._task = None

    # ----------------------------------------------------------------------------- waiting

    @property
    def state(self) -> State:
        """Return what the controller believes."""
        assert self.running is not None, "no controller runs"
        return self.running.journal.state

    @property
    def mode(self) -> str:
        """Return the mode it is in, an empty string between two lives."""
        return "" if self.running is None else self.running.machine.desk.mode.value

    @property
    def screen(self) -> str:
        """Return what the controller shows, on one line."""
        assert self.running is not None, "no controller runs"
        return " ".join(" ".join(line.split()) for line in self.running.machine.screen).strip()

    async def until(self, done: Callable[[], bool], *, within_s: float = LONGEST_S) -> None:
        """Let time pass until ``done()``. Raises NotQuietError, or what ended the controller."""
        deadline = self.loop.time() + within_s
        while not done():
            if self._task is not None and self._task.done():
                self._task.result()
                raise NotQuietError("the controller has ended")
            if self.loop.time() > deadline:
                raise NotQuietError(f"not within {within_s} s; the display says: {self.screen}")
            await asyncio.sleep(QUIET_STEP_S)

    async def sells(self) -> None:
        """Wait until recovery is over and the machine takes money."""
        assert self.running is not None
        machine = self.running.machine
        await self.until(
            lambda: self.state.recovered and machine.desk.mode.selling and machine.quiet
        )

    async def quiet(self) -> None:
        """Wait until nothing moves, in the world and in the controller."""
        assert self.running is not None
        machine = self.running.machine
        calm = 0

        def done() -> bool:
            nonlocal calm
            still = (
                self.world.quiet
                and machine.quiet
                and not self.state.sagas
                and (
                    self.state.escrow is None
                    or self.state.escrow.claimed
                    or self.state.escrow.waits
                )
            )
            calm = calm + 1 if still else 0
            return calm >= 12  # longer than one round of polls: nothing was about to be said

        await self.until(done)

    # ------------------------------------------------------------------------------- books

    def physical(self) -> dict[str, int]:
        """Return the cash that is physically there, by the ledger's account names."""
        cash = self.world.truth.cash()
        return {
            acc.CASH_TUBES: cash["tubes"],
            acc.CASH_CASHBOX: cash["cashbox"],
            acc.CASH_STACKER: cash["stacker"],
            acc.CASH_RECYCLER: cash["recycler"],
            acc.CASH_ESCROW: cash["escrow"],
        }

    def held_by_an_answer(self) -> int:
        """Return the money that was reported and acknowledged, but is in no durable record.

        On an adapter that acknowledges by itself this is what the last poll answer held.
        """
        physical = self.physical()
        return sum(abs(physical[name] - self._durable.get(name, 0)) for name in acc.CASH)

    @property
    def unheard_bill(self) -> bool:
        """Tell whether the validator has a bill that it would stack when its power comes back.

        Not read yet, or in escrow and in no durable record: nobody is ever told of that one.
        """
        bill, escrow = self.world.bill, self.physical()[acc.CASH_ESCROW]
        unheard = escrow > self._durable.get(acc.CASH_ESCROW, 0)
        stacks = bill is not None and bill.settings.after_power_up is AfterPowerUp.STACK
        return stacks and (unheard or self.world.truth.value(TRANSPORT) > 0)

    def tokens_there(self) -> int:
        """Return how many vend tokens are in the machine."""
        truth = self.world.truth
        places = [
            place for place in truth.places() if place == CASHBOX or place.startswith("tube:")
        ]
        return sum(
            count
            for place in places
            for thing, count in truth.things(place).items()
            if thing.name == "token"
        )

    def tokens_held_by_an_answer(self) -> int:
        """Return how many tokens were taken and are in no durable record."""
        return max(0, self.tokens_there() - self._durable_tokens)

    @property
    def unfinished(self) -> frozenset[str]:
        """Return the intents without an outcome after the last commit, or in the one under way."""
        return self._unfinished | self._intents()

    def booked(self) -> dict[str, int]:
        """Return the cash that the ledger believes in."""
        return {name: self.state.ledger.balance(name) for name in acc.CASH}
