"""What tests of a journal's opening share: one that was used, and what a start makes of it."""

from __future__ import annotations

import random

from controller.journal.beginning import begin_new
from controller.journal.identity import journal_file
from controller.journal.store import Journal
from simulator.disk import Disk
from simulator.disk_sqlite import DiskStorage
from tests.journal_kit import (
    REGISTRY,
    HandClock,
    Purse,
    PurseFold,
    boot_info,
    open_journal,
    put_in,
)


async def sold(disk: Disk, *amounts: int, close: bool = True) -> str:
    """Leave a journal with some money in it, and return its file's name."""
    storage = DiskStorage(disk)
    journal = await open_journal(storage)
    for amount in amounts:
        await put_in(journal, amount)
    name = journal_file(journal.journal_id)
    if close:
        await journal.close()
    else:
        storage.kill()
    return name


async def reopened(disk: Disk) -> Journal[Purse]:
    return await open_journal(DiskStorage(disk), entropy=random.Random(99).randbytes)


async def begun_anew(disk: Disk) -> None:
    """Begin a new journal over a broken one, and use it."""
    await begin_new(
        DiskStorage(disk),
        fold=PurseFold(),
        registry=REGISTRY,
        clock=HandClock(),
        entropy=random.Random(8).randbytes,
        boot=boot_info(),
        reason="damaged",
    )
    journal = await reopened(disk)
    await put_in(journal, 7)
    await journal.close()
