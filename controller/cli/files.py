"""Files that a command writes."""

from __future__ import annotations

import os


def private(path: str, flags: int) -> int:
    """Open a file, for ``open(opener=)``, that its owner alone may read: claim codes are in it."""
    return os.open(path, flags, 0o600)
