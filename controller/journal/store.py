"""The journal: one writer, group commit, and the state that is folded from it.

``stage`` writes a record's bytes, chains it and takes it into the state at once; ``commit``
returns when everything staged so far is durable. Whoever waits in the same turn of the loop
shares one transaction and one fsync. A failed commit poisons the journal for good: outputs off,
exit, and the reopened file decides what happened.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from functools import lru_cache
from typing import Final

from controller.clock import Clock
from controller.faults import InvariantError, JournalError
from controller.journal import ballast, chain, opening, pruning, starting
from controller.journal import snapshots as snaps
from controller.journal.beginning import BootInfo
from controller.journal.checkpoints import Checkpointer
from controller.journal.database import Statement, Storage, Value, kept_log_of
from controller.journal.envelope import (
    Record,
    RecordData,
    Registry,
    check_postings,
    encode_body,
    to_ms,
)
from controller.journal.errors import (
    DiskCorruptError,
    DiskError,
    DiskFullError,
    DiskIoError,
    DiskReadOnlyError,
    JournalBrokenError,
    JournalPoisonedError,
    JournalReadOnlyError,
)
from controller.journal.fold import Fold, S
from controller.journal.identity import (
    Entropy,
    Witness,
    journal_file,
    write_witness,
)
from controller.journal.life import LifeReport, verify_life
from controller.journal.opening import Opened, Progress
from controller.journal.reader import Position
from controller.journal.reading import ReadableJournal
from controller.journal.records import BootStarted
from controller.journal.snapshots import Snapshot
from controller.journal.wall_label import WallLabel

# Records per INSERT: four parameters each, and SQLite takes 32,766.
_ROWS_PER_INSERT: Final = 256
# Staged and not yet durable. A saga's turn stages a handful; more means that nobody commits.
MAX_STAGED: Final = 20_000
_MS: Final = timedelta(milliseconds=1)


@lru_cache(maxsize=_ROWS_PER_INSERT)
def _insert(rows: int) -> str:
    places = ",".join(["(?,?,?,?)"] * rows)
    return f"INSERT INTO record (seq, boot, body, hash) VALUES {places}"  # noqa: S608 - constants


class Journal(ReadableJournal[S]):
    """An open journal. Made by ``open``; used from one task, committed from any."""

    def __init__(
        self,
        opened: Opened[S],
        storage: Storage,
        fold: Fold[S],
        registry: Registry,
        clock: Clock,
        boot: BootInfo,
    ) -> None:
        super().__init__(opened.database, opened.journal, opened.key, fold, registry)
        folded = opened.folded
        self.state: S = folded.state
        self.read_only = False
        self.disk_full = False  # the start found no room: the ballast is gone, sell nothing
        self.why_read_only = ""
        self.label = WallLabel(built_ms=to_ms(boot.built), confirmed_ms=folded.at.confirmed_ms)
        self._storage = storage
        self._clock = clock
        self._acked_seq = opened.acked_seq
        self._base_seq = opened.base_seq
        self._unknown = folded.unknown
        self._next_seq = folded.at.seq + 1
        self._durable = folded.at.seq
        self._head = folded.at.hash
        self._confirmed_ms = folded.at.confirmed_ms
        # The record that begins a journal belongs to its first boot.
        self._boot = folded.at.boot + 1 if folded.at.seq > 1 else 1
        self._snapshot_seq = folded.snapshot_seq
        self._staged: list[Record] = []
        self._flight: asyncio.Task[None] | None = None
        self._noting: asyncio.Task[None] | None = None
        self._looking: asyncio.Task[None] | None = None
        self._pruning: asyncio.Task[int] | None = None
        self._prune_no_more = False
        self._checkpointer = Checkpointer(opened.database, folded.at.seq, self._poison)
        self._failed: JournalError | None = None
        self.on_failed: Callable[[], None] | None = None
        self._closed = False

    # ------------------------------------------------------------------------------- opening

    @classmethod
    async def open(
        cls,
        storage: Storage,
        *,
        fold: Fold[S],
        registry: Registry,
        clock: Clock,
        entropy: Entropy,
        boot: BootInfo,
        progress: Progress | None = None,
    ) -> Journal[S]:
        """Open the machine's journal, make it at the first start, and record this boot.

        A full disk frees the ballast (``disk_full`` is set then: end what is open, sell nothing);
        a disk that can't be written opens with ``read_only`` set and takes no record.

        Raises:
            JournalRefusedError: Out of service until a technician begins a new journal.
            DiskError: Nothing can be read at all, or another process has the journal.
        """
        freed = False
        while True:
            try:
                opened = await starting.open_writing(
                    storage, fold, registry, clock, entropy, boot, progress
                )
                journal = cls(opened, storage, fold, registry, clock, boot)
                await journal._record_boot(boot)
            except DiskFullError as error:
                cause: JournalError = error
                try:
                    if await ballast.free_ballast(storage):
                        freed = True
                        continue
                except DiskError as worse:
                    cause = worse
            except (DiskIoError, DiskReadOnlyError) as error:
                cause = error
            except DiskCorruptError as error:  # a page that could be read and not added to
                raise JournalBrokenError(str(error)) from error
            else:
                journal.disk_full = freed
                if not freed:
                    await ballast.restore_ballast(storage)
                return journal
            reading = await opening.open_reading(storage, fold, registry, progress)
            if reading is None:
                raise cause
            journal = cls(reading, storage, fold, registry, clock, boot)
            journal.read_only = True
            journal.why_read_only = str(cause)
            return journal

    async def _record_boot(self, boot: BootInfo) -> None:
        """Write the first record of this start: the proof that the disk takes records."""
        try:
            self.stage(
                BootStarted(
                    boot=self._boot,
                    software=boot.software,
                    config_digest=boot.config_digest,
                    system_boot=boot.system_boot,
                )
            )
            await self.commit()
            await opening.keep_log(self._storage, journal_file(self._id))
        except BaseException:
            await self._database.close()
            raise

    # ---------------------------------------------------------------------------- what it is

    @property
    def boot(self) -> int:
        """Return the number of this start, from 1."""
        return self._boot

    @property
    def next_seq(self) -> int:
        """Return the seq that the next record gets."""
        return self._next_seq

    @property
    def durable_seq(self) -> int:
        """Return the last seq that is known to be on the disk."""
        return self._durable

    @property
    def writing(self) -> bool:
        """Tell whether a transaction is under way."""
        return self._flight is not None

    @property
    def base_seq(self) -> int:
        """Return the seq up to which records were pruned."""
        return self._base_seq

    @property
    def acked_seq(self) -> int:
        """Return how far the fleet has acknowledged."""
        return self._acked_seq

    @property
    def head(self) -> bytes:
        """Return the hash of the last staged record."""
        return self._head

    @property
    def failed(self) -> JournalError | None:
        """Return why nothing can be recorded any more, or None."""
        return self._failed

    @property
    def not_understood(self) -> int:
        """Return how many records of the tail this software does not know (a downgrade)."""
        return self._unknown

    # ------------------------------------------------------------------------------- writing

    def stage(self, data: RecordData, *, vend: int | None = None) -> Record:
        """Give a record its seq, bytes and hash, and take it into the state.

        It is durable when a later ``commit`` returns. ``vend`` is the seq of the record that
        opened the saga; that record itself names its own (``next_seq``).

        Raises:
            JournalPoisonedError: A commit failed before.
            JournalReadOnlyError: The journal was opened on a disk that can't be written.
            InvariantError: The postings do not balance, or nobody commits.
        """
        self._check()
        if len(self._staged) >= MAX_STAGED:
            raise InvariantError(f"{MAX_STAGED} records are staged and nobody commits")
        seq = self._next_seq
        if vend is not None and not 0 < vend <= seq:
            raise InvariantError(f"record {seq} names a saga {vend} that is not there")
        postings = data.postings()
        if postings:
            check_postings(data.type, postings)
        mono_ms = int(self._clock.monotonic_s() * 1000)
        at_ms, confirmed = self.label.stamp(to_ms(self._clock.wall_utc()), mono_ms)
        body = encode_body(
            data, at_ms=at_ms, confirmed=confirmed, mono_ms=mono_ms, vend=vend, postings=postings
        )
        record = Record(
            seq=seq,
            boot=self._boot,
            at_ms=at_ms,
            confirmed=confirmed,
            mono_ms=mono_ms,
            type=data.type,
            version=data.version,
            vend=vend,
            data=data,
            postings=postings,
            body=body,
            hash=chain.link(self._head, self._id, seq, self._boot, body),
        )
        try:
            self.state.apply(record)
        except BaseException as error:
            # Half of it may be in the state: nothing may be decided on that state any more.
            self._failed = JournalPoisonedError(f"record {seq} ({data.type}) did not fold: {error}")
            raise
        self._next_seq = seq + 1
        self._head = record.hash
        if confirmed:
            self._confirmed_ms = at_ms
        self._staged.append(record)
        return record

    async def commit(self) -> None:
        """Return when everything staged so far is durable.

        Cancelling a caller does not cancel the transaction.

        Raises:
            JournalError: It is not, and never will be on this connection.
        """
        target = self._next_seq - 1
        self._check()
        while self._durable < target:
            if self._failed is not None:
                raise self._failed
            if self._flight is None:
                self._flight = asyncio.get_running_loop().create_task(self._write())
            await asyncio.shield(self._flight)

    def _check(self) -> None:
        if self._failed is not None:
            raise JournalPoisonedError(str(self._failed)) from self._failed
        if self.read_only:
            raise JournalReadOnlyError(self.why_read_only)
        if self._closed:
            raise JournalPoisonedError("the journal is closed")

    def _poison(self, error: BaseException) -> None:
        """Nothing is written any more; whoever listens ends before the next one pays."""
        if self._failed is None:
            self._failed = (
                error if isinstance(error, JournalError) else JournalPoisonedError(repr(error))
            )
            if self.on_failed is not None:
                self.on_failed()

    async def _write(self) -> None:
        """Write all that is staged in one transaction; errors end up in ``failed``."""
        batch, self._staged = self._staged, []
        try:
            snapshot_seq = self._snapshot_seq
            statements = _inserts(batch)
            if self._next_seq - 1 - snapshot_seq >= snaps.SNAPSHOT_EVERY:
                statements += snaps.saving(self._id, self._snapshot())
                snapshot_seq = self._next_seq - 1
            await self._database.transaction(statements)
            self._durable = batch[-1].seq
            self._snapshot_seq = snapshot_seq
        except BaseException as error:
            self._poison(error)
            if not isinstance(error, Exception):
                raise
        else:
            self._checkpointer.committed(self._durable)
        finally:
            self._flight = None

    async def snapshots(self) -> list[Snapshot]:
        """Return the sound snapshots that are kept, the newest first."""
        found = snaps.snapshots(self._database, self._id, self._fold.version)
        return [snapshot async for snapshot in found]

    def _snapshot(self) -> Snapshot:
        """Return the state as it is now, everything staged included."""
        at = Position(self._next_seq - 1, self._boot, self._head, self._confirmed_ms)
        return Snapshot(at, self._fold.version, self.state.encode())

    # -------------------------------------------------------------------------- housekeeping

    async def prune(self, retention: timedelta) -> int:
        """Drop acknowledged records older than ``retention`` and return how many.

        What the state still needs (``State.prune_floor``) stays. Ages are judged in confirmed
        time only; before the time is known nothing is pruned. Selling goes on meanwhile;
        cancelling a caller, or closing the journal, ends it between two steps.

        Raises:
            JournalError: The journal is poisoned or read-only, or can't be written any more. Or
                some of it can't be read: then nothing is dropped, and nothing else has changed.
        """
        self._check()
        if self._pruning is not None and not self._pruning.done():
            return 0
        self._prune_no_more = False
        self._pruning = asyncio.get_running_loop().create_task(self._prune(retention))
        try:
            return await asyncio.shield(self._pruning)
        except asyncio.CancelledError:
            self._prune_no_more = True
            raise

    async def _prune(self, retention: timedelta) -> int:
        mono_ms = int(self._clock.monotonic_s() * 1000)
        now_ms, confirmed = self.label.stamp(0, mono_ms)
        limit = min(self._acked_seq, self.state.prune_floor() - 1, self._durable - 1)
        if not confirmed or self._key is None or limit <= self._base_seq:
            return 0
        before = self._base_seq
        # It only reads, and what it may read is in no state that is still needed.
        base = await pruning.make_base(
            self._database,
            self._id,
            self._key,
            self._fold,
            self._registry,
            limit=limit,
            now_ms=now_ms,
            cutoff_ms=now_ms - retention // _MS,
            ended=lambda: self._prune_no_more,
        )
        if base is None:
            return 0
        try:
            await pruning.replace(self._database, base)
            self._base_seq = base.at.seq
            await pruning.drop_records(
                self._database, base.at.seq, ended=lambda: self._prune_no_more
            )
        except JournalError as error:
            self._poison(error)
            raise
        return self._base_seq - before

    async def acknowledge(self, seq: int, digest: bytes) -> bool:
        """Note that the fleet has all records to ``seq``; False when that is another chain.

        An acknowledgement beyond our last durable record, or with another hash than ours at that
        seq, means that this disk was rolled back or cloned. An older one changes nothing.

        Cancelling a caller does not cancel the transaction: a link that is lost harms no journal.
        """
        self._check()
        if seq > self._durable:
            return False
        if seq <= max(self._acked_seq, self._base_seq):
            return True
        if not await self.has(seq, digest):
            return False
        while self._noting is not None and not self._noting.done():
            await asyncio.shield(self._noting)
        if seq > self._acked_seq:
            self._noting = asyncio.get_running_loop().create_task(self._note_acked(seq))
            await asyncio.shield(self._noting)
        return True

    async def _note_acked(self, seq: int) -> None:
        try:
            await self._database.transaction([("UPDATE journal SET acked_seq = ?", (seq,))])
        except JournalError as error:
            self._poison(error)
            raise
        self._acked_seq = seq

    async def look(self) -> None:
        """Find out now, not with the next customer's money, that no record could be kept.

        Raises:
            JournalError: Somebody took the file away; it ends the machine as a failed commit does.
        """
        self._check()
        if self._looking is None or self._looking.done():
            self._looking = asyncio.get_running_loop().create_task(self._look())
        await asyncio.shield(self._looking)  # a transaction that is cut off poisons the journal

    async def _look(self) -> None:
        try:
            await self._database.transaction([])
        except JournalError as error:
            self._poison(error)
            raise

    async def verify_life(self, root: bytes | None = None) -> LifeReport:
        """Check this journal and those before it; ``root`` is the fleet's key that is pinned."""
        report = await self.verify(root=root)
        return await verify_life(self._storage, report, self._key, self._fold, self._registry, root)

    async def restore_ballast(self) -> bool:
        """Set the room aside again, if the disk has it; ``disk_full`` ends then."""
        if not self.read_only and await ballast.restore_ballast(self._storage):
            self.disk_full = False
        return await ballast.has_ballast(self._storage)

    # ------------------------------------------------------------------------------- closing

    async def close(self) -> None:
        """Make what is staged durable, leave a snapshot, and close; safe to call twice.

        Raises:
            JournalError: What was staged could not be made durable.
        """
        if self._closed:
            return
        self._prune_no_more = True
        try:
            if self._pruning is not None:
                await asyncio.wait({self._pruning})  # what is wrong with it is in ``failed``
            if self._looking is not None:
                await asyncio.wait({self._looking})  # as above
            if not self.read_only and self._failed is None:
                await self.commit()
                if self._noting is not None:
                    await self._noting
                await self._leave()
        finally:
            self._closed = True
            await self._checkpointer.stop()
            await self._database.close()
        if not self.read_only:
            with suppress(DiskError):  # a broken disk keeps it, which does no harm
                await self._storage.remove([kept_log_of(journal_file(self._id))])

    def abandon(self) -> None:
        """Let go without a word to the disk: what a kill or a power cut does to this process.

        For simulated ones, which share their loop with the next life; the storage is told apart.
        """
        self._closed = True
        self._checkpointer.abandon()
        for task in (self._flight, self._noting, self._looking, self._pruning):
            if task is not None:
                task.cancel()

    async def _leave(self) -> None:
        await self._checkpointer.stop()
        self._check()
        if self._durable > self._snapshot_seq:
            await self._database.transaction(snaps.saving(self._id, self._snapshot()))
        await write_witness(self._storage, Witness(self._id, self._durable))


def _inserts(batch: list[Record]) -> list[Statement]:
    statements: list[Statement] = []
    for start in range(0, len(batch), _ROWS_PER_INSERT):
        part = batch[start : start + _ROWS_PER_INSERT]
        values: list[Value] = []
        for record in part:
            values += (record.seq, record.boot, record.body, record.hash)
        statements.append((_insert(len(part)), values))
    return statements
