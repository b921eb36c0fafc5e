"""From a folder to a journal that can be written: find it or make it, check it, fold it."""

from __future__ import annotations

from controller.clock import Clock
from controller.journal import beginning, opening
from controller.journal.beginning import BootInfo
from controller.journal.database import Access, Storage
from controller.journal.envelope import Registry
from controller.journal.errors import DiskCorruptError, JournalBrokenError
from controller.journal.fold import Fold, S
from controller.journal.identity import Entropy, Witness, journal_file, make_key
from controller.journal.opening import Opened, Progress


async def open_writing(
    storage: Storage,
    fold: Fold[S],
    registry: Registry,
    clock: Clock,
    entropy: Entropy,
    boot: BootInfo,
    progress: Progress | None = None,
) -> Opened[S]:
    """Open the journal in use for writing, with an empty log; make it at the first start.

    Raises:
        JournalRefusedError: There is one, and it cannot be used.
        DiskError: The disk cannot be written or read, or another process has the journal.
    """
    located = await opening.locate(storage)
    if located is None:
        begun = await beginning.create(storage, clock=clock, entropy=entropy, boot=boot)
        made = bytes.fromhex(begun.journal)
        located = made, Witness(made, 1)
    journal, witness = located
    opening.check_note(witness)
    await opening.restore_log(storage, journal_file(journal))
    try:
        database = await storage.open(journal_file(journal), Access.WRITE)
    except DiskCorruptError as error:
        raise JournalBrokenError(str(error)) from error
    try:
        await opening.check_identity(database, journal)
        with opening.distrust():
            await opening.prepare_for_writing(database, storage, journal)
        opened = await opening.read_journal(
            database, storage, journal, witness, fold, registry, progress
        )
        if opened.key is None:
            opened.key = await make_key(storage, entropy)
        await opening.begin_log(database, storage, journal, opened.folded.at.seq)
    except DiskCorruptError as error:
        await database.close()
        raise JournalBrokenError(str(error)) from error
    except BaseException:
        await database.close()
        raise
    return opened
