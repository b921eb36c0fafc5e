"""What may become of a journal's file between two lives: it is damaged, gone, or an old copy.

The last thing that happens to a life: afterwards a technician begins a new journal if the old one
is refused, everything is counted, and the machine must sell again, its books equal to the cash.
What the lost records told of is not judged.
"""

from __future__ import annotations

import random
from typing import Final

from simulator.disk import Choice, Disk

DATABASE: Final = ".db"
LOG: Final = ".db-wal"
DAMAGES: Final = ("deleted", "page", "log", "old")


def copy_of(disk: Disk, rng: random.Random) -> Disk:
    """Return the disk as somebody would copy it now."""
    return disk.image(Choice.EVERYTHING, rng)


def damage(disk: Disk, how: str, older: Disk, rng: random.Random) -> Disk:
    """Return what the next start finds.

    Args:
        disk: As the last life left it.
        how: One of DAMAGES.
        older: A copy from earlier in this machine's life.
        rng: Draws where it is damaged.
    """
    match how:
        case "deleted":
            for name in [name for name in disk.files if DATABASE in name]:
                disk.remove(name)
        case "page":
            _flip(disk, DATABASE, rng, last=False)
        case "log":
            _flip(disk, LOG, rng, last=True)
        case _:
            return older
    return disk


def _flip(disk: Disk, suffix: str, rng: random.Random, *, last: bool) -> None:
    """Flip a bit of a file; near its end if ``last``."""
    for name, file in sorted(disk.files.items()):
        size = len(file.data)
        if name.endswith(suffix) and size:
            first = max(0, size - 500) if last else 0
            disk.corrupt(name, rng.randrange(first, size))
            return
