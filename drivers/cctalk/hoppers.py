"""The hoppers of one changer as its tubes: looked at, paid from, filled, and counted.

A hopper's coin type counts down from 15 in the order of the configuration. Hoppers don't count what
is in them, so the content is an account: what was inside at the last mark less what the running
dispense count says has left since, and what the sorter sent there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from typing import Final

from controller.faults import FaultCode, LinkError
from controller.ports import (
    CoinKind,
    DeviceEvent,
    DeviceName,
    PayoutEvidence,
    PayoutOrder,
    TubeCounts,
    TubesTouched,
)
from drivers.cctalk.bus import CcTalkBus
from drivers.cctalk.cursor import MAX_CONTENT, Cursor, HopperMark
from drivers.cctalk.hopper import Hopper, HopperPlan
from drivers.cctalk.unit import Silent
from drivers.fault_book import FaultBook

TYPES: Final = 16
LOOKS_S: Final = 0.25
"""For looks at idle hoppers between two reads of the acceptor: then no further one is asked."""


class Hoppers:
    """Every hopper of a changer.

    Args:
        bus: The line they are on.
        plans: What the configuration says of each, in the order of their coin types from 15 down.
        notify: Told what changes.
        note: Has the journal keep how far each of them has counted; returns when it has.
    """

    def __init__(
        self,
        bus: CcTalkBus,
        plans: Iterable[HopperPlan],
        notify: Callable[[DeviceEvent], None],
        note: Callable[[], Awaitable[None]],
    ) -> None:
        self._bus = bus
        self._notify = notify
        self._note = note
        self._all = [Hopper(bus, plan, TYPES - 1 - index) for index, plan in enumerate(plans)]
        self.books = {hopper.part: FaultBook(hopper.part, notify) for hopper in self._all}
        self.serving = False
        """Whether the changer has said that it is there: what changes from then on is news."""
        self._payouts = asyncio.Lock()
        self._next = 0  # whose turn it is to be asked how it is

    def __iter__(self) -> Iterator[Hopper]:
        return iter(self._all)

    # --------------------------------------------------------------------------------- looks

    @property
    def paying(self) -> bool:
        """Whether one of them is asked to pay, or may be."""
        return self._payouts.locked()

    async def look(self) -> None:
        """Ask each how it is; silence is noted, no error.

        Raises:
            LinkError: The line is down.
        """
        for hopper in self._all:
            await self._look_at(hopper)

    async def look_and_revive(self) -> bool:
        """Ask each how it is, and reset one that is blocked; whether each has had its turn.

        One that is silent or slow takes its time, and an acceptor that nobody reads takes no coins
        after a second: so the next ones are asked when this is called again.

        Raises:
            LinkError: The line is down.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + LOOKS_S
        for at in range(self._next, len(self._all)):
            hopper = self._all[at]
            await self._glance_at(hopper)
            await self._revive(hopper)
            if loop.time() >= end and at + 1 < len(self._all):
                self._next = at + 1
                return False
        self._next = 0
        return True

    async def _glance_at(self, hopper: Hopper) -> None:
        """Look at one that is idle, and ask once: for an acceptor is waiting for its next read.

        Only one that misses two looks in a row is asked as often as may be.

        Raises:
            LinkError: The line is down.
        """
        if hopper.missed or not hopper.alive:
            await self._look_at(hopper, was_away=not hopper.alive)
            return
        try:
            await hopper.look(tries=1)
        except Silent:
            hopper.missed = True
            return
        self._seen(hopper)

    async def _look_at(self, hopper: Hopper, *, was_away: bool = False) -> None:
        book = self.books[hopper.part]
        try:
            if was_away:
                await hopper.back()
            await hopper.look()
        except Silent as silent:
            hopper.alive = False
            hopper.better()
            if self.serving:
                book.raise_(FaultCode.DEVICE_SILENT, str(silent))
            return
        self._seen(hopper)

    def _seen(self, hopper: Hopper) -> None:
        """Take that one answers."""
        hopper.alive = True
        self.books[hopper.part].clear(FaultCode.DEVICE_SILENT)
        self.judge(hopper)
        if hopper.better() and self.serving:
            self._notify(TubesTouched(DeviceName.CHANGER))

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

    def judge(self, hopper: Hopper) -> None:
        """Tell what is wrong with one, and what no longer is."""
        book = self.books[hopper.part]
        if not hopper.alive and self.serving:
            book.raise_(FaultCode.DEVICE_SILENT, "it fell silent in a payout")
        for code, words in hopper.troubles.items():
            if words:
                book.raise_(code, words)
            else:
                book.clear(code)

    def better(self) -> None:
        """Take how each is for what is known: only what changes from here on is news."""
        for hopper in self._all:
            hopper.better()

    def attended(self) -> None:
        """Somebody is there: what had run out may have been filled, or exchanged."""
        for hopper in self._all:
            hopper.attended()

    # --------------------------------------------------------------------------------- money

    async def pay(self, order: PayoutOrder) -> PayoutEvidence:
        """Pay and bring the evidence; see `Changer.payout`."""
        async with self._payouts:
            if self._bus.down is not None:
                raise LinkError(f"the ccTalk line is down: {self._bus.down}")
            await self.look()
            await self._note()  # the counts before: what left since is theirs, whatever happens
            status = [0] * TYPES
            idle, told = True, True
            begun = False
            for kind, count in order.coins:
                hopper = self._of(kind)
                if hopper is None:
                    continue
                try:
                    paid = await hopper.pay(count)
                except LinkError:
                    if not begun:
                        raise
                    break
                begun = True
                status[kind] = paid.coins if paid.told is None else paid.told
                idle = idle and paid.idle
                told = told and paid.idle
                self.judge(hopper)
                hopper.better()  # or no longer: then it is news when it is back
            return PayoutEvidence(
                idle=idle, status=tuple(status) if told else None, tubes=self.counts()
            )

    async def evidence(self) -> PayoutEvidence:
        """Find out after a restart what a payout came to; see `Changer.payout_evidence`.

        The running counts were noted before the payout, so their difference is what left since.
        """
        async with self._payouts:
            idle = True
            for hopper in self._all:
                try:
                    # a hopper that goes on paying without us needs its coins' time
                    await self._look_at(hopper)
                    if hopper.alive:
                        look = await hopper.settle()
                        idle = idle and look is not None and not look.status.running
                except LinkError:
                    idle = False
                idle = idle and hopper.alive
            return PayoutEvidence(idle=idle, tubes=self.counts(proof=True))

    async def pour(self, type_: int, count: int) -> TubeCounts:
        """Note coins that staff put into a hopper, or took out; see `Changer.pour`."""
        async with self._payouts:
            hopper = self._of(type_)
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
            self.judge(hopper)
            await self._note()
            return self.counts()

    def counts(self, *, proof: bool = False) -> TubeCounts:
        """What they hold. As a proof also of those that can't pay now, when they can tell."""
        counts = [0] * TYPES
        full, unable = set(), set()
        for hopper in self._all:
            counts[hopper.coin_type] = hopper.mark.content
            unknown = not hopper.alive or bool(hopper.doubt)
            if unknown or not (hopper.pays or proof):
                unable.add(hopper.coin_type)
            if unknown:
                counts[hopper.coin_type] = -1
            elif hopper.mark.content >= hopper.plan.capacity:
                full.add(hopper.coin_type)
        return TubeCounts(tuple(counts), frozenset(full), frozenset(unable), cap=MAX_CONTENT)

    def _of(self, type_: int) -> Hopper | None:
        return next((hopper for hopper in self._all if hopper.coin_type == type_), None)

    # -------------------------------------------------------------------------------- sorter

    def sorted_into(self, path: int, value: int) -> Hopper | None:
        """Return the hopper that a coin of this worth fell into by this path, if one did."""
        for hopper in self._all:
            if path and hopper.plan.path == path and hopper.plan.value == value:
                return hopper
        return None

    def routes(self, kinds: Iterable[CoinKind]) -> dict[int, int]:
        """Return the sorter path of each position whose coin a hopper takes, with room if any."""
        routes = {}
        for kind in kinds:
            if kind.in_tube or not kind.value:
                continue
            for hopper in sorted(self._all, key=lambda one: one.room):
                if hopper.plan.path is not None and hopper.plan.value == kind.value:
                    routes[kind.type + 1] = hopper.plan.path
        return routes

    @property
    def full_paths(self) -> frozenset[int]:
        """Return the sorter paths that end in hoppers without room."""
        paths = {hopper.plan.path for hopper in self._all if not hopper.room}
        paths -= {hopper.plan.path for hopper in self._all if hopper.room}
        return frozenset(path for path in paths if path is not None)

    # ------------------------------------------------------------------------------- journal

    def kinds(self) -> tuple[CoinKind, ...]:
        """Return their coins."""
        return tuple(
            CoinKind(hopper.coin_type, hopper.plan.value, in_tube=True) for hopper in self._all
        )

    def adopt(self, cursor: Cursor, believed: tuple[int, ...]) -> None:
        """Go on where the journal says that they were.

        Args:
            cursor: What was noted last.
            believed: Coins inside by the machine's books, by their types; may be shorter.
        """
        for hopper in self._all:
            if hopper.coin_type < len(believed):
                hopper.believed = believed[hopper.coin_type]
            mark = cursor.hoppers.get(hopper.plan.address)
            if mark is not None:
                hopper.adopt(mark)

    def marks(self) -> Mapping[int, HopperMark]:
        """Return how far each has counted, by its address, for the journal."""
        return {hopper.plan.address: hopper.mark for hopper in self._all if hopper.counted}
