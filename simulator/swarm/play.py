"""Plays a life: its customers and their bad luck, in virtual time; stops at a finding."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from dataclasses import replace
from typing import Final

from config.machine import MachineSettings
from controller.journal import records as rec
from controller.journal.envelope import Record
from simulator.clock import VirtualDeadlockError, VirtualLivelockError, run_virtual
from simulator.disk import Disk
from simulator.panel import Frame
from simulator.peripherals.changer_settings import BusyStyle
from simulator.pins.board import Edge
from simulator.plan import WorldPlan
from simulator.swarm import build
from simulator.swarm.customers import Customer
from simulator.swarm.damage import (
    IN_A_TURN,
    copy_of,
    damage,
    last_customer,
)
from simulator.swarm.folded import Folded
from simulator.swarm.health import HealthOracle
from simulator.swarm.inherited import Inherited
from simulator.swarm.intents import Intents
from simulator.swarm.judge import Judge
from simulator.swarm.lives import Lives
from simulator.swarm.plan import Act, Life, Step
from simulator.swarm.recorded import replays
from simulator.swarm.relays import Relays
from simulator.swarm.rules import Rules
from simulator.swarm.technician import Technician
from simulator.swarm.times import Times
from simulator.swarm.trace import line_of
from simulator.swarm.troubles import Excuse
from simulator.swarm.verdict import Verdict
from simulator.truth import TRAY, Fact, Kind
from simulator.whole import NotQuietError, Whole

DARK_S: Final = 2.0
FELL: Final = ("(fell)", "(fell unseen)")  # the latter past the light barrier
BILL: Final = f"{Kind.BILL.value} "  # of which one moves at a time
PULLED: Final = (f"-> {TRAY} (jam cleared)", f"-> {TRAY} (pulled out)")  # by hand
TRUTH_SHOWN: Final = 400  # facts, in a report


class Player(Lives):
    """Plays one life."""

    def __init__(
        self, base: MachineSettings, life: Life, *, fold: bool = True, keep: bool = False
    ) -> None:
        """Build the machine; nothing runs yet."""
        settings, plan = self._fitted(base, life)
        machine = Whole(
            settings,
            link=life.build.link,
            seed=life.seed,
            plan=plan,
            disk=Disk(),
            fold_idle=fold,
        )
        machine.time_known = life.build.offers
        line = machine.world.cctalk
        if line is not None and line.acceptor is not None:
            line.acceptor.settings = replace(
                line.acceptor.settings, keeps_inhibits=life.build.keeps_inhibits
            )
            if life.build.events:
                line.acceptor.has_counted(life.build.events)
        super().__init__(life, machine, keep=keep)
        self.verdict = Verdict(life)
        self.judge: Judge | None = None
        self.technician = Technician(machine)
        self.folded = Folded(machine)
        self.inherited = Inherited() if life.finale else None
        self.health = HealthOracle.of(machine)
        self.relays = Relays.of(machine, lambda: self.watch.evidence)
        self.times = Times(machine, self._finds, self._devices_are_heard)
        self.intents = Intents(machine, self._finds, self._readers_are_heard, self.times.heard)
        self._rng = random.Random(f"{life.seed}/play")
        self._open_vends: set[int] = set()
        self._copy: Disk | None = None  # of the disk, from the middle of its life
        self._motors = {
            column.motor.pin.number for column in settings.columns if column.motor.type == "direct"
        } | {pin.number for pin in settings.gpio.rows}
        door = settings.door
        self._door = None if door is None else door.pin.number
        self.machine.world.truth.on_fact = self._fact
        self.machine.world.board.on_edge = self._edge
        self.machine.world.panel.on_frame = self._frame
        self.watch.on_told = self._stir
        self.watch.on_seen = self.coverage.seen
        self.watch.on_record.append(self._recorded)

    def _fitted(self, base: MachineSettings, life: Life) -> tuple[MachineSettings, WorldPlan]:
        """Return what the controller is told, and what stands around it."""
        settings = build.settings_of(base, life.build)
        return settings, build.plan_of(settings, life.build)

    def _finds(self, finding: str) -> None:
        self.watch.evidence.findings.append(finding)

    def _readers_are_heard(self) -> bool:
        evidence = self.watch.evidence
        return not evidence.ends and not evidence.excused(Excuse.APPROVAL, Excuse.REFUND)

    def _devices_are_heard(self) -> bool:
        evidence = self.watch.evidence
        return len(evidence.struck) <= 1 and not evidence.ends and not evidence.excused(Excuse.LINE)

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
            verdict.findings = self._opened()
            self.watch.begin()
            middle = self.life.steps[len(self.life.steps) // 2 :][:1]
            for step in () if verdict.findings else self.life.steps:
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

    def _opened(self) -> list[str]:
        """Nobody has come yet: nobody has any money in it."""
        credit = self.machine.state.credit.total
        return [f"a new machine says that a customer has {credit} in it"] if credit else []

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
        if self.fleet is not None:
            self.fleet.life_ended()
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
        if self.fleet is not None:  # a machine that is locked sells nothing
            await self._while_alive(self.fleet.settled())
        await self._while_alive(self._calm())
        if self._must_count():
            count = machine.loop.create_task(self.technician.count())
            await self._while_alive(count.done)
            await self._while_alive(self._calm())
        if any(trouble.part == "config" for trouble in self.watch.evidence.struck):
            await self._list_prices()
        if self.judge is not None and self.rules.codes.owed:
            await self._while_alive(self._read())
            await self._while_alive(self._calm())
        self._end = None
        self._counting = False
        machine.world.take_product()
        machine.world.take_money()
        if self.judge is None:
            return []
        self.coverage.customer_left()
        self.watch.end_step()
        self.rules.check(self.watch.evidence)
        if self.health is not None:
            self.watch.evidence.findings += self.health.check(self.watch.evidence)
        if self.relays is not None:
            self.watch.evidence.findings += filter(None, self.relays.check(self.watch.evidence))
        findings = self.judge.check(self.watch.evidence)
        if self.fleet is not None:
            findings += self.fleet.check()
        if not findings:
            self.watch.begin()
            if self._off():
                return await self._visit()
        return findings

    def _must_count(self) -> bool:
        """Whether the tubes are counted: by whoever mended them, or for what nobody can know.

        Where a changer says nothing of payouts, one that has paid all that was ordered is over.
        """
        evidence, changer = self.watch.evidence, self.machine.world.changer
        quiet = changer is not None and changer.settings.busy is BusyStyle.NEVER
        return evidence.excused(Excuse.COUNT) or (quiet and evidence.excused(Excuse.OVERPAID))

    async def _list_prices(self) -> None:
        pricing = self.machine.loop.create_task(self.technician.prices())
        await self._while_alive(pricing.done)
        await self._while_alive(self._calm())

    async def _visit(self, *, hoppers: bool = False) -> list[str]:
        self.machine.world.truth.customer = "technician"
        assert self.judge is not None, "judged since the first boot"
        rng = random.Random(f"{self.life.seed}/{self.verdict.step}/visit")
        hoppers = hoppers or self.judge.must_count_hoppers
        findings = await self.technician.visit(rng, hoppers=hoppers)
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
        if self.fleet is not None:
            self.fleet.give_up()
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
            if how == "deleted" and not self._refused:
                return ["its journal is gone, and it has begun another one without a word"]
        if self.fleet is not None:  # an old copy may be locked
            await self._while_alive(self.fleet.settled())
        await self._while_alive(self._calm())
        self._damaged = False
        self.rules.purse.begin()
        self.coverage.customer_left()
        told = len(self.watch.evidence.findings)
        self.watch.end_step()
        findings = self.watch.evidence.findings[told:]
        self.watch.begin()
        assert self.judge is not None, "judged since the first boot"
        self.judge.reset()
        findings += [] if self.inherited is None else self.inherited.findings
        findings += await self._visit(hoppers=True)
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

    # ------------------------------------------------------------------------------ the troubles

    def _begin(self, step: Step) -> None:
        self._hit = None
        self._end = step.end
        self._counting = False
        self.machine.on_instant = self.machine.disk.on_io = None  # nobody counts
        if step.end is not None:
            self._arm()
        self.luck.begin(step.troubles)

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
        if self._damaged:
            self.folded.give_up()
        else:
            self.folded.record(record, self.watch.evidence)
        if self.inherited is not None:
            self.inherited.record(record)
        self.rules.record(record, self.watch.evidence)
        self.intents.record(record)
        if self.relays is not None:
            self.relays.record(record)
        self.trace.record(record)
        self.coverage.record(record)
        if self._end is not None and not self._counting and record.type == self._end.when:
            self._counting = True
        self.luck.recorded(record.type)

    # ------------------------------------------------------------------------------- the trace

    def _fact(self, fact: Fact) -> None:
        self._stir()
        if fact.what == "moved" and fact.detail.endswith(FELL):
            column = fact.detail.partition("column:")[2].partition(" ")[0]
            self.watch.evidence.fell[column] += 1
            self.coverage.fell()
        elif fact.what == "moved" and fact.detail.startswith(BILL) and fact.detail.endswith(PULLED):
            self.watch.evidence.pulled += int(fact.detail.removeprefix(BILL).partition(":")[0])
        if self.health is not None:
            self.health.fact(fact, self.watch.evidence)
        self.rules.fact(fact)
        self.trace.fact(fact)

    def _frame(self, frame: Frame) -> None:
        self.rules.codes.look(frame.lines)
        self._stir()

    def _edge(self, edge: Edge) -> None:
        if self._counting:
            self._instant(f"pin {edge.pin} {'up' if edge.level else 'down'}")
        self.trace.edge(edge)
        if edge.pin == self._door:
            self.rules.manners.door(self.machine.world.cabinet.door_open)
        if edge.driven and edge.pin in self._motors:
            self.rules.manners.motor(on=edge.level, evidence=self.watch.evidence)
            if edge.level:
                self.watch.motor_on(edge.pin)
        elif self.relays is not None:
            self.relays.edge(edge)

    def _acts(self, act: Act) -> None:
        self.rules.baskets.acts(act)
        self.rules.purse.acts()
        if act.what == "keys":
            self.rules.purse.keyed(act.text)
        readers = sorted(self.machine.world.readers)
        if act.what == "card" and readers:
            self.coverage.happens(f"{readers[act.value % len(readers)]}.card")
        self.coverage.happens(f"act.{act.what}")
        self.coverage.happens(f"act.{act.what} {act.text}")


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
        verdict.broke = True
        players[0].show()
    return verdict, players[0].trace.lines or []
