"""One device's place on the bus: its queue of commands, its rhythm of polls, its silence clock.

The slot decides *what* is due and *when*; `scheduler.MdbBus` sends it. A driver holds its slot and
nothing else of the bus.

Source: MDB/ICP 4.2, section 2 (timing) and appendix 3 (repetition).
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, unique
from typing import Final, Protocol

from controller.faults import LinkError
from drivers.links.mdb_link import SILENT, Answer
from drivers.mdb.blocks import DUPLICATE_POLL_S

POLL_S: Final = 0.150
"""Poll interval of each device, start to start; the standard recommends 125-200 ms."""

POLL_LATEST_S: Final = 0.185
"""A command may take a poll's place, but never push the next poll beyond this: 200 ms less what
another device's transaction may take before it."""

COMMAND_GAP_S: Final = 0.025
"""Between two transactions with one device; the standard's shortest interval."""

RETRY_GAP_S: Final = 0.100
"""Between the tries of a command and the polls among them: an unheard block costs 30 ms of line,
and the other devices want their polls on time."""

GIVE_WAY_LIMIT: Final = 10
"""Times that a block to an absent device waits for a gap; a crowded bus may have none."""

ASK_TRIES: Final = 4
"""Tries of a question that a device may simply not know: silence then means "not supported"."""

QUEUE_LIMIT: Final = 16
"""Commands that may wait for one device. Dialogues wait for each answer, so more is our own bug."""

NEVER: Final = math.inf


@unique
class Retry(Enum):
    """What to do with a command that was not acknowledged (the table of section 11)."""

    REPEAT = "repeat"
    """Again, alternating with POLL, for the device's non-response time."""
    ALIVE = "alive"
    """As REPEAT, but only behind a POLL that was answered: it tells of a reset in between."""
    ASK = "ask"
    """Again, a few times: a question that older devices do not know."""
    ONCE = "once"
    """Never: a lost ACK does not mean that the command was lost. Payouts, and RESET."""


class Listener(Protocol):
    """A device driver, as the bus sees it. No call may block."""

    def on_quiet(self) -> None:
        """POLL was answered by an ACK: nothing to say."""
        ...

    def on_items(self, data: bytes) -> asyncio.Future[None] | None:
        """POLL was answered by data.

        Returns:
            None to acknowledge at once; else a future that is done when everything in the answer
            is durable, and that the acknowledgement waits for.
        """
        ...

    def on_told(self, *, acked: bool) -> None:
        """Say whether the answer whose future was returned has been acknowledged."""
        ...

    def on_lost(self) -> None:
        """The device has been silent for its non-response time; told once."""
        ...


class Foresight(Protocol):
    """What a simulator that knows its world spares the line: polls that bring nothing.

    Such a poll is answered by an ACK, as it would be; a run of them is one step.
    """

    def idle_until(self, poll: bytes, after: float) -> float:
        """Return the loop time before which this poll brings what the last one did.

        Not after that time, and so 0.0 when nobody can tell, or when it is not later than `after`.
        """
        ...

    def steady(self, poll: bytes) -> bool:
        """Tell whether this poll would bring what the last one did, as things stand now."""
        ...

    def repeated(self, poll: bytes) -> float:
        """As ``acked``, for a poll that brings what the last one did: a state that lasts."""
        ...

    def pass_until(self, due: float) -> bool:
        """Let time pass until ``due`` at once, if nothing else happens before; else do nothing."""
        ...

    def alone(self) -> bool:
        """Tell whether nothing else happens at this instant."""
        ...

    def napping(self, timer: asyncio.TimerHandle, foreseen: Callable[[], bool]) -> None:
        """Hear of the timer that ends the bus's nap.

        Args:
            timer: Of the next poll.
            foreseen: Tells whether that poll and those behind it will bring nothing new.
        """
        ...

    def acked(self, poll: bytes) -> float:
        """Answer a poll by a plain ACK, if that is what the line would bring; else do nothing.

        Returns:
            How long the line would have been busy, seconds; 0.0: the poll must be sent.
        """
        ...


@dataclass(slots=True)
class Command:
    """A command on its way; the bus's and the slot's own."""

    payload: bytes
    retry: Retry
    done: asyncio.Future[Answer]
    wanted: Callable[[], bool] | None
    feed: Callable[[bytes], asyncio.Future[None] | None] | None
    strict: bool
    tries: int = 0
    first_at: float = 0.0


class Bus(Protocol):
    """What a slot asks of the bus."""

    @property
    def down(self) -> str | None:
        """Return why nothing can be sent now, None while the line works."""
        ...

    def sooner(self, due: float) -> None:
        """Wake up if something is due before the bus meant to."""
        ...


class Slot:
    """One device's place on the bus; made by `MdbBus.attach`, used by its driver alone.

    Attributes:
        heard_at: Loop time of the last valid answer; starts when polling starts.
        silence_limit_s: Silence after which the device counts as lost.
        answers: How many commands the device has answered.
        damaged: How many answers came damaged, or may have been lost with the line.
        silences, naks, garbled: How many blocks brought that and no answer.
        spoilt: The last damaged one told something, and has been acknowledged.
        told_at: Loop time of the last poll that was answered: by then it had told all it had.
        tries: How often the command that ended last was sent.
    """

    __slots__ = (
        "_bus", "_gave_way", "_hold_until", "_poll_due", "_poll_first", "_polled_at", "_queue",
        "_retry_at", "_started_at", "answers", "awaited", "damaged", "due", "garbled", "heard_at",
        "listener", "lost", "missed", "naks", "on_miss", "poll", "polling", "quiet", "said",
        "silence_limit_s", "silences", "spoilt", "told_at", "tries",
    )  # fmt: skip

    def __init__(self, bus: Bus, poll: bytes, listener: Listener, silence_s: float) -> None:
        self._bus = bus
        self.poll = poll
        self.listener = listener
        self.silence_limit_s = silence_s + POLL_S
        self._queue: deque[Command] = deque()
        self.polling = False  # whether the device is polled
        self._poll_first = False
        self._poll_due = 0.0
        self._polled_at = -NEVER
        self._started_at = -NEVER
        self._hold_until = 0.0
        self._retry_at = 0.0
        self._gave_way = 0
        self.heard_at = 0.0
        self.told_at = -NEVER
        self.lost = False
        self.quiet = False
        self.awaited = False  # somebody waits for the next poll's end
        self.missed = False  # the last block had no answer
        self.on_miss: Callable[[], None] | None = None  # told of each block without an answer
        self.said = b""  # the last poll's data; repeated without money it is no news
        self.answers = 0
        self.damaged = 0
        self.silences = 0
        self.garbled = 0
        self.naks = 0
        self.spoilt = False
        self.tries = 0
        self.due = NEVER

    def start_polling(self, *, fresh: bool = True) -> None:
        """Poll from the next free moment on; with `fresh` the silence clock starts again."""
        now = asyncio.get_running_loop().time()
        if fresh:
            self.heard_at = now
            self.lost = False
        if not self.polling:
            self.polling = True
            self._poll_due = now
        self.replan()

    def stop_polling(self) -> None:
        """Leave the device alone, queued commands aside."""
        self.polling = False
        self.replan()

    def hold(self, seconds: float) -> None:
        """Say nothing to the device for a while: the pause after a reset."""
        self._hold_until = asyncio.get_running_loop().time() + seconds
        self.replan()

    def poll_soon(self, seconds: float = DUPLICATE_POLL_S) -> None:
        """Poll earlier than the rhythm has it, `seconds` from now, and before any command."""
        if self.polling:
            self._poll_first = True
            self._poll_due = min(self._poll_due, asyncio.get_running_loop().time() + seconds)
            self.replan()

    async def command(
        self,
        payload: bytes,
        retry: Retry = Retry.REPEAT,
        *,
        wanted: Callable[[], bool] | None = None,
        feed: Callable[[bytes], asyncio.Future[None] | None] | None = None,
        strict: bool = False,
    ) -> Answer:
        """Send a command in the place of the next poll and bring its answer.

        Args:
            payload: Address byte and data, no checksum.
            retry: What to do without an ACK.
            wanted: Asked before each further try; False ends them.
            strict: Ask before the first try as well.
            feed: Takes an answer's data at once, before anything else is said to the device
                (cashless messages may come as an answer or by a later POLL).

        Returns:
            The last try's answer: anything but ACK or DATA means that it was never acknowledged.

        Raises:
            LinkError: The line was down and the command never left.
        """
        if self._bus.down is not None:
            raise LinkError(self._bus.down)
        if len(self._queue) >= QUEUE_LIMIT:
            raise LinkError(f"{QUEUE_LIMIT} commands wait for {self.poll[0] & 0xF8:02X}")
        done: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._queue.append(Command(payload, retry, done, wanted, feed, strict))
        self.replan()
        return await done

    # ------------------------------------------------------------------------- the bus's side

    def replan(self) -> None:
        """Work out when the device is next due, and tell the bus if that is sooner."""
        self.plan()
        self._bus.sooner(self.due)

    def plan(self) -> None:
        """Work out when the device is next due, for a bus that is about to look."""
        due = self._poll_due if self.polling else NEVER
        if self._queue:
            due = min(due, max(self._started_at + COMMAND_GAP_S, self._retry_at))
        self.due = due if due > self._hold_until else self._hold_until

    def next_command(self) -> Command | None:
        """The command to send now, None for a poll."""
        queue = self._queue
        polls = self._poll_first and self.polling
        while queue:
            command = queue[0]
            if command.done.done():
                queue.popleft()  # its driver was cancelled
            elif polls and command.strict and not command.tries:
                return None  # what the poll brings is to be known when it is asked
            elif (command.tries or command.strict) and not _wanted(command):
                queue.popleft()  # what it asked for came by a poll
                self._finish(command, SILENT)
            else:
                break
        if not queue or polls:
            return None
        return queue[0]

    def begin_poll(self, now: float) -> float:
        """Note that a poll goes out; return how late it is, seconds."""
        late = now - max(self._poll_due, self._hold_until)
        self._started_at = self._polled_at = now
        self._poll_due = now + POLL_S
        self._poll_first = False
        return late

    def miss_poll(self, now: float) -> None:
        """Note that a poll was not answered; a command may wait for one that is."""
        command = self._queue[0] if self._queue else None
        if command is not None and command.tries and command.retry is Retry.ALIVE:
            self._poll_first = now - command.first_at < self.silence_limit_s

    def begin_command(self, command: Command, now: float) -> None:
        """Note that a command goes out."""
        if not command.tries:
            command.first_at = now
        command.tries += 1
        self._started_at = now
        # the poll it displaces comes later, but not too late
        self._poll_due = max(
            min(now + POLL_S, self._polled_at + POLL_LATEST_S), now + COMMAND_GAP_S
        )

    def end_command(self, command: Command, answer: Answer, now: float) -> None:
        """Finish a command, or plan its next try behind a poll."""
        self.answers += answer.heard
        again = _wanted(command) and not answer.heard and not command.done.done()
        if again:
            match command.retry:
                case Retry.REPEAT | Retry.ALIVE:
                    again = now - command.first_at < self.silence_limit_s
                case Retry.ASK:
                    again = command.tries < ASK_TRIES
                case Retry.ONCE:
                    again = False
        if again:
            self._poll_first = True
            self._retry_at = now + RETRY_GAP_S
            return
        self._retry_at = 0.0
        self._gave_way = 0
        if self._queue and self._queue[0] is command:
            self._queue.popleft()
        self._finish(command, answer)

    def _finish(self, command: Command, answer: Answer) -> None:
        self.tries = command.tries
        if not command.done.done():
            command.done.set_result(answer)

    def fail_all(self, why: str) -> None:
        """The line is down: what never left is a LinkError, what may have left was not answered."""
        while self._queue:
            command = self._queue.popleft()
            if command.done.done():
                continue
            if command.tries:
                self._finish(command, SILENT)
            else:
                command.done.set_exception(LinkError(why))
        self.replan()

    def skip_to(self, horizon: float) -> int:
        """Move the next poll to the first beat not before `horizon`; returns the polls skipped."""
        if not self.polling or self._poll_due >= horizon:
            return 0
        beats = math.ceil((horizon - self._poll_due) / POLL_S)
        self._poll_due += beats * POLL_S
        self._polled_at = self.heard_at = self.told_at = self._poll_due - POLL_S
        self.plan()
        return beats

    @property
    def latest(self) -> float:
        """Return the loop time by which the next poll should have begun; NEVER without one."""
        return self._polled_at + POLL_LATEST_S if self.polling else NEVER

    def give_way(self, until: float) -> bool:
        """Wait a little for others; False when it has done so often enough."""
        if self._gave_way >= GIVE_WAY_LIMIT:
            return False
        self._gave_way += 1
        self._retry_at = until
        self.replan()
        return True

    @property
    def misses(self) -> int:
        """Return how many blocks had no valid answer."""
        return self.silences + self.naks + self.garbled

    @property
    def commands(self) -> int:
        """Return how many commands wait."""
        return len(self._queue)

    @property
    def idle(self) -> bool:
        """Whether the last poll brought nothing new and no command waits (or it sleeps)."""
        return not self._queue and ((self.quiet and not self.awaited) or not self.polling)


def _wanted(command: Command) -> bool:
    return command.wanted is None or command.wanted()
