"""A past put where a real vendd and a real ``vendsim machine`` take it over."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Final

from simulator.lived.live import LivedError, Past
from simulator.state_file import write_state

_PRIVATE: Final = 0o600
_PLAIN: Final = 0o644
_SECRETS: Final = ".key"  # the end of what only its owner may read


def keep(past: Past, journal: Path, state: Path) -> None:
    """Write a journal's folder and a world's state.

    Args:
        past: What was lived.
        journal: The folder; it is made, and has to be empty.
        state: The file; it is replaced.

    Raises:
        LivedError: The folder holds something already.
        OSError: It can't be written.
    """
    fits(journal)
    journal.mkdir(parents=True, exist_ok=True)
    state.parent.mkdir(parents=True, exist_ok=True)
    for name, content in past.files.items():
        _write(journal / name, content)
    for name, size in past.reserved.items():
        with (journal / name).open("xb") as file:
            os.posix_fallocate(file.fileno(), 0, size)
    write_state(state, json.dumps(past.world))


def fits(journal: Path) -> None:
    """Look whether a journal may be put there. Raises LivedError."""
    if journal.exists() and (not journal.is_dir() or any(journal.iterdir())):
        raise LivedError(
            f"{journal} is there already and is not empty: a journal is never replaced"
        )


def _write(path: Path, content: bytes) -> None:
    mode = _PRIVATE if path.name.endswith(_SECRETS) else _PLAIN
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)
