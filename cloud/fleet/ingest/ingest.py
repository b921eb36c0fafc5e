"""One batch, one transaction: lock the journal's cursor, compare, store, project, commit, tell.

Idempotent on (journal, seq). The acknowledgement is the highest contiguous committed seq, read
under the cursor's lock, and is made only after the commit.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, Final
from weakref import WeakValueDictionary

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.contract.batch import Batch, BatchError, BatchHead, Row, read_head, unpack_bodies
from cloud.contract.journal import GENESIS, REGISTRY, EnvelopeError, Record, UnknownData, decode
from cloud.contract.journal import records as rec
from cloud.contract.messages import Ack, Position, Presence, Range
from cloud.contract.topics import Address
from cloud.fleet import alerts
from cloud.fleet import schema as t
from cloud.fleet.database import FleetDatabase
from cloud.fleet.ingest.known import Known
from cloud.fleet.ingest.verdict import Fate, Verdict
from cloud.fleet.projections import tables

# Batches kept ahead of a gap: the machine sends from the gap on, so more would come again anyway.
MAX_WAITING: Final = 32
# Unreadable batches in a row for one journal: the first may be the line's, the third is the disk's.
MAX_BAD: Final = 3
_KEPT_OF_BAD: Final = 4_096  # bytes of a message that could not be read


@dataclass(slots=True)
class Cursor:
    """A journal's row, locked."""

    id: int
    uid: bytes
    machine_id: int
    next_seq: int
    last_hash: bytes
    projected_seq: int
    adopted: bool
    quarantine: str
    bad_batches: int


class Ingest:
    """Takes batches in. One per process; any number of processes on one database.

    Args:
        database: Where to.
        known: The first tier of deduplication.
    """

    def __init__(self, database: FleetDatabase, known: Known | None = None) -> None:
        self.database = database
        self.known = known or Known()
        self._machines: dict[Address, int] = {}
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
            return await self._unreadable(machine_id, None, message, error, now_ms)
        cursor = self.known.duplicate(machine_id, head)
        if cursor is not None:
            ack = Ack(
                journal=head.journal,
                seq=cursor[0],
                hash=cursor[1].hex(),
                time=now_ms,
                echo=head.nonce,
            )
            return Verdict(Fate.DUPLICATE, ack, queries=False)
        try:
            batch = unpack_bodies(head, packed)
        except BatchError as error:
            return await self._unreadable(machine_id, head, message, error, now_ms)
        turn = self._turns.setdefault(head.journal, asyncio.Lock())
        async with turn:
            try:
                return await self._apply(machine_id, batch, message, now_ms)
            except BaseException:
                self.known.forget(machine_id, head.journal)
                raise

    async def _apply(self, machine_id: int, batch: Batch, message: bytes, now_ms: int) -> Verdict:
        head = batch.head
        async with self.database.writing() as connection:
            cursor = await self._locked(connection, machine_id, head, now_ms)
            if cursor.machine_id != machine_id:
                return await self._foreign(connection, machine_id, cursor, batch, now_ms)
            if cursor.quarantine:
                return Verdict(Fate.QUARANTINED, _ack(cursor, now_ms, head.nonce))
            if head.first > cursor.next_seq:
                await self._store_waiting(connection, cursor, head, message, now_ms)
                want = Range(first=cursor.next_seq, last=head.first - 1)
                return Verdict(Fate.WAITING, _ack(cursor, now_ms, head.nonce, want=want))
            overlap = cursor.next_seq - head.first
            if not await self._continues(connection, cursor, batch, overlap):
                return await self._forked(connection, cursor, batch, now_ms)
            rows = batch.rows[overlap:]
            if rows:
                await self._store(connection, cursor, rows, now_ms)
                await self._drain(connection, cursor, now_ms)
                await self._move(connection, cursor, now_ms)
        self.known.committed(machine_id, batch, cursor.next_seq, cursor.last_hash)
        fate = Fate.APPLIED if rows else Fate.DUPLICATE
        return Verdict(fate, _ack(cursor, now_ms, head.nonce), len(rows))

    async def _locked(
        self, connection: AsyncConnection, machine_id: int, head: BatchHead, now_ms: int
    ) -> Cursor:
        """Return the journal's row, locked; made when this is the first that is heard of it."""
        uid = bytes.fromhex(head.journal)
        query = select(t.journal).where(t.journal.c.uid == uid).with_for_update()
        row = (await connection.execute(query)).one_or_none()
        if row is None:
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
            row = (await connection.execute(query)).one()
            if first:
                await connection.execute(
                    update(t.machine)
                    .where(t.machine.c.id == machine_id)
                    .values(active_journal=row.id)
                )
            elif row.machine_id == machine_id and not row.adopted:
                await alerts.raise_alert(
                    self.database,
                    connection,
                    machine_id,
                    alerts.UNADOPTED,
                    f"journal {head.journal} waits for `vendcloud machine adopt-journal`",
                    now_ms,
                )
        return Cursor(
            id=row.id,
            uid=row.uid,
            machine_id=row.machine_id,
            next_seq=row.next_seq,
            last_hash=row.last_hash,
            projected_seq=row.projected_seq,
            adopted=row.adopted,
            quarantine=row.quarantine,
            bad_batches=row.bad_batches,
        )

    async def _continues(
        self, connection: AsyncConnection, cursor: Cursor, batch: Batch, overlap: int
    ) -> bool:
        """Tell whether a batch that begins at or below the cursor is of the stored chain."""
        if overlap == 0:
            return bytes.fromhex(batch.head.prev) == cursor.last_hash
        if overlap <= len(batch.rows) and batch.rows[overlap - 1].hash == cursor.last_hash:
            return True
        if overlap <= len(batch.rows):
            return False
        return await self._hash_at(connection, cursor.id, batch.head.end) == bytes.fromhex(
            batch.head.last
        )

    async def _hash_at(self, connection: AsyncConnection, journal_id: int, seq: int) -> bytes:
        if seq == 0:
            return GENESIS
        found = await connection.execute(
            select(t.record.c.hash).where(
                t.record.c.journal_id == journal_id, t.record.c.seq == seq
            )
        )
        return bytes(found.scalar_one())

    # ------------------------------------------------------------------------------- storing

    async def _store(
        self, connection: AsyncConnection, cursor: Cursor, rows: tuple[Row, ...], now_ms: int
    ) -> None:
        """Store rows that follow the cursor, and project them when the journal is adopted."""
        records = [_read(row) for row in rows]
        stored = [
            (cursor.id, r.seq, r.boot, r.at_ms, r.type[:64], r.vend, r.body, r.hash)
            for r in records
        ]
        await self.database.insert_many(connection, t.record, stored)
        if rows[0].seq == 1:
            await self._note_beginning(connection, cursor, records[0])
        if cursor.adopted:
            await self._project(connection, cursor, records, now_ms)
            cursor.projected_seq = rows[-1].seq
        await self._confirm_copies(connection, cursor, rows, now_ms)
        cursor.next_seq = rows[-1].seq + 1
        cursor.last_hash = rows[-1].hash

    async def _project(
        self, connection: AsyncConnection, cursor: Cursor, records: list[Record], now_ms: int
    ) -> None:
        fold = await tables.load(connection, cursor.machine_id, cursor.id)
        for record in records:
            fold.take(record)
        await tables.save(self.database, connection, fold, cursor.machine_id, cursor.id)
        if fold.currency:
            await connection.execute(
                update(t.machine)
                .where(t.machine.c.id == cursor.machine_id)
                .values(currency=fold.currency)
            )
        for (part, code), fault in fold.changed.faults.items():
            cause = alerts.of_fault(part, code)
            if fault is None:
                await alerts.close_alert(connection, cursor.machine_id, cause, now_ms)
            else:
                await alerts.raise_alert(
                    self.database, connection, cursor.machine_id, cause, fault.detail, now_ms
                )

    async def _note_beginning(
        self, connection: AsyncConnection, cursor: Cursor, first: Record
    ) -> None:
        data = first.data
        if isinstance(data, rec.JournalBegun) and data.previous is not None:
            await connection.execute(
                update(t.journal)
                .where(t.journal.c.id == cursor.id)
                .values(previous_uid=bytes.fromhex(data.previous[0]), previous_seq=data.previous[1])
            )

    async def _move(self, connection: AsyncConnection, cursor: Cursor, now_ms: int) -> None:
        await connection.execute(
            update(t.journal)
            .where(t.journal.c.id == cursor.id)
            .values(
                next_seq=cursor.next_seq,
                last_hash=cursor.last_hash,
                projected_seq=cursor.projected_seq,
                bad_batches=0,
                updated_ms=now_ms,
            )
        )

    async def _store_waiting(
        self,
        connection: AsyncConnection,
        cursor: Cursor,
        head: BatchHead,
        message: bytes,
        now_ms: int,
    ) -> None:
        held = (
            await connection.execute(
                select(func.count())
                .select_from(t.waiting_batch)
                .where(t.waiting_batch.c.journal_id == cursor.id)
            )
        ).scalar_one()
        if held < MAX_WAITING:
            values = {
                "journal_id": cursor.id,
                "first_seq": head.first,
                "message": message,
                "received_ms": now_ms,
            }
            await connection.execute(self.database.insert_new(t.waiting_batch, [values]))

    async def _drain(self, connection: AsyncConnection, cursor: Cursor, now_ms: int) -> None:
        """Apply what waited for the gap that has just closed."""
        waiting = (
            await connection.execute(
                select(t.waiting_batch.c.first_seq, t.waiting_batch.c.message)
                .where(t.waiting_batch.c.journal_id == cursor.id)
                .order_by(t.waiting_batch.c.first_seq)
            )
        ).all()
        for first, message in waiting:
            if first > cursor.next_seq:
                break
            await connection.execute(
                delete(t.waiting_batch).where(
                    t.waiting_batch.c.journal_id == cursor.id,
                    t.waiting_batch.c.first_seq == first,
                )
            )
            batch = unpack_bodies(*read_head(message))
            overlap = cursor.next_seq - first
            rows = batch.rows[overlap:]
            # One that does not fit is dropped: the machine sends from the ack on, and that decides.
            if rows and await self._continues(connection, cursor, batch, overlap):
                await self._store(connection, cursor, rows, now_ms)

    # ------------------------------------------------------------------------ what is wrong

    async def _unreadable(
        self,
        machine_id: int,
        head: BatchHead | None,
        message: bytes,
        error: BatchError,
        now_ms: int,
    ) -> Verdict:
        """Ask for it again; the third in a row quarantines the journal."""
        async with self.database.writing() as connection:
            await connection.execute(
                insert(t.dead_letter).values(
                    machine_id=machine_id,
                    topic="events",
                    message=message[:_KEPT_OF_BAD],
                    reason=str(error),
                    at_ms=now_ms,
                )
            )
            query = select(t.journal).where(t.journal.c.machine_id == machine_id)
            if head is not None:
                query = query.where(t.journal.c.uid == bytes.fromhex(head.journal))
            query = query.order_by(t.journal.c.id.desc()).limit(1).with_for_update()
            row = (await connection.execute(query)).one_or_none()
            if row is None:
                return Verdict(Fate.ASKED_AGAIN)
            bad = row.bad_batches + 1
            why = row.quarantine or (f"{bad} unreadable batches: {error}" if bad >= MAX_BAD else "")
            await connection.execute(
                update(t.journal)
                .where(t.journal.c.id == row.id)
                .values(bad_batches=bad, quarantine=why)
            )
            if why:
                await alerts.raise_alert(
                    self.database, connection, machine_id, alerts.QUARANTINED, why, now_ms
                )
        ack = Ack(
            journal=row.uid.hex(),
            seq=row.next_seq - 1,
            hash=row.last_hash.hex(),
            want=None if why else Range(first=row.next_seq),
            time=now_ms,
            quarantined=why,
        )
        return Verdict(Fate.QUARANTINED if why else Fate.ASKED_AGAIN, ack)

    async def _forked(
        self, connection: AsyncConnection, cursor: Cursor, batch: Batch, now_ms: int
    ) -> Verdict:
        """Name the last record that both chains share, or ask for earlier ones to find it."""
        agreed, digest = await self._agreed(connection, cursor.id, batch)
        if agreed is None:
            back = max(1, batch.head.first - 2 * batch.head.count)
            want = Range(first=back, last=batch.head.first - 1)
            return Verdict(Fate.FORKED, _ack(cursor, now_ms, batch.head.nonce, want=want))
        detail = (
            f"journal {cursor.uid.hex()}: the machine's chain differs from ours behind record "
            f"{agreed} (we have {cursor.next_seq - 1}): a disk that went back, or a copy"
        )
        await alerts.raise_alert(
            self.database, connection, cursor.machine_id, alerts.FORKED, detail, now_ms
        )
        fork = Position(journal=cursor.uid.hex(), seq=agreed, hash=digest.hex())
        return Verdict(Fate.FORKED, _ack(cursor, now_ms, batch.head.nonce, fork=fork))

    async def _agreed(
        self, connection: AsyncConnection, journal_id: int, batch: Batch
    ) -> tuple[int | None, bytes]:
        first = batch.head.first
        before = await self._hash_or_none(connection, journal_id, first - 1)
        if before != bytes.fromhex(batch.head.prev):
            return (0, GENESIS) if first == 1 else (None, b"")
        ours = {
            seq: bytes(digest)
            for seq, digest in await connection.execute(
                select(t.record.c.seq, t.record.c.hash).where(
                    t.record.c.journal_id == journal_id,
                    t.record.c.seq.between(first, batch.head.end),
                )
            )
        }
        agreed, digest = first - 1, before
        for row in batch.rows:
            if ours.get(row.seq) != row.hash:
                break
            agreed, digest = row.seq, row.hash
        return agreed, digest

    async def _hash_or_none(
        self, connection: AsyncConnection, journal_id: int, seq: int
    ) -> bytes | None:
        if seq == 0:
            return GENESIS
        found = await connection.execute(
            select(t.record.c.hash).where(
                t.record.c.journal_id == journal_id, t.record.c.seq == seq
            )
        )
        digest = found.scalar_one_or_none()
        return None if digest is None else bytes(digest)

    async def _foreign(
        self,
        connection: AsyncConnection,
        machine_id: int,
        cursor: Cursor,
        batch: Batch,
        now_ms: int,
    ) -> Verdict:
        """Another machine's journal: a cloned disk. The clone begins a journal of its own."""
        await alerts.raise_alert(
            self.database,
            connection,
            machine_id,
            alerts.FOREIGN,
            f"it sends journal {cursor.uid.hex()}, which is another machine's: a copied disk",
            now_ms,
        )
        agreed, digest = await self._agreed(connection, cursor.id, batch)
        if agreed is None:
            back = max(1, batch.head.first - 2 * batch.head.count)
            want = Range(first=back, last=batch.head.first - 1)
            return Verdict(Fate.FORKED, _ack(cursor, now_ms, batch.head.nonce, want=want))
        fork = Position(journal=cursor.uid.hex(), seq=agreed, hash=digest.hex())
        return Verdict(Fate.FORKED, _ack(cursor, now_ms, batch.head.nonce, fork=fork))

    # ------------------------------------------------------------------------------ copies

    async def _confirm_copies(
        self, connection: AsyncConnection, cursor: Cursor, rows: tuple[Row, ...], now_ms: int
    ) -> None:
        """Compare what came ahead by the urgent lane with what the chain says."""
        copies = (
            await connection.execute(
                select(t.urgent_copy.c.seq, t.urgent_copy.c.boot, t.urgent_copy.c.body).where(
                    t.urgent_copy.c.journal_uid == cursor.uid,
                    t.urgent_copy.c.seq.between(rows[0].seq, rows[-1].seq),
                    t.urgent_copy.c.confirmed.is_(False),
                )
            )
        ).all()
        for seq, boot, body in copies:
            row = rows[seq - rows[0].seq]
            if (row.boot, row.body) == (boot, bytes(body)):
                await connection.execute(
                    update(t.urgent_copy)
                    .where(t.urgent_copy.c.journal_uid == cursor.uid, t.urgent_copy.c.seq == seq)
                    .values(confirmed=True)
                )
                continue
            cursor.quarantine = f"the urgent copy of record {seq} differs from the chain's"
            await connection.execute(
                update(t.journal)
                .where(t.journal.c.id == cursor.id)
                .values(quarantine=cursor.quarantine)
            )
            await alerts.raise_alert(
                self.database,
                connection,
                cursor.machine_id,
                alerts.COPY_DIFFERS,
                cursor.quarantine,
                now_ms,
            )

    # ---------------------------------------------------------------------------- presence

    async def heard(self, address: Address, presence: Presence, now_ms: int) -> Ack | None:
        """Note that a machine is online or gone; answer where its chain stands."""
        machine_id = await self.machine_id(address)
        if machine_id is None:
            return None
        async with self.database.writing() as connection:
            values: dict[str, Any] = {"online": presence.online, "seen_ms": now_ms}
            if presence.software:
                values["software"] = presence.software[:64]
            if presence.public_key:
                values["public_key"] = bytes.fromhex(presence.public_key)
            await connection.execute(
                update(t.machine).where(t.machine.c.id == machine_id).values(**values)
            )
            if presence.online:
                await alerts.close_alert(connection, machine_id, alerts.OFFLINE, now_ms)
            else:
                await alerts.raise_alert(
                    self.database, connection, machine_id, alerts.OFFLINE, "", now_ms
                )
            head = presence.head
            if not presence.online or head is None:
                return None
            row = (
                await connection.execute(
                    select(t.journal).where(t.journal.c.uid == bytes.fromhex(head.journal))
                )
            ).one_or_none()
            if row is None:
                return Ack(
                    journal=head.journal,
                    seq=0,
                    hash=GENESIS.hex(),
                    time=now_ms,
                    echo=presence.nonce,
                )
            fork = None
            ours = row.next_seq - 1
            if head.seq < ours or row.machine_id != machine_id:
                # It went back. When its last record is ours, that is the place; else batches say.
                stored = await self._hash_or_none(connection, row.id, head.seq)
                if stored is not None and stored.hex() == head.hash:
                    fork = Position(journal=head.journal, seq=head.seq, hash=head.hash)
                    await alerts.raise_alert(
                        self.database,
                        connection,
                        machine_id,
                        alerts.FORKED,
                        f"journal {head.journal} went back from record {ours} to {head.seq}",
                        now_ms,
                    )
        return Ack(
            journal=head.journal,
            seq=ours,
            hash=row.last_hash.hex(),
            time=now_ms,
            echo=presence.nonce,
            fork=fork,
            quarantined=row.quarantine,
        )

    # ---------------------------------------------------------------------------- machines

    async def machine_id(self, address: Address) -> int | None:
        """Return a machine's number, or None when there is no such machine."""
        found = self._machines.get(address)
        if found is None:
            async with self.database.reading() as connection:
                found = (
                    await connection.execute(
                        select(t.machine.c.id).where(
                            t.machine.c.tenant == address.tenant,
                            t.machine.c.name == address.machine,
                        )
                    )
                ).scalar_one_or_none()
            if found is not None:
                self._machines[address] = found
        return found


def _ack(
    cursor: Cursor,
    now_ms: int,
    nonce: str,
    *,
    want: Range | None = None,
    fork: Position | None = None,
) -> Ack:
    return Ack(
        journal=cursor.uid.hex(),
        seq=cursor.next_seq - 1,
        hash=cursor.last_hash.hex(),
        want=want,
        time=now_ms,
        echo=nonce,
        fork=fork,
        quarantined=cursor.quarantine,
    )


def _read(row: Row) -> Record:
    """Return a record; one whose body is of no form that we know is kept as bytes."""
    try:
        return decode(REGISTRY, seq=row.seq, boot=row.boot, body=row.body, digest=row.hash)
    except EnvelopeError as error:
        return Record(
            seq=row.seq,
            boot=row.boot,
            at_ms=0,
            confirmed=False,
            mono_ms=0,
            type="unknown",
            version=0,
            vend=None,
            data=UnknownData("unknown", 0, row.body, str(error)),
            postings=(),
            body=row.body,
            hash=row.hash,
        )
