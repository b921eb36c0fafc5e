"""The one actor: take inputs, decide, commit, then act; and tell drivers and panel what holds.

One turn takes everything that is waiting (bounded), so that its records share one fsync. While a
turn's commit is on its way the bus goes on being polled and further inputs wait in the queue.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any, Final, Protocol

import structlog

from controller.api.service import Sync
from controller.domain.planogram import Planogram
from controller.faults import (
    EffectUnknownError,
    InvariantError,
    JournalError,
    LinkError,
    PeerProtocolError,
)
from controller.journal.envelope import Record
from controller.machine import effects as fx
from controller.machine.brain import Brain
from controller.machine.desk import Desk
from controller.machine.inputs import Act, Boot, Heard, Input, Money, Outcome, Stop, Timer
from controller.machine.limits import limit_s
from controller.machine.performing import Performer
from controller.machine.plan import Plan, Planner
from controller.machine.promises import TURN
from controller.machine.screen import NOTHING, Acceptance, Acceptor, view
from controller.panel.pager import Pager
from controller.panel.render import Renderer
from controller.ports import (
    DeviceEvent,
    Hands,
    Heartbeat,
    MoneyReport,
)

QUEUE_MAX: Final = 1_000  # inputs waiting; the bus makes at most some tens a second
TURN_MAX: Final = 64  # inputs decided in one turn, so that a commit is never put off for long
TIME_RETRY_S: Final = 30.0  # between two looks whether somebody keeps the clock right
_SHOW: Final = Timer("show")  # what was told has been there for its time
HEARTBEAT_S: Final = 0.1  # five beats within the guard's 500 ms

log = structlog.get_logger("machine")


class Recorder(Protocol):
    """Has the brain decide, and remembers it."""

    def begin(self, brain: Brain) -> None:
        """Start, before the first input."""
        ...

    def take(self, brain: Brain, item: Input) -> None:
        """Have ``brain`` decide about ``item``."""
        ...

    def committed(self, records: list[Record]) -> None:
        """See what has become durable."""
        ...

    def turned(self, brain: Brain) -> None:
        """The turn is over, its effects have begun."""
        ...

    def ended(self, brain: Brain, error: BaseException | None) -> None:
        """The machine has ended, perhaps by an error."""
        ...


class Inbox:
    """The actor's queue, and the sink of all drivers."""

    def __init__(self) -> None:
        """Start empty."""
        self.queue: asyncio.Queue[Input] = asyncio.Queue(QUEUE_MAX)

    def money(self, report: MoneyReport) -> asyncio.Future[None]:
        """Take a money report; the future is done when it is durable."""
        durable: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.queue.put_nowait(Money(report, durable))
        return durable

    def notify(self, event: DeviceEvent) -> None:
        """Take any other event."""
        self.queue.put_nowait(Heard(event))


def _not_durable(batch: list[Input], error: JournalError) -> None:
    """Tell the drivers that what they brought is in no record."""
    for item in batch:
        if isinstance(item, Money) and not item.durable.done():
            item.durable.set_exception(error)
            item.durable.exception()  # seen here, should its driver be gone


class Machine:
    """The actor and everything it moves."""

    def __init__(
        self,
        desk: Desk,
        hands: Hands,
        renderer: Renderer,
        inbox: Inbox,
        heartbeat: Heartbeat | None = None,
        time_known: Callable[[], bool] | None = None,
        recorder: Recorder | None = None,
        planner: Planner | None = None,
    ) -> None:
        """Bind the parts; nothing moves before ``run``."""
        self.desk = desk
        self.hands = hands
        self._performer = Performer(desk, hands, planner)
        self.brain = Brain(desk, tuple(self._performer.devices()))
        self.screen: tuple[str, ...] = ()
        self.on_commit: list[Callable[[list[Record]], None]] = []
        self.on_turn: list[Callable[[], None]] = []
        self.on_page: list[Callable[[], None]] = []  # the panel goes on to another page
        self._pager = Pager(self._show)
        self._renderer = renderer
        self.on_plan: list[Callable[[Plan], None]] = []
        desk.adopted = self._adopted
        self.inbox = inbox
        self.fleet: Sync | None = None  # what keeps the fleet in sync, once it has begun
        self._heartbeat = heartbeat
        self._time_known = time_known
        self._recorder = recorder
        self._queue = inbox.queue
        desk.poke = lambda name: self._queue.put_nowait(Timer(name))
        self._tasks: set[asyncio.Task[None]] = set()
        self._lives: set[asyncio.Task[None]] = set()  # of the devices: they end with the machine
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._rung: dict[str, Timer] = {}  # that ran out last, and wait for their turn
        self._acceptor = Acceptor(desk)
        self._acceptance: Acceptance = NOTHING
        self._readers_off: list[str] = []
        self._prices: frozenset[int] | None = None
        self._priced: Planogram | None = None  # whose prices these are
        self._view: object = None
        self._exit: str | None = None
        self._over = False
        self._broken: BaseException | None = None
        self._turning = False
        self._answering: list[tuple[asyncio.Future[dict[str, Any]], dict[str, Any]]] = []

    # ------------------------------------------------------------------------ for others

    async def act(self, command: Any, by: str) -> dict[str, Any]:
        """Have a technician's command decided. Raises CommandRefused; is cancelled at the end."""
        reply: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        if self._over:
            reply.cancel()  # nobody will ever decide it
        else:
            await self._queue.put(Act(command, by, reply))
        return await reply

    @property
    def quiet(self) -> bool:
        """Tell whether nothing waits to be decided and no act is under way."""
        return self._queue.empty() and not self._tasks and not self._turning

    def _adopted(self, plan: Plan) -> None:
        self._renderer, self._view = plan.renderer, None
        for told in self.on_plan:
            told(plan)

    def stop(self, reason: str) -> None:
        """Ask for a graceful end: what is open ends or compensates, then ``run`` returns."""
        self._queue.put_nowait(Stop(reason))

    # ---------------------------------------------------------------------------- the loop

    async def run(self) -> str:
        """Recover, sell, stop; returns why it ended.

        Raises:
            JournalError: A record is not on disk: outputs are off and nothing more is taken.
            InvariantError: An act broke, and nobody will tell its outcome: outputs are off, and
                the next start's recovery asks the hardware.
        """
        self._queue.put_nowait(Boot())
        self.desk.journal.on_failed = self._journal_failed
        self._beat()
        recorder = self._recorder
        if recorder is not None:
            recorder.begin(self.brain)
            self.on_commit.append(recorder.committed)
            self.on_turn.append(lambda: recorder.turned(self.brain))
        try:
            while self._exit is None:
                batch = [await self._queue.get()]
                while len(batch) < TURN_MAX and not self._queue.empty():
                    batch.append(self._queue.get_nowait())
                if self._broken is not None:
                    raise InvariantError(f"an act broke: {self._broken!r}") from self._broken
                if (failed := self.desk.journal.failed) is not None:
                    _not_durable(batch, failed)
                    raise failed
                await self._turn(batch)
            return self._exit
        finally:
            ended_by = sys.exc_info()[1]
            try:
                self.hands.dispenser.all_off()
            finally:
                if self._recorder is not None:
                    self._recorder.ended(self.brain, ended_by)
                for handle in self._timers.values():
                    handle.cancel()
                self._pager.stop()
                tasks = [*self._tasks, *self._lives]
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                self._over = True
                self._fail_waiting()

    async def _turn(self, batch: list[Input]) -> None:
        desk = self.desk
        self._turning = True
        self._decide(batch)
        effects, desk.effects = desk.effects, []
        written, desk.written = desk.written, []
        answers, desk.answers = desk.answers, []
        self._answering = answers
        if written:
            try:
                await desk.journal.commit()
            except JournalError as error:
                _not_durable(batch, error)
                for reply, _ in answers:
                    reply.cancel()  # nobody can say that it was done
                raise
        for item in batch:
            if isinstance(item, Money) and not item.durable.done():
                item.durable.set_result(None)
        for reply, answer in answers:
            if not reply.done():
                reply.set_result(answer)
        for effect in effects:
            self._begin(effect)
        if written:
            for told in self.on_commit:
                told(written)
        if effects:
            await asyncio.sleep(0)  # acts first: a motor does not wait for the panel's words
        self._tell(expired=batch == [_SHOW])
        self._turning = False
        for watcher in self.on_turn:
            watcher()

    def _decide(self, batch: list[Input]) -> None:
        brain, recorder = self.brain, self._recorder
        for item in batch:
            if isinstance(item, Timer) and self._set_anew(item):
                continue
            if recorder is None:
                brain.take(item)
            else:
                recorder.take(brain, item)

    def _set_anew(self, timer: Timer) -> bool:
        """Tell whether a timer was set to a later time since it rang, while a slow disk wrote."""
        if self._rung.get(timer.name) is not timer:
            return False
        del self._rung[timer.name]
        decided = (isinstance(one, fx.Wake) and one.name == timer.name for one in self.desk.effects)
        return timer.name in self._timers or any(decided)

    def _fail_waiting(self) -> None:
        """Tell whoever still waits that nobody will answer."""
        while not self._queue.empty():
            item = self._queue.get_nowait()
            if isinstance(item, Money) and not item.durable.done():
                item.durable.cancel()
            elif isinstance(item, Act) and not item.reply.done():
                item.reply.cancel()
        answering = [reply for reply, _ in (*self._answering, *self.desk.answers)]
        for reply in (*self.desk.live.replies.values(), *answering):
            if not reply.done():
                reply.cancel()

    def _journal_failed(self) -> None:
        """Beside a commit: a copy of the log, an acknowledgement. Nobody must pay into it."""
        if not self._queue.full():
            self._queue.put_nowait(Timer("journal failed"))  # whatever wakes the loop

    def _beat(self) -> None:
        if self._heartbeat is not None:
            self._heartbeat.beat()
            self._timers["beat"] = asyncio.get_running_loop().call_later(HEARTBEAT_S, self._beat)

    # ------------------------------------------------------------- what holds, told onwards

    def _tell(self, *, expired: bool) -> None:
        """Tell acceptors and panel what holds now, where it changed."""
        desk, hands = self.desk, self.hands
        wanted, off = self._acceptor.now(), desk.state.readers_off
        if wanted is not self._acceptance or off != self._readers_off:
            if hands.changer is not None:
                hands.changer.accept(wanted.coins, manual=wanted.manual)
            if hands.bill is not None:
                hands.bill.accept(wanted.bills)
            for name, reader in hands.readers.items():
                reader.enable(wanted.cards and name.value not in off)
            self._acceptance, self._readers_off = wanted, list(off)
        planogram = desk.planogram
        if planogram is not self._priced:
            self._priced, prices = planogram, planogram.prices()
            if prices != self._prices:
                for reader in hands.readers.values():
                    reader.set_prices(prices)
                self._prices = prices
        shown = view(desk)
        if shown == self._view:
            return
        if expired and (unread_s := self._pager.unread_s()):
            self._begin(fx.Wake("show", unread_s))  # a small glass: its last page was not seen
            return
        self._view = shown
        self._pager.tell(self._renderer.pages(shown))

    def _show(self, lines: tuple[str, ...]) -> None:
        if lines == self.screen:
            return
        self.screen = lines
        self.hands.display.show(lines)
        if not self._turning:
            for watcher in self.on_page:
                watcher()

    # ----------------------------------------------------------------------------- effects

    def _begin(self, effect: fx.Effect) -> None:
        match effect:
            case fx.Beep(tone=tone):
                self.hands.buzzer.beep(tone)
            case fx.CancelReading(device=device):
                if (reader := self.hands.readers.get(device)) is not None:
                    reader.cancel_reading()
            case fx.SwitchClimate(outputs=outputs):
                if self.hands.climate is not None:
                    self.hands.climate.switch(outputs)
            case fx.Wake(name=name, seconds=seconds):
                old = self._timers.pop(name, None)
                if old is not None:
                    old.cancel()
                self._timers[name] = asyncio.get_running_loop().call_later(
                    seconds, self._wake, name
                )
            case fx.Exit(reason=reason):
                self._exit = reason
            case fx.SyncNow():
                if self.fleet is not None:
                    self.fleet.hurry()
            case fx.AskTime():
                if self._time_known is not None and self._time_known():
                    self._queue.put_nowait(Timer("time known"))
                elif self._time_known is not None:
                    self._begin(fx.Wake("time", TIME_RETRY_S))
            case _:
                task = asyncio.get_running_loop().create_task(self._carry_out(effect))
                tasks = self._lives if isinstance(effect, fx.StartDevice) else self._tasks
                tasks.add(task)
                task.add_done_callback(self._done)

    def _wake(self, name: str) -> None:
        self._timers.pop(name, None)
        if name == TURN and (unread_s := self._pager.unread_s()):
            self._begin(fx.Wake(TURN, unread_s))  # a small glass: not all of the code was seen
            return
        self._rung[name] = timer = Timer(name)
        self._queue.put_nowait(timer)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._lives.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("effect.broke", error=repr(error))
            self._broken = error
            self._queue.put_nowait(Timer("broken"))  # whatever wakes the loop

    async def _carry_out(self, effect: fx.Effect) -> None:
        limit = limit_s(effect, self.desk.policy)
        patience = asyncio.timeout(limit)
        try:
            async with patience:
                result = await self._performer.perform(effect)
        except TimeoutError:
            if not patience.expired():
                raise
            name = type(effect).__name__
            result = fx.Failed(unknown=True, detail=f"{name}: no end in {limit} s", stuck=True)
        except EffectUnknownError as error:
            result = fx.Failed(unknown=True, detail=str(error))
        except (LinkError, PeerProtocolError) as error:
            result = fx.Failed(unknown=False, detail=str(error))
        await self._queue.put(Outcome(effect, result))
