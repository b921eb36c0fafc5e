"""A machine's disk beside its fleet's database: what is missing there, and what is there twice."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping
from contextlib import closing
from pathlib import Path
from typing import Final

from sqlalchemy import func, select

from cloud.contract.topics import Address
from cloud.fleet import reports
from cloud.fleet import schema as t
from cloud.fleet.database import FleetDatabase
from simulator.fleet import books

CHUNK: Final = 20_000  # records compared at once
_SOLD: Final = b'"vend.closed"'
_COLUMNS: Final = (t.record.c.seq, t.record.c.boot, t.record.c.body, t.record.c.hash)
Rows = list[tuple[int, int, bytes, bytes]]


class Compared:
    """Both ends of the only machine of a fleet.

    Args:
        database: The fleet's.
        address: The machine.
        folder: Its disk, with one journal.
        told: Number and hash of records that it said were durable.
        accounts: What its ledger says.
    """

    def __init__(
        self,
        database: FleetDatabase,
        address: Address,
        folder: Path,
        told: Collection[tuple[int, str]],
        accounts: Mapping[str, int],
    ) -> None:
        self._database = database
        self._address = address
        (self._path,) = folder.glob("journal-*.db")  # it never had to begin another one
        self._told = set(told)
        self._accounts = accounts
        self._lost = self._doubled = self._sold = self._found = 0

    async def compare(self) -> dict[str, int]:
        """Return how many records there are, are lost and doubled, and accounts that differ."""
        with closing(sqlite3.connect(self._path)) as disk:
            ((uid,),) = disk.execute("SELECT id FROM journal")
            ((records,),) = disk.execute("SELECT max(seq) FROM record")
            for first in range(1, records + 1, CHUNK):
                self._beside(_ours(disk, first), await self._theirs(uid, first))
        self._lost += len(self._told)  # durable once, and not on the disk any more
        async with self._database.reading() as connection:
            everything = await connection.scalar(select(func.count()).select_from(t.record))
        assert everything is not None
        self._doubled += everything - self._found  # in another journal, or behind the end
        accounts = await reports.balances(self._database, self._address)
        sums = await books.sums(self._database, self._address)
        return {
            "records": records,
            "lost": self._lost,
            "doubled": self._doubled,
            "differ": len(accounts.items() ^ self._accounts.items()) + (sums.sold != self._sold),
        }

    async def _theirs(self, uid: bytes, first: int) -> Rows:
        query = (
            select(*_COLUMNS)
            .join(t.journal, t.journal.c.id == t.record.c.journal_id)
            .where(t.journal.c.uid == uid, t.record.c.seq.between(first, first + CHUNK - 1))
            .order_by(t.record.c.seq)
        )
        async with self._database.reading() as connection:
            found = await connection.execute(query)
            return [(seq, boot, bytes(body), bytes(digest)) for seq, boot, body, digest in found]

    def _beside(self, ours: Rows, theirs: Rows) -> None:
        self._sold += sum(_SOLD in body for _, _, body, _ in ours)
        self._told -= {(seq, digest.hex()) for seq, _, _, digest in ours}
        self._found += len(theirs)
        if ours != theirs:
            both = len(set(ours) & set(theirs))
            self._lost += len(ours) - both
            self._doubled += len(theirs) - both


def _ours(disk: sqlite3.Connection, first: int) -> Rows:
    query = "SELECT seq, boot, body, hash FROM record WHERE seq BETWEEN ? AND ? ORDER BY seq"
    found = disk.execute(query, (first, first + CHUNK - 1))
    return [(seq, boot, bytes(body), bytes(digest)) for seq, boot, body, digest in found]
