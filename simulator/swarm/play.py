"""Lives a life: customers, bad luck, deaths and restarts, in virtual time; stops at a finding."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from config.machine import MachineSettings
from controller.faults import FaultCode, JournalError
from controller.journal import records as rec
from controller.journal.envelope import Record
from controller.journal.errors import JournalRefusedError
from controller.machine.counts import RECOUNT_S
from simulator.clock import VirtualDeadlockError, VirtualLivelockError, run_virtual
from simulator.disk import Disk
from simulator.pins.board import Edge
from simulator.plan import WorldPlan
from simulator.swarm import build
from simulator.swarm.bad_luck import BadLuck
from simulator.swarm.coverage import Coverage
from simulator.swarm.customers import Customer
from simulator.swarm.damage import (
    IN_A_TURN,
    copy_of,
    damage,
    last_customer,
    spoil_last_record,
)
from simulator.swarm.evidence import Watch
from simulator.swarm.fittings import of_the_other_owner
from simulator.swarm.health import HealthOracle
from simulator.swarm.judge import Judge
from simulator.swarm.plan import Act, End, Life, Step
from simulator.swarm.recorded import replays
from simulator.swarm.rules import Rules
from simulator.swarm.technician import Technician
from simulator.swarm.trace import Trace, line_of
from simulator.swarm.troubles import Excuse
from simulator.truth import Fact
from simulator.whole import NotQuietError, Whole

SETTLE_S: Final = 400.0  # after the last fault has gone: everything has ended by then
RECOUNTED_S: Final = RECOUNT_S + 1.0  # a doubt that is older has been settled
CALM_S: Final = 0.5  # longer than one round of polls: nothing was about to be said
LOOK_S: Final = 3.0  # between two looks when nothing is told
LOOK_LATE_S: Final = 5.0  # where whatever matters is told
DARK_S: Final = 2.0
RESTART_S: Final = 2.0  # systemd's pause before it starts a program that has ended
STOP_S: Final = 30.0  # TimeoutStopSec: then it is killed
BOOTS_MAX: Final = 12
OFF: Final = f"machine {FaultCode.MACHINE_REFUNDS.value}"
UNSEEN: Final = "(fell unseen)"  # past the light barrier
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
        settings, plan = self._fitted(base, life)
        self.life = life
        self.verdict = Verdict(life)
        self.machine = Whole(
            settings,
            link=life.build.link,
            seed=life.seed,
            plan=plan,
            disk=Disk(),
            fold_idle=fold,
        )
        self.machine.time_known = life.build.offers
        self.watch = Watch(self.machine)
        self.judge: Judge | None = None
        self.technician = Technician(self.machine)
        self.coverage = Coverage()
        self.health = HealthOracle.of(self.machine)
        self.rules = Rules(self.machine)
        self.trace = Trace(self.machine.world, keep=keep)
        self.luck = BadLuck(self.machine, life.build, self.watch, self.coverage, self.trace)
        self._rng = random.Random(f"{life.seed}/play")
        # Who waits for the next turn, and the timer that ends the waiting without one.
        self._turn_waiters: list[tuple[asyncio.Future[None], asyncio.TimerHandle]] = []
        self._end: End | None = None
        self._damaged = False
        self._spoils = False  # the next end takes the last record with it
        self._open_vends: set[int] = set()
        self._owners = settings, of_the_other_owner(settings)
        self._copy: Disk | None = None  # of the disk, from the middle of its life
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

    def _fitted(self, base: MachineSettings, life: Life) -> tuple[MachineSettings, WorldPlan]:
        """Return what the controller is told, and what stands around it."""
        settings = build.settings_of(base, life.build)
        return settings, build.plan_of(settings, life.build)

    def _new_judge(self) -> Judge:
        return Judge(self.machine)

    # -------------------------------------------------------------------------------- the life

    async def play(self) -> Verdict:
        """Play it to its end, or to the first finding."""
        verdict = self.verdict
        try:
            await self._boot()
            await self._while_alive(self._calm())
            self.judge = self._new_judge()
            self.watch.begin()
            middle = self.life.steps[len(self.life.steps) // 2 :][:1]
            for step in self.life.steps:
                verdict.step = step.number
                if self.life.finale and step in middle:
                    self._copy = copy_of(self.machine.disk, self._rng)
                verdict.findings = await self._play_step(step)
                if verdict.findings:
                    break
            if not verdict.findings:
                verdict.findings = await self._last_check()
            if not verdict.findings and self.life.finale:
                verdict.findings = await self._play_finale()
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
        if verdict.findings:
            self.show()
        verdict.trace = self.trace.close(verdict.findings)
        verdict.hits = self.trace.hits
        self.luck.cancel()
        with suppress(Exception):
            await machine.kill()

    def show(self) -> None:
        """Put what the journal says and what is physically so into the verdict."""
        log = self.machine.world.truth.log
        self.verdict.journal = [line_of(record) for record in self.watch.evidence.records]
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
            await self._while_alive(actor.done, actor)
            actor.result()
        finally:
            actor.cancel()
        self.luck.end()
        await self._while_alive(self._calm())
        if self.watch.evidence.excused(Excuse.COUNT):
            # Whoever mended the tubes has them counted.
            count = machine.loop.create_task(self.technician.count())
            await self._while_alive(count.done)
            await self._while_alive(self._calm())
        if any(trouble.part == "config" for trouble in self.watch.evidence.struck):
            await self._list_prices()
        self._end = None
        self._counting = False
        machine.world.take_product()
        machine.world.take_money()
        if self.judge is None:
            return []
        self.coverage.customer_left()
        self.watch.end_step()
        self.rules.check(self.watch.evidence)
        findings = self.judge.check(self.watch.evidence)
        if not findings:
            self.watch.begin()
            if self._off():
                return await self._visit()
        return findings

    async def _list_prices(self) -> None:
        pricing = self.machine.loop.create_task(self.technician.prices())
        await self._while_alive(pricing.done)
        await self._while_alive(self._calm())

    async def _visit(self, *, hoppers: bool = False) -> list[str]:
        self.machine.world.truth.customer = "technician"
        assert self.judge is not None, "judged since the first boot"
        findings = await self.technician.visit(hoppers=hoppers or self.judge.must_count_hoppers)
        if self.health is not None:
            self.health.attended()
        await self._while_alive(self._calm())
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
        snapshots = {snap.at.seq: snap.state for snap in await running.journal.snapshots()}
        findings += replays(self.machine.recordings)
        state = type(running.journal.state)()
        seq = 0
        async for record in running.journal.records():
            seq += 1
            if record.seq != seq:
                return [*findings, f"record {record.seq} stands where {seq} should"]
            state.apply(record)
            if seq in snapshots and snapshots[seq] != state.encode():
                findings.append(f"the snapshot at {seq} is not what folding to it gives")
        if state.encode() != running.journal.state.encode():
            findings.append("folding the journal again gives another state")
        return findings

    async def _play_finale(self) -> list[str]:
        """The journal's file is damaged: sooner or later the machine sells again, and counts."""
        machine, how = self.machine, self.life.finale
        self.trace.note(f"the journal's file: {how}")
        self.trace.hit(f"disk.{how}")
        if how == IN_A_TURN:
            await self._end_in_a_turn()
        else:
            credit = machine.state.credit
            self.coverage.damaged(f"damage.{how}", coins=credit.coins, bills=credit.bills)
            self._life_ended(power=True)
            await machine.cut_power()
            machine.disk = damage(machine.disk, how, self._copy or machine.disk, self._rng)
            await asyncio.sleep(DARK_S)
            await machine.restore_power()
            self.watch.seen = 0  # another journal, or an earlier one
            self.rules = Rules(self.machine)
            self._damaged = True
            await self._boot()
        await self._while_alive(self._calm())
        self._damaged = False
        self.coverage.customer_left()
        self.watch.begin()
        assert self.judge is not None, "judged since the first boot"
        self.judge.reset()
        findings = await self._visit(hoppers=True)
        if findings:
            return findings
        await self._list_prices()  # one that was set may stand again
        coins = Act("coin", 50), Act("keys", text="B4", until="credit")
        return await self._play_step(Step(self.verdict.step + 1, coins))

    async def _end_in_a_turn(self) -> None:
        """One more customer, in whose turn the life ends; its last record is damaged.

        What they have is in a journal that nobody can read to its end: they are not judged.
        """
        judge, self.judge = self.judge, None
        self._damaged = self._spoils = True
        step = last_customer(self.life, self.machine.settings, self.verdict.step + 1)
        await self._play_step(step)
        self._spoils = False
        self.judge = judge

    # ------------------------------------------------------------------------------- the lives

    async def _while_alive(
        self, done: Callable[[], bool], task: asyncio.Task[None] | None = None
    ) -> None:
        """Let time pass until ``done()``, through every death and restart on the way.

        Where ``task`` is all that it waits for, turns of the machine wake nobody here.
        """
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
            elif task is None:
                await self._turned(self._wait_s)
            else:
                ends: list[asyncio.Future[Any] | None] = [task, machine.task, self._hit]
                await asyncio.wait(
                    {end for end in ends if end is not None},
                    timeout=LOOK_LATE_S,
                    return_when=asyncio.FIRST_COMPLETED,
                )

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
            and (running.machine.desk.mode.selling or self._off() or self._in_service())
            and not self._recounting()
            and not state.sagas
            and (state.escrow is None or state.escrow.claimed or state.escrow.waits)
            and machine.world.quiet
        )

    def _off(self) -> bool:
        """Tell whether it has stopped itself until a technician has looked."""
        return OFF in self.machine.state.faults

    def _in_service(self) -> bool:
        """Tell whether what could be read of a damaged journal ends in a technician's visit."""
        return self._damaged and bool(self.machine.state.service_by)

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
                self.machine.disk.heal()
            await asyncio.sleep(RESTART_S)
        raise NotQuietError(f"{BOOTS_MAX} starts, and none of them got to live")

    async def _boot_once(self) -> bool:
        machine = self.machine
        if self.life.build.reconfigured:
            machine.settings = self._owners[machine.boots % 2]
        booting = machine.loop.create_task(machine.boot())
        hit = self._hit
        awaited: set[asyncio.Future[Any]] = {booting} if hit is None else {booting, hit}
        await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
        if not booting.done():
            await machine.give_up(booting)
            return False
        try:
            running = booting.result()
        except JournalRefusedError as error:
            if not self.life.finale:
                raise
            await self._begin_anew(error)
            return False
        except JournalError as error:
            if not self.luck.disk_is_troubled:
                raise
            self.trace.note(f"boot failed: {error}")
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
        try:
            following.result()
        except JournalError as error:
            if not self._damaged:
                raise
            # Below its last snapshot a start reads nothing: a technician's "verify" has found it.
            await machine.kill()
            await self._begin_anew(error)
            return False
        return True

    async def _begin_anew(self, error: JournalError) -> None:
        self.trace.note(f"refused: {error}")
        self.watch.seen = 0
        self.rules = Rules(self.machine)
        await self.machine.begin_journal("its file is damaged")

    def _enter(self, running: Any) -> None:
        running.machine.on_turn.append(self._turn_over)

    async def _die(self) -> None:
        """Carry out the end that was drawn, stay dark, start again."""
        await self._end_life()
        await self._boot()

    async def _end_life(self) -> None:
        machine, end = self.machine, self._end
        assert end is not None, "something was drawn"
        self.trace.note(f"end: {end.how}")
        self.trace.hit(end.how)
        recovering = machine.running is None or not machine.state.recovered
        self.coverage.happens(f"end.{end.how}", "RECOVERY" if recovering else "")
        self._counting = False
        self._hit = None
        if end.how == "stop" and machine.running is not None and not machine.ended:
            await self._stop()
        elif end.how == "power":
            self._life_ended(power=True)
            await machine.cut_power()
        else:
            self._life_ended(power=False)
            await machine.kill()
        if self._spoils:
            self._spoils = False
            self.coverage.happens(f"damage.{IN_A_TURN}")
            await spoil_last_record(machine.disk)
        await asyncio.sleep(end.dark_s)
        if end.how == "power":
            await machine.restore_power()
        self._end = end.again[0] if end.again else None
        if self._end is not None:
            rest = end.again[1:]
            self._end = End(self._end.how, self._end.when, self._end.after, self._end.dark_s, rest)
            self._arm()

    def _life_ended(self, *, power: bool) -> None:
        self.watch.life_ended(power=power)
        self.rules.life_ended()

    async def _stop(self) -> None:
        machine = self.machine
        assert machine.running is not None, "it lives"
        task = machine.task
        assert task is not None, "it lives"
        machine.running.machine.stop("test")
        await asyncio.wait({task}, timeout=STOP_S)
        if not task.done():
            self.trace.note("stop took too long: killed")
        self._life_ended(power=False)
        await machine.kill()

    async def _ended_by_itself(self) -> None:
        machine = self.machine
        task = machine.task
        assert task is not None, "it has ended"
        error = None if task.cancelled() else task.exception()
        if not isinstance(error, JournalError) or not self.luck.disk_is_troubled:
            why = repr(error) if error is not None else f"stopped: {task.result()}"
            raise AssertionError(f"vendd ended by itself: {why}") from error
        self.trace.note(f"vendd ended: {error}")
        self.trace.hit("journal failed")
        self._life_ended(power=False)
        await machine.kill()
        await asyncio.sleep(RESTART_S)
        await self._boot()

    # ------------------------------------------------------------------------------ the troubles

    def _begin(self, step: Step) -> None:
        self._hit = None
        self._end = step.end
        self._counting = False
        self.machine.on_instant = self.machine.disk.on_io = None  # nobody counts
        if step.end is not None:
            self._arm()
        self.luck.begin(step.troubles)

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
            self.trace.note(f"instant {self._instants}: {what}")
            if self._end.how != "stop":
                self.machine.cut_strings()
            self._hit.set_result(None)

    def _recorded(self, record: Record) -> None:
        # Counted here: a journal that is begun anew counts from zero.
        self.verdict.records += 1
        if record.type == rec.VendOpened.type:
            if isinstance(record.data, rec.VendOpened) and not record.data.test:
                self._open_vends.add(record.seq)
        elif record.type == rec.VendClosed.type and record.vend in self._open_vends:
            self._open_vends.discard(record.vend)
            self.verdict.vends += 1
        if self.health is not None:
            self.health.record(record, self.watch.evidence)
        self.rules.record(record, self.watch.evidence)
        self.trace.record(record)
        self.coverage.record(record)
        if self._end is not None and not self._counting and record.type == self._end.when:
            self._counting = True
        self.luck.recorded(record.type)

    # ------------------------------------------------------------------------------- the trace

    def _turned(self, seconds: float) -> asyncio.Future[None]:
        """Return what is done after the machine's next turn, or after ``seconds``."""
        loop = self.machine.loop
        turned: asyncio.Future[None] = loop.create_future()
        self._turn_waiters.append((turned, loop.call_later(seconds, _done, turned)))
        if self._hit is not None and not self._hit.done():
            self._hit.add_done_callback(lambda _: _done(turned))
        return turned

    def _turn_over(self) -> None:
        self.rules.look()
        self._stir()

    def _stir(self) -> None:
        """Something happened: let everybody who waits look again."""
        waiters, self._turn_waiters = self._turn_waiters, []
        for waiter, timer in waiters:
            timer.cancel()
            _done(waiter)

    def _fact(self, fact: Fact) -> None:
        self._stir()
        if fact.what == "moved" and fact.detail.endswith("(fell)"):
            self.coverage.fell()
        elif fact.what == "moved" and fact.detail.endswith(UNSEEN):
            column = fact.detail.partition("column:")[2].partition(" ")[0]
            self.watch.evidence.unseen[column] += 1
            self.coverage.fell()
        if self.health is not None:
            self.health.fact(fact, self.watch.evidence)
        self.rules.fact(fact)
        self.trace.fact(fact)

    def _edge(self, edge: Edge) -> None:
        if self._counting:
            self._instant(f"pin {edge.pin} {'up' if edge.level else 'down'}")
        self.trace.edge(edge)
        if edge.driven and edge.level and edge.pin in self._motors:
            self.watch.motor_on(edge.pin)

    def _acts(self, act: Act) -> None:
        self.coverage.happens(f"act.{act.what}")
        self.coverage.happens(f"act.{act.what} {act.text}")


def _done(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


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
    return verdict, players[0].trace.lines or []
