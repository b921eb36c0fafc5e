"""The machine's side: the journal goes up as it grows, acknowledgements come down.

Nothing in the machine waits for it. It reads the journal behind the fleet's acknowledgement, sends
batches within a window, and begins again from the last acknowledgement when there is no progress,
whatever the broker said. It starts without the network and without looking at the backlog.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Protocol

import structlog
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_random_exponential

from cloud.contract.messages import Ack, MessageError, Position, Presence, Signed, read
from cloud.contract.topics import Topic
from cloud.link import window as win
from cloud.link.acks import Advanced, Ahead, Forked, Ignored, Wanted, meaning_of
from cloud.link.lane import Lane, Reading
from cloud.link.packing import packed
from cloud.link.transport import Connection, Heard, LinkLostError, Transport
from cloud.sessions import first_of, in_a_task_of_its_own
from controller.clock import Clock
from controller.faults import JournalError
from controller.journal.envelope import to_ms

log = structlog.get_logger("link")

FIRST_WAIT_S: Final = 0.5
LONGEST_WAIT_S: Final = 120.0
# A vend is a handful of commits within a second: a short wait makes one batch of several.
GATHER_S: Final = 0.05
# A record that can't be read is looked at again; the third time it is no hiccup of the disk.
LOOK_AGAIN_S: Final = 15.0
LOOKS: Final = 3
GREET_AGAIN_S: Final = 10.0  # between two greetings: where both chains agree, or unanswered
NONCES: Final = 64  # remembered of one connection: more than can be on their way


class Books(Reading, Protocol):
    """What the link reads of the journal; ``controller.journal.store.Journal`` is one."""

    async def hash_at(self, seq: int) -> bytes | None:
        """Return a record's hash; None when it is not there (any more)."""
        ...

    async def has(self, seq: int, digest: bytes) -> bool:
        """Tell whether that is a record's hash, which may be damaged here since."""
        ...

    async def acknowledge(self, seq: int, digest: bytes) -> bool:
        """Note what the fleet has; False when it holds another chain."""
        ...


class Phase(StrEnum):
    """How the link is, for people."""

    OFFLINE = "offline"
    CATCHING_UP = "catching up"
    IN_SYNC = "in sync"
    FORKED = "forked"
    QUARANTINED = "quarantined"


@dataclass(slots=True)
class Status:
    """What `vendctl sync` shows."""

    phase: Phase = Phase.OFFLINE
    transport: str = ""
    connected: bool = False
    acked: int = 0
    durable: int = 0
    sent: int = 0  # bytes of batches since the start
    heard_ms: int | None = None  # fleet time of its last answer to this connection's own words
    heard_s: float = 0.0  # monotonic: when it came
    offset_ms: int | None = None  # fleet time less the system's clock, at that answer
    retry_at_s: float | None = None  # monotonic: the next try to connect
    last_error: str = ""
    why_quarantined: str = ""

    @property
    def backlog(self) -> int:
        """Return how many records the fleet does not have."""
        return max(0, self.durable - self.acked)


class _Damage:
    """The record that can't be read, and how often it was looked at."""

    def __init__(self) -> None:
        self.why = ""
        self._seq = 0
        self._looks = 0
        self._at_s = 0.0

    def seen(self, seq: int, why: str, now_s: float) -> int:
        """Note that it can't be read now; returns how often that was so."""
        self._looks = self._looks + 1 if seq == self._seq else 1
        self._seq, self._at_s = seq, now_s
        self.why = f"the journal can't be read: {why}"
        return self._looks

    def rests_s(self, seq: int | None, now_s: float) -> float:
        """Return seconds until a record is to be looked at again; 0: now."""
        return max(0.0, self._at_s + LOOK_AGAIN_S - now_s) if seq and seq == self._seq else 0.0


class Link:
    """Keeps the fleet in sync with one journal.

    Args:
        books: The journal.
        transport: The way to the fleet.
        clock: Time.
        nonce: Makes a word that nobody can have heard before.
        software: What the machine runs, for the fleet.
        public_key: The machine's own key.
        on_fork: Told the last record that both chains share; the machine begins a new journal.
        on_time: Told the fleet's time in ms, at which monotonic instant it was true, and whether
            this is the machine's first disk (None: only the answer to our greeting says that).
        on_use: Told whether the fleet has commands run here; None: it has not said so yet, or has
            nothing of this start.
        on_down: Takes signed configuration and commands; returns when they are durable.
        on_word: Told the fleet's word for a checkpoint.
        on_ack: Told each acknowledgement.
        on_damage: Told what can't be read, for good, of what the fleet does not have; returns
            whether the machine begins a new journal.
        beside: Runs on each connection as long as it lasts (what else the machine says).
    """

    def __init__(
        self,
        books: Books,
        transport: Transport,
        clock: Clock,
        nonce: Callable[[], str],
        *,
        software: str = "",
        public_key: bytes = b"",
        on_fork: Callable[[int, bytes], None] = lambda _seq, _hash: None,
        on_time: Callable[[int, float, bool | None], None] = lambda _ms, _at, _first: None,
        on_use: Callable[[bool | None], None] = lambda _use: None,
        on_down: Callable[[Heard], None] | None = None,
        on_word: Callable[[Signed], None] = lambda _word: None,
        on_ack: Callable[[Ack], None] = lambda _ack: None,
        on_damage: Callable[[str], bool] = lambda _why: False,
        beside: Callable[[Connection], Coroutine[Any, Any, None]] | None = None,
    ) -> None:
        self.status = Status(
            transport=transport.name, acked=books.acked_seq, durable=books.durable_seq
        )
        self._books = books
        self._transport = transport
        self._clock = clock
        self._nonce = nonce
        self._software = software
        self._public_key = public_key
        self._on_fork = on_fork
        self._on_time = on_time
        self._on_use = on_use
        self._on_down = on_down
        self._on_word = on_word
        self._on_ack = on_ack
        self._on_damage = on_damage
        self._beside = beside
        self._window = win.Window(books.acked_seq)
        # No copy of this disk that starts as well has the records of this start.
        self._begun = books.durable_seq
        self._used: bool | None = None
        self._wake = asyncio.Event()
        self._hurry = asyncio.Event()
        self._lane = Lane(books)
        # When each was said, and whether in a greeting.
        self._nonces: dict[str, tuple[float, bool]] = {}
        self._stopped = False
        self._greeted_s = 0.0
        self._answered = False  # one, on this connection
        self._appear = False
        self._clamped_s = -GREET_AGAIN_S  # when the fleet last asked for what is pruned
        self._back_to, self._back_s = 0, 0.0  # where we last went back to, and when
        self._watchers: list[Callable[[], None]] = []
        self._damage = _Damage()
        self._agreed = -1  # where the fleet's chain ends, which is ours up to there

    # ------------------------------------------------------------------------ for others

    def grown(self, urgent: list[tuple[int, int, bytes]] | None = None) -> None:
        """Say that the journal has grown; ``urgent`` are (seq, boot, body) to send ahead."""
        if urgent:
            self._lane.add(urgent)
        self.status.durable = self._books.durable_seq
        self._wake.set()

    def sync_now(self) -> None:
        """Try to connect at once, and send what there is."""
        if self.status.connected:
            self._window.hurry(self._clock.monotonic_s())
        else:
            self._hurry.set()
        self._wake.set()

    def appear(self) -> None:
        """Say again that we are here: the fleet then publishes the commands that are open."""
        self._appear = True
        self._wake.set()

    def watch(self, told: Callable[[], None]) -> None:
        """Be told whenever the status changes."""
        self._watchers.append(told)

    def _changed(self) -> None:
        for told in self._watchers:
            told()

    # ---------------------------------------------------------------------------- the loop

    async def run(self) -> None:
        """Keep in sync until cancelled, or until a fork ends this journal."""
        async for attempt in AsyncRetrying(
            retry=retry_if_exception_type(LinkLostError),
            wait=wait_random_exponential(multiplier=FIRST_WAIT_S, max=LONGEST_WAIT_S),
            sleep=self._rest,
            before_sleep=self._say_lost,
        ):
            with attempt:
                session = self._session(attempt.retry_state)
                await in_a_task_of_its_own(session, (LinkLostError,))
            if self._stopped:
                return

    async def _rest(self, seconds: float) -> None:
        """Wait, or less when somebody is in a hurry."""
        self.status.retry_at_s = self._clock.monotonic_s() + seconds
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._hurry.wait()
        self._hurry.clear()
        self.status.retry_at_s = None

    def _say_lost(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        self.status.last_error = str(error)
        self.status.phase = Phase.OFFLINE
        self.status.connected = False
        self._changed()
        log.info("link.lost", error=str(error), attempt=state.attempt_number)

    async def _session(self, state: RetryCallState) -> None:
        self._nonces.clear()
        self._answered = False
        self._used = None
        self._agreed = -1
        self._on_use(None)
        async with self._transport.connect() as connection:
            state.attempt_number = 1  # it works: the next loss is a first one again
            self._window.again(self._books.acked_seq + 1)
            await self._greet(connection)
            self.status.last_error = self._damage.why
            self.status.connected = True
            self.status.transport = self._transport.name
            self._hurry.clear()
            self._judge_phase()
            lost: BaseException | None = None
            try:
                async with asyncio.TaskGroup() as group:
                    sender = group.create_task(self._send(connection))
                    others = [sender]
                    if self._beside is not None:
                        others.append(group.create_task(self._beside(connection)))
                    listener = group.create_task(self._listen(connection))
                    listener.add_done_callback(lambda _: [task.cancel() for task in others])
                    sender.add_done_callback(lambda _: self._stopped and listener.cancel())
            except* LinkLostError as errors:
                lost = first_of(errors)
            if lost is not None:
                raise lost from None
        if not self._stopped:
            # Whatever ended it without a word: nothing but a new journal ends the keeping in touch.
            raise LinkLostError("the connection ended")

    async def _greet(self, connection: Connection) -> None:
        self._greeted_s = self._clock.monotonic_s()
        durable = self._books.durable_seq
        digest = await self._hash_at(durable)
        head = None
        if digest is not None:
            head = Position(journal=self._books.journal_id.hex(), seq=durable, hash=digest.hex())
        presence = Presence(
            online=True,
            nonce=self._new_nonce(greeting=True),
            head=head,
            public_key=self._public_key.hex(),
            software=self._software,
            time=to_ms(self._clock.wall_utc()),
        )
        await connection.say(Topic.PRESENCE, presence.to_bytes(), retain=True)

    def _new_nonce(self, *, greeting: bool = False) -> str:
        nonce = self._nonce()
        self._nonces[nonce] = self._clock.monotonic_s(), greeting
        while len(self._nonces) > NONCES:
            del self._nonces[next(iter(self._nonces))]
        return nonce

    # ---------------------------------------------------------------------------- upwards

    async def _send(self, connection: Connection) -> None:
        saying: set[asyncio.Task[None]] = set()
        await self._lane.recall()
        try:
            while True:
                self._wake.clear()
                await self._lane.send(connection)
                if self._appear:
                    self._appear = False
                    await self._greet(connection)
                first = self._window.wanted(self._books.durable_seq)
                rests_s = self._damage.rests_s(first, self._clock.monotonic_s())
                if first is not None and not rests_s:
                    message = await self._pack(first)
                    if self._stopped:
                        return
                    if message is None:
                        continue
                    task = asyncio.ensure_future(connection.say(Topic.EVENTS, message))
                    saying.add(task)
                    self.status.sent += len(message)
                    continue
                if self._window.overdue(self._clock.monotonic_s()):
                    log.info("link.no_progress", acked=self._window.acked)
                    self._window.give_up()
                    continue
                await self._pause(saying, rests_s or win.LONGEST_S)
        finally:
            for task in saying:
                task.cancel()
            await asyncio.gather(*saying, return_exceptions=True)

    async def _pause(self, saying: set[asyncio.Task[None]], most_s: float) -> None:
        """Wait until there is something to do; raise what a batch on its way has met."""
        waking = asyncio.ensure_future(self._wake.wait())
        try:
            ends: set[asyncio.Future[object]] = {waking, *saying}  # type: ignore[arg-type]  # waited for alone
            due_in = self._window.due_in(self._clock.monotonic_s())
            done, _ = await asyncio.wait(
                ends,
                timeout=min(due_in, most_s) + GATHER_S,
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            waking.cancel()
        for task in done & saying:
            saying.discard(task)
            task.result()
        if waking in done and not self._window.in_flight:
            await asyncio.sleep(GATHER_S)

    async def _pack(self, first: int) -> bytes | None:
        """Return a batch; None where its first record can't be read.

        Nothing behind that one can be sent: when it stays so the machine goes on in a new journal,
        as behind a fork. Only where the fleet's chain ends right before it, and is ours: what it
        has of another chain its own answer must tell first.
        """
        try:
            message, last = await packed(self._books, first, self._new_nonce())
        except JournalError as error:
            looks = self._damage.seen(first, str(error), self._clock.monotonic_s())
            log.error("link.damaged", error=str(error), looks=looks)
            self.status.last_error = self._damage.why
            agreed = self._books.acked_seq == self._agreed == first - 1
            if looks >= LOOKS and agreed:
                self._stopped |= self._on_damage(str(error))
            # Nothing else is answered, as nothing is sent.
            self._appear |= looks >= LOOKS and not agreed
            self._changed()
            return None
        if self._damage.why:
            self._damage, self.status.last_error = _Damage(), ""
        self._window.sent(first, last, self._clock.monotonic_s())
        return message

    async def _hash_at(self, seq: int) -> bytes | None:
        """Return a record's hash; None also where it can't be read, which its batch will find."""
        try:
            return await self._books.hash_at(seq)
        except JournalError:
            return None

    async def _ours_at(self, seq: int, digest: bytes) -> bytes | None:
        """Return a record's hash: theirs, if that was written, whatever stands there now."""
        ours = await self._hash_at(seq)
        return digest if ours not in (None, digest) and await self._books.has(seq, digest) else ours

    # -------------------------------------------------------------------------- downwards

    async def _listen(self, connection: Connection) -> None:
        async for heard in connection.heard():
            if heard.topic is Topic.ACK:
                try:
                    ack = read(Ack, heard.payload)
                except MessageError as error:
                    log.warning("ack.unreadable", error=str(error))
                else:
                    await self._take_ack(connection, ack)
                heard.done()
                if self._stopped:
                    return
            elif self._on_down is not None:
                self._on_down(heard)
            else:
                heard.done()

    async def _take_ack(self, connection: Connection, ack: Ack) -> None:
        now = self._clock.monotonic_s()
        asked, greeting = self._nonces.pop(ack.echo, (None, False))
        books = self._books
        own = ack.journal == books.journal_id.hex()
        ours = await self._ours_at(ack.seq, bytes.fromhex(ack.hash)) if own else None
        meaning = meaning_of(ack, books.journal_id, books.durable_seq, ours)
        if asked is not None:
            # Half of the round trip: the fleet said it somewhere in between.
            at_s = (asked + now) / 2
            wall_ms = to_ms(self._clock.wall_utc()) - int((now - at_s) * 1000)
            self.status.heard_ms, self.status.heard_s = ack.time, now
            self.status.offset_ms = ack.time - wall_ms
            # With the time commands begin. On a disk that went back they may have run before: the
            # journal that follows it learns the time, and refuses what is older.
            if not (isinstance(meaning, Forked | Ahead) or (own and ack.seq > books.durable_seq)):
                self._on_time(ack.time, at_s, ack.first if greeting else None)
                if own and (greeting or ack.in_use is not None):
                    self._used = ack.in_use is not False  # an older fleet says nothing
            self._answered |= greeting
            self._agreed = ack.seq if isinstance(meaning, Advanced) else -1
            # Who was not known yet when it greeted has no answer, and only that says all.
            if not self._answered and now - self._greeted_s > GREET_AGAIN_S:
                await self._greet(connection)
        if not isinstance(meaning, Ignored):
            self.status.why_quarantined = ack.quarantined
        if ack.countersigned is not None:
            self._on_word(ack.countersigned)
        self._on_ack(ack)
        match meaning:
            case Advanced(seq=seq, hash=digest):
                if await books.acknowledge(seq, digest):
                    self._window.acknowledged(seq, now)
                    self.status.acked = books.acked_seq
                    self._wake.set()
            case Wanted(range=wanted):
                self._want(wanted.first, asked, now)
            case Ahead():
                if now - self._greeted_s > GREET_AGAIN_S:
                    await self._greet(connection)
            case Forked(seq=seq, hash=digest):
                # One that answers nothing of this connection may be retained, from another disk.
                if asked is not None and await books.has(seq, digest):
                    self._stopped = True
                    self.status.phase = Phase.FORKED
                    self._changed()
                    self._on_fork(seq, digest)
                    return
            case Ignored():
                pass
        self._judge_use()
        self._judge_phase()

    def _judge_use(self) -> None:
        """Have commands wait until the fleet has what this start has written.

        Before that a copy of this disk, or this disk as it was, shows the same chain: what one of
        them ran the other would run again. A journal in quarantine gets no further.
        """
        waits = self._books.acked_seq < self._begun and not self.status.why_quarantined
        self._on_use(None if waits and self._used else self._used)

    def _want(self, first: int, asked: float | None, now: float) -> None:
        """Send from ``first`` on again; from what is left, when that was pruned.

        Each batch behind a gap is answered with the same wish. What left before we last went back
        tells nothing new: its answer must not make us go back again.
        """
        base = self._books.base_seq
        if self._back_to == first and (asked or now - win.PATIENCE_S) <= self._back_s:
            return
        self._back_to, self._back_s = first, now
        if first > self._books.durable_seq:
            return
        if first <= base:
            if now - self._clamped_s < GREET_AGAIN_S:
                return  # it asks for the same in each answer, and we can't
            self._clamped_s = now
            log.warning("link.pruned", wanted=first, left=base + 1)
        self._window.again(max(first, base + 1))
        self._wake.set()

    def _judge_phase(self) -> None:
        self.status.durable = self._books.durable_seq
        if self.status.why_quarantined:
            self.status.phase = Phase.QUARANTINED
        elif self.status.backlog:
            self.status.phase = Phase.CATCHING_UP
        else:
            self.status.phase = Phase.IN_SYNC
        self._changed()
