"""Snapshots: the state at a seq, kept so that a start folds only the tail. A cache, no more.

A snapshot is believed when its digest is right, this software wrote its encoding, and the record
at its seq has the hash it names.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from controller.faults import InvariantError
from controller.journal.database import Database, Statement
from controller.journal.errors import DiskCorruptError
from controller.journal.reader import Position

# A start folds at most this many records: tens of milliseconds on a Pi. About forty vends.
SNAPSHOT_EVERY: Final = 500
KEPT: Final = 3  # the newest, and two older ones should it be damaged

_INSERT: Final = (
    "INSERT OR REPLACE INTO snapshot"
    " (seq, boot, hash, confirmed_ms, fold, state, digest) VALUES (?, ?, ?, ?, ?, ?, ?)"
)
_UNREADABLE: Final = DiskCorruptError, InvariantError  # of a damaged schema: no such column
_ROWS: Final = (  # a damaged one may hold anything in its place; its time may be unknown
    [int, int, bytes, int, int, bytes, bytes],
    [int, int, bytes, type(None), int, bytes, bytes],
)
_DROP_OLD: Final = (
    "DELETE FROM snapshot WHERE seq NOT IN (SELECT seq FROM snapshot ORDER BY seq DESC LIMIT ?)"
)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The encoded state after the record at ``at``."""

    at: Position
    fold: int
    state: bytes


def digest(journal: bytes, snapshot: Snapshot) -> bytes:
    """Return the hash of everything a snapshot says."""
    at = snapshot.at
    head = b"snapshot|%d|%d|%d|%d|" % (at.seq, at.boot, at.confirmed_ms or 0, snapshot.fold)
    return sha256(head + journal + at.hash + snapshot.state).digest()


def saving(journal: bytes, snapshot: Snapshot) -> list[Statement]:
    """Return the statements that keep this snapshot and drop the oldest."""
    at = snapshot.at
    return [
        (
            _INSERT,
            (
                at.seq, at.boot, at.hash, at.confirmed_ms, snapshot.fold, snapshot.state,
                digest(journal, snapshot),
            ),
        ),
        (_DROP_OLD, (KEPT,)),
    ]  # fmt: skip


async def snapshots(
    database: Database, journal: bytes, fold: int, *, older: bool = False
) -> AsyncIterator[Snapshot]:
    """Yield the sound snapshots of this encoding, or of older ones as well, the newest first."""
    try:
        found = await database.query("SELECT seq FROM snapshot ORDER BY seq DESC")
    except _UNREADABLE:
        return
    for (seq,) in found:
        try:
            rows = await database.query(
                "SELECT seq, boot, hash, confirmed_ms, fold, state, digest FROM snapshot"
                " WHERE seq = ?",
                (seq,),
            )
        except _UNREADABLE:
            continue
        for row in rows:
            if [type(value) for value in row] not in _ROWS:
                continue
            number, boot, hash_, confirmed_ms, version, state, stored = row
            snapshot = Snapshot(Position(number, boot, hash_, confirmed_ms), version, state)
            known = version == fold or (older and version < fold)
            if known and digest(journal, snapshot) == stored:
                yield snapshot
