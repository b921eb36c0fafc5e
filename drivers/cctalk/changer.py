"""A coin acceptor and hoppers as one coin changer: the controller's `Changer` port over ccTalk.

A hopper is a tube: its coin type counts down from 15 in the order of the configuration; position n
of the acceptor is type n - 1. Hoppers don't count what is in them, so the content is an account:
what was inside at the last mark less what the running dispense count says has left since, and what
the sorter sent there. The marks are kept in the journal (see `cursor`).

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
    TubesTouched,
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
from drivers.cctalk.coin_count import LOST, UNREAD, CoinCount
from drivers.cctalk.cursor import MAX_CONTENT, Cursor, decode_cursor
from drivers.cctalk.events import BUFFER_EVENTS, NOTHING_NEW, EventBuffer, News, news_between
from drivers.cctalk.hopper import Hopper, HopperPlan
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
TYPES: Final = 16


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
        self._hoppers = [Hopper(bus, plan, TYPES - 1 - index) for index, plan in enumerate(hoppers)]
        self._units: list[Acceptor | Hopper] = [
            *([self._acceptor] if self._acceptor else []),
            *self._hoppers,
        ]
        self._books = {unit.part: FaultBook(unit.part, sink.notify) for unit in self._units}
        self._info: ChangerInfo | None = None
        self._kinds: dict[int, CoinKind] = {}
        self._seen: EventBuffer | None = None
        self._unnoted = 0
        self._count = CoinCount()
        self._wanted: frozenset[int] = frozenset()
        self._serving = False
        self._payouts = asyncio.Lock()
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
            for hopper in self._hoppers:
                await self._look_at(hopper)
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
        for hopper in self._hoppers:
            await self._look_at(hopper)
        return self._counts()

    async def payout(self, order: PayoutOrder) -> PayoutEvidence:
        """Pay and bring the evidence; see `Changer.payout`."""
        async with self._payouts:
            if self._bus.down is not None:
                raise LinkError(f"the ccTalk line is down: {self._bus.down}")
            for hopper in self._hoppers:
                await self._look_at(hopper)
            await self._note()  # the counts before: what left since is theirs, whatever happens
            status = [0] * TYPES
            idle, told = True, True
            begun = False
            for kind, count in order.coins:
                hopper_ = next((h for h in self._hoppers if h.coin_type == kind), None)
                if hopper_ is None:
                    continue
                try:
                    paid = await hopper_.pay(count)
                except LinkError:
                    if not begun:
                        raise
                    break
                begun = True
                status[kind] = paid.coins if paid.told is None else paid.told
                idle = idle and paid.idle
                told = told and paid.idle
                self._judge(hopper_)
                hopper_.better()  # or no longer: then it is news when it is back
            return PayoutEvidence(
                idle=idle, status=tuple(status) if told else None, tubes=self._counts()
            )

    async def payout_evidence(self) -> PayoutEvidence:
        """Find out after a restart what a payout came to; see `Changer.payout_evidence`.

        The running counts were noted before the payout, so their difference is what left since.
        """
        async with self._payouts:
            idle = True
            for hopper in self._hoppers:
                try:
                    # a hopper that goes on paying without us needs its coins' time
                    await self._look_at(hopper)
                    if hopper.alive and await hopper.wait_idle() is None:
                        idle = False
                except LinkError:
                    idle = False
                idle = idle and hopper.alive
            return PayoutEvidence(idle=idle, tubes=self._counts(proof=True))

    async def pour(self, type_: int, count: int) -> TubeCounts:
        """Note coins that staff put into a hopper, or took out; see `Changer.pour`."""
        async with self._payouts:
            hopper = next((h for h in self._hoppers if h.coin_type == type_), None)
            if hopper is None:
                raise LinkError(f"no hopper pays coins of type {type_}")
            await self._look_at(hopper)
            content = hopper.mark.content + count
            if not hopper.counted or not hopper.alive:
                raise LinkError(f"{hopper.part} does not answer; nothing was noted")
            if not 0 <= content <= hopper.plan.capacity:
                raise LinkError(
                    f"{hopper.part} would hold {content} coins; 0 to {hopper.plan.capacity} fit, "
                    f"and the books say {hopper.mark.content} now"
                )
            hopper.add(count)
            self._judge(hopper)
            await self._note()
            return self._counts()

    def accept(self, types: frozenset[int], *, manual: bool = False) -> None:
        """Want these coin types accepted; see `Changer.accept`."""
        if manual:  # somebody is there: what had run out may have been filled, or exchanged
            for hopper in self._hoppers:
                hopper.attended()
        self._wanted = types
        self._rest.stir()

    # ---------------------------------------------------------------------------------- life

    def _adopt(self, known: Known) -> None:
        if isinstance(known.info, ChangerInfo):
            self._take(known.info)
        cursor = decode_cursor(known.last_answer)
        self._seen = cursor.buffer
        self._count.accepted = cursor.accepted
        for hopper in self._hoppers:
            if hopper.coin_type < len(known.tubes):
                hopper.believed = known.tubes[hopper.coin_type]
            mark = cursor.hoppers.get(hopper.plan.address)
            if mark is not None:
                hopper.adopt(mark)

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
        hoppers = tuple(
            CoinKind(hopper.coin_type, hopper.plan.value, in_tube=True) for hopper in self._hoppers
        )
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
                self._judge(unit)
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
        if self._serving:
            self._serving = False
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
        for hopper in self._hoppers:
            hopper.better()
        self._serving = True
        self._sink.notify(DeviceReady(DeviceName.CHANGER, self._info))
        look_at = loop.time() + HOPPER_S
        while any(unit.alive for unit in self._units):
            self._rest.settle()
            if acceptor is not None:
                await self._poll(acceptor)
            if loop.time() >= look_at and not self._payouts.locked():
                look_at = loop.time() + HOPPER_S
                for hopper in self._hoppers:
                    await self._look_at(hopper)
                    await self._revive(hopper)
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
        deposited = tuple(map(self._deposit, heard.credits))
        self._unnoted += len(news.events)
        self._count.told(len(deposited))
        untold = self._count.untold(accepted, news) if gap else 0
        if deposited or untold:
            doubt = "" if not untold else LOST if news.lost else UNREAD
            await self._report(deposited, suspect=untold, doubt=doubt)
        elif gap or self._unnoted > UNNOTED_EVENTS:
            await self._note()
        return news.reset

    async def _recount(self, acceptor: Acceptor) -> None:
        """See whether coins went with a reset that no counter shows: from 0 to 0.

        Raises:
            LinkError: The line is down.
        """
        if self._seen is None or self._seen.counter or self._count.accepted is None:
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

    def _deposit(self, credit: CoinCredit) -> DepositedCoin:
        kind = self._kinds.get(credit.code - 1)
        value = kind.value if kind else 0
        token = bool(kind and kind.token)
        for hopper in self._hoppers:
            if credit.path and hopper.plan.path == credit.path and hopper.plan.value == value:
                hopper.add(1)
                return DepositedCoin(hopper.coin_type, value, CoinRoute.TUBE, hopper.mark.content)
        return DepositedCoin(credit.code - 1, value, CoinRoute.CASHBOX, 0, token)

    async def _apply(self, acceptor: Acceptor) -> None:
        """Have the acceptor take what is wanted, and sort it where it belongs."""
        now = asyncio.get_running_loop().time()
        wanted = self._acceptable
        due = now >= acceptor.applied_at + REMIND_S
        if acceptor.applied != wanted or due:
            if due:
                await self._recount(acceptor)
            await acceptor.route(self._routes())
            if await acceptor.apply(wanted, now):
                self._books[acceptor.part].clear(FaultCode.DEVICE_RESET_BY_ITSELF)

    @property
    def _acceptable(self) -> frozenset[int]:
        """What is wanted of what an acceptor knows."""
        return frozenset(
            kind for kind in self._wanted if kind in self._kinds and not self._kinds[kind].in_tube
        )

    def _routes(self) -> dict[int, int]:
        """The sorter path of each position whose coin a hopper takes."""
        routes = {}
        for kind in self._kinds.values():
            if kind.in_tube or not kind.value:
                continue
            for hopper in self._hoppers:
                room = hopper.mark.content < hopper.plan.capacity
                if hopper.plan.path is not None and hopper.plan.value == kind.value and room:
                    routes[kind.type + 1] = hopper.plan.path
        return routes

    # ------------------------------------------------------------------------------- hoppers

    async def _look_at(self, hopper: Hopper) -> None:
        """Ask a hopper how it is; silence is noted, no error. Raises LinkError."""
        book = self._books[hopper.part]
        try:
            await hopper.look()
        except Silent as silent:
            hopper.alive = False
            hopper.better()
            if self._serving:
                book.raise_(FaultCode.DEVICE_SILENT, str(silent))
            return
        hopper.alive = True
        book.clear(FaultCode.DEVICE_SILENT)
        self._judge(hopper)
        if hopper.better() and self._serving:
            self._sink.notify(TubesTouched(DeviceName.CHANGER))

    async def _revive(self, hopper: Hopper) -> None:
        """Reset a hopper that is blocked, by a jam or by a cut in a payout: it may pay again.

        Its counts are noted before: what it paid is known whatever the reset does to it.

        Raises:
            LinkError: The line is down.
        """
        if not hopper.alive or not hopper.blocked or not hopper.may_be_reset:
            return
        await self._note()
        async with self._payouts:
            await hopper.reset()
        await self._look_at(hopper)

    def _judge(self, hopper: Hopper) -> None:
        book = self._books[hopper.part]
        if not hopper.alive and self._serving:
            book.raise_(FaultCode.DEVICE_SILENT, "it fell silent in a payout")
        for code, words in hopper.troubles.items():
            if words:
                book.raise_(code, words)
            else:
                book.clear(code)

    def _counts(self, *, proof: bool = False) -> TubeCounts:
        """What hoppers hold. As a proof also of those that can't pay now, when they can tell."""
        counts = [0] * TYPES
        full, unable = set(), set()
        for hopper in self._hoppers:
            counts[hopper.coin_type] = hopper.mark.content
            unknown = not hopper.alive or bool(hopper.doubt)
            if unknown or not (hopper.pays or proof):
                unable.add(hopper.coin_type)
            if unknown:
                counts[hopper.coin_type] = -1
            elif hopper.mark.content >= hopper.plan.capacity:
                full.add(hopper.coin_type)
        return TubeCounts(tuple(counts), frozenset(full), frozenset(unable), cap=MAX_CONTENT)

    # ------------------------------------------------------------------------------- journal

    def _cursor(self) -> bytes:
        marks = {h.plan.address: h.mark for h in self._hoppers if h.counted}
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
