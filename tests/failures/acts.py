"""What a customer of the failure table does, and the moments at which it strikes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from config.models import Offer
from controller.domain.commands import GiveFreeVend, GrantAppCredit
from controller.journal.envelope import Record
from controller.saga import failures_recycler
from controller.saga.failure_cells import BY_CARD, Cell, Phase, Tender
from simulator.oracles import Allowance
from simulator.swarm.hands import ONCE
from simulator.swarm.prices import price_with
from simulator.world import Link
from tests.scenarios.stage import SETTINGS, Stage

PRICE: Final = {c.selection: SETTINGS.price_of(c) for c in SETTINGS.columns}
NAME: Final = {c.selection: c.product for c in SETTINGS.columns}
RECYCLING: Final = frozenset(cell.failure for cell in failures_recycler.ROWS)
CLAIMED: Final = PRICE["B2"]  # what the redeemed claim is over
CUSTOMER: Final = "second"  # the one whose vend is judged, where another had to come before
LOAD: Final = "C"  # the key that puts credit on a card
OTHER: Final = "A1"  # the second item of a basket
HALF: Final = Offer(name="half", percent=50, start="17:00", end="18:00")
ALL_OF_IT: Final = HALF.model_copy(update={"name": "free", "percent": 100})
HALF_PRICE: Final = SETTINGS.model_copy(update={"offers": (HALF,)})
FREE_HOUR: Final = SETTINGS.model_copy(update={"offers": (ALL_OF_IT,)})
HOURS_END: Final = datetime(2026, 12, 1, 18, tzinfo=UTC)
HOURS_BEFORE_S: Final = 100.0  # their end: it is asked every half minute whether the time is known
KNOWN_S: Final = 70.0
DEAR: Final = 740  # of A3 where a bill and a card pay together
LONGEST_S: Final = 900.0  # virtual; a cell that is not over by then never will be
DUE_S: Final = 150.0  # virtual; a moment that has not come by then never will (a slow disk's does)


class Play(Stage):
    """A stage on which one cell is played."""

    cell: Cell
    column: str
    allowance: Allowance
    by_card: bool
    strikes: list[asyncio.Task[Any]]
    stop_took_s: float = 0.0
    was_stranded: bool = False
    since: int = 0  # the last record of the customer before
    written: tuple[Record, ...] = ()  # in the journal; a commit may fail when all is written
    image: bytes = b""  # of the journal's file, as it was once
    broken: dict[tuple[str, str], object]  # what was broken, and what it was set to
    hours_end_ms: int = 0  # of the offer that holds; 0: none does

    def set_up(self, cell: Cell, column: str, allowance: Allowance) -> None:
        """Take the cell."""
        self.cell, self.column, self.allowance = cell, column, allowance
        self.by_card = cell.tender in (*BY_CARD, Tender.BILL_CARD)
        self.strikes = []
        self.broken = {}

    def breaks(self, part: str, fault: str, value: Any = True) -> None:
        """Break something, and remember how."""
        super().breaks(part, fault, value)
        self.broken[part, fault] = self.world.faults.get(part, fault)

    def mends(self, part: str, fault: str) -> None:
        """Set one fault back: it has done what it was for."""
        super().mends(part, fault)
        self.broken.pop((part, fault), None)

    @property
    def never_struck(self) -> list[str]:
        """Return the faults that strike so many times, or once, and have not: a play of nothing."""
        faults = self.world.faults
        return [
            f"{part}.{fault} = {value!r}"
            for (part, fault), value in self.broken.items()
            if (fault in ONCE or "counts down" in faults.describe(part)[fault])
            and faults.get(part, fault) == value
        ]

    @property
    def motors(self) -> set[int]:
        """Return the pins that turn something."""
        direct = (c.motor.pin.number for c in self.settings.columns if c.motor.type == "direct")
        return {*direct, *(pin.number for pin in self.settings.gpio.rows)}

    @property
    def price(self) -> int:
        """Return what the customer's product costs."""
        columns = {column.selection: column for column in self.settings.columns}
        listed = self.settings.price_of(columns[self.column])
        return price_with(self.settings.offers[0], listed) if self.hours_end_ms else listed

    @property
    def hours_left_s(self) -> float:
        """Return how long the offer still holds."""
        return self.hours_end_ms / 1_000 - self.clock.wall_utc().timestamp()

    async def comes_within_the_hours(self) -> None:
        """It is shortly before the end of the offer's hours, and somebody confirms that."""
        self.hours_end_ms = int(HOURS_END.timestamp() * 1_000)
        self.clock.jump_wall(self.hours_left_s - HOURS_BEFORE_S)
        self.time_known = True
        await self.passes(KNOWN_S)

    # --------------------------------------------------------------------------- the money

    async def pays(self) -> None:
        """Bring the money in, as far as it comes in before a selection."""
        price = self.price
        match self.cell.tender:
            case Tender.COINS if self.hours_end_ms:
                await self.coins(100)  # not what the list asks for
            case Tender.COINS:
                await self.coins(*([100] * (price // 100 + 1)))
                if price < 100:
                    await self.coins(100)
            case Tender.BILL:
                await self.bill(2_000 if self.cell.failure in RECYCLING else 500)
            case Tender.MIXED:
                await self.coins(50)
            case Tender.BILL_CARD:
                assert self.world.insert_bill(500)
                await self.until(lambda: self.state.escrow is not None)
                await self.quiet()
            case Tender.CLAIM:
                await self._redeems()
            case Tender.TOKEN:
                self.world.insert_coin(0, name="token")
                await self.until(lambda: bool(self.state.rights))
            case Tender.FREE:
                await self.act(GiveFreeVend("free-1", 60.0, "sorry", self.column))
            case Tender.HOUR if not self.hours_end_ms:
                await self.comes_within_the_hours()
            case Tender.APP:
                await self.act(GrantAppCredit("payment-1", price, 60.0, self.column))
            case Tender.BASKET:
                await self.coins(200, 100, 100)
            case Tender.REVALUE:
                await self._has_a_card_in()
                await self.coins(200, 100)
            case Tender.CARD | Tender.ANY | Tender.HOUR:
                pass

    async def _has_a_card_in(self) -> None:
        """A card is in the reader, which has told how much may be put on it."""
        assert self.running is not None
        live = self.running.machine.desk.live
        await self.until(lambda: self.world.present_card("prepaid"), within_s=30.0)
        await self.until(lambda: live.revalue_limit is not None, within_s=30.0)

    async def _redeems(self) -> None:
        """Somebody's card could not be given back, and the claim's code is keyed in."""
        self.breaks("B2", "jam")
        self.breaks("cashless1", "refund", "error")
        await self.pays_by_card("B2")
        self.mends("B2", "jam")
        self.mends("cashless1", "refund")
        code = next(iter(self.state.claims.values())).code
        self.press("#" + code)
        await self.until(lambda: self.credit > 0, within_s=30.0)
        self.since = self.told[-1].seq
        self.told.clear()
        self.world.truth.customer = CUSTOMER

    def chooses(self) -> asyncio.Task[None]:
        """Key the selection, and show the card when asked for it; goes on beside whatever comes."""

        async def choose() -> None:
            if self.cell.tender is Tender.BASKET:
                await self._fills_basket()
                return
            if self.cell.tender is Tender.REVALUE:
                self.press(LOAD)
                return
            self.press(self.column)
            if not self.by_card:
                return
            await self._when(lambda: "approval" in self.intents)
            if self.cell.failure not in CANCELS or self.cell.phase is not Phase.APPROVAL:
                card = "declined" if "declined" in self.cell.failure else "card"
                await self._when(lambda: self.world.present_card(card))

        return asyncio.get_running_loop().create_task(choose())

    async def _fills_basket(self) -> None:
        for keys in (self.column, OTHER, "#"):
            self.press(keys)
            await asyncio.sleep(1.0)

    async def _when(self, done: Callable[[], bool]) -> None:
        """Wait like a person, who takes no notice of the end of a process."""
        end = self.loop.time() + 120.0
        while not (self.running is not None and done()):
            if self.loop.time() > end:
                return
            await asyncio.sleep(0.05)

    # ------------------------------------------------------------------------- the moments

    async def moment(self) -> None:
        """Return at the cell's phase."""
        match self.cell.phase:
            case Phase.IDLE | Phase.MONEY:
                return
            case Phase.APPROVAL:
                await self.record("approval.requested")
                await asyncio.sleep(0.8)  # a card is read, and its issuer is being asked
            case Phase.TURN:
                await self.record("dispense.intended")
                await asyncio.sleep(0.3)
            case Phase.DROP:
                await self.record("dispense.intended")
                await self._falls()
            case Phase.SETTLE:
                await self.record("settle.intended" if self.by_card else "vend.settled")
            case Phase.REFUND:
                await self.record("settle.intended" if self.by_card else "credit.restored")
            case Phase.PAYOUT:
                await self.record("payout.intended")
                await self.coins_fall()
            case Phase.ESCROW:
                await self.record("stack.intended")
                await asyncio.sleep(0.5)  # half way into the stacker
            case Phase.REVALUE:
                await self.record("revalue.intended")
                await asyncio.sleep(0.2)  # the reader is at it
            case Phase.RECOVERY:
                await self.record("dispense.intended")
                await asyncio.sleep(0.3)

    async def _falls(self) -> None:
        """Return when the product has fallen, before anybody can have written it down."""
        fallen = asyncio.get_running_loop().create_future()

        def look(kind: str, data: dict[str, Any]) -> None:
            if kind == "fact" and "-> bin" in data["detail"] and not fallen.done():
                if self.cell.failure in DEATHS:
                    self.cut_strings()
                fallen.set_result(None)

        forget = self.world.listen(look)
        async with asyncio.timeout(DUE_S):
            await fallen
        forget()

    async def coins_fall(self) -> None:
        """Return when the changer, the recycler, or a hopper has begun to pay."""
        changer, bill, line = self.world.changer, self.world.bill, self.world.cctalk
        hoppers = [] if line is None else line.hoppers
        await self.comes(
            lambda: (
                (changer is not None and changer.paying)
                or (bill is not None and bill.recycler.paying)
                or any(hopper.remaining for hopper in hoppers)
            )
        )

    async def comes(self, sign: Callable[[], bool]) -> None:
        """Return within some milliseconds of a physical event; it is due."""
        end = self.loop.time() + DUE_S
        while self.loop.time() < end:
            if sign():
                return
            await asyncio.sleep(0.01)
        raise TimeoutError

    async def record(self, type_: str) -> None:
        """Return in the very turn in which a record of this type has become durable."""
        assert self.running is not None
        if any(record.type == type_ for record in self.told):
            return
        seen = asyncio.get_running_loop().create_future()

        def look(records: list[Record]) -> None:
            if not seen.done() and any(record.type == type_ for record in records):
                seen.set_result(None)

        self.running.machine.on_commit.append(look)
        async with asyncio.timeout(DUE_S):
            await seen

    # ------------------------------------------------------------------------------ the end

    @property
    def ended_vends(self) -> int:
        """Return how many of this customer's sagas have ended."""
        return sum(record.type == "vend.closed" for record in self.told)

    async def over(self) -> None:
        """Wait until nothing is open and nothing moves, in whatever mode that is."""
        assert self.running is not None
        await self.until(lambda: self.state.recovered, within_s=LONGEST_S)
        await self.quiet()

    async def reads_the_journal(self) -> None:
        """Look for records that became durable though their commit failed."""
        assert self.running is not None
        records = self.running.journal.records()
        told = {record.seq for record in self.told}
        self.written = tuple([r async for r in records if r.seq not in told and r.seq > self.since])


DEATHS: Final = ("vendd is killed", "power is lost")  # nothing is done after its instant
CANCELS: Final = ("customer cancels", "reader never answers")


def links() -> tuple[Link, ...]:
    """Return both."""
    return ("adapter", "native")
