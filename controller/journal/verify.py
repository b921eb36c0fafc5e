"""Checking a whole journal: the base, every record's hash, and the snapshots against the fold."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from controller.journal import attested, reader
from controller.journal import base as bases
from controller.journal.base import Base
from controller.journal.database import Access, Database, Storage
from controller.journal.envelope import Postings, Record, Registry, UnknownData
from controller.journal.errors import (
    DiskCorruptError,
    JournalBrokenError,
    JournalMissingError,
    JournalRefusedError,
)
from controller.journal.fold import Fold, S
from controller.journal.identity import MachineKey, journal_file, read_key
from controller.journal.opening import Progress, check_identity, fold_row, locate
from controller.journal.records import CheckpointCountersigned, CheckpointSigned
from controller.journal.snapshots import Snapshot, snapshots

_SIGNED: Final = frozenset({CheckpointSigned.type, CheckpointCountersigned.type})
BREATH: Final = 32  # records (a millisecond on a Pi) between two chances for the bus to be served


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What was found. ``problem`` is empty when all is well."""

    journal: str
    base_seq: int
    last_good: int  # the last record up to which everything is right
    records: int  # how many were checked
    snapshots: int  # how many equal the fold
    unknown: int  # records that this software does not understand
    checkpoints: int = 0  # the machine's signed statements, each compared with the fold
    countersigned: int = 0  # for how many of them the fleet's word is here
    proved: int = 0  # the fleet vouches for every record to here, pruned ones included
    rooted: bool = False  # its word was checked to the pinned root key
    problem: str = ""
    wrong_seq: int | None = None  # the first wrong record
    balances: Postings = ()  # after the last good record
    previous: tuple[str, int, Postings] | None = None  # the journal that it follows

    @property
    def ok(self) -> bool:
        """Tell whether nothing is wrong."""
        return not self.problem


@dataclass(slots=True)
class _Tally:
    base_seq: int = 0
    last_good: int = 0
    records: int = 0
    snapshots: int = 0
    unknown: int = 0
    checkpoints: int = 0
    countersigned: int = 0
    proved: int = 0
    rooted: bool = False
    end: Callable[[], tuple[Postings, tuple[str, int, Postings] | None]] = lambda: ((), None)

    def report(self, journal: bytes, problem: str = "", wrong: int | None = None) -> VerifyReport:
        return VerifyReport(
            journal.hex(), self.base_seq, self.last_good, self.records, self.snapshots,
            self.unknown, self.checkpoints, self.countersigned, self.proved, self.rooted,
            problem, wrong, *self.end(),
        )  # fmt: skip


class _Attested:
    """Compares what machine and fleet signed with the chain that is walked."""

    def __init__(self, journal: bytes, key: MachineKey | None, root: bytes | None) -> None:
        self._journal = journal
        self._public = key.public() if key is not None else None
        self._root = root
        self._stated: dict[int, tuple[str, str]] = {}  # seq -> hash, digest of the statement

    def look(
        self, record: Record, before: tuple[int, bytes], balances: dict[str, int], tally: _Tally
    ) -> None:
        """Look at one record; ``balances`` are those before it.

        Raises:
            JournalBrokenError: It says something else than the chain, or nobody we know signed it.
        """
        data = record.data
        try:
            if isinstance(data, CheckpointSigned):
                told = attested.compare(data, self._journal, *before, balances)
                if self._public is not None and not attested.signed_by(self._public, data):
                    raise attested.AttestError("the checkpoint is not signed by this machine's key")
                self._stated[told.seq] = told.hash, attested.digest(data.body)
                tally.checkpoints += 1
            elif isinstance(data, CheckpointCountersigned):
                self._word(attested.word_of(data, self._root), tally)
        except attested.AttestError as error:
            raise JournalBrokenError(
                str(error), seq=record.seq, last_good=record.seq - 1
            ) from error

    def _word(self, word: attested.Word, tally: _Tally) -> None:
        if word.journal != self._journal.hex():
            raise attested.AttestError(f"the fleet's word is for journal {word.journal}")
        stated = self._stated.get(word.seq)
        if stated is None:
            return  # its checkpoint was pruned; a newer word speaks for it
        if stated != (word.hash, word.digest):
            raise attested.AttestError(
                f"the fleet vouches for hash {word.hash} at record {word.seq}, the chain has "
                f"{stated[0]}"
            )
        tally.countersigned += 1
        tally.proved = max(tally.proved, word.seq)
        tally.rooted = self._root is not None


async def verify(
    database: Database,
    journal: bytes,
    key: MachineKey | None,
    fold: Fold[S],
    registry: Registry,
    progress: Progress | None = None,
    root: bytes | None = None,
) -> VerifyReport:
    """Read everything once. ``progress`` is told the last good seq after each chunk.

    ``root`` is the key that the machine pins; without it the fleet's word is read, and not checked
    to its root.
    """
    tally = _Tally()
    proofs = _Attested(journal, key, root)
    try:
        await check_identity(database, journal)
        base = await bases.load(database, journal, key)
        known = {one.at.seq: one async for one in snapshots(database, journal, fold.version)}
        await _walk(database, journal, base, known, fold, registry, tally, proofs, progress)
    except JournalBrokenError as error:
        return tally.report(journal, str(error), error.seq)
    except (JournalRefusedError, DiskCorruptError) as error:
        return tally.report(journal, str(error))
    ahead = [seq for seq in known if seq > tally.last_good]
    if ahead:
        wrong = tally.last_good + 1
        return tally.report(journal, f"ends before its snapshot at {max(ahead)}", wrong)
    return tally.report(journal)


async def _walk(
    database: Database,
    journal: bytes,
    base: Base | None,
    known: dict[int, Snapshot],
    fold: Fold[S],
    registry: Registry,
    tally: _Tally,
    proofs: _Attested,
    progress: Progress | None,
) -> None:
    start = base.at if base else reader.START
    tally.base_seq = tally.last_good = start.seq
    try:
        state = fold.decode(base.state, base.fold) if base else fold.initial()
    except ValueError as error:
        raise JournalBrokenError(f"the base at {start.seq} cannot be decoded: {error}") from error
    tally.end = lambda: (fold.balances(state), fold.previous(state))
    before = start.seq, start.hash
    async for rows in reader.walk(database, journal, start):
        for seq, boot, body, digest in rows:
            record = fold_row(registry, state, (seq, boot, body, digest))
            if record.type in _SIGNED:  # neither posts: the balances are those before it
                proofs.look(record, before, dict(fold.balances(state)), tally)
            before = seq, digest
            tally.records += 1
            if tally.records % BREATH == 0:
                await asyncio.sleep(0)
            tally.last_good = seq
            tally.unknown += isinstance(record.data, UnknownData)
            if seq in known:
                snapshot = known[seq]
                if snapshot.at.hash != digest or snapshot.state != state.encode():
                    raise JournalBrokenError(f"the snapshot at {seq} differs from the fold")
                tally.snapshots += 1
        if progress is not None:
            progress(tally.last_good)


async def verify_storage(
    storage: Storage,
    fold: Fold[S],
    registry: Registry,
    progress: Progress | None = None,
    root: bytes | None = None,
) -> VerifyReport:
    """Check the journal in a folder that no vendd has open, without writing a byte.

    Raises:
        JournalRefusedError: There is no journal to check, or none that can be opened.
        DiskError: The disk cannot be read, or vendd has the journal open.
    """
    located = await locate(storage)
    if located is None:
        raise JournalMissingError("there is no journal here")
    journal, witness = located
    try:
        database = await storage.open(journal_file(journal), Access.READ)
    except DiskCorruptError as error:
        raise JournalBrokenError(str(error)) from error
    try:
        key = await read_key(storage)
        report = await verify(database, journal, key, fold, registry, progress, root)
    finally:
        await database.close()
    if report.ok and witness is not None and report.last_good < witness.seq:
        wrong = report.last_good + 1
        problem = f"ends here, and {witness.seq} had been written"
        return replace(report, problem=problem, wrong_seq=wrong)
    return report
