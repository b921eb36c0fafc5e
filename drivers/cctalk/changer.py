"""A coin acceptor and hoppers as one coin changer: the controller's `Changer` port over ccTalk.

A hopper is a tube (see `hoppers`); position n of the acceptor is type n - 1. The hoppers' marks are
kept in the journal beside the event counter (see `cursor`).

*Money counts once.* A read of the credit buffer takes nothing away, so what is new is told by the
event counter alone, and the counter is taken as seen only with the record of its coins. While that
record is not durable the buffer is not read: after a second without reads the acceptor takes no
coins, so that no more than its five places hold ever waits for a slow disk.

Source: ccTalk Generic Specification 4.7, parts 2 and 3.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final

from controller.faults import DeviceFault, FaultCode, JournalError, LinkError
from controller.money import exponent
from controller.ports import (
    ChangerInfo,
    CoinKind,
    CoinRoute,
    CoinsReport,
    DepositedCoin,
    DeviceLost,
    DeviceName,
    DeviceReady,
    DeviceSink,
    EscrowLever,
    Greeting,
    Identity,
    Known,
    PayoutEvidence,
    PayoutOrder,
    TubeCounts,
)
from drivers.cctalk.acceptor import (
    POLL_S,
    REMIND_S,
    Acceptor,
    AcceptorPlan,
    Coins,
    fault_of,
)
from drivers.cctalk.bus import CcTalkBus
from drivers.cctalk.coin_codec import CoinCredit
from drivers.cctalk.coin_count import LOST, UNPRICED, UNREAD, CoinCount
from drivers.cctalk.cursor import Cursor, decode_cursor
from drivers.cctalk.events import BUFFER_EVENTS, NOTHING_NEW, EventBuffer, News, news_between
from drivers.cctalk.hopper import Hopper, HopperPlan
from drivers.cctalk.hoppers import Hoppers
from drivers.cctalk.unit import Silent, Unit
from drivers.fault_book import FaultBook

GREET_S: Final = 2.0
"""For the line to open and the first answers, before a device counts as away."""
RETRY_S: Final = 2.0
"""Between two looks for a device that is away, or of no use."""
HOPPER_S: Final = 2.0
"""Between two looks at an idle hopper."""
MISSES: Final = 2
"""Reads in a row, of three tries each, without an answer: the acceptor is away."""
UNNOTED_EVENTS: Final = BUFFER_EVENTS - 2
"""Events without money that may pass before the counter is noted. With more, a restart could not
tell them from lost ones; two places are left for what happens while nobody looks."""


class CcTalkChanger:
    """Drives an acceptor, hoppers, or both.

    Args:
        bus: The line they are on.
        sink: Where coins and faults go.
        currency: The machine's, ISO 4217 letters.
        acceptor: The coin acceptor, None without one.
        hoppers: The hoppers, in the order of their coin types from 15 down.
    """

    def __init__(
        self,
        bus: CcTalkBus,
        sink: DeviceSink,
        *,
        currency: str,
        acceptor: AcceptorPlan | None,
        hoppers: Iterable[HopperPlan] = (),
    ) -> None:
        self._bus = bus
        self._sink = sink
        self._currency = currency
        self._acceptor = None if acceptor is None else Acceptor(bus, acceptor, currency)
        self._hoppers = Hoppers(bus, hoppers, sink.notify, self._note)
        self._units: list[Acceptor | Hopper] = [
            *([self._acceptor] if self._acceptor else []),
            *self._hoppers,
        ]
        self._books = dict(self._hoppers.books)
        if self._acceptor is not None:
            self._books[self._acceptor.part] = FaultBook(self._acceptor.part, sink.notify)
        self._info: ChangerInfo | None = None
        self._kinds: dict[int, CoinKind] = {}
        self._seen: EventBuffer | None = None
        self._unnoted = 0
        self._count = CoinCount()
        self._wanted: frozenset[int] = frozenset()
        self._rest = bus.rests.of(acceptor.address if acceptor else 0)

    # ------------------------------------------------------------------------------ the port

    @property
    def name(self) -> DeviceName:
        """Return which peripheral this is."""
        return DeviceName.CHANGER

    @property
    def units(self) -> tuple[Unit, ...]:
        """Return the devices at their addresses that make the changer."""
        return tuple(self._units)

    @property
    def info(self) -> ChangerInfo | None:
        """Return what it is, or None before it was ever identified."""
        return self._info

    async def greet(self, known: Known) -> Greeting:
        """Read what devices hold, without a reset; see `MdbDevice.greet`."""
        self._adopt(known)
        if not await self._bus.up(GREET_S):
            return Greeting(present=False)
        try:
            if self._info is None:
                await self._learn()
            await self._hoppers.look()
            fresh = await self._greet_acceptor()
        except LinkError:
            return Greeting(present=False)
        return Greeting(present=any(unit.alive for unit in self._units), just_reset=fresh)

    async def start(self) -> None:
        """Identify, enable, poll; find again what went away; for ever."""
        await self._live()

    async def tubes(self) -> TubeCounts:
        """Look at every hopper and tell what it should hold; see `Changer.tubes`."""
        if self._bus.down is not None:
            raise LinkError(f"the ccTalk line is down: {self._bus.down}")
        await self._hoppers.look()
        return self._hoppers.counts()

    async def payout(self, order: PayoutOrder) -> PayoutEvidence:
        """Pay and bring the evidence; see `Changer.payout`."""
        return await self._hoppers.pay(order)

    async def payout_evidence(self) -> PayoutEvidence:
        """Find out after a restart what a payout came to; see `Changer.payout_evidence`."""
        return await self._hoppers.evidence()

    async def pour(self, type_: int, count: int) -> TubeCounts:
        """Note coins that staff put into a hopper, or took out; see `Changer.pour`."""
        return await self._hoppers.pour(type_, count)

    def accept(self, types: frozenset[int], *, manual: bool = False) -> None:
        """Want these coin types accepted; see `Changer.accept`."""
        if manual:
            self._hoppers.attended()
        self._wanted = types
        self._rest.stir()

    # ---------------------------------------------------------------------------------- life

    def _adopt(self, known: Known) -> None:
        if isinstance(known.info, ChangerInfo):
            self._take(known.info)
            if self._acceptor is not None:
                self._acceptor.identity = known.info.identity
        cursor = decode_cursor(known.last_answer)
        self._seen = cursor.buffer
        self._count.accepted = cursor.accepted
        self._hoppers.adopt(cursor, known.tubes)

    def _take(self, info: ChangerInfo) -> None:
        self._info = info
        self._kinds = {kind.type: kind for kind in info.coins}

    async def _greet_acceptor(self) -> bool:
        """Take what an acceptor holds since the last record; whether it was reset meanwhile."""
        acceptor = self._acceptor
        if acceptor is None:
            return False
        before = self._seen
        try:
            await self._read(acceptor)
        except Silent:
            return False
        acceptor.alive = True
        return bool(before and before.counter and self._seen and self._seen.counter == 0)

    async def _live(self) -> None:
        while True:
            try:
                if await self._learn():
                    await self._serve()
            except LinkError:
                self._lost("the line is down")
            await asyncio.sleep(RETRY_S)

    async def _learn(self) -> bool:
        """Identify every device that answers; whether the machine can work with them.

        Raises:
            LinkError: The line is down.
        """
        hoppers = self._hoppers.kinds()
        taken = frozenset(kind.type for kind in hoppers)
        coins = tuple(kind for kind in self._kinds.values() if kind.type not in taken)
        identity = self._info.identity if self._info else Identity()
        for unit in self._units:
            learnt = await self._learn_one(unit, taken)
            if isinstance(unit, Acceptor) and learnt is not None:
                coins, identity = learnt, unit.identity
        if not any(unit.alive for unit in self._units):
            self._lost("no device answers")
            return False
        if self._acceptor is not None and self._info is None and not self._acceptor.alive:
            return False  # nobody has ever told what its coins are worth
        every = tuple(sorted((*coins, *hoppers), key=lambda kind: kind.type))
        self._take(ChangerInfo(3, 1, exponent(self._currency), every, identity=identity))
        return True

    async def _learn_one(
        self, unit: Acceptor | Hopper, taken: frozenset[int]
    ) -> tuple[CoinKind, ...] | None:
        book = self._books[unit.part]
        coins = None
        try:
            if isinstance(unit, Acceptor):
                coins = await unit.learn(taken)
                if unit.unusable:
                    odd = ", ".join(f"position {n}: {why}" for n, why in unit.unusable.items())
                    book.raise_(FaultCode.DEVICE_UNSUITABLE, odd)
                else:
                    book.clear(FaultCode.DEVICE_UNSUITABLE)
            else:
                await unit.learn()
                await unit.look()
                self._hoppers.judge(unit)
        except Silent as silent:
            unit.alive = False
            book.raise_(FaultCode.DEVICE_SILENT, str(silent))
            return None
        except DeviceFault as fault:
            unit.alive = False
            book.raise_(fault.code, fault.detail)
            return None
        unit.alive = True
        book.clear(FaultCode.DEVICE_SILENT)
        return coins

    def _lost(self, why: str) -> None:
        for unit in self._units:
            unit.alive = False
        if self._hoppers.serving:
            self._hoppers.serving = False
            self._sink.notify(DeviceLost(DeviceName.CHANGER))
            for unit in self._units:
                self._books[unit.part].raise_(FaultCode.DEVICE_SILENT, why)

    async def _serve(self) -> None:
        """Poll until nothing answers any more.

        Raises:
            LinkError: The line is down.
        """
        assert self._info is not None, "learnt before"
        loop = asyncio.get_running_loop()
        acceptor = self._acceptor
        if acceptor is not None and acceptor.alive:
            acceptor.forget()
            await self._apply(acceptor)
        self._hoppers.better()
        self._hoppers.serving = True
        self._sink.notify(DeviceReady(DeviceName.CHANGER, self._info))
        look_at = loop.time() + HOPPER_S
        while any(unit.alive for unit in self._units):
            self._rest.settle()
            if acceptor is not None:
                await self._poll(acceptor)
            now = loop.time()
            due = now >= look_at and not self._hoppers.paying
            if due and await self._hoppers.look_and_revive():
                look_at = now + HOPPER_S
            await self._rest.pause(POLL_S, self._nothing_due(look_at))
        self._lost("silent")

    def _nothing_due(self, look_at: float) -> float:
        """Until when a read that brings nothing new changes nothing; 0.0: the next one may."""
        acceptor = self._acceptor
        if acceptor is None or not acceptor.alive or acceptor.misses:
            return 0.0
        if acceptor.applied != self._acceptable:
            return 0.0
        return min(look_at, acceptor.applied_at + REMIND_S)

    # ------------------------------------------------------------------------------ acceptor

    async def _poll(self, acceptor: Acceptor) -> None:
        if not acceptor.alive:
            await self._find(acceptor)
            return
        try:
            was_reset = await self._read(acceptor)
        except Silent as silent:
            acceptor.misses += 1
            if acceptor.misses >= MISSES:
                acceptor.alive = False
                self._books[acceptor.part].raise_(FaultCode.DEVICE_SILENT, str(silent))
            return
        acceptor.misses = 0
        if was_reset:
            acceptor.forget()
        await self._apply(acceptor)

    async def _find(self, acceptor: Acceptor) -> None:
        """Look for an acceptor that is away; when it is back, begin with it anew."""
        loop = asyncio.get_running_loop()
        if loop.time() < acceptor.looked_at + RETRY_S:
            return
        acceptor.looked_at = loop.time()
        taken = frozenset(hopper.coin_type for hopper in self._hoppers)
        coins = await self._learn_one(acceptor, taken)
        if coins is None:
            return
        acceptor.forget()
        hoppers = tuple(kind for kind in self._kinds.values() if kind.type in taken)
        assert self._info is not None, "it serves"
        every = tuple(sorted((*coins, *hoppers), key=lambda kind: kind.type))
        self._take(ChangerInfo(3, 1, self._info.decimals, every, identity=acceptor.identity))
        self._sink.notify(DeviceReady(DeviceName.CHANGER, self._info))

    async def _read(self, acceptor: Acceptor) -> bool:
        """Read the credit buffer and have what is new written down; whether it was reset.

        Raises:
            Silent: It does not answer.
            LinkError: The line is down.
        """
        buffer, before = await acceptor.buffer(), self._seen
        if before is None:
            self._count.accepted, self._seen = await acceptor.accepted_ever(), buffer
            await self._note()  # the baseline: what comes from here on is new
            return False
        if before == buffer:
            return False
        news = news_between(before, buffer)
        gap = news.reset or news.lost > 0
        # Asked before anything is taken as seen: whatever fails here, the buffer is read again.
        accepted = await acceptor.accepted_until(buffer) if gap else None
        self._seen = buffer
        heard = acceptor.hear(news)
        self._tell(acceptor, heard, news)
        deposited = tuple(coin for coin in map(self._deposit, heard.credits) if coin is not None)
        unpriced = len(heard.credits) - len(deposited)
        self._unnoted += len(news.events)
        self._count.told(len(heard.credits))
        untold = self._count.untold(accepted, news) if gap else 0
        if deposited or untold or unpriced:
            doubt = UNPRICED if unpriced else ""
            if untold:
                doubt = LOST if news.lost else UNREAD
            await self._report(deposited, suspect=untold + unpriced, doubt=doubt)
        elif gap or self._unnoted > UNNOTED_EVENTS:
            await self._note()
        return news.reset

    async def _recount(self, acceptor: Acceptor) -> None:
        """See whether coins went with a reset that no counter shows.

        From 0 to 0, or because as many of the same coins came since as had come before.

        Raises:
            LinkError: The line is down.
        """
        if self._seen is None or self._count.accepted is None:
            return
        try:
            accepted = await acceptor.accepted_until(self._seen)
        except Silent:
            return  # the next read notices
        untold = 0 if accepted is None else self._count.untold(accepted, NOTHING_NEW)
        if untold:
            await self._report((), suspect=untold, doubt=UNREAD)

    def _tell(self, acceptor: Acceptor, heard: Coins, news: News) -> None:
        book = self._books[acceptor.part]
        if news.reset:
            book.raise_(FaultCode.DEVICE_RESET_BY_ITSELF, "its event counter began anew")
        if heard.credits:
            book.clear(FaultCode.CHANGER_COIN_JAM, FaultCode.CHANGER_COIN_REMOVED)
        for code in heard.errors:
            fault = fault_of(code)
            if fault is not None:
                book.raise_(fault, f"event {code}")
        if heard.levers:
            self._sink.notify(EscrowLever(DeviceName.CHANGER))

    def _deposit(self, credit: CoinCredit) -> DepositedCoin | None:
        """Tell what a credited coin is, and where it fell; None: nobody knows its value."""
        kind = self._kinds.get(credit.code - 1)
        if kind is None or kind.in_tube:
            return None
        hopper = self._hoppers.sorted_into(credit.path, kind.value)
        if hopper is not None:
            hopper.add(1)
            return DepositedCoin(hopper.coin_type, kind.value, CoinRoute.TUBE, hopper.mark.content)
        return DepositedCoin(kind.type, kind.value, CoinRoute.CASHBOX, 0, kind.token)

    async def _apply(self, acceptor: Acceptor) -> None:
        """Have the acceptor take what is wanted, and sort it where it belongs."""
        now = asyncio.get_running_loop().time()
        wanted = self._acceptable
        due = now >= acceptor.applied_at + REMIND_S
        sorting = self._hoppers.routes(self._kinds.values()), self._hoppers.full_paths
        if acceptor.sorted != sorting:
            await acceptor.sort(*sorting)
        if acceptor.applied != wanted or due:
            if due:
                await self._recount(acceptor)
            if await acceptor.apply(wanted, now):
                self._books[acceptor.part].clear(FaultCode.DEVICE_RESET_BY_ITSELF)

    @property
    def _acceptable(self) -> frozenset[int]:
        """What is wanted of what an acceptor knows."""
        return frozenset(
            kind for kind in self._wanted if kind in self._kinds and not self._kinds[kind].in_tube
        )

    # ------------------------------------------------------------------------------- journal

    def _cursor(self) -> bytes:
        marks = self._hoppers.marks()
        return Cursor(self._seen, marks, accepted=self._count.accepted).encode()

    async def _note(self) -> None:
        """Have the journal keep how far events and counts were seen."""
        await self._report(())

    async def _report(
        self, deposited: tuple[DepositedCoin, ...], suspect: int = 0, doubt: str = ""
    ) -> None:
        """Hand coins over, and wait until their record is on disk."""
        self._unnoted = 0
        report = CoinsReport(
            DeviceName.CHANGER,
            self._cursor(),
            deposited,
            suspect=suspect,
            doubt=doubt,
            note=True,
        )
        try:
            await self._sink.money(report)
        except JournalError as error:
            self._bus.fail(error)  # which ends the machine, and this task with it
            await asyncio.Event().wait()
