"""The base: the state that pruned records left behind, signed by the machine. No cache.

Folding starts there, so every byte of it is covered by the signature. A journal that replaces a
broken one has a base at seq 0: what it inherits.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from controller.journal.database import Database, Statement
from controller.journal.errors import DiskCorruptError, JournalBrokenError
from controller.journal.identity import MachineKey
from controller.journal.reader import Position

_PURPOSE: Final = b"vendd journal base 1|"  # so that no other signature of this key passes for one


_INSERT: Final = (
    "INSERT INTO base (seq, boot, hash, confirmed_ms, fold, state, signature)"
    " VALUES (?, ?, ?, ?, ?, ?, ?)"
)


@dataclass(frozen=True, slots=True)
class Base:
    """The encoded state after the record at ``at``."""

    at: Position
    fold: int
    state: bytes
    signature: bytes = b""


def message(journal: bytes, base: Base) -> bytes:
    """Return the bytes that are signed."""
    at = base.at
    confirmed = "none" if at.confirmed_ms is None else str(at.confirmed_ms)
    head = f"{at.seq}|{at.boot}|{confirmed}|{base.fold}|{len(base.state)}|".encode()
    return _PURPOSE + head + journal + at.hash + sha256(base.state).digest()


def signed(key: MachineKey, journal: bytes, at: Position, fold: int, state: bytes) -> Base:
    """Return a base with its signature."""
    unsigned = Base(at, fold, state)
    return Base(at, fold, state, key.sign(message(journal, unsigned)))


def saving(base: Base) -> Statement:
    """Return the statement that writes a base."""
    at = base.at
    return (
        _INSERT,
        (at.seq, at.boot, at.hash, at.confirmed_ms, base.fold, base.state, base.signature),
    )


async def load(database: Database, journal: bytes, key: MachineKey | None) -> Base | None:
    """Return the newest base, checked, or None when the journal starts at its first record.

    Raises:
        JournalBrokenError: It is not what this machine signed.
    """
    try:
        rows = await database.query(
            "SELECT seq, boot, hash, confirmed_ms, fold, state, signature FROM base"
            " ORDER BY seq DESC LIMIT 1"
        )
    except DiskCorruptError as error:
        raise JournalBrokenError(f"the base cannot be read: {error}") from error
    if not rows:
        return None
    seq, boot, hash_, confirmed_ms, fold, state, signature = rows[0]
    base = Base(Position(seq, boot, hash_, confirmed_ms), fold, state, signature)
    if key is None:
        raise JournalBrokenError(f"the base at {seq} cannot be checked: the machine's key is gone")
    if not key.verifies(signature, message(journal, base)):
        raise JournalBrokenError(f"the base at {seq} is not what this machine signed")
    return base
