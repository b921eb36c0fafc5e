"""A machine's lives: it is started, ends as was drawn or by itself, and is started again."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from controller.faults import FaultCode, JournalError
from controller.journal.errors import JournalRefusedError
from controller.machine.counts import RECOUNT_S
from simulator.swarm.bad_luck import BadLuck
from simulator.swarm.coverage import Coverage
from simulator.swarm.damage import (
    IN_A_TURN,
    spoil_last_record,
)
from simulator.swarm.evidence import Watch
from simulator.swarm.fittings import of_the_other_owner
from simulator.swarm.plan import End, Life
from simulator.swarm.rights import since
from simulator.swarm.rules import Rules
from simulator.swarm.trace import Trace
from simulator.whole import NotQuietError, Whole

if TYPE_CHECKING:
    from simulator.swarm.fleet import Fleet

SETTLE_S: Final = 400.0  # after the last fault has gone: everything has ended by then
RECOUNTED_S: Final = RECOUNT_S + 1.0  # a doubt that is older has been settled
CALM_S: Final = 0.5  # longer than one round of polls: nothing was about to be said
READS_S: Final = 40.0  # what is keyed and told comes before a code: half of another one for 30 s
LOOK_S: Final = 3.0  # between two looks when nothing is told
LOOK_LATE_S: Final = 5.0  # where whatever matters is told
RESTART_S: Final = 2.0  # systemd's pause before it starts a program that has ended
STOP_S: Final = 30.0  # TimeoutStopSec: then it is killed
BOOTS_MAX: Final = 12
SILENT: Final = "hopper {} " + FaultCode.DEVICE_SILENT.value
LINE_SILENT: Final = "mdb " + FaultCode.DEVICE_SILENT.value
OFF: Final = f"machine {FaultCode.MACHINE_REFUNDS.value}"


class Lives:
    """One machine through every death and restart, and the waiting in between."""

    def __init__(self, life: Life, machine: Whole, *, keep: bool) -> None:
        """Stand beside the machine; nothing runs yet."""
        self.life = life
        self.machine = machine
        self.watch = Watch(self.machine)
        self.coverage = Coverage(life.build, machine.settings)
        self.rules = Rules(self.machine)
        self.trace = Trace(self.machine.world, keep=keep)
        self.luck = BadLuck(self.machine, life.build, self.watch, self.coverage, self.trace)
        # Who waits for the next turn, and the timer that ends the waiting without one.
        self._turn_waiters: list[tuple[asyncio.Future[None], asyncio.TimerHandle]] = []
        self._end: End | None = None
        self._damaged = False
        self._refused = False  # a start would not go on with the journal that it found
        self._spoils = False  # the next end takes the last record with it
        self._owners = machine.settings, of_the_other_owner(machine.settings)
        self._counting = False
        self._instants = 0
        self._hit: asyncio.Future[None] | None = None
        self._wait_s = LOOK_S
        self._doubt: tuple[tuple[int, int, int, int], ...] = ()
        self._doubted_at = 0.0
        if life.build.offers or life.build.ordered:
            # Nobody believes a clock that stands before the software was built.
            self.machine.clock.set_wall(since(life.build))
        self.fleet = self._with_a_fleet() if life.build.ordered else None

    def _with_a_fleet(self) -> Fleet:
        from simulator.swarm.fleet import Fleet  # noqa: PLC0415 - few have one; it brings the link

        fleet = Fleet(self.machine)
        self.watch.on_record.append(fleet.recorded)
        return fleet

    # ------------------------------------------------------------------------- the waiting

    async def _while_alive(
        self, done: Callable[[], bool], task: asyncio.Task[None] | None = None
    ) -> None:
        """Let time pass until ``done()``, through every death and restart on the way.

        Where ``task`` is all that it waits for, turns of the machine wake nobody here.
        """
        machine = self.machine
        deadline = machine.loop.time() + SETTLE_S
        while True:
            if self._hit is not None and self._hit.done():
                await self._die()
                deadline = machine.loop.time() + SETTLE_S
            elif machine.ended:
                await self._ended_by_itself()
                deadline = machine.loop.time() + SETTLE_S
            elif done():
                return
            elif machine.loop.time() > deadline:
                raise NotQuietError(self._why_not_quiet())
            elif task is None:
                await self._turned(self._wait_s)
            else:
                ends: list[asyncio.Future[Any] | None] = [task, machine.task, self._hit]
                await asyncio.wait(
                    {end for end in ends if end is not None},
                    timeout=LOOK_LATE_S,
                    return_when=asyncio.FIRST_COMPLETED,
                )

    def _why_not_quiet(self) -> str:
        machine = self.machine
        sagas = [f"{s.vend} {s.intent or s.failed}" for s in machine.state.sagas.values()]
        return (
            f"not at rest {SETTLE_S:.0f} s after the last fault: mode {machine.mode},"
            f" sagas {sagas}, faults {list(machine.state.faults)}, display {machine.screen!r},"
            f" world still {machine.world.still}, quiet {machine.world.quiet},"
            f" counting again {self._recounting()}"
        )

    def _calm(self) -> Callable[[], bool]:
        """Return what tells whether nothing has moved for a while and the machine sells."""
        machine = self.machine
        since: float | None = None

        def done() -> bool:
            nonlocal since
            running = machine.running
            if running is None or not self._still():
                since, self._wait_s = None, LOOK_S
                return False
            now = machine.loop.time()
            since = now if since is None else since
            self._wait_s = max(0.01, since + CALM_S - now)
            return now - since >= CALM_S

        return done

    def _read(self) -> Callable[[], bool]:
        """Return what tells whether whoever is owed codes has copied them, or waits no longer."""
        loop = self.machine.loop
        codes = self.rules.codes
        until = loop.time() + READS_S + codes.waits_s

        def done() -> bool:
            left = until - loop.time()
            self._wait_s = min(LOOK_S, max(0.01, left))
            return left <= 0 or not codes.owed

        return done

    def _still(self) -> bool:
        machine = self.machine
        running = machine.running
        assert running is not None, "asked while it lives"
        state = machine.state
        return (
            running.machine.quiet
            and state.recovered
            and len(running.machine.desk.live.ready) == len(running.machine.brain.devices)
            and (running.machine.desk.mode.selling or self._off() or self._in_service())
            and not self._recounting()
            and not self._unnoticed()
            and self._noted()
            and not state.sagas
            and (state.escrow is None or state.escrow.claimed or state.escrow.waits)
            and machine.world.quiet
        )

    def _unnoticed(self) -> bool:
        """Tell whether a line works again, or a hopper answers and will be counted.

        The line is opened anew first, and what was on its way is flagged as lost.
        """
        if LINE_SILENT in self.machine.state.faults:
            return True
        line = self.machine.world.cctalk
        return line is not None and any(
            hopper.fit and SILENT.format(hopper.address) in self.machine.state.faults
            for hopper in line.hoppers
        )

    def _noted(self) -> bool:
        """Tell whether every coin of a ccTalk acceptor is on record; a slow disk takes its time."""
        line = self.machine.world.cctalk
        return line is None or line.acceptor is None or line.acceptor.noted

    def _off(self) -> bool:
        """Tell whether it has stopped itself until a technician has looked."""
        return OFF in self.machine.state.faults

    def _in_service(self) -> bool:
        """Tell whether what could be read of a damaged journal ends in a technician's visit."""
        return self._damaged and bool(self.machine.state.service_by)

    def _recounting(self) -> bool:
        """Tell whether the machine may count its tubes once more before it books a difference."""
        running = self.machine.running
        assert running is not None, "asked while it lives"
        live = running.machine.desk.live
        doubt = live.tubes_doubt + live.recycler_doubt
        if doubt != self._doubt:
            self._doubt, self._doubted_at = doubt, self.machine.loop.time()
        if live.coins_untold:
            return True  # counted a moment after the vend in which they came
        return bool(doubt) and self.machine.loop.time() - self._doubted_at < RECOUNTED_S

    def _turned(self, seconds: float) -> asyncio.Future[None]:
        """Return what is done after the machine's next turn, or after ``seconds``."""
        loop = self.machine.loop
        turned: asyncio.Future[None] = loop.create_future()
        self._turn_waiters.append((turned, loop.call_later(seconds, _done, turned)))
        if self._hit is not None and not self._hit.done():
            self._hit.add_done_callback(lambda _: _done(turned))
        return turned

    def _turn_over(self) -> None:
        self.rules.look()
        self._stir()

    def _stir(self) -> None:
        """Something happened: let everybody who waits look again."""
        waiters, self._turn_waiters = self._turn_waiters, []
        for waiter, timer in waiters:
            timer.cancel()
            _done(waiter)

    # -------------------------------------------------------------------------- the starts

    async def _boot(self) -> None:
        """Start the controller, again and again like systemd, until one life gets to sell."""
        machine = self.machine
        for _ in range(BOOTS_MAX):
            if await self._boot_once():
                return
            if self._hit is not None and self._hit.done():
                await self._end_life()
            elif machine.running is not None and machine.running.journal.read_only:
                await machine.kill()  # stranded until somebody mends the disk and restarts it
                self.machine.disk.heal()
            await asyncio.sleep(RESTART_S)
        raise NotQuietError(f"{BOOTS_MAX} starts, and none of them got to live")

    async def _boot_once(self) -> bool:
        machine = self.machine
        if self.life.build.reconfigured:
            machine.settings = self._owners[machine.boots % 2]
        booting = machine.loop.create_task(machine.boot())
        hit = self._hit
        awaited: set[asyncio.Future[Any]] = {booting} if hit is None else {booting, hit}
        await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
        if not booting.done():
            await machine.give_up(booting)
            return False
        try:
            running = booting.result()
        except JournalRefusedError as error:
            if not self.life.finale:
                raise
            await self._begin_anew(error)
            return False
        except JournalError as error:
            if not self.luck.disk_is_troubled:
                raise
            self.trace.note(f"boot failed: {error}")
            return False
        if running.journal.read_only:
            return False
        self._enter(running)
        following = machine.loop.create_task(self.watch.follow())
        awaited = {following} if hit is None else {following, hit}
        await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
        if not following.done():
            following.cancel()  # a dead disk answers nobody
            return False
        try:
            following.result()
        except JournalError as error:
            if not self._damaged:
                raise
            # Below its last snapshot a start reads nothing: a technician's "verify" has found it.
            await machine.kill()
            await self._begin_anew(error)
            return False
        return True

    async def _begin_anew(self, error: JournalError) -> None:
        self.trace.note(f"refused: {error}")
        self._refused = True
        self.watch.seen = 0
        self.rules = Rules(self.machine)
        await self.machine.begin_journal("its file is damaged")

    def _enter(self, running: Any) -> None:
        running.machine.on_turn.append(self._turn_over)
        running.machine.on_page.append(self._turn_over)
        if self.fleet is not None:
            self.fleet.follow()

    # ---------------------------------------------------------------------------- the ends

    def _arm(self) -> None:
        """Count instants, from now or from the record that it waits for."""
        assert self._end is not None, "something was drawn"
        self._hit = self.machine.loop.create_future()
        self._instants = 0
        self._counting = self._end.when in ("", "boot.started")
        self.machine.on_instant = self._instant
        self.machine.hook_disk()

    def _instant(self, what: str) -> None:
        if not self._counting or self._hit is None or self._hit.done():
            return
        self._instants += 1
        assert self._end is not None, "something is counted towards"
        if self._instants >= self._end.after:
            self.trace.note(f"instant {self._instants}: {what}")
            if self._end.how != "stop":
                self.machine.cut_strings()
            self._hit.set_result(None)

    async def _die(self) -> None:
        """Carry out the end that was drawn, stay dark, start again."""
        await self._end_life()
        await self._boot()

    async def _end_life(self) -> None:
        machine, end = self.machine, self._end
        assert end is not None, "something was drawn"
        self.trace.note(f"end: {end.how}")
        self.trace.hit(end.how)
        recovering = machine.running is None or not machine.state.recovered
        self.coverage.happens(f"end.{end.how}", "RECOVERY" if recovering else "")
        self._counting = False
        self._hit = None
        if end.how == "stop" and machine.task is not None and not machine.ended:
            await self._stop()
        elif end.how == "power":
            self._life_ended(power=True)
            await machine.cut_power()
        else:
            self._life_ended(power=False)
            await machine.kill()
        if self._spoils:
            self._spoils = False
            self.coverage.happens(f"damage.{IN_A_TURN}")
            await spoil_last_record(machine.disk, random.Random(f"{self.life.seed}/spoilt"))
        await asyncio.sleep(end.dark_s)
        if end.how == "power":
            await machine.restore_power()
        self._end = end.again[0] if end.again else None
        if self._end is not None:
            rest = end.again[1:]
            self._end = End(self._end.how, self._end.when, self._end.after, self._end.dark_s, rest)
            self._arm()

    def _life_ended(self, *, power: bool) -> None:
        self.watch.life_ended(power=power)
        self.rules.codes.life_ended()
        if self.fleet is not None:
            self.fleet.life_ended()

    async def _stop(self) -> None:
        machine = self.machine
        task = machine.task
        assert machine.running is not None, "it lives"
        assert task is not None, "it lives"
        machine.running.machine.stop("test")
        await asyncio.wait({task}, timeout=STOP_S)
        if not task.done():
            self.trace.note("stop took too long: killed")
        self._life_ended(power=False)
        await machine.kill()

    async def _ended_by_itself(self) -> None:
        machine = self.machine
        task = machine.task
        assert task is not None, "it has ended"
        error = None if task.cancelled() else task.exception()
        if not isinstance(error, JournalError) or not self.luck.disk_is_troubled:
            why = repr(error) if error is not None else f"stopped: {task.result()}"
            raise AssertionError(f"vendd ended by itself: {why}") from error
        self.trace.note(f"vendd ended: {error}")
        self.trace.hit("journal failed")
        self._life_ended(power=False)
        await machine.kill()
        await asyncio.sleep(RESTART_S)
        await self._boot()


def _done(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
