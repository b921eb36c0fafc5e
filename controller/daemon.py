"""``vendd run``: one process from its configuration file to its exit status.

A journal that can't be used does not end the process: the machine stays out of service with its
panel and API up, until a technician has begun a new journal or the disk works again, which is
tried now and then.
"""

from __future__ import annotations

import asyncio
import gc
import math
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, closing, suppress
from datetime import timedelta
from typing import Any, Final

import structlog

from config.machine import MachineSettings
from controller import app
from controller.api.access import Access
from controller.api.methods import dispatcher
from controller.api.server import ApiServer
from controller.api.service import MachineService
from controller.domain.commands import BeginJournal, Command
from controller.faults import (
    ConfigError,
    FaultCode,
    HardwareError,
    InvariantError,
    JournalError,
    VenddError,
)
from controller.heartbeat import BEAT_EVERY_S, Heartbeat
from controller.journal.beginning import begin_new
from controller.journal.errors import (
    DiskBusyError,
    DiskError,
    JournalBrokenError,
    JournalRefusedError,
)
from controller.journal.records import REGISTRY, JournalBegun
from controller.log_level import configure_logging
from controller.machine.inputs import CommandRefused
from controller.machine.service import RunningService
from controller.ports import FaultRaised
from controller.state.fold import StateFold
from controller.stranded import Stranded, StrandedService

EXIT_OK: Final = 0
EXIT_DISK: Final = 74  # sysexits.h EX_IOERR: a record is not on disk; start again and look
EXIT_BUG: Final = 70  # sysexits.h EX_SOFTWARE
EXIT_CONFIG: Final = 78  # sysexits.h EX_CONFIG
EXIT_HARDWARE: Final = 69  # sysexits.h EX_UNAVAILABLE: not there now; start again and look
PINS_EVERY_S: Final = 1.0  # between two looks whether the pins are still there
JOURNAL_EVERY_S: Final = 10.0  # a folder in memory is looked at; nothing is written
REFUSE_EVERY_S: Final = 5.0  # a device that is away may come back with its acceptance on
DISK_AGAIN_S: Final = 15.0  # a disk that does not work may do so again, or have room
LINK_AFTER_S: Final = 2.0  # the network's libraries are loaded when the machine already sells
PRUNE_AFTER_S: Final = 900.0  # a start has enough to do
PRUNE_EVERY_S: Final = 6 * 3_600.0  # some hundred records: fewer than are worth a new base
LINK_AGAIN_S: Final = 60.0  # after a surprise of ours: neither silent for ever nor a busy loop
STOP_S: Final = 25.0  # a graceful stop ends or compensates within this; the unit allows 90 s
# The machine has ended and nothing turns: a farewell to the fleet and the journal's last pages may
# take longer than the guard's patience, and a hang of theirs is one by then.
END_S: Final = 10.0

log = structlog.get_logger("vendd")


def run(settings: MachineSettings) -> int:
    """Run the machine until it is stopped; returns the exit status."""
    configure_logging(settings.log.level)
    try:
        return asyncio.run(_run(settings))
    except HardwareError as error:
        sys.stderr.write(f"vendd: {error}\n")
        return EXIT_HARDWARE
    except ConfigError as error:
        sys.stderr.write(f"vendd: {error}\n")
        return EXIT_CONFIG
    except DiskBusyError:
        sys.stderr.write(
            f"vendd: another vendd has the journal in {settings.journal.folder}: stop that one "
            "first (systemctl stop vendd), or give this one a folder of its own (--home DIR)\n"
        )
        return EXIT_DISK
    except JournalError as error:
        log.error("journal.failed", error=str(error))
        return EXIT_DISK
    except VenddError as error:
        sys.stderr.write(f"vendd: {error}\n")
        return EXIT_BUG
    except InvariantError as error:
        log.error("bug", error=str(error))
        return EXIT_BUG


async def _run(settings: MachineSettings) -> int:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    guard_lost = asyncio.Event()

    def alone() -> None:
        guard_lost.set()
        stopping.set()

    heartbeat = Heartbeat.from_environment(os.environ, loop.time, alone)
    beat = _Beat(heartbeat)
    beat.start()
    heals = True
    try:
        parts = app.real_parts(settings, heartbeat)
        while not stopping.is_set():
            async with AsyncExitStack() as stack:
                try:
                    running = await stack.enter_async_context(app.composed(settings, parts))
                except DiskBusyError:
                    raise
                except (JournalRefusedError, DiskError) as error:
                    log.error("journal.refused", error=str(error))
                    again_s = DISK_AGAIN_S if isinstance(error, DiskError) else None
                    async with _refusing(settings, parts):
                        await _strand(settings, parts, str(error), heartbeat, stopping, again_s)
                    continue
                if running.journal.read_only:
                    with closing(Stranded(settings, running.journal.why_read_only)) as stranded:
                        stranded.owed(running)
                        service = StrandedService(stranded, running.journal.state, None, loop.time)
                        async with _refusing(settings, parts):
                            await _serve(settings, service, heartbeat, lambda: _pause(stopping))
                    continue
                # What a start leaves stays for good: looking through it for garbage would hold up
                # the bus for 30 ms, on a Pi for 100.
                gc.collect()
                gc.freeze()
                beat.stop()  # from here on the actor's loop beats
                fork = _Fork(running, heals=heals)
                status = await _sell(
                    settings, running, parts, heartbeat, stopping, guard_lost, fork, beat
                )
                if not fork.reason or stopping.is_set():
                    return status
            beat.stop()
            beat.start()
            heals = await fork.begin(settings, parts)
        return EXIT_OK
    finally:
        beat.stop()


async def _pause(stopping: asyncio.Event) -> None:
    """Wait before the disk is tried again, or until asked to stop."""
    with suppress(TimeoutError):
        async with asyncio.timeout(DISK_AGAIN_S):
            await stopping.wait()


@asynccontextmanager
async def _refusing(settings: MachineSettings, parts: app.Parts) -> AsyncIterator[None]:
    """Have the money devices told, until each has heard it, that nothing may be taken."""

    async def refuse() -> None:
        heard = False
        while not heard:
            heard = await app.take_nothing(settings, parts.link, parts.cctalk)
            await asyncio.sleep(REFUSE_EVERY_S)

    task = asyncio.get_running_loop().create_task(refuse())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _sell(
    settings: MachineSettings,
    running: app.Running,
    parts: app.Parts,
    heartbeat: Heartbeat,
    stopping: asyncio.Event,
    guard_lost: asyncio.Event,
    fork: _Fork,
    beat: _Beat,
) -> int:
    service = RunningService(
        running.machine, app.SOFTWARE, running.recordings, app.root_key(settings),
        settings.titles(), running.counted,
    )  # fmt: skip

    async def stop_when_asked() -> None:
        await stopping.wait()
        if guard_lost.is_set():
            # Nobody would switch a motor off if we hung now: end in the middle, as a crash does.
            log.error("guard.lost")
            machine.cancel()
            return
        heartbeat.tell("STOPPING=1")
        running.machine.stop("asked to stop")
        await asyncio.sleep(STOP_S)
        log.error("stop.overdue", seconds=STOP_S)
        machine.cancel()

    machine: asyncio.Task[str] = asyncio.get_running_loop().create_task(running.run())
    stopper = asyncio.get_running_loop().create_task(stop_when_asked())
    link = asyncio.get_running_loop().create_task(_keep_in_touch(settings, running, parts, fork))
    house = asyncio.get_running_loop().create_task(_keep_house(settings, running))

    async def end_without_pins() -> None:
        while not running.lines.lost():  # noqa: ASYNC110 - pins tell nobody that they go
            await asyncio.sleep(PINS_EVERY_S)
        machine.cancel()  # in the middle, as a crash does: nothing can be moved or seen any more

    def surprised(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if not running.lines.lost():  # else each key and switch finds that out, and we end anyway
            loop.default_exception_handler(context)

    asyncio.get_running_loop().set_exception_handler(surprised)

    pins = asyncio.get_running_loop().create_task(end_without_pins())
    journal = asyncio.get_running_loop().create_task(_look_for_the_journal(running))

    async def until_end() -> None:
        await asyncio.wait({machine})

    try:
        await _serve(settings, service, heartbeat, until_end)
    finally:
        if machine.done() and not machine.cancelled() and machine.exception() is None:
            beat.start(END_S)  # it ended in order; a guard that finds another end switches off
        for task in (stopper, link, house, pins, journal, machine):
            task.cancel()
        await asyncio.gather(stopper, link, house, pins, journal, machine, return_exceptions=True)
    if why := running.lines.lost():
        raise HardwareError(f"gpio: the pins have vanished: {why}; vendd ends, to be started again")
    if machine.cancelled():
        return EXIT_OK if stopping.is_set() and not guard_lost.is_set() else EXIT_BUG
    reason = machine.result()
    log.info("stopped", reason=reason)
    return EXIT_OK


async def _keep_house(settings: MachineSettings, running: app.Running) -> None:
    """Drop what the fleet has and is old enough, now and then; a machine alone keeps everything."""
    if settings.cloud is None:
        return
    retention = timedelta(days=settings.journal.keep_days)
    await asyncio.sleep(PRUNE_AFTER_S)
    while True:
        try:
            dropped = await running.journal.prune(retention)
        except JournalBrokenError as error:
            log.error("journal.not_pruned", error=str(error))
            code = FaultCode.JOURNAL_BROKEN  # in what the fleet has: the machine sells on
            running.machine.inbox.notify(FaultRaised("journal", code, str(error)))
            return
        except JournalError as error:  # a disk that could not be read; one not written ends us
            log.error("journal.not_pruned", error=str(error))
        else:
            if dropped:
                log.info("journal.pruned", records=dropped)
        await asyncio.sleep(PRUNE_EVERY_S)


async def _look_for_the_journal(running: app.Running) -> None:
    """Notice before somebody pays that its file was taken away: no record may come for days."""
    if running.journal.read_only:
        return
    try:
        while True:
            await asyncio.sleep(JOURNAL_EVERY_S)
            await running.journal.look()
    except JournalError as error:
        log.error("journal.lost", error=str(error))  # which ends the machine


async def _keep_in_touch(
    settings: MachineSettings, running: app.Running, parts: app.Parts, fork: _Fork
) -> None:
    """Keep the fleet in sync, beside the machine: what goes wrong here stops no sale."""
    if settings.cloud is None:
        return
    await asyncio.sleep(LINK_AFTER_S)
    try:
        # In a thread: half a second of imports on the loop and the guard would take us for hung.
        run = await asyncio.to_thread(app.fleet, settings, running, parts, fork.told, fork.damaged)
        while run is not None:
            try:
                await run()
            except Exception:
                log.exception("link.broke", again_s=LINK_AGAIN_S)
                await asyncio.sleep(LINK_AGAIN_S)
            else:
                return
    except ConfigError as error:
        log.error("link.config", error=str(error))
    except Exception:
        log.exception("link.broke")


class _Fork:
    """This journal can't go on at the fleet, which holds another chain, or can't be told the rest.

    Args:
        running: What sells on this journal.
        heals: A damaged one may be left by itself; not when that has failed in this process.
    """

    def __init__(self, running: app.Running, *, heals: bool) -> None:
        self.seq: int | None = None
        self.reason = ""
        self._machine = running.machine
        self._heals = heals

    def told(self, seq: int, digest: bytes) -> None:
        """It went back, or is a copy: end what is open, so that a new journal can begin."""
        log.error("journal.forked", seq=seq, hash=digest.hex())
        self.seq = seq
        self._end(f"the fleet holds another journal behind record {seq}")

    def damaged(self, why: str) -> bool:
        """Nothing behind a record that can't be read would ever be told: a new journal tells it."""
        if self._heals:
            log.error("journal.damaged", why=why)
            self._end(f"the fleet can't be told all of this one: {why}")
        return self._heals

    def _end(self, reason: str) -> None:
        self.reason = reason
        self._machine.stop(reason)

    async def begin(self, settings: MachineSettings, parts: app.Parts) -> bool:
        """Begin a journal that carries what the fleet does not have of the old one.

        Returns whether a damaged one may be left by itself again: selling on is worth more.
        """
        by = "fleet" if self.seq is not None else "vendd"
        try:
            made = await _begin_new(settings, parts, self.reason, by, self.seq, whole=True)
        except JournalError as error:
            if self.seq is not None:
                raise
            log.error("journal.not_begun", error=str(error))
            return False
        log.info("journal.begun", journal=made.journal)
        return True


async def _begin_new(
    settings: MachineSettings,
    parts: app.Parts,
    reason: str,
    by: str,
    fork: int | None = None,
    *,
    whole: bool = False,
) -> JournalBegun:
    return await begin_new(
        parts.storage,
        fold=StateFold(),
        registry=REGISTRY,
        clock=parts.clock,
        entropy=parts.entropy,
        boot=app.boot_info(settings, parts),
        reason=reason,
        by=by,
        fork=fork,
        whole=whole,
    )


async def _serve(
    settings: MachineSettings,
    service: MachineService,
    heartbeat: Heartbeat,
    until: Callable[[], Awaitable[Any]],
) -> None:
    """Serve technicians until ``until`` returns. Raises what ends the API."""
    access = Access(settings.api.read_group, settings.api.act_group)
    api = ApiServer(settings.api.socket, dispatcher(service, access), access)
    serving = asyncio.get_running_loop().create_task(api.serve())
    waiting = asyncio.ensure_future(until())
    try:
        listening = asyncio.ensure_future(api.listening.wait())
        await asyncio.wait({serving, listening}, return_when=asyncio.FIRST_COMPLETED)
        listening.cancel()
        heartbeat.tell("READY=1")
        log.info("ready", machine=settings.machine.id, socket=str(settings.api.socket))
        await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            serving.result()
    finally:
        for task in (serving, waiting):
            task.cancel()
        await asyncio.gather(serving, waiting, return_exceptions=True)


async def _strand(
    settings: MachineSettings,
    parts: app.Parts,
    why: str,
    heartbeat: Heartbeat,
    stopping: asyncio.Event,
    again_s: float | None,
) -> None:
    """Stay out of service until a technician begins a new journal, or until asked to stop.

    With ``again_s``, so many seconds, the disk can't be read: perhaps it can be by then. No journal
    is begun in place of one that nobody could look at.
    """
    app.switch_off(settings, parts)
    stranded = Stranded(settings, why)
    begun = asyncio.Event()

    async def act(command: Command, by: str) -> dict[str, Any]:
        if not isinstance(command, BeginJournal):
            raise CommandRefused(
                f"out of service: {why}; `vendctl journal begin --reason …` ends it"
            )
        made = await _begin_new(settings, parts, command.reason, by)
        begun.set()
        old, known = made.previous or ("", 0)
        return {"journal": made.journal, "reason": made.reason, "previous": old, "known": known}

    stranded.show()

    async def over() -> None:
        waits = [asyncio.ensure_future(event.wait()) for event in (begun, stopping)]
        await asyncio.wait(waits, timeout=again_s, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        await asyncio.sleep(BEAT_EVERY_S)  # let the answer leave

    try:
        may = act if again_s is None else None
        service = StrandedService(stranded, None, may, asyncio.get_running_loop().time)
        await _serve(settings, service, heartbeat, over)
    finally:
        stranded.close()


class _Beat:
    """Beats while no actor does: opening a long journal, out of service, or at the end."""

    def __init__(self, heartbeat: Heartbeat) -> None:
        self._heartbeat = heartbeat
        self._timer: asyncio.TimerHandle | None = None

    def start(self, for_s: float = math.inf) -> None:
        """Beat, and again, for a while."""
        self._heartbeat.beat()
        if for_s > 0:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(BEAT_EVERY_S, self.start, for_s - BEAT_EVERY_S)

    def stop(self) -> None:
        """End."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
