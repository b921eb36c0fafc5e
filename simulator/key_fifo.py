"""A FIFO in the place of the kernel's input device of a keypad.

Keys pressed while nobody has it open are lost, as they are with ``/dev/input``.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path


class KeyFifo:
    """The writing end.

    Args:
        path: Made when it is not there.

    Raises:
        FileExistsError: Something else has the name.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        if not path.exists():
            os.mkfifo(path, 0o600)
        elif not stat.S_ISFIFO(path.stat().st_mode):
            raise FileExistsError(f"{path} is there already and is no FIFO")
        self._fd = self._open()
        self.lost = 0  # reports that nobody heard

    def write(self, report: bytes) -> None:
        """Write one report; lost when nobody reads, or when the reader is far behind."""
        try:
            os.write(self._fd, report)
        except BlockingIOError:
            self.lost += 1
        except BrokenPipeError:
            self.lost += 1
            # What a dead reader left unread goes with the old pipe.
            os.close(self._fd)
            self._fd = self._open()

    def close(self) -> None:
        """Close it; the FIFO stays for a reader that has it open and for the next simulator."""
        os.close(self._fd)

    def _open(self) -> int:
        """Open for writing, without waiting for a reader and without being one."""
        both = os.open(self._path, os.O_RDWR | os.O_NONBLOCK)
        try:
            return os.open(self._path, os.O_WRONLY | os.O_NONBLOCK)
        finally:
            os.close(both)
