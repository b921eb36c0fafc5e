"""Reading a journal for people: the one a running machine has open, or a folder's.

Both read records as they stand in the file, whether or not they would verify: a technician looks
at a broken journal too. ``verify`` is what judges it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from controller.api.shapes import VerifyShape
from controller.journal import reader, verify
from controller.journal.database import Access, Database
from controller.journal.envelope import EnvelopeError, Record, decode
from controller.journal.errors import DiskCorruptError, JournalBrokenError, JournalMissingError
from controller.journal.identity import journal_file, read_key
from controller.journal.life import LifeReport, verify_life
from controller.journal.opening import locate
from controller.journal.records import REGISTRY, JournalBegun
from controller.journal.sqlite_aio import DirectoryStorage
from controller.journal.store import Journal
from controller.state.fold import StateFold
from controller.state.state import State


class StoreView:
    """The journal of this process."""

    def __init__(self, journal: Journal[State], root: bytes | None = None) -> None:
        """Keep the journal; it is only read. ``root``: the fleet's key that this machine pins."""
        self._journal = journal
        self._root = root

    @property
    def id(self) -> str:
        """Return the journal's id, in hex."""
        return self._journal.journal_id.hex()

    @property
    def first(self) -> int:
        """Return the lowest seq that is still there."""
        return self._journal.base_seq + 1

    @property
    def last(self) -> int:
        """Return the highest durable seq."""
        return self._journal.durable_seq

    async def records(self, after: int, limit: int) -> Sequence[Record]:
        """Return up to ``limit`` records with a seq above ``after``, ascending."""
        start = max(after + 1, self.first)
        return (await self._journal.read(start, start + limit - 1))[:limit]

    async def verify(self) -> VerifyShape:
        """Check every byte of the file, and the journals before it."""
        return _shape(await self._journal.verify_life(self._root), self.last)


class FolderView:
    """The journal in a folder that no vendd has open; made by ``open_folder``."""

    def __init__(
        self,
        storage: DirectoryStorage,
        database: Database,
        journal: bytes,
        root: bytes | None = None,
    ) -> None:
        """Keep the open database."""
        self._root = root
        self._storage = storage
        self._database = database
        self.id = journal.hex()
        self.first = 1
        self.last = 0
        self.currency = ""

    async def look(self) -> None:
        """Find out which records are there, and in which currency."""
        self.last = await reader.last_seq(self._database)
        rows = await reader.rows_after(self._database, 0, 1)
        self.first = rows[0][0] if rows else 1
        base = await self._database.query("SELECT state, fold FROM base ORDER BY seq DESC LIMIT 1")
        try:
            if base:
                self.currency = StateFold().decode(*base[0]).currency
            for record in await self.records(0, 1):
                if isinstance(record.data, JournalBegun):
                    self.currency = record.data.currency
        except (ValueError, JournalBrokenError):
            pass  # ``verify`` says what is wrong; amounts are shown without a currency's name

    async def records(self, after: int, limit: int) -> Sequence[Record]:
        """Return up to ``limit`` records with a seq above ``after``, ascending.

        Raises:
            JournalBrokenError: The next record cannot be read; those before it can.
        """
        records: list[Record] = []
        try:
            for seq, boot, body, digest in await reader.rows_after(self._database, after, limit):
                record = decode(REGISTRY, seq=seq, boot=boot, body=body, digest=digest)
                records.append(record)
        except (EnvelopeError, DiskCorruptError) as error:
            if not records:
                raise JournalBrokenError(str(error), seq=after + 1, last_good=after) from error
        return records

    async def verify(self) -> VerifyShape:
        """Check every byte of the folder's journal, and those before it."""
        await self._database.close()
        storage, fold, root = self._storage, StateFold(), self._root
        report = await verify.verify_storage(storage, fold, REGISTRY, root=root)
        key = await read_key(storage)
        return _shape(await verify_life(storage, report, key, fold, REGISTRY, root), self.last)


@asynccontextmanager
async def open_folder(folder: Path, root: bytes | None = None) -> AsyncIterator[FolderView]:
    """Open the journal in a folder for reading; not a byte of it changes.

    Raises:
        JournalRefusedError: There is none, or none that can be opened.
        DiskError: The disk cannot be read, or vendd has the journal open.
    """
    storage = DirectoryStorage(folder)
    located = await locate(storage)
    if located is None:
        raise JournalMissingError(f"there is no journal in {folder}")
    database = await storage.open(journal_file(located[0]), Access.READ)
    try:
        view = FolderView(storage, database, located[0], root)
        await view.look()
        yield view
    finally:
        await database.close()


def _shape(life: LifeReport, last: int) -> VerifyShape:
    report = life.journals[0]
    return {
        "journal": report.journal,
        "ok": life.ok,
        "problem": life.problem,
        "wrong_journal": life.journal,
        "wrong": life.wrong_seq,
        "base": report.base_seq,
        "last": last,
        "last_good": report.last_good,
        "records": report.records,
        "snapshots": report.snapshots,
        "unknown": report.unknown,
        "checkpoints": report.checkpoints,
        "countersigned": report.countersigned,
        "proved": report.proved,
        "rooted": report.rooted,
        "journals": [
            {
                "journal": one.journal,
                "follows": one.previous[0] if one.previous else "",
                "behind": one.previous[1] if one.previous else 0,
                "base": one.base_seq,
                "last_good": one.last_good,
                "records": one.records,
                "proved": one.proved,
                "problem": one.problem,
            }
            for one in life.journals
        ],
    }
