"""Files that are there whole or as they were before, whenever the power goes."""

from __future__ import annotations

import os
from pathlib import Path


def write_whole(path: Path, content: bytes, mode: int) -> None:
    """Write a file beside its name, put it in place, and make both last.

    Args:
        path: Where; its folder must be there.
        content: What.
        mode: Who may read it, from the first byte on.

    Raises:
        OSError: It is as it was before, or new, and may not outlast a power cut.
    """
    temporary = path.with_name(path.name + ".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(file.fileno(), mode)  # whatever the umask, or one that was left over
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    keep_names(path.parent)


def keep_names(folder: Path) -> None:
    """Make what was named, renamed or removed in a folder last. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
