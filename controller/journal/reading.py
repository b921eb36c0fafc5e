"""What can be asked of a journal without writing: pieces, lines, and whether all of it is right."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Generic

from controller.journal import chain, reader, verify
from controller.journal.database import Database
from controller.journal.envelope import Record, Registry, decode
from controller.journal.errors import DiskError
from controller.journal.export import export_lines
from controller.journal.fold import Fold, S
from controller.journal.identity import MachineKey
from controller.journal.opening import Progress
from controller.journal.reader import StoredRow
from controller.journal.verify import VerifyReport


@dataclass(frozen=True, slots=True)
class CarriedRow:
    """A record of an older, broken journal that could be read and that the fleet does not have."""

    journal: bytes
    seq: int
    boot: int
    body: bytes
    hash: bytes
    verified: bool  # it stood before the first broken one


class ReadableJournal(Generic[S]):
    """A journal over an open database."""

    def __init__(
        self,
        database: Database,
        journal: bytes,
        key: MachineKey | None,
        fold: Fold[S],
        registry: Registry,
    ) -> None:
        self._database = database
        self._id = journal
        self._key = key
        self._fold = fold
        self._registry = registry

    @property
    def journal_id(self) -> bytes:
        """Return the journal's random id, 16 bytes."""
        return self._id

    @property
    def public_key(self) -> bytes:
        """Return the public half of the machine's own key; nothing when the key is gone."""
        return self._key.public() if self._key is not None else b""

    def sign(self, message: bytes) -> bytes:
        """Return the machine's signature, 64 bytes; nothing when the key is gone."""
        return self._key.sign(message) if self._key is not None else b""

    async def read(self, first: int, last: int | None = None) -> list[Record]:
        """Return the durable records from ``first`` to ``last`` (both included), oldest first.

        At most ``reader.CHUNK`` records (512): ask again behind the last one for more.
        """
        rows = await reader.rows_after(self._database, first - 1)
        return [
            decode(self._registry, seq=seq, boot=boot, body=body, digest=digest)
            for seq, boot, body, digest in rows
            if last is None or seq <= last
        ]

    async def records(self, first: int = 1, last: int | None = None) -> AsyncIterator[Record]:
        """Yield durable records from ``first`` on, in chunks that let commits get in between."""
        while chunk := await self.read(first, last):
            for record in chunk:
                yield record
            first = chunk[-1].seq + 1

    async def rows(self, first: int = 1, last: int | None = None) -> AsyncIterator[StoredRow]:
        """Yield (seq, boot, body, hash) as they stand in the file."""
        after = first - 1
        while rows := await reader.rows_after(self._database, after):
            for row in rows:
                if last is not None and row[0] > last:
                    return
                yield row
            after = rows[-1][0]

    async def chunk(self, first: int, limit: int) -> list[StoredRow]:
        """Return up to ``limit`` rows from ``first`` on, as they stand in the file."""
        return await reader.rows_after(self._database, first - 1, limit)

    async def hash_at(self, seq: int) -> bytes | None:
        """Return a record's hash, the base's too; None when it is not there (any more)."""
        if seq == 0:
            return chain.GENESIS
        row = await reader.row_at(self._database, seq)
        if row is not None:
            return row[3]
        rows = await self._database.query("SELECT hash FROM base WHERE seq = ?", (seq,))
        return bytes(rows[0][0]) if rows else None

    async def has(self, seq: int, digest: bytes) -> bool:
        """Tell whether that is a record's hash; of a damaged one the next one's says it as well."""
        with suppress(DiskError):
            if await self.hash_at(seq) == digest:
                return True
        row = None
        with suppress(DiskError):
            row = await reader.row_at(self._database, seq + 1)
        return row is not None and chain.link(digest, self._id, *row[:3]) == row[3]

    def export(self, first: int = 1, last: int | None = None) -> AsyncIterator[str]:
        """Yield the lines of an export (``controller.journal.export``)."""
        return export_lines(self._database, self._id, first=first, last=last)

    async def verify(
        self, progress: Progress | None = None, root: bytes | None = None
    ) -> VerifyReport:
        """Check the whole file: base, every record, checkpoints, the snapshots against the fold."""
        return await verify.verify(
            self._database, self._id, self._key, self._fold, self._registry, progress, root
        )

    async def carried(self) -> list[CarriedRow]:
        """Return what a journal of an older software carries of the one before it, oldest first.

        Since then what the fleet does not have becomes records (``record.carried``).
        """
        rows = await self._database.query(
            "SELECT journal, seq, boot, body, hash, verified FROM carried ORDER BY journal, seq"
        )
        return [
            CarriedRow(journal, seq, boot, body, digest, bool(verified))
            for journal, seq, boot, body, digest, verified in rows
        ]
