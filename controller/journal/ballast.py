"""Room set aside, so that a full disk still has enough of it to end what is open."""

from __future__ import annotations

from typing import Final

from controller.journal.database import Storage
from controller.journal.errors import DiskError

BALLAST_FILE: Final = "ballast"
# Thousands of records, and twice the largest write-ahead log that the journal lets grow.
BALLAST_BYTES: Final = 8 * 1024 * 1024
# It comes back only when the disk has this much room beside it, so that it is not what fills it.
SPARE_BYTES: Final = 2 * BALLAST_BYTES


async def has_ballast(storage: Storage) -> bool:
    """Tell whether the ballast is there in its full size."""
    return await storage.size(BALLAST_FILE) == BALLAST_BYTES


async def free_ballast(storage: Storage) -> bool:
    """Give its room back; False when there was none to give."""
    if not await storage.size(BALLAST_FILE):
        return False
    await storage.remove([BALLAST_FILE])
    return True


async def restore_ballast(storage: Storage) -> bool:
    """Set the room aside again if there is plenty; tell whether it is there now.

    A machine without ballast still works, so a disk that refuses is no error here.
    """
    try:
        if await has_ballast(storage):
            return True
        if await storage.free_bytes() < BALLAST_BYTES + SPARE_BYTES:
            return False
        await storage.reserve(BALLAST_FILE, BALLAST_BYTES)
    except DiskError:
        return False
    return True
