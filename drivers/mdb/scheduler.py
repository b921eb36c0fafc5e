"""The one owner of the line: who is asked next, when, and what is said after the answer.

One task runs `MdbBus.run`. Each peripheral has a slot: it is polled every 150 ms, a queued command
takes the place of its next poll, and no transaction of one device ever waits for another device's
coroutine. Poll answers go to the slot's listener by plain call; whether they are acknowledged at
once, after the journal's commit, or not at all (so that the device repeats them) is decided here.

Loop time is the only time: it is the monotonic base of the whole machine.

Source: MDB/ICP 4.2, section 2 (timing), section 5 (the 20 ms rule) and appendix 3 (repetition).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

from controller.faults import FaultCode, LinkError
from controller.ports import DeviceSink, FaultCleared, FaultRaised
from drivers.links.mdb_link import ACKED, Answer, AnswerKind, MdbLink
from drivers.mdb.ftl_codec import FtlCode
from drivers.mdb.slots import NEVER, Command, Foresight, Listener, Slot

BUS_PART: Final = "mdb"
"""The line itself, as the `part` of its fault."""

ACK_BUDGET_S: Final = 0.0035
"""From an answer's last byte until we must know whether to acknowledge it. The ACK is due within
5 ms; the rest is for the operating system."""

SILENCE_COST_S: Final = 0.030
"""What a block that nobody answers costs on the line."""

EXCHANGE_S: Final = 0.015
"""What a poll and its answer take at the most."""

GIVE_WAY_S: Final = 0.005
"""Behind another device's poll: its transaction is over by then, or the next look finds it due."""

_ACTIVITY_MOST: Final = {0x0B: 16, 0x33: 16}
"""Bytes of activity in one poll answer, by the poll: changer's and bill validator's."""

_FILLS_ALL: Final = frozenset(FtlCode)
"""What such an answer begins with that may be longer: a file's blocks."""

REOPEN_S: Final = (0.2, 0.5, 1.0, 2.0, 5.0)
"""Pauses between attempts to open a lost port; the last one repeats. A USB plug that is put back
enumerates within a second or two."""


@dataclass(slots=True)
class BusCounters:
    """What the bus did, for tests, benchmarks and the technician."""

    polls: int = 0
    commands: int = 0
    withheld: int = 0
    skipped_polls: int = 0
    worst_late_s: float = 0.0
    worst_at_s: float = 0.0  # loop time of that poll


class MdbBus:
    """The bus: slots in the order of attachment, one task, one link.

    Args:
        link: Opened and reopened by `run`.
        sink: Where a dead line is told.
        foresight: A simulator that knows which polls will bring nothing; they are not sent.

    Attributes:
        down: Why nothing can be sent now, None while the line works.
    """

    def __init__(self, link: MdbLink, sink: DeviceSink, foresight: Foresight | None = None) -> None:
        self.link = link
        self._sink = sink
        self._foresight = foresight
        self._free_at = 0.0  # until when a poll that was not sent would have kept the line
        self._slots: list[Slot] = []
        self._nap: asyncio.Future[None] | None = None
        self._nap_until = 0.0
        self._nap_timer: asyncio.TimerHandle | None = None
        self._failure: BaseException | None = None
        self._fault_told = False
        self.down: str | None = None
        self.counters = BusCounters()

    def attach(self, poll: bytes, listener: Listener, silence_s: float) -> Slot:
        """Give a device its slot; it is not polled before its driver says so."""
        slot = Slot(self, poll, listener, silence_s)
        self._slots.append(slot)
        return slot

    @property
    def attached(self) -> int:
        """Return how many devices have a slot."""
        return len(self._slots)

    async def run(self) -> None:
        """Own the line until cancelled.

        Raises:
            JournalError: Money could not be written; it was not acknowledged where the link can
                withhold, and nothing more is sent.
        """
        attempt = 0
        try:
            while True:
                try:
                    await self.link.open()
                    self._up()
                    attempt = 0
                    await self._serve()
                except LinkError as cause:
                    self._fall(str(cause))
                    pause = REOPEN_S[min(attempt, len(REOPEN_S) - 1)]
                    attempt += 1
                    await asyncio.sleep(pause)
                    self._note_silence()
        finally:
            self._fall("the MDB bus was stopped", tell=False)
            self.link.close()

    def sooner(self, due: float) -> None:
        """Wake up if something is due before the nap ends."""
        nap = self._nap
        if nap is not None and due < self._nap_until and not nap.done():
            nap.set_result(None)

    # ------------------------------------------------------------------------------ the loop

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            if self._failure is not None:
                raise self._failure
            slot, due = self._next()
            now = loop.time()
            if slot is None or due > now:
                if self._foresight is None or slot is None or not self._pass(slot, due):
                    await self._sleep_until(due)
                continue
            if not slot.polling and self._give_way(slot, now):
                continue  # it gets commands only, such as the RESET every ten seconds
            if slot.missed:
                slot = self._pressed(now) or slot
            command = slot.next_command()
            if command is not None:
                await self._command(slot, command, now)
            elif slot.polling and not self._same_again(slot, now):
                await self._poll(slot, now)
            slot.plan()

    def _next(self) -> tuple[Slot | None, float]:
        """Return which slot is due next, and when."""
        slot, due = None, NEVER
        for candidate in self._slots:
            if candidate.due < due:
                slot, due = candidate, candidate.due
        return slot, max(due, self._free_at)

    def _give_way(self, absent: Slot, now: float) -> bool:
        """Let a block to a device that will hardly answer wait for a gap between others' polls."""
        for slot in self._slots:
            if slot is not absent and slot.due < now + SILENCE_COST_S:
                return absent.give_way(slot.due + GIVE_WAY_S)
        return False

    def _pressed(self, now: float) -> Slot | None:
        """Return a device whose poll would be too late behind a block that nobody answers."""
        for slot in self._slots:
            polls = not slot.missed and not slot.commands
            if polls and slot.due <= now and slot.latest < now + SILENCE_COST_S:
                return slot
        return None

    async def _sleep_until(self, due: float) -> None:
        nap: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._nap = nap
        self._set_alarm(due)
        try:
            await nap
        finally:
            self._nap = None
            if self._nap_timer is not None:
                self._nap_timer.cancel()

    def _set_alarm(self, due: float) -> None:
        self._nap_until = due
        self._nap_timer = None
        if due == NEVER:
            return
        loop = asyncio.get_running_loop()
        if self._foresight is None:
            self._nap_timer = loop.call_at(due, self._wake)
        else:
            self._nap_timer = timer = loop.call_at(due, self._look)
            self._foresight.napping(timer, self._foreseen)

    def _wake(self) -> None:
        nap = self._nap
        if nap is not None and not nap.done():
            nap.set_result(None)

    def _look(self) -> None:
        """Take polls as answered that bring what the last ones did, before waking for others.

        Only where a simulator foresees: most naps of a machine at work end with such a poll, and
        none of them needs the bus's task. Whatever else happens at this instant comes first, as it
        would if the task were woken.
        """
        foresight, loop = self._foresight, asyncio.get_running_loop()
        if self._nap is None or self._nap.done():
            return
        while self._failure is None and foresight is not None and foresight.alone():
            slot, due = self._next()
            now = loop.time()
            if slot is None or due > now:
                if slot is None or not self._pass(slot, due):
                    self._set_alarm(due)
                    return
            elif slot.missed or slot.commands or not slot.polling:
                break
            elif self._same_again(slot, now):
                slot.plan()
            else:
                break
        self._wake()

    def _foreseen(self) -> bool:
        """Tell whether, as things stand, the polls to come bring nothing new."""
        foresight = self._foresight
        assert foresight is not None, "who asks is one"
        return all(
            slot.idle and (not slot.polling or foresight.idle_until(slot.poll, 0.0) > 0.0)
            for slot in self._slots
        )

    def _pass(self, slot: Slot, due: float) -> bool:
        """Spare the line polls, or the loop a nap, if somebody foresees that nothing happens."""
        foresight = self._foresight
        assert foresight is not None, "who asks has one"
        return self._skip(foresight, slot, due) or foresight.pass_until(due)

    def _skip(self, foresight: Foresight, slot: Slot, due: float) -> bool:
        """Take idle polls as answered until something may happen, if that is known.

        Those of one device, and of all whose polls are as idle now.
        """
        if not slot.idle or not slot.polling:
            return False
        # The last one is over then.
        horizon = foresight.idle_until(slot.poll, due + EXCHANGE_S) - EXCHANGE_S
        if horizon <= due:
            return False
        alike = [slot]
        for other in self._slots:
            if other is slot:
                continue
            if not other.idle or (other.polling and not foresight.steady(other.poll)):
                horizon = min(horizon, other.due - EXCHANGE_S)  # much may follow from that
            elif other.polling:
                alike.append(other)
        if horizon <= due:
            return False
        skipped = 0
        for one in alike:
            skipped += one.skip_to(horizon)
        self.counters.skipped_polls += skipped
        return skipped > 0

    # -------------------------------------------------------------------------- transactions

    def _begin_poll(self, slot: Slot, now: float) -> None:
        counters = self.counters
        counters.polls += 1
        if (late := slot.begin_poll(now)) > counters.worst_late_s:
            counters.worst_late_s, counters.worst_at_s = late, now

    def _same_again(self, slot: Slot, now: float) -> bool:
        """Take a poll as answered, if it brings what the last one did.

        Two of three polls of a simulated machine that is not asleep end here.
        """
        if self._foresight is None or not slot.quiet or slot.awaited:
            return False
        busy_s = self._foresight.repeated(slot.poll)
        if not busy_s:
            return False
        self._begin_poll(slot, now)
        self.counters.skipped_polls += 1
        self._free_at = now + busy_s
        slot.heard_at = slot.told_at = now
        return True

    async def _poll(self, slot: Slot, now: float) -> None:
        self._begin_poll(slot, now)
        busy_s = self._foresight.acked(slot.poll) if self._foresight is not None else 0.0
        if busy_s:
            self.counters.skipped_polls += 1
            self._free_at = now + busy_s
            if slot.awaited:
                await asyncio.sleep(busy_s)  # whoever waits acts no sooner than on the line
            answer = ACKED
        else:
            answer = await self.link.exchange(slot.poll)
        if answer is ACKED:
            slot.heard_at = slot.told_at = now
            slot.lost = False
            slot.quiet = True
            slot.missed = False
            slot.said = b""
            slot.listener.on_quiet()
            return
        slot.quiet = slot.missed = False
        if _is_none_of(slot, answer.data):
            told = not self.link.capabilities.withholds_ack
            answer = Answer(AnswerKind.GARBLED, answer.data, "more than it can tell", told)
        if answer.kind is AnswerKind.DATA:
            slot.heard_at = now
            slot.lost = False
            await self._items(slot, answer.data)
        elif answer.kind is AnswerKind.ACK:
            slot.heard_at = now  # alive; but a flipped bit is no proof of "nothing to say"
        else:
            _count(slot, answer.kind)
            slot.miss_poll(now)
            slot.spoilt = slot.spoilt or answer.told
            self._missed(slot)

    async def _items(self, slot: Slot, data: bytes) -> None:
        future = slot.listener.on_items(data)
        slot.told_at = slot.heard_at
        slot.quiet = future is None and data == slot.said
        slot.said = data
        await self._acknowledge(slot, future)

    async def _acknowledge(self, slot: Slot, future: asyncio.Future[None] | None) -> None:
        """Acknowledge an answer, one that is to be recorded once it is durable."""
        link = self.link
        if future is None:
            link.ack()
            return
        if not link.capabilities.withholds_ack:
            # the adapter has acknowledged; the record follows, and a failure stops the bus
            self._watch(slot, future)
            slot.listener.on_told(acked=True)
            slot.poll_soon()
            return
        if not future.done():
            left = link.answered_at + ACK_BUDGET_S - asyncio.get_running_loop().time()
            if left > 0:
                await asyncio.wait((future,), timeout=left)
        if future.done() and not future.cancelled():
            future.result()  # a record that is not on disk: JournalError, no ACK
            link.ack()
            slot.listener.on_told(acked=True)
            slot.poll_soon()
            return
        # Silence makes the device say it again, and the repeat is acknowledged once this one is
        # durable. However long the disk takes: what it fails to write must still be in the device.
        self.counters.withheld += 1
        slot.listener.on_told(acked=False)
        self._watch(slot, future)

    async def _command(self, slot: Slot, command: Command, now: float) -> None:
        slot.begin_command(command, now)
        self.counters.commands += 1
        slot.quiet = False
        slot.said = b""
        try:
            answer = await self.link.exchange(command.payload)
        except LinkError:
            command.tries -= 1  # this one never left
            raise
        if answer.heard:
            slot.heard_at = now
            slot.lost = False
            if answer.kind is AnswerKind.DATA:
                fed = None if command.feed is None else command.feed(answer.data)
                await self._acknowledge(slot, fed)
        else:
            _count(slot, answer.kind)
            self._missed(slot)
        slot.end_command(command, answer, asyncio.get_running_loop().time())

    def _missed(self, slot: Slot) -> None:
        now = asyncio.get_running_loop().time()
        if not slot.lost and now - slot.heard_at >= slot.silence_limit_s:
            slot.lost = True
            slot.listener.on_lost()
        slot.missed = True
        if slot.on_miss is not None:
            slot.on_miss()

    def _watch(self, slot: Slot, future: asyncio.Future[None]) -> None:
        def journaled(done: asyncio.Future[None]) -> None:
            if done.cancelled():
                return
            failure = done.exception()
            if failure is not None:
                self._failure = failure
                self.sooner(-NEVER)
            else:
                slot.poll_soon()

        future.add_done_callback(journaled)

    # ------------------------------------------------------------------------------ the line

    def _up(self) -> None:
        self.down = None
        if self._fault_told:
            self._fault_told = False
            self._sink.notify(FaultCleared(BUS_PART, FaultCode.DEVICE_SILENT))
        for slot in self._slots:
            slot.replan()

    def _fall(self, why: str, *, tell: bool = True) -> None:
        self.down = why
        if tell and not self._fault_told:
            self._fault_told = True
            self._sink.notify(FaultRaised(BUS_PART, FaultCode.DEVICE_SILENT, why))
        for slot in self._slots:
            slot.quiet = False
            slot.damaged += 1  # an answer may have been on its way
            slot.fail_all(why)

    def _note_silence(self) -> None:
        for slot in self._slots:
            if slot.polling:
                self._missed(slot)


def _is_none_of(slot: Slot, data: bytes) -> bool:
    """Tell whether a poll's answer is longer than activity of this device can be.

    Another device's answer that comes late meets the next one's poll, and a reader's serial number
    reads like coins. Unacknowledged, its owner tells it again.
    """
    most = _ACTIVITY_MOST.get(slot.poll[0])
    return most is not None and len(data) > most and data[0] not in _FILLS_ALL


def _count(slot: Slot, kind: AnswerKind) -> None:
    """Note what came of a block that brought no answer."""
    if kind is AnswerKind.SILENCE:
        slot.silences += 1
    elif kind is AnswerKind.GARBLED:
        slot.damaged += 1
        slot.garbled += 1
    elif kind is AnswerKind.NAK:
        slot.naks += 1
