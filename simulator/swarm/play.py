"""Lives a life: customers, bad luck, deaths and restarts, in virtual time; stops at a finding."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Final

from config.machine import MachineSettings
from controller.faults import FaultCode, JournalError
from controller.journal.envelope import Record, UnknownData
from controller.machine.brain import RECOUNT_S
from simulator.clock import VirtualDeadlockError, VirtualLivelockError, run_virtual
from simulator.disk import Disk
from simulator.pins.board import Edge
from simulator.swarm import build
from simulator.swarm.coverage import Coverage
from simulator.swarm.customers import Customer
from simulator.swarm.evidence import Watch
from simulator.swarm.hands import free, hand_of
from simulator.swarm.health import HealthOracle
from simulator.swarm.judge import Judge
from simulator.swarm.plan import Act, End, Life, Step, Trouble
from simulator.swarm.technician import Technician
from simulator.swarm.troubles import Excuse, kind_of
from simulator.truth import Fact
from simulator.whole import NotQuietError, Whole

SETTLE_S: Final = 400.0  # after the last fault has gone: everything has ended by then
RECOUNTED_S: Final = RECOUNT_S + 1.0  # a doubt that is older has been settled
CALM_S: Final = 0.5  # longer than one round of polls: nothing was about to be said
LOOK_S: Final = 3.0  # between two looks when nothing is told
LOOK_LATE_S: Final = 5.0  # where whatever matters is told
RESTART_S: Final = 2.0  # systemd's pause before it starts a program that has ended
STOP_S: Final = 30.0  # TimeoutStopSec: then it is killed
BOOTS_MAX: Final = 12
OFF: Final = f"machine {FaultCode.MACHINE_REFUNDS.value}"
TRUTH_SHOWN: Final = 400  # facts, in a report


@dataclass(slots=True)
class Verdict:
    """What a life came to."""

    life: Life
    findings: list[str] = field(default_factory=list)
    broke: bool = False  # an exception spoke, no oracle
    step: int = 0  # the number of the step that was judged last
    customers: int = 0
    vends: int = 0
    boots: int = 0
    records: int = 0
    virtual_s: float = 0.0
    trace: str = ""
    hits: dict[str, int] = field(default_factory=dict)
    cells: Counter[str] = field(default_factory=Counter)  # of the failure table
    journal: list[str] = field(default_factory=list)  # the tail, when something is wrong
    truth: list[str] = field(default_factory=list)


class Death(Exception):  # noqa: N818 - an event of the play, no error
    """The controller's life has ended; how is in the player."""


class Player:
    """Plays one life."""

    def __init__(
        self, base: MachineSettings, life: Life, *, fold: bool = True, keep: bool = False
    ) -> None:
        """Build the machine; nothing runs yet."""
        settings = build.settings_of(base, life.build)
        self.life = life
        self.verdict = Verdict(life)
        self.machine = Whole(
            settings,
            link=life.build.link,
            seed=life.seed,
            plan=build.plan_of(settings, life.build),
            disk=Disk(),
            fold_idle=fold,
        )
        self.watch = Watch(self.machine)
        self.judge: Judge | None = None
        self.technician = Technician(self.machine)
        self.coverage = Coverage()
        self.health = HealthOracle.of(self.machine)
        self.trace: list[str] | None = [] if keep else None
        self._hash = hashlib.sha256()
        self._rng = random.Random(f"{life.seed}/play")
        self._turn_waiters: list[asyncio.Future[None]] = []
        self._timers: list[asyncio.TimerHandle] = []
        self._waiting: list[Trouble] = []  # for a record
        self._active: dict[Trouble, None] = {}
        self._end: End | None = None
        self._counting = False
        self._instants = 0
        self._hit: asyncio.Future[None] | None = None
        self._wait_s = LOOK_S
        self._doubt: tuple[tuple[int, int, int, int], ...] = ()
        self._doubted_at = 0.0
        self._motors = {
            column.motor.pin.number for column in settings.columns if column.motor.type == "direct"
        } | {pin.number for pin in settings.gpio.rows}
        self.machine.world.truth.on_fact = self._fact
        self.machine.world.board.on_edge = self._edge
        self.machine.world.panel.on_frame = lambda _: self._stir()
        self.watch.on_told = self._stir
        self.watch.on_record.append(self._recorded)

    # -------------------------------------------------------------------------------- the life

    async def play(self) -> Verdict:
        """Play it to its end, or to the first finding."""
        verdict, machine = self.verdict, self.machine
        try:
            await self._boot()
            await self._while_alive(self._calm())
            self.judge = Judge(machine)
            self.watch.begin()
            for step in self.life.steps:
                verdict.step = step.number
                verdict.findings = await self._play_step(step)
                if verdict.findings:
                    break
            if not verdict.findings:
                verdict.findings = await self._last_check()
        except Exception as error:  # noqa: BLE001 - whatever breaks is a finding
            verdict.findings = [f"{type(error).__name__}: {error}"]
            verdict.broke = not isinstance(error, NotQuietError)
        await self._close()
        return verdict

    async def _close(self) -> None:
        verdict, machine = self.verdict, self.machine
        verdict.virtual_s = machine.loop.time()
        verdict.boots = machine.boots
        verdict.cells = self.coverage.hits
        verdict.records = self.watch.seen
        if verdict.findings:
            self.show()
        if machine.running is not None:
            verdict.vends = machine.state.counters.vends + machine.state.counters.refunds
        self._hash.update(repr(verdict.findings).encode())
        verdict.trace = self._hash.hexdigest()
        for timer in self._timers:
            timer.cancel()
        with suppress(Exception):
            await machine.kill()

    def show(self) -> None:
        """Put what the journal says and what is physically so into the verdict."""
        log = self.machine.world.truth.log
        self.verdict.journal = [_line(record) for record in self.watch.evidence.records]
        self.verdict.truth = [
            f"{fact.at_s:9.3f} {fact.what:8} {fact.detail}" for fact in list(log)[-TRUTH_SHOWN:]
        ]

    async def _play_step(self, step: Step) -> list[str]:
        if step.visit:
            return await self._visit()
        machine = self.machine
        self.verdict.customers += 1
        machine.world.truth.customer = f"c{step.number}"
        self._begin(step)
        customer = Customer(machine, self._turned, self._acts)
        actor = machine.loop.create_task(customer.live(step.acts))
        try:
            self._wait_s = LOOK_LATE_S
            actor.add_done_callback(lambda _: self._stir())
            await self._while_alive(actor.done)
            actor.result()
        finally:
            actor.cancel()
        self._heal()
        await self._while_alive(self._calm())
        if self.watch.evidence.excused(Excuse.COUNT):
            # Whoever mended the tubes has them counted.
            count = machine.loop.create_task(self.technician.count())
            await self._while_alive(count.done)
            await self._while_alive(self._calm())
        if any(trouble.part == "config" for trouble in self.watch.evidence.struck):
            pricing = machine.loop.create_task(self.technician.prices())
            await self._while_alive(pricing.done)
            await self._while_alive(self._calm())
        self._end = None
        self._counting = False
        machine.world.take_product()
        machine.world.take_money()
        if self.judge is None:
            return []
        self.coverage.customer_left()
        findings = self.judge.check(self.watch.evidence)
        if not findings:
            self.watch.begin()
            if self._off():
                return await self._visit()
        return findings

    async def _visit(self) -> list[str]:
        self.machine.world.truth.customer = "technician"
        findings = await self.technician.visit()
        if self.health is not None:
            self.health.attended()
        await self._while_alive(self._calm())
        assert self.judge is not None, "judged since the first boot"
        findings += self.judge.after_visit(self.watch.evidence)
        if not findings:
            self.watch.begin()
        return findings

    async def _last_check(self) -> list[str]:
        """The whole journal: dense, chained, and its fold equal to the state and the snapshots."""
        running = self.machine.running
        assert running is not None, "it ended well"
        report = await running.journal.verify()
        findings = [] if report.ok else [f"the journal does not verify: {report.problem}"]
        state = type(running.journal.state)()
        seq = 0
        async for record in running.journal.records():
            seq += 1
            if record.seq != seq:
                return [*findings, f"record {record.seq} stands where {seq} should"]
            state.apply(record)
        if state.encode() != running.journal.state.encode():
            findings.append("folding the journal again gives another state")
        return findings

    # ------------------------------------------------------------------------------- the lives

    async def _while_alive(self, done: Callable[[], bool]) -> None:
        """Let time pass until ``done()``, through every death and restart on the way."""
        machine = self.machine
        deadline = machine.loop.time() + SETTLE_S
        while True:
            if self._hit is not None and self._hit.done():
                await self._die()
                deadline = machine.loop.time() + SETTLE_S
            elif machine.ended:
                await self._ended_by_itself()
                deadline = machine.loop.time() + SETTLE_S
            elif done():
                return
            elif machine.loop.time() > deadline:
                raise NotQuietError(self._why_not_quiet())
            else:
                await self._turned(self._wait_s)

    def _why_not_quiet(self) -> str:
        machine = self.machine
        sagas = [f"{s.vend} {s.intent or s.failed}" for s in machine.state.sagas.values()]
        return (
            f"not at rest {SETTLE_S:.0f} s after the last fault: mode {machine.mode},"
            f" sagas {sagas}, faults {list(machine.state.faults)}, display {machine.screen!r},"
            f" world still {machine.world.still}, quiet {machine.world.quiet},"
            f" counting again {self._recounting()}"
        )

    def _calm(self) -> Callable[[], bool]:
        """Return what tells whether nothing has moved for a while and the machine sells."""
        machine = self.machine
        since: float | None = None

        def done() -> bool:
            nonlocal since
            running = machine.running
            if running is None or not self._still():
                since, self._wait_s = None, LOOK_S
                return False
            now = machine.loop.time()
            since = now if since is None else since
            self._wait_s = max(0.01, since + CALM_S - now)
            return now - since >= CALM_S

        return done

    def _still(self) -> bool:
        machine = self.machine
        running = machine.running
        assert running is not None, "asked while it lives"
        state = machine.state
        return (
            running.machine.quiet
            and state.recovered
            and len(running.machine.desk.live.ready) == len(running.machine.brain.devices)
            and (running.machine.desk.mode.selling or self._off())
            and not self._recounting()
            and not state.sagas
            and (state.escrow is None or state.escrow.claimed or state.escrow.waits)
            and machine.world.quiet
        )

    def _off(self) -> bool:
        """Tell whether it has stopped itself until a technician has looked."""
        return OFF in self.machine.state.faults

    def _recounting(self) -> bool:
        """Tell whether the machine may count its tubes once more before it books a difference."""
        running = self.machine.running
        assert running is not None, "asked while it lives"
        live = running.machine.desk.live
        doubt = live.tubes_doubt + live.recycler_doubt
        if doubt != self._doubt:
            self._doubt, self._doubted_at = doubt, self.machine.loop.time()
        return bool(doubt) and self.machine.loop.time() - self._doubted_at < RECOUNTED_S

    async def _boot(self) -> None:
        """Start the controller, again and again like systemd, until one life gets to sell."""
        machine = self.machine
        for _ in range(BOOTS_MAX):
            if await self._boot_once():
                return
            if self._hit is not None and self._hit.done():
                await self._end_life()
            elif machine.running is not None and machine.running.journal.read_only:
                await machine.kill()  # stranded until somebody mends the disk and restarts it
                self._heal_disk()
            await asyncio.sleep(RESTART_S)
        raise NotQuietError(f"{BOOTS_MAX} starts, and none of them got to live")

    async def _boot_once(self) -> bool:
        machine = self.machine
        booting = machine.loop.create_task(machine.boot())
        hit = self._hit
        awaited: set[asyncio.Future[Any]] = {booting} if hit is None else {booting, hit}
        await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
        if not booting.done():
            await machine.give_up(booting)
            return False
        try:
            running = booting.result()
        except JournalError as error:
            if not self._disk_is_troubled():
                raise
            self._note(f"boot failed: {error}")
            return False
        if running.journal.read_only:
            return False
        self._enter(running)
        following = machine.loop.create_task(self.watch.follow())
        awaited = {following} if hit is None else {following, hit}
        await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
        if not following.done():
            following.cancel()  # a dead disk answers nobody
            return False
        following.result()
        return True

    def _enter(self, running: Any) -> None:
        running.machine.on_turn.append(self._stir)

    async def _die(self) -> None:
        """Carry out the end that was drawn, stay dark, start again."""
        await self._end_life()
        await self._boot()

    async def _end_life(self) -> None:
        machine, end = self.machine, self._end
        assert end is not None, "something was drawn"
        self._note(f"end: {end.how}")
        self._hit_count(end.how)
        self.coverage.happens(f"end.{end.how}")
        self._counting = False
        self._hit = None
        if end.how == "stop" and machine.running is not None and not machine.ended:
            await self._stop()
        elif end.how == "power":
            self.watch.life_ended(power=True)
            await machine.cut_power()
        else:
            self.watch.life_ended(power=False)
            await machine.kill()
        await asyncio.sleep(end.dark_s)
        if end.how == "power":
            await machine.restore_power()
        self._end = end.again[0] if end.again else None
        if self._end is not None:
            rest = end.again[1:]
            self._end = End(self._end.how, self._end.when, self._end.after, self._end.dark_s, rest)
            self._arm()

    async def _stop(self) -> None:
        machine = self.machine
        assert machine.running is not None, "it lives"
        task = machine.task
        assert task is not None, "it lives"
        machine.running.machine.stop("test")
        await asyncio.wait({task}, timeout=STOP_S)
        if not task.done():
            self._note("stop took too long: killed")
        self.watch.life_ended(power=False)
        await machine.kill()

    async def _ended_by_itself(self) -> None:
        machine = self.machine
        task = machine.task
        assert task is not None, "it has ended"
        error = None if task.cancelled() else task.exception()
        if not isinstance(error, JournalError) or not self._disk_is_troubled():
            why = repr(error) if error is not None else f"stopped: {task.result()}"
            raise AssertionError(f"vendd ended by itself: {why}") from error
        self._note(f"vendd ended: {error}")
        self._hit_count("journal failed")
        self.watch.life_ended(power=False)
        await machine.kill()
        await asyncio.sleep(RESTART_S)
        await self._boot()

    # ------------------------------------------------------------------------------ the troubles

    def _begin(self, step: Step) -> None:
        self._hit = None
        self._end = step.end
        self._counting = False
        self.machine.on_instant = None
        if step.end is not None:
            self._arm()
        for trouble in step.troubles:
            if trouble.when:
                self._waiting.append(trouble)
            else:
                self._later(trouble.at_s, self._set, trouble)

    def _arm(self) -> None:
        """Count instants, from now or from the record that it waits for."""
        assert self._end is not None, "something was drawn"
        self._hit = self.machine.loop.create_future()
        self._instants = 0
        self._counting = self._end.when in ("", "boot.started")
        self.machine.on_instant = self._instant
        self.machine.hook_disk()

    def _instant(self, what: str) -> None:
        if not self._counting or self._hit is None or self._hit.done():
            return
        self._instants += 1
        assert self._end is not None, "something is counted towards"
        if self._instants >= self._end.after:
            self._note(f"instant {self._instants}: {what}")
            if self._end.how != "stop":
                self.machine.cut_strings()
            self._hit.set_result(None)

    def _recorded(self, record: Record) -> None:
        if self.health is not None:
            self.health.record(record, self.watch.evidence)
        self._hash.update(record.body)
        self.coverage.record(record)
        if self.trace is not None:
            self.trace.append(_line(record))
        if record.type == "vend.closed":
            self._hit_count("vend " + str(getattr(record.data, "result", "")))
        if self._end is not None and not self._counting and record.type == self._end.when:
            self._counting = True
        for trouble in [t for t in self._waiting if t.when == record.type]:
            self._waiting.remove(trouble)
            self._later(trouble.at_s, self._set, trouble)

    def _later(self, seconds: float, what: Callable[..., None], *arguments: object) -> None:
        self._timers = [timer for timer in self._timers if not timer.cancelled()]
        self._timers.append(self.machine.loop.call_later(seconds, what, *arguments))

    def _set(self, trouble: Trouble) -> None:
        if not hand_of(trouble).strike(self.machine, trouble):
            return
        self.watch.struck(trouble)
        kind = kind_of(trouble.part, trouble.name)
        if kind.part == "bill" and Excuse.BILL in kind.excuses and self.life.build.recycler:
            # A validator that is away pays nothing out either.
            kind = replace(kind, excuses=kind.excuses | {Excuse.CHANGER, Excuse.PAYOUT})
        self.watch.evidence.open(kind, trouble, self.machine.loop.time())
        self.coverage.begins(kind.key, trouble)
        self._hit_count(kind.key)
        self._note(f"trouble {trouble.key} = {trouble.value!r}")
        self._active[trouble] = None
        self._later(trouble.for_s, self._mend, trouble)

    def _mend(self, trouble: Trouble) -> None:
        if self._active.pop(trouble, 0) == 0:
            return
        struck = hand_of(trouble).mend(self.machine, trouble)
        self.watch.mended(trouble, self.machine.loop.time())
        self.watch.evidence.close(trouble, self.machine.loop.time(), struck=struck)
        self.coverage.ends(kind_of(trouble.part, trouble.name).key, trouble, struck=struck)

    def _heal(self) -> None:
        """The bad luck is over."""
        for device in self.machine.world.devices.values():
            device.unmute()
        self._waiting.clear()
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        for trouble in list(self._active):
            self._mend(trouble)
        self.machine.world.faults.clear()
        for part in ("bill", "changer"):
            free(self.machine, part)
        self._heal_disk()

    def _heal_disk(self) -> None:
        self.machine.disk.heal()

    def _disk_is_troubled(self) -> bool:
        """Tell whether a failing journal is what was drawn, now or a moment ago."""
        return any(key.startswith("disk.") for key in self.verdict.hits)

    # ------------------------------------------------------------------------------- the trace

    def _turned(self, seconds: float) -> asyncio.Future[None]:
        """Return what is done after the machine's next turn, or after ``seconds``."""
        loop = self.machine.loop
        turned: asyncio.Future[None] = loop.create_future()
        self._turn_waiters.append(turned)
        timer = loop.call_later(seconds, _done, turned)
        turned.add_done_callback(lambda _: timer.cancel())
        if self._hit is not None and not self._hit.done():
            self._hit.add_done_callback(lambda _: _done(turned))
        return turned

    def _stir(self) -> None:
        """Something happened: let everybody who waits look again."""
        waiters, self._turn_waiters = self._turn_waiters, []
        for waiter in waiters:
            _done(waiter)

    def _fact(self, fact: Fact) -> None:
        self._stir()
        if self.health is not None:
            self.health.fact(fact, self.watch.evidence)
        self._hash.update(f"{fact.at_s:.6f}{fact.what}{fact.detail}".encode())
        if self.trace is not None:
            self.trace.append(f"{fact.at_s:9.3f} {fact.what} {fact.detail}")

    def _edge(self, edge: Edge) -> None:
        if self._counting:
            self._instant(f"pin {edge.pin} {'up' if edge.level else 'down'}")
        self._hash.update(b"%d%d" % (edge.pin, edge.level))
        if edge.driven and edge.level and edge.pin in self._motors:
            self.watch.motor_on(edge.pin)

    def _note(self, what: str) -> None:
        self.machine.world.truth.note("play", what)

    def _acts(self, act: Act) -> None:
        self.coverage.happens(f"act.{act.what}")
        self.coverage.happens(f"act.{act.what} {act.text}")

    def _hit_count(self, what: str) -> None:
        self.verdict.hits[what] = self.verdict.hits.get(what, 0) + 1


def _done(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _line(record: Record) -> str:
    vend = f"v{record.vend or '-'}"
    return f"{record.mono_ms / 1000:9.3f} {record.seq:5} {vend:6} {record.type} {_data(record)}"


def _data(record: Record) -> str:
    data = record.data
    return str(data) if isinstance(data, UnknownData) else str(data.model_dump(mode="json"))


def play(
    base: MachineSettings, life: Life, *, fold: bool = True, keep: bool = False
) -> tuple[Verdict, list[str]]:
    """Play a life in a loop of its own; return the verdict and, with ``keep``, the trace."""
    players: list[Player] = []

    async def run() -> Verdict:
        players.append(Player(base, life, fold=fold, keep=keep))
        return await players[0].play()

    try:
        verdict = run_virtual(run())
    except (VirtualLivelockError, VirtualDeadlockError) as error:
        verdict = players[0].verdict
        verdict.findings = [f"{type(error).__name__}: {error}"]
        players[0].show()
    return verdict, players[0].trace or []
