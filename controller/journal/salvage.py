"""Reading journals that may be damaged, on disks that may not read: how far, and which was last."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeVar

from controller.faults import JournalError
from controller.journal import reader
from controller.journal.database import Access, Database, Storage
from controller.journal.envelope import EnvelopeError, Registry, read_head
from controller.journal.errors import (
    DiskBusyError,
    DiskCorruptError,
    DiskError,
    DiskIoError,
    JournalNewerError,
    JournalRefusedError,
)
from controller.journal.fold import Fold, S
from controller.journal.identity import MachineKey, journal_file, read_key
from controller.journal.opening import Folded, distrust, fold_start, fold_tail, journals_in
from controller.journal.records import JournalBegun, RecordCarried

T = TypeVar("T")

LOOKS: Final = 3  # at what a disk that dies does not read: perhaps it does the next time


async def looked(look: Callable[[], Awaitable[T]]) -> T | None:
    """Return what a look at a journal finds; None where it is not one to be read.

    Raises:
        DiskError: Nobody could look at it: what it knows is not nothing.
    """
    for left in reversed(range(LOOKS)):
        try:
            return await look()
        except JournalNewerError:
            raise
        except DiskIoError:
            if not left:
                raise
        except (JournalRefusedError, DiskCorruptError):
            break
    return None


async def furthest(
    database: Database,
    journal: bytes,
    key: MachineKey | None,
    fold: Fold[S],
    registry: Registry,
) -> Folded[S] | None:
    """Return the state after the last good record; None when nothing can be read.

    Behind an update no snapshot is this software's own, and damage that every start has passed over
    would end the folding there: then an older one's is the better beginning.
    """
    best: Folded[S] | None = None
    for older in (False, True):
        for _ in range(LOOKS):
            found: Folded[S] | None = None
            try:
                with distrust():
                    found, *_ = await fold_start(
                        database, journal, key, fold, forgiving=True, older=older
                    )
                    await fold_tail(database, journal, registry, found)
            except JournalNewerError:
                raise
            except (JournalRefusedError, DiskError) as error:
                # What is wrong with it is known; ``found`` stands at its last good record.
                if found is not None and (best is None or found.at.seq > best.at.seq):
                    best = found
                if not isinstance(error, DiskIoError):
                    break
            else:
                return found
    return best


@dataclass(frozen=True, slots=True)
class _Follower:
    """One of several journals, as far as it can be read."""

    seq: int
    previous: tuple[str, int] | None
    started: bool


async def last_of_several(storage: Storage, fold: Fold[S], registry: Registry) -> bytes | None:
    """Return the journal that no other follows; None where that is not one alone.

    One that never started was left by a kill before the id file named it: the one before it, which
    may have gone on, stands for it, if all that it was made of can still be read there.
    """
    key, found = await read_key(storage), await journals_in(storage)
    read: dict[str, _Follower] = {}
    for journal in found:
        try:
            follower = await looked(partial(_follower, storage, journal, key, fold, registry))
        except DiskBusyError:
            raise
        except JournalError:
            continue  # what can't be read follows nobody
        if follower is not None:
            read[journal.hex()] = follower

    def known(name: str) -> str:
        here = read.get(name)
        while here is not None and here.previous is not None and not here.started:
            before, behind = here.previous
            here = read.get(before)
            if here is None or here.seq < behind:
                break
            name = before
        return name

    last = {known(journal.hex()) for journal in found}
    last -= {known(one.previous[0]) for one in map(read.get, last) if one and one.previous}
    return bytes.fromhex(last.pop()) if len(last) == 1 else None


async def _follower(
    storage: Storage, journal: bytes, key: MachineKey | None, fold: Fold[S], registry: Registry
) -> _Follower | None:
    database = await storage.open(journal_file(journal), Access.READ)
    try:
        with distrust():
            folded = await furthest(database, journal, key, fold, registry)
            if folded is None:
                return None
            previous = fold.previous(folded.state)
            started = await _started(database)
            return _Follower(folded.at.seq, None if previous is None else previous[:2], started)
    finally:
        await database.close()


async def _started(database: Database) -> bool:
    """Tell whether a record stands behind those that the journal was begun with."""
    try:
        row = await reader.row_at(database, await reader.last_seq(database))
        return row is None or read_head(row[2]).type not in (JournalBegun.type, RecordCarried.type)
    except (DiskError, EnvelopeError):
        return True  # a damaged one is one
