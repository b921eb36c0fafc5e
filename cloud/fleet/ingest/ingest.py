"""One batch, one transaction: lock the journal's cursor, compare, store, project, commit, tell.

Idempotent on (journal, seq). The acknowledgement is the highest contiguous committed seq, read
under the cursor's lock, and is made only after the commit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from random import SystemRandom
from typing import Final
from weakref import WeakValueDictionary

from sqlalchemy import bindparam, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.contract.batch import Batch, BatchError, BatchHead, read_head, unpack_bodies
from cloud.contract.journal import GENESIS
from cloud.contract.messages import Ack, Presence, Range, State, Telemetry, Urgent
from cloud.contract.topics import Address, Topic
from cloud.fleet import alerts
from cloud.fleet import schema as t
from cloud.fleet.database import FleetDatabase
from cloud.fleet.ingest import checkpoints, copies, forks, presence, progress, samples, unreadable
from cloud.fleet.ingest.cursor import Cursor, ack_of, locked
from cloud.fleet.ingest.folds import Folds
from cloud.fleet.ingest.known import Known
from cloud.fleet.ingest.storing import Storing, continues
from cloud.fleet.ingest.verdict import Fate, Verdict

# Records of one transaction: a window of a machine that catches up.
MAX_RUN: Final = 4_000

# Made once: to put a statement together takes longer than to execute it.
_MACHINE: Final = (
    select(t.machine.c.id, t.tenant.c.id)
    .outerjoin(t.tenant, t.tenant.c.name == t.machine.c.tenant)
    .where(t.machine.c.tenant == bindparam("of_tenant"), t.machine.c.name == bindparam("of_name"))
)


class Ingest:
    """Takes batches in. One per process; any number of processes on one database.

    Args:
        database: Where to.
        known: The first tier of deduplication.
        entropy: Random bytes: this process's name among those that write projections.
        countersign: Signs the fleet's word for a checkpoint; None: nobody here may.
    """

    def __init__(
        self,
        database: FleetDatabase,
        known: Known | None = None,
        entropy: Callable[[int], bytes] | None = None,
        countersign: checkpoints.Countersign | None = None,
    ) -> None:
        self.database = database
        self._countersign = countersign
        self.known = known or Known()
        name = (entropy or SystemRandom().randbytes)(8).hex()
        self._storing = Storing(database, Folds(name))
        self._machines: dict[Address, int] = {}
        self._tenants: dict[int, int] = {}  # of each of these machines
        self._asking = asyncio.Lock()
        # Batches of one journal one after the other: the second would only wait for the row's lock.
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    # ------------------------------------------------------------------------------- events

    async def take(self, address: Address, message: bytes, now_ms: int) -> Verdict:
        """Take a batch in.

        Raises:
            sqlalchemy.exc.DBAPIError: The database could not; nothing is acknowledged.
        """
        machine_id = await self.machine_id(address)
        if machine_id is None:
            return Verdict(Fate.REFUSED)
        try:
            head, packed = read_head(message)
        except BatchError as error:
            return await unreadable.take(self.database, machine_id, message, error, now_ms)
        cursor = self.known.duplicate(machine_id, head)
        if cursor is not None:
            ack = Ack(
                journal=head.journal,
                seq=cursor[0],
                hash=cursor[1].hex(),
                time=now_ms,
                echo=head.nonce,
            )
            return Verdict(Fate.DUPLICATE, ack, queries=False, trace=head.trace or "")
        try:
            batch = unpack_bodies(head, packed)
        except BatchError as error:
            verdict = await unreadable.take(self.database, machine_id, message, error, now_ms)
            return replace(verdict, trace=head.trace or "")
        turn = self._turns.setdefault(head.journal, asyncio.Lock())
        async with turn:
            try:
                verdict = await self._apply(machine_id, batch, message, now_ms)
            except BaseException:
                self.known.forget(machine_id, head.journal)
                raise
        if head.trace is not None:
            verdict = replace(verdict, trace=head.trace)
        return await self._worded(address, verdict, now_ms)

    async def _worded(self, address: Address, verdict: Verdict, now_ms: int) -> Verdict:
        """Return a verdict with the fleet's word for the checkpoint that it brought."""
        if not verdict.stated or verdict.ack is None:
            return verdict
        return replace(verdict, ack=await self._with_word(address, verdict.ack, now_ms))

    async def _with_word(self, address: Address, ack: Ack, now_ms: int) -> Ack:
        """Return an ack with the fleet's word for the newest checkpoint, where there is one."""
        word = await checkpoints.newest_word(
            self.database, self._countersign, address, ack.journal, now_ms
        )
        return ack if word is None else ack.model_copy(update={"countersigned": word})

    async def take_run(
        self, address: Address, messages: Sequence[bytes], now_ms: int
    ) -> list[Verdict]:
        """Take batches of one machine in, in their order; returns what became of each.

        Those that continue each other share a transaction: a backlog costs less so.

        Raises:
            sqlalchemy.exc.DBAPIError: As ``take``.
        """
        machine_id = await self.machine_id(address)
        verdicts: list[Verdict] = []
        while len(verdicts) < len(messages):
            left = messages[len(verdicts) :]
            joined: list[Verdict] = []
            if machine_id is not None and len(left) > 1:
                run = self._run_of(machine_id, left)
                if len(run) > 1:
                    joined = await self._take_joined(machine_id, run, now_ms)
            if joined:
                joined[-1] = await self._worded(address, joined[-1], now_ms)
            verdicts += joined or [await self.take(address, left[0], now_ms)]
        return verdicts

    def _run_of(self, machine_id: int, messages: Sequence[bytes]) -> list[Batch]:
        """Return the batches at the head of ``messages`` that are one chain."""
        run: list[Batch] = []
        total = 0
        for message in messages:
            try:
                head, packed = read_head(message)
                total += head.count
                if total > MAX_RUN or (run and not _follows(run[-1].head, head)):
                    break
                if not run and self.known.duplicate(machine_id, head) is not None:
                    break
                run.append(unpack_bodies(head, packed))
            except BatchError:
                break  # it is told of when its turn comes
        return run

    async def _take_joined(
        self, machine_id: int, run: Sequence[Batch], now_ms: int
    ) -> list[Verdict]:
        """Apply a run that begins right at the cursor; nothing is done with any other."""
        first = run[0].head
        turn = self._turns.setdefault(first.journal, asyncio.Lock())
        rows = [row for batch in run for row in batch.rows]
        async with turn:
            try:
                async with self.database.writing() as connection:
                    cursor = await self._locked(connection, machine_id, first, now_ms)
                    if (
                        cursor.machine_id != machine_id
                        or cursor.quarantine
                        or first.first != cursor.next_seq
                        or bytes.fromhex(first.prev) != cursor.last_hash
                    ):
                        return []
                    await self._storing.store(connection, cursor, rows, now_ms)
                    if cursor.has_waiting:
                        await self._storing.drain(connection, cursor, now_ms)
                    await self._storing.move(connection, cursor, now_ms)
            except BaseException:
                self.known.forget(machine_id, first.journal)
                raise
        for batch in run:
            self.known.committed(machine_id, batch, cursor.next_seq, cursor.last_hash)
        stated = cursor.stated and not cursor.quarantine
        return [
            Verdict(
                Fate.APPLIED,
                ack_of(cursor, now_ms, batch.head.nonce),
                batch.head.count,
                stated=stated and batch is run[-1],
                trace=batch.head.trace or "",
            )
            for batch in run
        ]

    async def _apply(self, machine_id: int, batch: Batch, message: bytes, now_ms: int) -> Verdict:
        head = batch.head
        async with self.database.writing() as connection:
            cursor = await self._locked(connection, machine_id, head, now_ms)
            if cursor.machine_id != machine_id:
                return await forks.foreign(
                    self.database, connection, machine_id, cursor, batch, now_ms
                )
            if cursor.quarantine:
                return Verdict(Fate.QUARANTINED, ack_of(cursor, now_ms, head.nonce))
            if head.first > cursor.next_seq:
                await self._storing.wait(connection, cursor, head, message, now_ms)
                want = Range(first=cursor.next_seq, last=head.first - 1)
                return Verdict(Fate.WAITING, ack_of(cursor, now_ms, head.nonce, want=want))
            before = cursor.next_seq
            overlap = before - head.first
            if not await continues(connection, cursor, batch, overlap):
                return await forks.forked(self.database, connection, cursor, batch, now_ms)
            rows = batch.rows[overlap:]
            if rows:
                await self._storing.store(connection, cursor, rows, now_ms)
                if cursor.has_waiting:
                    await self._storing.drain(connection, cursor, now_ms)
                await self._storing.move(connection, cursor, now_ms)
        self.known.committed(machine_id, batch, cursor.next_seq, cursor.last_hash)
        fate = Fate.APPLIED if rows else Fate.DUPLICATE
        return Verdict(
            fate,
            ack_of(cursor, now_ms, head.nonce),
            cursor.next_seq - before,
            stated=cursor.stated and not cursor.quarantine,
        )

    async def _locked(
        self, connection: AsyncConnection, machine_id: int, head: BatchHead, now_ms: int
    ) -> Cursor:
        """Return the journal's row, locked; made when this is the first that is heard of it."""
        uid = bytes.fromhex(head.journal)
        cursor = await locked(self.database, connection, uid)
        first = False
        if cursor is None:
            # Two workers may each hear of a first journal: one of them is.
            await self.database.alone(connection, machine_id)
            first = not (
                await connection.execute(
                    select(func.count())
                    .select_from(t.journal)
                    .where(t.journal.c.machine_id == machine_id)
                )
            ).scalar_one()
            try:
                async with connection.begin_nested():
                    await connection.execute(
                        insert(t.journal).values(
                            uid=uid,
                            machine_id=machine_id,
                            next_seq=1,
                            last_hash=GENESIS,
                            adopted=first,
                            created_ms=now_ms,
                            updated_ms=now_ms,
                        )
                    )
            except IntegrityError:
                pass  # another worker was faster: its row is as good
            cursor = await locked(self.database, connection, uid)
            assert cursor is not None, "it is there now"
            if first:
                cursor.active = True
                await connection.execute(
                    update(t.machine)
                    .where(t.machine.c.id == machine_id)
                    .values(active_journal=cursor.id)
                )
            elif cursor.machine_id == machine_id and not cursor.adopted:
                await alerts.raise_unadopted(
                    self.database, connection, machine_id, head.journal, now_ms
                )
        cursor.tenant_id = self._tenants[machine_id]
        return cursor

    # ----------------------------------------------------------------------- other messages

    async def heard(
        self, address: Address, message: Presence, now_ms: int, *, retained: bool = False
    ) -> Ack | None:
        """Note that a machine is online or gone; answer where its journal stands here."""
        machine_id = await self.machine_id(address)
        if machine_id is None:
            return None
        ack = await presence.heard(self.database, machine_id, message, now_ms, retained=retained)
        return None if ack is None else await self._with_word(address, ack, now_ms)

    async def told(
        self, address: Address, state: State, now_ms: int, *, retained: bool = False
    ) -> None:
        """Keep a machine's own snapshot of itself."""
        machine_id = await self.machine_id(address)
        if machine_id is not None:
            await presence.told(self.database, machine_id, state, now_ms, retained=retained)

    async def sampled(self, address: Address, told: Telemetry, now_ms: int) -> None:
        """Keep how far commands are, and the last samples."""
        machine_id = await self.machine_id(address)
        if machine_id is not None:
            await progress.progressed(self.database, machine_id, told, now_ms)
            await samples.keep(self.database, machine_id, told, now_ms)

    async def copied(self, address: Address, copy: Urgent, now_ms: int) -> None:
        """Keep a copy of a record that overtook the backlog.

        Raises:
            MessageError: Its body is no record.
        """
        machine_id = await self.machine_id(address)
        if machine_id is not None:
            await copies.take_copy(self.database, machine_id, copy, now_ms)

    async def indigestible(
        self, address: Address, topic: Topic, payload: bytes, reason: str, now_ms: int
    ) -> Ack | None:
        """Set a message aside that the database does not take, or that we stumble over.

        It would do the same each time: waiting for it would keep every other machine waiting. A
        batch is asked for again all the same, and after some of them its journal is quarantined.
        """
        machine_id = await self.machine_id(address)
        if topic is not Topic.EVENTS or machine_id is None:
            await self.refused(address, topic, payload, reason, now_ms)
            return None
        head = None
        with suppress(BatchError):
            head, _ = read_head(payload)
        if head is not None:  # its first batch may be the one: there must be something to count on
            async with self.database.writing() as connection:
                await self._locked(connection, machine_id, head, now_ms)
        error = BatchError(reason)
        return (await unreadable.take(self.database, machine_id, payload, error, now_ms)).ack

    async def refused(
        self, address: Address, topic: Topic, payload: bytes, reason: str, now_ms: int
    ) -> None:
        """Keep what could not be read, for somebody to look at."""
        machine_id = await self.machine_id(address)  # not inside: it may have to write itself
        async with self.database.writing() as connection:
            await unreadable.keep(
                connection, machine_id, address.topic(topic), payload, reason, now_ms
            )

    # ---------------------------------------------------------------------------- machines

    async def machine_id(self, address: Address) -> int | None:
        """Return a machine's number, or None when there is no such machine."""
        found = self._machines.get(address)
        if found is None:
            # One after the other: each would open a connection of its own, for one question.
            async with self._asking:
                found = await self._asked(address)
        return found

    async def _asked(self, address: Address) -> int | None:
        found = self._machines.get(address)
        if found is None:
            async with self.database.reading() as connection:
                rows = await self.database.read(
                    connection, _MACHINE, {"of_tenant": address.tenant, "of_name": address.machine}
                )
            if rows:
                found, tenant = rows[0]
                self._tenants[found] = tenant or await self._numbered(address.tenant)
                self._machines[address] = found
        return found

    async def _numbered(self, tenant: str) -> int:
        """Return the number of a tenant whose first word this is."""
        async with self.database.writing() as connection:
            await connection.execute(self.database.insert_new(t.tenant), [{"name": tenant}])
            query = select(t.tenant.c.id).where(t.tenant.c.name == tenant)
            number: int = (await connection.execute(query)).scalar_one()
        return number


def _follows(one: BatchHead, other: BatchHead) -> bool:
    """Tell whether a batch says of itself that it continues another."""
    return (other.journal, other.first, other.prev) == (one.journal, one.end + 1, one.last)
