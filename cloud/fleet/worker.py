"""An ingest worker: takes messages from the broker, commits them, then lets the broker forget them.

A database that fails stops the taking: nothing is acknowledged, the connection is dropped, and the
broker gives everything that was open to this worker again, or to another one.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final
from weakref import WeakValueDictionary

import structlog
from sqlalchemy.exc import DataError, IntegrityError, SQLAlchemyError
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_random_exponential

from cloud.contract.messages import Ack, MessageError, Presence, State, Telemetry, Urgent, read
from cloud.contract.topics import Address, Topic
from cloud.fleet.broker import Broker, BrokerLostError, Connection, Incoming
from cloud.fleet.ingest.ingest import Ingest
from cloud.fleet.ingest.verdict import Verdict
from cloud.sessions import first_of, in_a_task_of_its_own

log = structlog.get_logger("vendcloud.worker")

Now = Callable[[], int]
Appeared = Callable[[Address, Connection], Awaitable[None]]

# Messages in work at once: of one journal they wait for each other, of several they need not.
AT_ONCE: Final = 16
_FIRST_WAIT_S: Final = 0.2
_LONGEST_WAIT_S: Final = 30.0


@dataclass(slots=True)
class Counts:
    """What a worker has done since its start."""

    batches: int = 0
    records: int = 0
    duplicates: int = 0
    without_query: int = 0
    refused: int = 0
    reconnects: int = 0


class _Turn:
    """One machine's messages and when each came: one after the other, in that order."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.queue: deque[tuple[Incoming, int]] = deque()


Turns = WeakValueDictionary[Address, _Turn]


def timed(ack: Ack, came_ms: int, goes_ms: int) -> Ack:
    """Have an ack tell the time in the middle of what it took here.

    A machine takes the time that it is told for that in the middle between its question and the
    answer: a database that is slow would set its clock back by half of what it took.
    """
    middle = (came_ms + goes_ms) // 2
    return ack if ack.time == middle else ack.model_copy(update={"time": middle})


class Worker:
    """Takes what machines say into the database.

    Args:
        ingest: Where to.
        broker: Where from.
        now: UTC in ms since 1970.
        appeared: Called when a machine has come online (its open commands are published again).
        beside: Runs on each connection as long as it lasts (what goes out to machines).
    """

    def __init__(
        self,
        ingest: Ingest,
        broker: Broker,
        now: Now,
        appeared: Appeared | None = None,
        beside: Callable[[Connection], Coroutine[Any, Any, None]] | None = None,
    ) -> None:
        self.ingest = ingest
        self.counts = Counts()
        self.connected = asyncio.Event()
        self.connected_ms = 0  # since when
        self._broker = broker
        self._now = now
        self._appeared = appeared
        self._beside = beside

    async def run(self) -> None:
        """Work until cancelled; a lost broker or database is waited for, with jitter."""
        async for attempt in AsyncRetrying(
            retry=retry_if_exception_type((BrokerLostError, SQLAlchemyError, OSError)),
            wait=wait_random_exponential(multiplier=_FIRST_WAIT_S, max=_LONGEST_WAIT_S),
            before_sleep=self._say_lost,
        ):
            with attempt:
                work = self._work(attempt.retry_state)
                await in_a_task_of_its_own(work, (BrokerLostError, SQLAlchemyError, OSError))

    def _say_lost(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        log.warning("lost", error=str(error), attempt=state.attempt_number)

    async def _work(self, state: RetryCallState) -> None:
        async with self._broker.connect() as connection:
            self.counts.reconnects += state.attempt_number > 1
            state.attempt_number = 1  # it works: the next loss is a first one again
            self.connected_ms = self._now()
            self.connected.set()
            log.info("connected")
            try:
                await self._take(connection)
            finally:
                self.connected.clear()

    async def _take(self, connection: Connection) -> None:
        room = asyncio.Semaphore(AT_ONCE)
        turns: Turns = WeakValueDictionary()
        lost: BaseException | None = None
        try:
            async with asyncio.TaskGroup() as group:
                if self._beside is not None:
                    group.create_task(self._beside(connection))
                async for incoming in connection.incoming():
                    await room.acquire()
                    turn = turns.setdefault(incoming.address, _Turn())
                    turn.queue.append((incoming, self._now()))
                    task = group.create_task(self._handle(connection, turn, incoming))
                    task.add_done_callback(lambda _: room.release())
        except* (BrokerLostError, SQLAlchemyError, OSError) as errors:
            lost = first_of(errors)
        if lost is not None:
            raise lost from None

    async def _handle(self, connection: Connection, turn: _Turn, incoming: Incoming) -> None:
        # In the order of their arrival: locks are given in the order in which they were asked for.
        async with turn.lock:
            if not turn.queue or turn.queue[0][0] is not incoming:
                return  # whoever came before has taken it along
            run = [turn.queue.popleft()]
            while incoming.topic is Topic.EVENTS and turn.queue:
                if turn.queue[0][0].topic is not Topic.EVENTS:
                    break
                run.append(turn.queue.popleft())
            acks = await self._digested_run(connection, [each for each, _ in run])
        # Published in this order; the broker's answers are waited for together.
        now = self._now()
        await asyncio.gather(
            *(
                connection.tell(
                    incoming.address, Topic.ACK, timed(ack, came, now).to_bytes(), retain=True
                )
                for (_, came), ack in zip(run, acks, strict=True)
                if ack is not None
            )
        )
        for each, _ in run:
            each.done()

    async def _digested_run(self, connection: Connection, run: list[Incoming]) -> list[Ack | None]:
        """Take messages in that came together; one by one when some of them is trouble."""
        if len(run) > 1:
            try:
                messages = [each.payload for each in run]
                verdicts = await self.ingest.take_run(run[0].address, messages, self._now())
                return [
                    self._counted(each, verdict)
                    for each, verdict in zip(run, verdicts, strict=True)
                ]
            except (BrokerLostError, OSError):
                raise
            except SQLAlchemyError as error:
                if not isinstance(error, DataError | IntegrityError):
                    raise
            except Exception:
                log.exception("run", machine=str(run[0].address))  # which of them, it will show
        return [await self._digested(connection, each) for each in run]

    async def _digested(self, connection: Connection, incoming: Incoming) -> Ack | None:
        """Take a message in, or set it aside when nobody ever will.

        Raises what a new connection, to the broker or the database, may cure.
        """
        try:
            return await self._taken(connection, incoming)
        except (DataError, IntegrityError) as error:
            problem: Exception = error
        except (BrokerLostError, SQLAlchemyError, OSError):
            raise
        except Exception as error:  # noqa: BLE001 - one machine's message never stops the others
            problem = error
        self.counts.refused += 1
        incoming.refused(f"{incoming.topic.value}: the database does not take it")
        log.error(
            "indigestible",
            machine=str(incoming.address),
            topic=incoming.topic.value,
            error=f"{type(problem).__name__}: {problem}",
        )
        return await self.ingest.indigestible(
            incoming.address,
            incoming.topic,
            incoming.payload,
            f"{type(problem).__name__}: {problem}",
            self._now(),
        )

    async def _taken(self, connection: Connection, incoming: Incoming) -> Ack | None:
        address, payload = incoming.address, incoming.payload
        try:
            match incoming.topic:
                case Topic.EVENTS:
                    return await self._batch(incoming)
                case Topic.PRESENCE:
                    presence = read(Presence, payload)
                    ack = await self.ingest.heard(
                        address, presence, self._now(), retained=incoming.retained
                    )
                    known = await self.ingest.machine_id(address) is not None
                    if presence.online and known and self._appeared is not None:
                        await self._appeared(address, connection)
                    return ack
                case Topic.STATE:
                    state = read(State, payload)
                    await self.ingest.told(address, state, self._now(), retained=incoming.retained)
                case Topic.URGENT:
                    copy = read(Urgent, payload)
                    log.debug("copy", machine=str(address), seq=copy.seq, trace=copy.trace)
                    await self.ingest.copied(address, copy, self._now())
                case Topic.TELEMETRY:
                    await self.ingest.sampled(address, read(Telemetry, payload), self._now())
                case _:
                    pass  # nothing else comes up
        except MessageError as error:
            self.counts.refused += 1
            incoming.refused(str(error))
            await self.ingest.refused(address, incoming.topic, payload, str(error), self._now())
        return None

    async def _batch(self, incoming: Incoming) -> Ack | None:
        verdict = await self.ingest.take(incoming.address, incoming.payload, self._now())
        return self._counted(incoming, verdict)

    def _counted(self, incoming: Incoming, verdict: Verdict) -> Ack | None:
        if verdict.problem:
            incoming.refused(verdict.problem)
        self.counts.batches += 1
        self.counts.records += verdict.records
        self.counts.duplicates += verdict.fate == "duplicate"
        self.counts.without_query += not verdict.queries
        well = verdict.fate in ("applied", "duplicate")
        (log.debug if well else log.warning)(
            "batch",
            machine=str(incoming.address),
            fate=verdict.fate.value,
            records=verdict.records,
            trace=verdict.trace,
        )
        return verdict.ack
