"""Finding the journal at a start, checking it, and folding its tail.

Nothing here decides what the machine does about a bad journal; it says what is wrong and where.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final, Generic

from controller.faults import JournalError
from controller.journal import base as bases
from controller.journal import reader
from controller.journal.ballast import BALLAST_FILE
from controller.journal.chain import ID_BYTES
from controller.journal.database import Access, Database, Storage, kept_log_of, log_of
from controller.journal.envelope import EnvelopeError, Record, Registry, UnknownData, decode
from controller.journal.errors import (
    DiskCorruptError,
    DiskError,
    JournalBrokenError,
    JournalForeignError,
    JournalMissingError,
    JournalNewerError,
)
from controller.journal.fold import Fold, S, State
from controller.journal.identity import (
    ID_FILE,
    MachineKey,
    Witness,
    journal_file,
    read_key,
    read_witness,
    write_witness,
)
from controller.journal.reader import Position
from controller.journal.schema import damage, migrate, version_of
from controller.journal.snapshots import snapshots
from controller.journal.wal import commits_behind

_PREFIX: Final = "journal-"
_SUFFIX: Final = ".db"

# Digits of the id file's name of a journal that may be wrong: random ids differ in some thirty.
_WRONG_DIGITS: Final = 2

Progress = Callable[[int], None]  # told the seq that was reached, now and then


@dataclass(slots=True)
class Folded(Generic[S]):
    """How far the journal has been read, and what that makes."""

    state: S
    at: Position
    unknown: int = 0  # records that this software does not understand, since the last snapshot
    snapshot_seq: int = 0  # where the newest snapshot stands


@dataclass(slots=True)
class Opened(Generic[S]):
    """A journal that has been found and read."""

    database: Database
    journal: bytes
    key: MachineKey | None
    acked_seq: int
    base_seq: int
    folded: Folded[S]


async def locate(storage: Storage) -> tuple[bytes, Witness | None] | None:
    """Return the id of the journal in use and its witness; None before the first start.

    Raises:
        JournalMissingError: The id file, or the ballast, is there and the journal is not.
        JournalBrokenError: The id file is gone, and which of several journals was in use is open.
    """
    names = await storage.names()
    witness = await read_witness(storage)
    if witness is not None:
        if journal_file(witness.journal) not in names:
            meant = _nearly(witness.journal, await journals_in(storage))
            if meant is None:
                raise JournalMissingError(f"journal {witness.journal.hex()} is gone")
            witness = replace(witness, journal=meant)
        return witness.journal, witness
    found = await journals_in(storage)
    if len(found) == 1:
        return found[0], None  # a power cut between the first record and the id file
    if found:
        raise JournalBrokenError(f"{len(found)} journals and no readable {ID_FILE}")
    if ID_FILE in names:
        raise JournalMissingError(f"{ID_FILE} cannot be read and there is no journal")
    if BALLAST_FILE in names:  # which is made when the first start has its journal
        raise JournalMissingError(f"the journal is gone, and {ID_FILE} with it")
    return None


async def journals_in(storage: Storage) -> list[bytes]:
    """Return the ids of all journals of a folder, the old ones too."""
    return [found for name in await storage.names() if (found := _journal_of(name)) is not None]


def _nearly(named: bytes, there: Iterable[bytes]) -> bytes | None:
    """Return the journal that a damaged id file means: the name of one, but for a digit or two.

    Else one flipped bit would be a journal that is gone, and all that it owes with it.
    """
    for journal in there:
        digits = zip(named.hex(), journal.hex(), strict=True)
        if sum(one != other for one, other in digits) <= _WRONG_DIGITS:
            return journal
    return None


def _journal_of(name: str) -> bytes | None:
    if not (name.startswith(_PREFIX) and name.endswith(_SUFFIX)):
        return None
    try:
        journal = bytes.fromhex(name[len(_PREFIX) : -len(_SUFFIX)])
    except ValueError:
        return None
    return journal if len(journal) == ID_BYTES else None


def check_note(witness: Witness | None) -> None:
    """Raise JournalBrokenError when an earlier start found damage that would not show again."""
    if witness is not None and witness.broken:
        raise JournalBrokenError(witness.broken, last_good=witness.seq)


@contextmanager
def distrust() -> Iterator[None]:
    """Take whatever reading an unchecked file raises for damage: a page may have forged anything.

    Raises:
        JournalBrokenError: In place of that. What the disk refuses stays what it is.
    """
    try:
        yield
    except DiskCorruptError as error:
        raise JournalBrokenError(str(error)) from error
    except JournalError:
        raise
    except Exception as error:  # no such column, a number where bytes should be, text that is none
        raise JournalBrokenError(f"cannot be read: {type(error).__name__}: {error}") from error


async def check_identity(database: Database, journal: bytes) -> int:
    """Return how far the fleet has this journal, once its file has said that it is this one.

    Raises:
        JournalForeignError: It is another one.
        JournalMissingError: The file holds no journal.
        JournalBrokenError: Its schema is not what was written, or a small table is damaged.
    """
    with distrust():
        return await _identity(database, journal)


async def _identity(database: Database, journal: bytes) -> int:
    version = await version_of(database)
    if version == 0:
        raise JournalMissingError(f"{journal_file(journal)} is empty")
    if problem := await damage(database, version):
        raise JournalBrokenError(problem)
    rows = await database.query("SELECT id, acked_seq FROM journal")
    if not rows:
        raise JournalMissingError(f"{journal_file(journal)} names no journal")
    found, acked = rows[0]
    if found != journal:
        raise JournalForeignError(f"the file is journal {found.hex()}, not {journal.hex()}")
    return int(acked)


async def fold_start(
    database: Database,
    journal: bytes,
    key: MachineKey | None,
    fold: Fold[S],
    *,
    forgiving: bool = False,
    older: bool = False,
) -> tuple[Folded[S], int, int]:
    """Return where folding starts, the base's seq, and the highest seq that a snapshot knows.

    ``forgiving``: a snapshot is enough, be the base as it may. ``older``: one of an older software,
    too, in which what that did not know yet has its default.

    Raises:
        JournalBrokenError: The base is not what this machine signed, or cannot be read.
        JournalNewerError: A newer software wrote it, and pruned what it was made of.
    """
    base: bases.Base | None = None
    broken: JournalBrokenError | None = None
    try:
        with distrust():
            base = await bases.load(database, journal, key)
    except JournalBrokenError as error:
        if not forgiving:
            raise
        broken = error
    base_seq = base.at.seq if base else 0
    highest = 0
    async for snapshot in snapshots(database, journal, fold.version, older=older):
        highest = max(highest, snapshot.at.seq)
        row = await _row_or_none(database, snapshot.at.seq)
        if row is None or row[1] != snapshot.at.boot or row[3] != snapshot.at.hash:
            continue
        try:
            state = fold.decode(snapshot.state, snapshot.fold)
        except ValueError:
            continue
        seq = snapshot.at.seq
        return Folded(state, snapshot.at, snapshot_seq=seq), base_seq, highest
    if broken is not None:
        raise broken
    if base is None:
        return Folded(fold.initial(), reader.START), base_seq, highest
    if base.fold > fold.version:
        raise JournalNewerError(
            f"the state before record {base_seq + 1} is of version {base.fold}, this software "
            f"reads {fold.version}: install the newer one again"
        )
    try:
        state = fold.decode(base.state, base.fold)
    except ValueError as error:
        raise JournalBrokenError(f"the base at {base_seq} cannot be decoded: {error}") from error
    return Folded(state, base.at, snapshot_seq=base_seq), base_seq, highest


async def _row_or_none(database: Database, seq: int) -> reader.StoredRow | None:
    try:
        return await reader.row_at(database, seq)
    except DiskCorruptError:
        return None


async def fold_tail(
    database: Database,
    journal: bytes,
    registry: Registry,
    folded: Folded[S],
    progress: Progress | None = None,
) -> None:
    """Verify and fold everything behind ``folded``, in place.

    Raises:
        JournalBrokenError: ``folded`` stands at the last good record then.
    """
    at = folded.at
    state = folded.state
    confirmed_ms = at.confirmed_ms
    async for rows in reader.walk(database, journal, at):
        row = None  # the last one that is in the state: its place is written down once a chunk
        try:
            for row_now in rows:
                record = fold_row(registry, state, row_now)
                row = row_now
                if record.confirmed:
                    confirmed_ms = record.at_ms
                if isinstance(record.data, UnknownData):
                    folded.unknown += 1
        finally:
            if row is not None:
                folded.at = Position(row[0], row[1], row[3], confirmed_ms)
        if progress is not None:
            progress(folded.at.seq)


def fold_row(registry: Registry, state: State, row: reader.StoredRow) -> Record:
    """Decode one verified row and take it into the state.

    Raises:
        JournalBrokenError: It is not of our form, or the state refuses it.
    """
    seq, boot, body, digest = row
    try:
        record = decode(registry, seq=seq, boot=boot, body=body, digest=digest)
        state.apply(record)
    except EnvelopeError as error:
        raise JournalBrokenError(str(error), seq=seq, last_good=seq - 1) from error
    except Exception as error:
        problem = f"does not fold: {type(error).__name__}: {error}"
        raise JournalBrokenError(problem, seq=seq, last_good=seq - 1) from error
    return record


async def read_journal(
    database: Database,
    storage: Storage,
    journal: bytes,
    witness: Witness | None,
    fold: Fold[S],
    registry: Registry,
    progress: Progress | None = None,
) -> Opened[S]:
    """Check an open database and fold it. Reads only.

    Raises:
        JournalRefusedError: Saying what is wrong with it.
    """
    with distrust():
        acked = await check_identity(database, journal)
        key = await read_key(storage)
        folded, base_seq, highest = await fold_start(database, journal, key, fold)
        await fold_tail(database, journal, registry, folded, progress)
    last = folded.at.seq
    known = max(highest, witness.seq if witness else 0)
    if last < known:
        raise JournalBrokenError(
            f"ends here, and {known} had been written: records were lost, or an old disk image",
            seq=last + 1,
            last_good=last,
        )
    if acked > last:  # a damaged number: nobody has what was never written, and all is told again
        acked = base_seq
    return Opened(database, journal, key, acked, base_seq, folded)


async def prepare_for_writing(database: Database, storage: Storage, journal: bytes) -> None:
    """Make durable what only the page cache may hold, and look for lost commits.

    After a failed fsync the kernel may show bytes that the disk never got, and sync them no more.
    Copying the log into the file writes them anew; only then is what was read believed.

    Raises:
        JournalBrokenError: The write-ahead log lost commits that had been durable.
    """
    log = await storage.read(log_of(journal_file(journal)))
    size = await database.checkpoint()
    if log and (lost := commits_behind(log, size.frames)) > 1:
        # SQLite drops what it could not read when it closes: the next start must know as well.
        problem = f"the write-ahead log is damaged: {lost} commits were lost"
        seq = await reader.last_seq(database)
        await write_witness(storage, Witness(journal, seq, problem))
        raise JournalBrokenError(problem, last_good=seq)
    await migrate(database)


async def restore_log(storage: Storage, name: str) -> None:
    """Bring a write-ahead log back that somebody has deleted.

    The log has a second name while the journal is in use. SQLite deletes it when it closes, all
    of it being in the database file then, and copying that log once more changes nothing; so
    whoever took the first name away, the second may take its place.
    """
    if await storage.size(log_of(name)) is None and await storage.size(kept_log_of(name)):
        await storage.rename(kept_log_of(name), log_of(name))


async def keep_log(storage: Storage, name: str) -> None:
    """Give the write-ahead log its second name. A file system without links goes without."""
    try:
        await storage.link(log_of(name), kept_log_of(name))
    except DiskError:
        return


async def begin_log(database: Database, storage: Storage, journal: bytes, seq: int) -> None:
    """Note how far the journal goes, and start with an empty write-ahead log."""
    if await read_witness(storage) != Witness(journal, seq):
        await write_witness(storage, Witness(journal, seq))
    await database.checkpoint(truncate=True)


async def open_reading(
    storage: Storage, fold: Fold[S], registry: Registry, progress: Progress | None = None
) -> Opened[S] | None:
    """Open and fold without writing a byte; None when there is no journal yet."""
    located = await locate(storage)
    if located is None:
        return None
    journal, witness = located
    check_note(witness)
    try:
        database = await storage.open(journal_file(journal), Access.READ)
    except DiskCorruptError as error:
        raise JournalBrokenError(str(error)) from error
    try:
        return await read_journal(database, storage, journal, witness, fold, registry, progress)
    except BaseException:
        await database.close()
        raise
