"""Checking a whole journal: the base, every record's hash, and the snapshots against the fold."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

from controller.journal import base as bases
from controller.journal import reader
from controller.journal.base import Base
from controller.journal.database import Access, Database, Storage
from controller.journal.envelope import Registry, UnknownData
from controller.journal.errors import (
    DiskCorruptError,
    JournalBrokenError,
    JournalMissingError,
    JournalRefusedError,
)
from controller.journal.fold import Fold, S
from controller.journal.identity import MachineKey, journal_file, read_key
from controller.journal.opening import Progress, check_identity, fold_row, locate
from controller.journal.snapshots import Snapshot, snapshots

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
    problem: str = ""
    wrong_seq: int | None = None  # the first wrong record

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

    def report(self, journal: bytes, problem: str = "", wrong: int | None = None) -> VerifyReport:
        return VerifyReport(
            journal.hex(), self.base_seq, self.last_good, self.records, self.snapshots,
            self.unknown, problem, wrong,
        )  # fmt: skip


async def verify(
    database: Database,
    journal: bytes,
    key: MachineKey | None,
    fold: Fold[S],
    registry: Registry,
    progress: Progress | None = None,
) -> VerifyReport:
    """Read everything once. ``progress`` is told the last good seq after each chunk."""
    tally = _Tally()
    try:
        await check_identity(database, journal)
        base = await bases.load(database, journal, key)
        known = {one.at.seq: one async for one in snapshots(database, journal, fold.version)}
        await _walk(database, journal, base, known, fold, registry, tally, progress)
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
    progress: Progress | None,
) -> None:
    start = base.at if base else reader.START
    tally.base_seq = tally.last_good = start.seq
    try:
        state = fold.decode(base.state, base.fold) if base else fold.initial()
    except ValueError as error:
        raise JournalBrokenError(f"the base at {start.seq} cannot be decoded: {error}") from error
    async for rows in reader.walk(database, journal, start):
        for seq, boot, body, digest in rows:
            record = fold_row(registry, state, (seq, boot, body, digest))
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
    storage: Storage, fold: Fold[S], registry: Registry, progress: Progress | None = None
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
        report = await verify(database, journal, await read_key(storage), fold, registry, progress)
    finally:
        await database.close()
    if report.ok and witness is not None and report.last_good < witness.seq:
        wrong = report.last_good + 1
        problem = f"ends here, and {witness.seq} had been written"
        return VerifyReport(
            report.journal, report.base_seq, report.last_good, report.records,
            report.snapshots, report.unknown, problem, wrong,
        )  # fmt: skip
    return report
