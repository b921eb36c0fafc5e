"""The stage: what a story's customer, a technician and fate can do, each told as it is done.

Every wait is for something that happens in the world or in vendd; what does not happen in time
fails the story by name.
"""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from config.models import MatrixMotor
from simulator.client import WaitTimeoutError
from simulator.demo.teller import Teller, Tone
from simulator.rig import Rig
from simulator.shapes import FactView, Mark

READING_S: Final = 2.0  # a message stays at least so long for the audience
PATIENCE_S: Final = 60.0  # for one thing to happen, on a slow machine


class StoryError(AssertionError):
    """A story went another way than it has to; says how."""


class Stage:
    """One story's view of the machine.

    Args:
        rig: The processes.
        teller: Who tells the audience.
        customer: Whose account the truth keeps.
        hurry: Don't wait until the last customer's message has gone.
    """

    def __init__(self, rig: Rig, teller: Teller, customer: str, *, hurry: bool = False) -> None:
        self.rig = rig
        self.sim = rig.sim
        self.teller = teller
        self.customer = customer
        self._hurry = hurry
        self._mark = Mark()

    def money(self, amount: int) -> str:
        """Return an amount as people write it."""
        return self.teller.money(amount)

    # ------------------------------------------------------------------------------ customers

    async def coins(self, *values: int) -> None:
        """Put coins in, and wait until each has been sorted."""
        await self._act(f"puts in {' + '.join(self.money(value) for value in values)}")
        before = (await self.sim.truth()).totals
        there = before.tubes + before.cashbox + before.returned + sum(values)
        for value in values:
            await self.sim.insert_coin(value)
        await self.sim.wait_for(quiet_s=0.05, timeout_s=PATIENCE_S)
        after = (await self.sim.truth()).totals
        if after.tubes + after.cashbox + after.returned != there:
            raise StoryError("a coin is neither in the machine nor in the tray")

    async def bill(self, value: int) -> None:
        """Offer a bill until the validator pulls it in."""
        await self._act(f"offers a bill of {self.money(value)}")
        if not await self.sim.insert_bill(value, PATIENCE_S):
            raise StoryError("the validator did not pull the bill in")

    async def card(self, name: str = "card") -> None:
        """Hold a card to the reader until it takes notice."""
        await self._act("holds a card to the reader")
        if not await self.sim.present_card(name, patience_s=PATIENCE_S):
            raise StoryError("the reader took no notice of the card")

    async def keys(self, keys: str) -> None:
        """Press keys."""
        await self._act(f"keys {keys}")
        await self.sim.press_keys(keys)

    async def lever(self) -> None:
        """Press the coin return lever."""
        await self._act("presses the coin return lever")
        await self.sim.pull_lever()

    async def takes(self) -> None:
        """Take what lies in the bin and in the tray."""
        products = await self.sim.take_product()
        money = await self.sim.take_money()
        things = [self.teller.product(product) for product in products]
        if money:
            things.append(self.money(money))
        if things:
            self.teller.caption(f"takes {' and '.join(things)}", Tone.ACT)

    async def _act(self, words: str) -> None:
        self._mark = await self.sim.mark()
        self.teller.caption(words, Tone.ACT)

    # ------------------------------------------------------------------- technicians and fate

    async def fate(self, words: str) -> None:
        """Say what nobody in front of the machine knows."""
        self._mark = await self.sim.mark()
        self.teller.caption(words, Tone.FATE)

    async def jam(self, column: str) -> None:
        """Let a column's motor stall in mid turn from now on."""
        await self.fate(f"the motor of {column} is going to jam")
        await self.sim.jam(column)

    async def slow(self, column: str) -> None:
        """Let a column turn slowly until vendd is started again: time enough to kill it."""
        await self.sim.set_fault(column, "slow", True)

    async def mend(self, column: str) -> None:
        """A technician frees a column, turns it home and gives it back."""
        self.teller.caption(f"a technician mends {column}", Tone.FATE)
        await self.sim.clear_faults(column)
        await self.sim.unjam(column, home=True)
        await self.rig.api.act("stock.enable", column=column)

    async def fill(self, column: str) -> None:
        """A technician fills a column."""
        self.teller.caption(f"a technician fills {column}", Tone.FATE)
        await self.sim.load(column)
        await self.rig.api.act("stock.fill", column=column)

    async def collect_tubes(self, leave: Mapping[int, int] | None = None) -> None:
        """A technician takes the coins out of the tubes; ``leave`` says how many stay, by value."""
        left = leave or {}
        worth = sum(value * count for value, count in left.items())
        but = f" to {self.money(worth)}" if worth else ""
        await self.fate(f"a technician empties the tubes{but}")

        async def empty() -> None:
            for value in (await self.sim.truth()).tubes:
                await self.sim.empty_tubes(value, left.get(value, 0))

        await self._in_service(empty)

    async def fill_tubes(self, count: int) -> None:
        """A technician brings coins until ``count`` are in each tube."""
        self.teller.caption("a technician fills the tubes", Tone.FATE)

        async def fill() -> None:
            for value, there in (await self.sim.truth()).tubes.items():
                if there < count:
                    await self.sim.fill_tubes(value, count - there)

        await self._in_service(fill)

    async def _in_service(self, work: Callable[[], Awaitable[None]]) -> None:
        api = self.rig.api
        await api.act("service.enter")
        await self.sim.door(True)
        before = (await self.sim.truth()).totals.tubes
        await work()
        self.rig.staff_moved((await self.sim.truth()).totals.tubes - before)
        await self.sim.door(False)
        seq = max((record["seq"] for record in api.records), default=0)
        await api.act("service.leave")
        await api.until_record("tubes.counted", PATIENCE_S, after=seq)
        await api.until_selling()

    async def kill_vendd(self) -> None:
        """SIGKILL vendd."""
        vendd = self.rig.vendd
        assert vendd is not None, "the curtain rises on a vendd that sells"
        self.teller.caption(f"kill -9 {vendd.pid}: vendd is dead", Tone.FATE)
        code = await vendd.kill()
        if code != 128 + signal.SIGKILL:
            raise StoryError(f"the guard ended with code {code}")
        on = (await self.sim.truth()).outputs_on
        if on:
            raise StoryError(f"outputs are on although vendd is dead: pins {on}")

    async def start_vendd(self) -> None:
        """Start vendd again, as the service manager does, and wait until it sells."""
        await self.fate("vendd is started again")
        await self.sim.clear_faults()
        await self.rig.start_vendd()

    # -------------------------------------------------------------------------------- waiting

    async def shows(self, text: str) -> None:
        """Wait until the display shows a text, or has shown it since the last act."""
        await self.sim.wait_for(display=text, since=self._mark, timeout_s=PATIENCE_S)

    async def reads(self, text: str) -> None:
        """Wait as ``shows`` does, unless in a hurry: for what is told again later."""
        if not self._hurry:
            await self.shows(text)

    async def happens(self, fact: str) -> None:
        """Wait until something has happened in the world since the last act."""
        await self.sim.wait_for(fact=fact, since=self._mark, timeout_s=PATIENCE_S)

    async def turns(self, column: str) -> None:
        """Wait until a column's motor has been switched on since the last act."""
        plan = next(c for c in self.rig.settings.columns if c.selection == column)
        rows = self.rig.settings.gpio.rows
        pin = rows[plan.motor.row] if isinstance(plan.motor, MatrixMotor) else plan.motor.pin
        await self.sim.wait_for(
            pin=pin.number, level=not pin.active_low, since=self._mark, timeout_s=PATIENCE_S
        )

    async def welcomed(self) -> None:
        """Wait until the machine offers its goods to whoever comes."""
        await self.rig.api.until(lambda vendd: vendd.mode == "idle", "it is idle")
        if self._hurry:
            return
        try:
            await self.sim.wait_for(display="Welcome", timeout_s=READING_S)
        except WaitTimeoutError:
            # Who comes next clears the last one's message, as people do.
            await self.sim.press_keys("*")
            await self.sim.wait_for(display="Welcome", timeout_s=PATIENCE_S)

    async def settled(self) -> None:
        """Wait until nothing moves and no vend is open."""
        await self.rig.settled()

    async def facts(self) -> list[FactView]:
        """Return what has happened to this customer."""
        return [fact for fact in await self.sim.facts() if fact.customer == self.customer]
