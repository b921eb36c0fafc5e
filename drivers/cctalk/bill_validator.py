"""A ccTalk bill validator, with or without escrow, as the controller's `BillValidator` port.

Bill type n of the validator is type n - 1. Money is a bill in the stacker, and only the event
stream says that one is there; an order to stack is not. How far the stream was heard is kept in the
journal, as for coins.

A reset empties the stream. What became of a bill that was in escrow then is told by the accept
counter of its type, where a validator keeps one without power; without it nobody knows. None counts
what is in its stacker.

Source: ccTalk Generic Specification 4.7, parts 2 and 3 (bill validators).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

from controller.faults import (
    DeviceFault,
    EffectUnknownError,
    FaultCode,
    JournalError,
    LinkError,
)
from controller.ports import (
    BillEvent,
    BillEventKind,
    BillInfo,
    BillsReport,
    DeviceLost,
    DeviceName,
    DeviceReady,
    DeviceSink,
    Greeting,
    Known,
    StackerCount,
)
from drivers.cctalk import bill_codec as codec
from drivers.cctalk.bill_faults import CLEARS, LASTING, RAISES
from drivers.cctalk.bill_unit import BillUnit
from drivers.cctalk.bus import TRIES, CcTalkBus, Peer
from drivers.cctalk.changer import GREET_S, RETRY_S, UNNOTED_EVENTS
from drivers.cctalk.coin_codec import MASTER_ON
from drivers.cctalk.cursor import Cursor, decode_cursor
from drivers.cctalk.events import NOTHING_NEW, EventBuffer, News, decode_events, news_between
from drivers.cctalk.fields import mask_of
from drivers.cctalk.frames import Checksum
from drivers.cctalk.headers import Header
from drivers.cctalk.unit import Silent
from drivers.fault_book import FaultBook
from drivers.pays_nothing import PaysNothing

POLL_S: Final = 0.2
"""Between two reads of the event buffer, as advised; after 5 s the validator inhibits itself."""
MASK_BYTES: Final = 2
FAULT_POLL_S: Final = 1.0
"""Between two self-checks while something is wrong: events tell only that it began."""
MAX_UNCHECKED: Final = 3
"""Self-checks without an answer, before it is taken to know none."""
ROUTE_S: Final = 33.0
"""For an order that is not heard: by then a validator has given the bill back by itself (30 s), and
told so."""
EXTEND_S: Final = 10.0
"""Between two requests to hold a bill on, which a validator gives back after 30 s by itself."""
REMIND_S: Final = 30.0
"""Between two repetitions of what it may take; see `acceptor`."""
LOST: Final = "events of the bill validator were lost, and may have told of a bill"
"""The flag of events that five others have pushed out of its buffer, unread."""
UNKNOWN: Final = "a bill that its validator does not know was stacked"
"""The flag of somebody's money of which nobody knows the value."""


@dataclass(frozen=True, slots=True)
class ValidatorPlan:
    """What the configuration says of a bill validator.

    Args:
        address: Usually 40.
        checksum: Bill validators usually use the CRC.
    """

    address: int = 40
    checksum: Checksum = Checksum.CRC


class CcTalkBillValidator(PaysNothing):
    """Drives one bill validator.

    Args:
        bus: The line it is on.
        sink: Where bills and faults go.
        currency: The machine's, ISO 4217 letters.
        plan: What the configuration says.
    """

    def __init__(
        self, bus: CcTalkBus, sink: DeviceSink, *, currency: str, plan: ValidatorPlan
    ) -> None:
        self._bus = bus
        self._sink = sink
        self._unit = BillUnit(bus, Peer(plan.address, plan.checksum), currency)
        self._faults = FaultBook(DeviceName.BILL.value, sink.notify)
        self._info: BillInfo | None = None
        self._values: dict[int, int] = {}
        self._seen: EventBuffer | None = None
        self._unnoted = 0
        self._wanted: frozenset[int] = frozenset()
        self._applied: frozenset[int] | None = None
        self._applied_at = float("-inf")
        self._check_at: float | None = None
        self._unchecked = 0
        """Self-checks in a row without an answer."""
        self._knows_master = True
        self._full = False
        self._serving = False
        self._away = False
        """It fell silent, or was of no use."""
        self._routing = asyncio.Lock()
        self._held = False
        """A bill is in escrow: only then "returned" speaks of it, not of one that was refused."""
        self._pulled = self._out = False
        """It told of a fraud with the bill in escrow; and that none is there any more."""
        self._extend_at: float | None = None
        """When the bill in escrow, about which nobody has decided, is to be held on."""
        self._escrow: tuple[int, int] | None = None
        """The bill type in escrow, and its accept counter before."""
        self._results = 0
        self._orders = 0
        self._rest = bus.rests.of(plan.address)

    # ------------------------------------------------------------------------------ the port

    @property
    def name(self) -> DeviceName:
        """Return which peripheral this is."""
        return DeviceName.BILL

    @property
    def unit(self) -> BillUnit:
        """Return the device at its address."""
        return self._unit

    @property
    def info(self) -> BillInfo | None:
        """Return what it is, or None before it was ever identified."""
        return self._info

    async def greet(self, known: Known) -> Greeting:
        """Read what it holds, without a reset; see `MdbDevice.greet`."""
        if isinstance(known.info, BillInfo):
            self._take(known.info)
        cursor = decode_cursor(known.last_answer)
        self._escrow = cursor.escrow
        self._seen = before = cursor.buffer
        self._held = before is not None and _holds(before)
        if not await self._bus.up(GREET_S):
            return Greeting(present=False)
        try:
            if self._info is None:
                self._take(await self._unit.learn())
            else:
                await self._unit.options()  # before a bill in escrow is read: what counts it then?
            await self._read()
        except (LinkError, Silent, DeviceFault):
            return Greeting(present=False)
        fresh = bool(before and before.counter and self._seen and self._seen.counter == 0)
        return Greeting(present=True, just_reset=fresh)

    async def start(self) -> None:
        """Identify, enable, poll; find again what went away; for ever."""
        while True:
            try:
                if self._away:
                    await self._unit.back()
                self._take(await self._unit.learn())
                await self._serve()
            except Silent as silent:
                self._lost(str(silent))
            except DeviceFault as fault:
                self._faults.raise_(fault.code, fault.detail)
                self._lost(fault.detail)
            except LinkError as down:
                self._lost(str(down))
            await asyncio.sleep(RETRY_S)

    async def stacker(self) -> StackerCount:
        """Tell whether the stacker is full; nobody counts what is in it."""
        if self._bus.down is not None:
            raise LinkError(f"the ccTalk line is down: {self._bus.down}")
        return StackerCount(0, self._full, known=False)

    async def stack(self) -> None:
        """Stack the bill in escrow; see `BillValidator.stack`."""
        await self._route(codec.Route.STACK)

    async def return_bill(self) -> None:
        """Return the bill in escrow; see `BillValidator.return_bill`."""
        await self._route(codec.Route.RETURN)

    def accept(self, types: frozenset[int]) -> None:
        """Want these bill types accepted; see `BillValidator.accept`."""
        self._wanted = types
        self._rest.stir()

    async def _route(self, route: codec.Route) -> None:
        """Order, again and again while it answers everything but this; events tell the result.

        Raises:
            LinkError: It says that it did not do so.
            EffectUnknownError: It never said whether it heard.
        """
        self._orders += 1
        order, before = self._orders, self._results
        loop = asyncio.get_running_loop()
        end = loop.time() + ROUTE_S
        unanswered, tries = False, 0
        while True:
            tries += 1
            async with self._routing:
                self._extend_at = None
                reply = await self._unit.try_ask(Header.ROUTE_BILL, bytes((route,)), tries=1)
            if self._results != before:
                return  # the result has come by events: it was heard
            match None if reply is None else codec.decode_route(reply):
                case codec.Routed.TAKEN:
                    self._rest.stir()
                    return
                case codec.Routed.EMPTY:
                    self._unit.oddities.note("escrow empty")
                    if route is codec.Route.RETURN and self._pulled:
                        self._out = True  # the customer has it: it told so, and of no credit
                        self._rest.stir()
                        return
                    if unanswered:  # it may have heard the first one: then the bill moves by now
                        self._rest.stir()
                        return
                    raise LinkError("the bill validator says that nothing is in escrow")
                case codec.Routed.FAILED if unanswered:
                    self._rest.stir()
                    return  # as above: events tell
                case codec.Routed.FAILED:
                    raise LinkError("the bill validator could not route the bill")
                case _ if (self._serving or tries < TRIES) and (
                    order == self._orders and loop.time() < end
                ):
                    # while it is polled: a bill that it gives back by itself is told
                    unanswered = unanswered or reply is None
                    await asyncio.sleep(POLL_S)
                case _:
                    raise EffectUnknownError("the bill validator was told, and did not answer")

    # ---------------------------------------------------------------------------------- life

    def _take(self, info: BillInfo) -> None:
        self._info = info
        self._values = {bill.type: bill.value for bill in info.bills}

    def _lost(self, why: str) -> None:
        self._away, self._applied = True, None
        self._unchecked = 0
        self._faults.raise_(FaultCode.DEVICE_SILENT, why)
        if self._serving:
            self._serving = False
            self._sink.notify(DeviceLost(DeviceName.BILL))

    async def _serve(self) -> None:
        """Enable and poll until it is silent. Raises Silent or LinkError."""
        assert self._info is not None, "learnt before"
        await self._read()
        await self._settle()
        await self._enable()
        self._faults.clear(FaultCode.DEVICE_SILENT, FaultCode.DEVICE_UNSUITABLE)
        self._serving, self._away = True, False
        self._sink.notify(DeviceReady(DeviceName.BILL, self._info))
        loop = asyncio.get_running_loop()
        while True:
            self._rest.settle()
            news = await self._read()
            if news.reset:
                if self._mute:
                    self._mended()  # what lasts it tells again
                await self._settle()
                await self._enable()
            elif news.lost:
                await self._settle(back=False)
            if self._out and self._held:
                self._out = self._held = False
                self._escrow, self._results = None, self._results + 1
                await self._report((BillEvent(BillEventKind.RETURNED, 0, 0),))
            if self._check_at is not None and loop.time() >= self._check_at:
                await self._self_check()
            await self._hold_on()
            if self._applied != self._effective or loop.time() >= self._applied_at + REMIND_S:
                await self._apply()
            await self._rest.pause(POLL_S, self._nothing_due())

    def _nothing_due(self) -> float:
        """Until when a read that brings nothing new changes nothing; 0.0: the next one may."""
        if self._applied != self._effective:
            return 0.0
        due = (self._applied_at + REMIND_S, self._check_at, self._extend_at)
        return min(at for at in due if at is not None)

    async def _hold_on(self) -> None:
        """Have a bill that waits for its vend kept in escrow."""
        async with self._routing:
            now = asyncio.get_running_loop().time()
            if self._extend_at is not None and now >= self._extend_at:
                self._extend_at = now + EXTEND_S
                await self._unit.try_ask(Header.ROUTE_BILL, bytes((codec.Route.EXTEND,)))

    async def _settle(self, *, back: bool = True) -> None:
        """After a reset, or lost events: find out what became of a bill that was in escrow.

        Args:
            back: One that was not stacked is asked back, if it is still there.

        Raises:
            Silent: It does not answer.
            LinkError: The line is down.
        """
        held = self._escrow
        if held is None or self._seen is None or _holds(self._seen):
            return
        bill_type, before = held
        accepted = await self._unit.accepted(bill_type)
        if accepted is None:
            return  # nobody knows; the controller's deadline decides
        more = (accepted - before) % codec.COUNTER_STEPS
        if more == 1:
            done = self._bill_event(BillEventKind.STACKED, bill_type)
        elif more or not back:
            return  # another validator stands there, or it keeps none: as above
        else:
            reply = await self._unit.try_ask(Header.ROUTE_BILL, bytes((codec.Route.RETURN,)))
            if reply is None or codec.decode_route(reply) is not codec.Routed.EMPTY:
                self._held = True  # still there, and on its way out: its event tells
                return
            done = BillEvent(BillEventKind.RETURNED, 0, 0)
        self._escrow, self._held = None, False
        self._results += 1
        await self._report((done,))

    async def _enable(self) -> None:
        """After a reset: how it works, then what it may take."""
        self._knows_master = True
        assert self._info is not None, "learnt before"
        mode = codec.MODE_STACKER | codec.MODE_ESCROW
        await self._unit.tell(Header.MODIFY_BILL_OPERATING_MODE, bytes((mode,)))
        await self._apply()

    @property
    def _effective(self) -> frozenset[int]:
        """What may be accepted: nothing into a full stacker."""
        return frozenset() if self._full else self._wanted & self._values.keys()

    async def _apply(self) -> None:
        wanted = self._effective
        mask = mask_of((kind + 1 for kind in wanted), MASK_BYTES)
        if not await self._unit.tell(Header.MODIFY_INHIBIT_STATUS, mask):
            return
        now, on = asyncio.get_running_loop().time(), bytes((MASTER_ON,))
        if self._knows_master or now >= self._applied_at + REMIND_S:
            # some know no master inhibit and stay silent: the mask alone decides there
            tries = TRIES if self._knows_master else 1
            self._knows_master = await self._unit.tell(Header.MODIFY_MASTER_INHIBIT, on, tries)
        self._applied, self._applied_at = wanted, now

    async def _self_check(self) -> None:
        """Find out whether what was told of still lasts.

        Asked once, and not for ever: an answer may take seconds, and as long as one may come nobody
        else is heard on this line. Of one that knows no self-check its events alone tell.
        """
        fault = await self._unit.try_ask(Header.PERFORM_SELF_CHECK, tries=1)
        self._unchecked = 0 if fault is not None else self._unchecked + 1
        if fault is not None and (not fault.data or fault.data[0] == 0):
            self._mended()
        elif self._mute:
            self._check_at = None
        else:
            self._check_at = asyncio.get_running_loop().time() + FAULT_POLL_S

    @property
    def _mute(self) -> bool:
        """Whether it seems to know no self-check."""
        return self._unchecked >= MAX_UNCHECKED

    def _mended(self) -> None:
        """Nothing that was told of lasts any more."""
        self._check_at = None
        self._full = False
        self._faults.clear(*LASTING)

    # ---------------------------------------------------------------------------- the events

    async def _read(self) -> News:
        """Read the event buffer and have what is new written down; returns it.

        Raises:
            Silent: It does not answer.
            LinkError: The line is down.
        """
        buffer = await self._unit.read(Header.READ_BUFFERED_BILL_EVENTS, decode_events)
        before = self._seen
        if before is None:
            self._seen = buffer
            await self._report(())
            return NOTHING_NEW
        news = news_between(before, buffer)
        if before == buffer:
            return NOTHING_NEW
        bills = self._hear(news)
        if self._held and self._escrow is None:
            # Asked before anything is taken as seen: if the line goes, the buffer is heard again.
            await self._remember(buffer)
        self._seen = buffer
        self._unnoted += len(news.events)
        doubt = LOST if news.lost else UNKNOWN if codec.UNKNOWN_STACKED in news.events else ""
        if bills or news.reset or doubt or self._unnoted > UNNOTED_EVENTS:
            await self._report(bills, doubt)
        if news.lost:
            self._faults.raise_(FaultCode.DEVICE_PROTOCOL, f"{news.lost} events were lost")
        return news

    async def _remember(self, buffer: EventBuffer) -> None:
        """A bill is in escrow: keep its accept counter, which proves later whether it was stacked.

        Read after the event, so before anybody can have ordered to stack it.
        """
        kinds = (codec.decode_bill_event(pair) for pair in buffer.pairs)
        held = next((e.bill_type for e in kinds if e.word is codec.BillWord.ESCROWED), None)
        accepted = None if held is None else await self._unit.accepted(held)
        if held is not None and accepted is not None:
            self._escrow = held, accepted

    def _hear(self, news: News) -> tuple[BillEvent, ...]:
        bills = []
        for pair in news.events:
            event = codec.decode_bill_event(pair)
            match event.word:
                case codec.BillWord.CREDIT:
                    bills.append(self._bill_event(BillEventKind.STACKED, event.bill_type))
                    self._held, self._escrow, self._extend_at = False, None, None
                    self._faults.clear(FaultCode.BILL_REMOVED)
                    if self._mute:
                        self._mended()  # nothing else would tell: this one has passed
                case codec.BillWord.ESCROWED:
                    bills.append(self._bill_event(BillEventKind.ESCROWED, event.bill_type))
                    self._escrow = None  # of another one, of which no word came
                    self._held, self._pulled, self._out = True, False, False
                    self._extend_at = asyncio.get_running_loop().time() + EXTEND_S
                case codec.BillWord.UNKNOWN:
                    self._unit.oddities.note(event.words)
                case _ if event.status is codec.BillStatus.RETURNED:
                    if self._held or news.lost:
                        bills.append(BillEvent(BillEventKind.RETURNED, 0, 0))
                    self._held, self._escrow, self._extend_at = False, None, None
                case _:
                    assert event.status is not None, "known words have a status"
                    self._status(event.status, event.words)
        self._results += sum(bill.kind is not BillEventKind.ESCROWED for bill in bills)
        return tuple(bills)

    def _bill_event(self, kind: BillEventKind, bill_type: int) -> BillEvent:
        return BillEvent(kind, bill_type - 1, self._values.get(bill_type - 1, 0))

    def _status(self, status: codec.BillStatus, words: str) -> None:
        if status is codec.BillStatus.MASTER_INHIBIT:
            # it inhibited itself; only a command lifts that
            self._applied, self._knows_master = None, True
        elif status in CLEARS:
            self._faults.clear(*CLEARS[status])
            self._full = False
            self._applied = None
        elif status in RAISES:
            self._faults.raise_(RAISES[status], words)
            self._full |= status is codec.BillStatus.STACKER_FULL
            self._pulled |= self._held and RAISES[status] is FaultCode.BILL_REMOVED
            if not self._mute:
                self._check_at = asyncio.get_running_loop().time() + FAULT_POLL_S
        else:
            self._unit.oddities.note(words)

    async def _report(self, bills: tuple[BillEvent, ...], doubt: str = "") -> None:
        """Hand bills over, and wait until their record is on disk."""
        self._unnoted = 0
        cursor = Cursor(self._seen, escrow=self._escrow)
        report = BillsReport(DeviceName.BILL, cursor.encode(), bills, note=True, doubt=doubt)
        try:
            await self._sink.money(report)
        except JournalError as error:
            self._bus.fail(error)  # which ends the machine, and this task with it
            await asyncio.Event().wait()


def _holds(buffer: EventBuffer) -> bool:
    """Whether the last thing that a buffer tells of a bill is that it is in escrow."""
    for pair in buffer.pairs:
        event = codec.decode_bill_event(pair)
        if event.word in (codec.BillWord.CREDIT, codec.BillWord.ESCROWED):
            return event.word is codec.BillWord.ESCROWED
        if event.status is codec.BillStatus.RETURNED:
            return False
    return False
