"""Reading journals that may be damaged, on disks that may not read: how far, and which was last."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final, TypeVar

from controller.faults import JournalError
from controller.journal.database import Access, Database, Storage
from controller.journal.envelope import Registry
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


async def last_of_several(storage: Storage, fold: Fold[S], registry: Registry) -> bytes | None:
    """Return the journal that no other follows; None where that is not one alone."""
    key, found = await read_key(storage), await journals_in(storage)
    followed: set[str] = set()
    for journal in found:
        try:
            follows = await looked(partial(_follows, storage, journal, key, fold, registry))
        except DiskBusyError:
            raise
        except JournalError:
            continue  # what can't be read follows nobody
        if follows is not None:
            followed.add(follows)
    last = [journal for journal in found if journal.hex() not in followed]
    return last[0] if len(last) == 1 else None


async def _follows(
    storage: Storage, journal: bytes, key: MachineKey | None, fold: Fold[S], registry: Registry
) -> str | None:
    database = await storage.open(journal_file(journal), Access.READ)
    try:
        with distrust():
            folded = await furthest(database, journal, key, fold, registry)
        previous = None if folded is None else fold.previous(folded.state)
        return None if previous is None else previous[0]
    finally:
        await database.close()
