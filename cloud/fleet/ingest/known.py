"""The first tier of deduplication: what this process has committed, kept in memory.

A batch that lies below the cursor, and whose last hash is the one stored there, is a duplicate and
costs no query. Nothing is decided here that the database would decide otherwise: whatever is not
surely a duplicate goes there.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Final

from cloud.contract.batch import Batch, BatchHead

JOURNALS: Final = 2_000  # remembered at once; beyond that the longest unused one is forgotten
BATCHES: Final = 64  # ends remembered of each: several times the window of a machine


class _Cursor:
    __slots__ = ("ends", "hash", "next_seq", "order")

    def __init__(self) -> None:
        self.next_seq = 1
        self.hash = b""
        self.ends: dict[int, str] = {}  # last seq of a committed batch -> its hash
        self.order: deque[int] = deque()


class Known:
    """The cursors of journals that this process has written."""

    def __init__(self) -> None:
        self._cursors: OrderedDict[tuple[int, str], _Cursor] = OrderedDict()

    def duplicate(self, machine_id: int, head: BatchHead) -> tuple[int, bytes] | None:
        """Return the cursor ``(last seq, hash)`` when the batch is surely a duplicate."""
        key = (machine_id, head.journal)
        cursor = self._cursors.get(key)
        if cursor is None or head.end >= cursor.next_seq:
            return None
        if cursor.ends.get(head.end) != head.last:
            return None
        self._cursors.move_to_end(key)
        return cursor.next_seq - 1, cursor.hash

    def committed(self, machine_id: int, batch: Batch, next_seq: int, digest: bytes) -> None:
        """Remember a committed batch and the cursor behind it."""
        key = (machine_id, batch.head.journal)
        cursor = self._cursors.get(key)
        if cursor is None:
            cursor = self._cursors[key] = _Cursor()
            if len(self._cursors) > JOURNALS:
                self._cursors.popitem(last=False)
        self._cursors.move_to_end(key)
        if next_seq >= cursor.next_seq:
            cursor.next_seq, cursor.hash = next_seq, digest
        if batch.head.end not in cursor.ends:
            cursor.order.append(batch.head.end)
            if len(cursor.order) > BATCHES:
                del cursor.ends[cursor.order.popleft()]
        cursor.ends[batch.head.end] = batch.head.last

    def forget(self, machine_id: int, journal: str) -> None:
        """Forget a journal: it was quarantined, or its transaction failed."""
        self._cursors.pop((machine_id, journal), None)
