"""The stage of the scenarios: a whole machine in virtual time, and what people do in front of it.

A scenario acts on the world alone, as a customer, a technician or fate does, and judges by the
physical truth, by what the display says and by the journal's records. ``play`` ends each one with
the oracles: books equal cash, nobody pays for nothing, outputs off.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

from config.machine import MachineSettings
from config.settings import load
from controller import app
from controller.domain import commands as cmd
from controller.faults import FaultCode
from controller.journal.envelope import Record
from controller.state.saga import Closed
from simulator.clock import run_virtual
from simulator.disk import Disk
from simulator.oracles import NONE, Allowance, check
from simulator.plan import WorldPlan
from simulator.truth import Account
from simulator.whole import Whole
from simulator.world import Link

SETTINGS: Final = load(
    Path(__file__).parents[2] / "config" / "machines" / "demo.toml", home=Path("/nonexistent")
)
ANSWERED_S: Final = 30.0  # virtual; what a person would wait for, without a card or a deadline


class Stage(Whole):
    """A machine with an audience."""

    def __init__(
        self,
        settings: MachineSettings = SETTINGS,
        *,
        link: Link = "adapter",
        seed: int = 1,
        plan: WorldPlan | None = None,
        disk: Disk | None = None,
        fold_idle: bool = False,
    ) -> None:
        super().__init__(settings, link=link, seed=seed, plan=plan, disk=disk, fold_idle=fold_idle)
        self.told: list[Record] = []  # every record that became durable, over all lives
        self.shown: list[str] = []  # every text of the display, over all lives

    async def boot(self) -> app.Running:
        """Start a controller, and listen to its commits."""
        running = await super().boot()
        running.machine.on_commit.append(self.told.extend)
        running.machine.on_turn.append(self._look)
        running.machine.on_page.append(self._look)
        return running

    def _look(self) -> None:
        if self.running is not None and (not self.shown or self.shown[-1] != self.screen):
            self.shown.append(self.screen)

    async def opens(self) -> None:
        """Boot and wait until it sells."""
        await self.boot()
        await self.sells()

    # ------------------------------------------------------------------------- customers

    async def coins(self, *values: int) -> None:
        """Put coins in one after the other, each when the last one was shown as credit."""
        for value in values:
            before = self.state.credit.total
            self.world.insert_coin(value)
            await self.until(
                lambda before=before: self.state.credit.total > before,  # type: ignore[misc]
                within_s=ANSWERED_S,
            )

    async def bill(self, value: int) -> None:
        """Offer a bill until it is pulled in, and wait until it is credit."""
        before = self.state.credit.total
        await self.until(lambda: self.world.insert_bill(value), within_s=10.0)
        await self.until(lambda: self.state.credit.total == before + value, within_s=ANSWERED_S)

    def press(self, keys: str) -> None:
        """Press keys; returns at once."""
        self.world.press_keys(keys)

    async def closes(self, vends: int = 1, *, within_s: float = 600.0) -> Closed:
        """Wait until so many sagas have ended since the last call of an awaited action; the last.

        It counts from now: call it before what ends them can have ended.
        """
        before = self._ended
        await self.until(lambda: self._ended >= before + vends, within_s=within_s)
        return self.last

    async def buys(self, keys: str) -> Closed:
        """Key a selection and wait until nothing moves any more."""
        before = self._ended
        self.press(keys)
        await self.until(lambda: self._ended > before)
        await self.quiet()
        return self.last

    async def gives_back(self) -> Closed:
        """Press coin return and wait until nothing moves any more."""
        return await self.buys("*")

    async def gives_back_session(self) -> None:
        """Press coin return and wait until the card's session is over."""
        self.press("*")
        assert self.running is not None
        live = self.running.machine.desk.live
        await self.until(lambda: live.session is None)

    async def shows(self, text: str, *, within_s: float = ANSWERED_S) -> None:
        """Wait until the display says this (small and capital letters alike)."""
        await self.until(lambda: text.lower() in self.screen.lower(), within_s=within_s)

    async def pays_by_card(self, keys: str, card: str = "card") -> Closed:
        """Key a selection, show a card when asked, wait for the end."""
        before = self._ended
        self.press(keys)
        await self.until(lambda: "approval" in self.intents, within_s=ANSWERED_S)
        assert self.world.present_card(card), "the reader takes no notice"
        await self.until(lambda: self._ended > before)
        await self.quiet()
        return self.last

    # ----------------------------------------------------------------------- technicians

    async def act(self, command: cmd.Command) -> dict[str, Any]:
        """Have a technician's command carried out. Raises CommandRefused."""
        assert self.running is not None, "no controller runs"
        return await self.running.machine.act(command, "tech")

    # ------------------------------------------------------------------------------ fate

    def breaks(self, part: str, fault: str, value: Any = True) -> None:
        """Break something."""
        self.world.faults.set(part, fault, value)

    def mends(self, part: str, fault: str) -> None:
        """Set one fault back."""
        now = self.world.faults.get(part, fault)
        self.world.faults.set(part, fault, type(now)())

    async def passes(self, seconds: float) -> None:
        """Let time pass; the controller must live through it."""
        end = self.loop.time() + seconds
        await self.until(lambda: self.loop.time() >= end, within_s=seconds + 1.0)

    async def passes_without(self, seconds: float) -> None:
        """Let time pass while no controller runs."""
        await asyncio.sleep(seconds)

    # ----------------------------------------------------------------------------- seen

    @property
    def _ended(self) -> int:
        return sum(record.type == "vend.closed" for record in self.told)

    @property
    def last(self) -> Closed:
        """Return what became of the last saga that ended."""
        return self.state.closed[-1]

    @property
    def intents(self) -> list[str]:
        """Return the acts that have an intent and no outcome."""
        return [saga.intent for saga in self.state.sagas.values() if saga.intent]

    @property
    def account(self) -> Account:
        """Return the customer's dealings, as they really were."""
        return self.world.truth.account()

    @property
    def spent(self) -> int:
        """Return what the customer is out of pocket."""
        return self.account.spent

    @property
    def products(self) -> list[str]:
        """Return what fell for the customer."""
        return self.account.products

    @property
    def credit(self) -> int:
        """Return what the machine shows as credit."""
        return self.state.credit.total

    @property
    def claimed(self) -> int:
        """Return the sum of the open claims."""
        return sum(claim.amount for claim in self.state.claims.values())

    def records(self, type_: str) -> list[Any]:
        """Return the data of all durable records of a type, e.g. "fault.raised"."""
        return [record.data for record in self.told if record.type == type_]

    def has_fault(self, part: str, code: FaultCode) -> bool:
        """Tell whether a fault stands."""
        return f"{part} {code.value}" in self.state.faults

    def faults_raised(self, part: str, code: FaultCode | None = None) -> int:
        """Return how many times a fault of a part was recorded."""
        return sum(
            data.part == part and (code is None or data.code == code.value)
            for data in self.records("fault.raised")
        )

    @property
    def flags(self) -> list[str]:
        """Return the reasons for which a person was asked to look."""
        return [data.reason for data in self.records("review.flagged")]


Scenario = Callable[[Stage], Awaitable[None]]


def with_policy(**changes: Any) -> MachineSettings:
    """Return the demo machine under another policy."""
    return SETTINGS.model_copy(update={"policy": SETTINGS.policy.model_copy(update=changes)})


def with_mdb(part: str, **changes: Any) -> MachineSettings:
    """Return the demo machine with another money device."""
    device = getattr(SETTINGS.mdb, part).model_copy(update=changes)
    return SETTINGS.model_copy(update={"mdb": SETTINGS.mdb.model_copy(update={part: device})})


def play(
    scenario: Scenario,
    link: Link = "adapter",
    *,
    settings: MachineSettings = SETTINGS,
    plan: WorldPlan | None = None,
    allowance: Allowance = NONE,
    disk: Disk | None = None,
    ends: bool = True,
    judged: bool = True,
    fold_idle: bool = False,
) -> Stage:
    """Open a machine, play, wait for quiet, judge, stop; returns the stage as it was left.

    ``ends`` False: the scenario leaves no controller behind. ``judged`` False: what is wrong on
    purpose the oracles would find, so the scenario judges by itself. ``fold_idle``: hours pass.
    """

    async def run() -> Stage:
        stage = Stage(settings, link=link, plan=plan, disk=disk, fold_idle=fold_idle)
        await stage.opens()
        try:
            await scenario(stage)
            if ends:
                await stage.quiet()
                findings = check(stage, allowance)
                assert not findings or not judged, findings
                assert await stage.stop() == "test"
        except BaseException as error:
            error.add_note(story_of(stage))
            raise
        return stage

    return run_virtual(run())


_FURNITURE: Final = ("device.identified", "stock.set")  # in every story, and long


def story_of(stage: Stage) -> str:
    """Return what happened, for people who look into a failure."""
    facts = [
        f"{fact.at_s:9.3f} {fact.what}: {fact.detail}"
        for fact in stage.world.truth.log
        if "fill" not in fact.detail
    ]
    records = [
        f"{record.seq:4} {record.mono_ms / 1000:9.3f} {record.type} "
        f"{record.data.model_dump(exclude_defaults=True)}"  # type: ignore[union-attr]
        for record in stage.told
        if record.type not in _FURNITURE
    ]
    parts = {"WORLD": facts[-60:], "JOURNAL": records[-80:], "DISPLAY": stage.shown[-30:]}
    return "\n".join(line for name, lines in parts.items() for line in ("", f"THE {name}", *lines))
