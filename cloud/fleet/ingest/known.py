"""The first tier of deduplication: what this process has committed, kept in memory.

A batch that lies below the cursor, and whose last hash is the one stored there, is a duplicate and
costs no query. Nothing is decided here that the database would decide otherwise: whatever is not
surely a duplicate goes there.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from cloud.contract.batch import Batch, BatchHead

JOURNALS: Final = 20_000  # remembered at once; beyond that the longest unused one is forgotten
ENDS: Final = 200_000  # of batches, all journals together: some 40 MB


class _Cursor:
    __slots__ = ("ends", "hash", "next_seq")

    def __init__(self) -> None:
        self.next_seq = 1
        self.hash = b""
        self.ends: dict[int, bytes] = {}  # last seq of a committed batch -> its hash


class Known:
    """The cursors of journals that this process has written."""

    def __init__(self, ends: int = ENDS) -> None:
        """Begin with none; ``ends`` bounds what is remembered."""
        self._cursors: OrderedDict[tuple[int, str], _Cursor] = OrderedDict()
        self._most = ends
        self._count = 0

    def duplicate(self, machine_id: int, head: BatchHead) -> tuple[int, bytes] | None:
        """Return the cursor ``(last seq, hash)`` when the batch is surely a duplicate."""
        key = (machine_id, head.journal)
        cursor = self._cursors.get(key)
        if cursor is None or head.end >= cursor.next_seq:
            return None
        if cursor.ends.get(head.end) != bytes.fromhex(head.last):
            return None
        self._cursors.move_to_end(key)
        return cursor.next_seq - 1, cursor.hash

    def committed(self, machine_id: int, batch: Batch, next_seq: int, digest: bytes) -> None:
        """Remember a committed batch and the cursor behind it."""
        key = (machine_id, batch.head.journal)
        cursor = self._cursors.get(key)
        if cursor is None:
            cursor = self._cursors[key] = _Cursor()
        self._cursors.move_to_end(key)
        if next_seq >= cursor.next_seq:
            cursor.next_seq, cursor.hash = next_seq, digest
        self._count += batch.head.end not in cursor.ends
        cursor.ends[batch.head.end] = batch.rows[-1].hash
        while len(self._cursors) > JOURNALS or self._count > self._most:
            self._forget_one()

    def forget(self, machine_id: int, journal: str) -> None:
        """Forget a journal: it was quarantined, or its transaction failed."""
        gone = self._cursors.pop((machine_id, journal), None)
        self._count -= len(gone.ends) if gone else 0

    def _forget_one(self) -> None:
        """Forget the journal that was silent for longest, or the oldest of the only one's ends."""
        if len(self._cursors) > 1:
            _, gone = self._cursors.popitem(last=False)
            self._count -= len(gone.ends)
            return
        (only,) = self._cursors.values()
        del only.ends[next(iter(only.ends))]
        self._count -= 1
