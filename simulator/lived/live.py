"""Days of a machine in virtual time, and what is left of them: its journal and its world.

The swarm's player lives them: real controller, drivers and journal, judged after each customer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from config.machine import MachineSettings
from controller.journal import records as rec
from controller.journal.envelope import Record
from simulator.clock import VirtualDeadlockError, VirtualLivelockError, run_virtual
from simulator.lived.draw import DAY_S, Days, Visitor, build_of, visitors
from simulator.plan import WorldPlan, plan_for
from simulator.reckoning import Reckoning, reckon
from simulator.shapes import TruthView
from simulator.swarm.judge import Judge, Mark
from simulator.swarm.plan import Life, Step
from simulator.swarm.play import Player
from simulator.swarm.workers import quietly
from simulator.truth import Account
from simulator.views import truth

EVERYBODY: Final = "earlier customers"  # in the truth's accounts: all of them, as one
MOST_WORDS: Final = 12  # findings in an error


class LivedError(Exception):
    """The days did not end well: says what is wrong, and with which seed."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it is."""

    days: float
    customers: int
    vends: int
    records: int


@dataclass(slots=True)
class Past:
    """What is left of the days.

    Args:
        files: The journal's folder: name, content; room that is only reserved stands for itself.
        reserved: Names of files that are nothing but so many reserved bytes.
        world: The world's state.
        customers: How many came.
        vends: How many vends there were.
        records: How many records the journal has.
        starts: How often vendd was started.
        faults: What broke, and how often.
        balances: The ledger at the end, zero balances left out.
        by_hand: What staff paid of claims from their own pocket.
        left_behind: Credit that nobody came back for.
        reckoning: The ledger beside the physical truth.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    reserved: dict[str, int] = field(default_factory=dict)
    world: dict[str, Any] = field(default_factory=dict)
    customers: int = 0
    vends: int = 0
    records: int = 0
    starts: int = 0
    faults: dict[str, int] = field(default_factory=dict)
    balances: dict[str, int] = field(default_factory=dict)
    by_hand: int = 0
    left_behind: int = 0
    reckoning: Reckoning | None = None


class Census(Judge):
    """Judges, and remembers everybody whom the judge lets go, as one."""

    everybody: Account

    def reset(self, now: Mark | None = None) -> None:
        """Begin anew, with the people of until now counted."""
        if not hasattr(self, "everybody"):
            self.everybody = Account()
        one = self.everybody
        for account in self.machine.world.truth.accounts.values():
            one.inserted += account.inserted
            one.returned += account.returned
            one.charged += account.charged
            one.credited += account.credited
            one.products += account.products
        super().reset(now)


class Liver(Player):
    """Lives a machine as it is, day and night."""

    def __init__(
        self,
        settings: MachineSettings,
        plan: list[Visitor],
        days: Days,
        begin: datetime,
        told: Callable[[Progress], None],
    ) -> None:
        """Build the machine; nothing runs yet."""
        self._times = {visitor.step.number: visitor.at_s for visitor in plan}
        steps = tuple(visitor.step for visitor in plan)
        super().__init__(settings, Life(days.seed, build_of(settings), steps))
        self.machine.clock.set_wall(begin)
        self._end_s = days.days * DAY_S
        self._told = told
        self.past = Past()
        self._seen = 0
        self.watch.on_record.append(self._note)

    def _fitted(self, base: MachineSettings, life: Life) -> tuple[MachineSettings, WorldPlan]:
        """Take the file as it is, and around it what ``vendsim machine`` puts there."""
        del life
        return base, plan_for(base)

    def _new_judge(self) -> Judge:
        return Census(self.machine)

    def _note(self, record: Record) -> None:
        if isinstance(record.data, rec.ClaimClosed) and record.data.tender != "token":
            self.past.by_hand += record.data.amount
        elif isinstance(record.data, rec.CreditKept):
            data = record.data
            self.past.left_behind += data.coins + data.bills + data.product

    async def _play_step(self, step: Step) -> list[str]:
        await self._until(self._times[step.number])
        findings = await super()._play_step(step)
        self._tell()
        return findings

    def _tell(self) -> None:
        now = self.machine.loop.time()
        verdict = self.verdict
        self._told(
            Progress(
                min(now, self._end_s) / DAY_S, verdict.customers, verdict.vends, verdict.records
            )
        )

    async def _until(self, at_s: float) -> None:
        """Let the hours pass in which nobody comes."""
        machine = self.machine
        while (left := at_s - machine.loop.time()) > 0:
            assert machine.task is not None, "it lives"
            await asyncio.wait({machine.task}, timeout=left)
            if machine.ended:
                await self._ended_by_itself()

    async def _last_check(self) -> list[str]:
        """Look at everything, then end it in good order and keep what is left."""
        findings = await super()._last_check()
        machine, past = self.machine, self.past
        assert isinstance(self.judge, Census), "as it was made"
        self.judge.reset()
        machine.world.truth.accounts[EVERYBODY] = self.judge.everybody
        if not findings:
            past.reckoning = self._reckoning()
            findings = past.reckoning.differences
            findings += [
                f"column {name}: {there} products, {believed} believed"
                for name, (believed, there) in past.reckoning.stock.items()
                if believed != there
            ]
        if findings:
            return findings
        past.balances = machine.state.ledger.to_json()
        past.world = machine.world.to_state()
        await machine.stop()
        for name, file in machine.disk.files.items():
            if file.reserved and not file.data:
                past.reserved[name] = file.size
            else:
                past.files[name] = bytes(file.data)
        verdict = self.verdict
        past.customers, past.vends = verdict.customers, verdict.vends
        past.starts, past.faults = machine.boots, dict(self.trace.hits)
        return []

    def _reckoning(self) -> Reckoning:
        machine = self.machine
        state, settings = machine.state, machine.settings
        view = TruthView.model_validate(truth(machine.world, 1))
        ledger = {
            "accounts": [
                {"account": row.account, "debit": row.debit, "credit": row.credit}
                for row in state.ledger.trial_balance()
            ]
        }
        columns = [
            {
                "column": column.selection,
                "product": column.product,
                "price": settings.price_of(column),
                "count": state.stock.of(column.selection).count,
            }
            for column in settings.columns
        ]
        past = self.past
        past.records = machine.running.journal.durable_seq if machine.running else 0
        return reckon(
            ledger,
            {"columns": columns},
            view,
            view.totals.supplied,
            past.by_hand,
            past.left_behind,
        )


def live(
    settings: MachineSettings,
    days: Days,
    ends: datetime,
    told: Callable[[Progress], None] = lambda _: None,
) -> Past:
    """Live the days before ``ends``, and return what is left of them.

    Args:
        settings: The machine's own.
        days: How many, how busy, from which seed.
        ends: When they end, aware; the journal's times lead up to it.
        told: Called after each customer.

    Raises:
        LivedError: Something did not come out right to the cent; says what.
    """
    quietly()
    begin = ends - timedelta(days=days.days)
    plan = list(visitors(settings, days))
    found: list[Liver] = []

    async def run() -> None:
        found.append(Liver(settings, plan, days, begin, told))
        await found[0].play()

    try:
        run_virtual(run())
    except (VirtualLivelockError, VirtualDeadlockError) as error:
        raise LivedError(f"seed {days.seed}: {type(error).__name__}: {error}") from error
    liver = found[0]
    if liver.verdict.findings:
        words = "; ".join(liver.verdict.findings[:MOST_WORDS])
        raise LivedError(f"seed {days.seed}, visitor {liver.verdict.step}: {words}")
    return liver.past
