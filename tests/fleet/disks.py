"""A small disk that a test can fill, for a server that is a process of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final

from tests.fleet.servers import as_postgres

MIB: Final = 1 << 20
SIZE_MIB: Final = 160  # an empty PostgreSQL cluster has 60, and a migrated database 10


class SmallDisk:
    """A file system of its own, of memory: full when it is full, for everybody.

    Raises:
        OSError: This user may mount nothing.
    """

    why = "No space left on device"

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="vendd-disk-"))
        self.folder.chmod(0o755)  # the database runs as another user
        command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE_MIB}m", "vendd-disk"]
        done = subprocess.run(
            [*command, str(self.folder)], capture_output=True, text=True, timeout=30, check=False
        )
        if done.returncode:
            self.folder.rmdir()
            raise OSError(done.stderr.strip())

    def fill(self, _server: int) -> None:
        """Leave not a byte."""
        with (self.folder / "filler").open("ab", buffering=0) as file:
            for size in (MIB, 4_096, 1):
                with suppress(OSError):
                    while True:
                        file.write(bytes(size))
        assert not shutil.disk_usage(self.folder).free

    def free(self, _server: int) -> None:
        """Make room again."""
        (self.folder / "filler").unlink()

    def remove(self) -> None:
        subprocess.run(["umount", "-l", str(self.folder)], timeout=30, check=True)
        self.folder.rmdir()


class SmallFiles:
    """Where nothing can be mounted: no file of the server may grow beyond a mebibyte.

    The kernel refuses the same writes as on a full disk, with another word (EFBIG). The server's
    own log and a segment of its journal are smaller.
    """

    why = "File too large"

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="vendd-disk-"))
        self.folder.chmod(0o755)

    def fill(self, server: int) -> None:
        """Let nothing grow, of the server's process and of those that it has started."""
        self._limit(server, str(MIB))

    def free(self, server: int) -> None:
        """Let them grow again."""
        self._limit(server, "unlimited")

    @staticmethod
    def _limit(server: int, most: str) -> None:
        # The first process first: what it starts from then on is limited as it is.
        for path in (None, Path(f"/proc/{server}/task/{server}/children")):
            found = [str(server)]
            if path is not None:
                found = path.read_text(encoding="ascii").split() if path.exists() else []
            for process in found:
                # As its own user: root may have lost the right to do that to others.
                command = as_postgres(["prlimit", "--pid", process, f"--fsize={most}:unlimited"])
                done = subprocess.run(command, capture_output=True, timeout=30, check=False)
                assert not done.returncode or not Path(f"/proc/{process}").exists(), done.stderr

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


def small_disk() -> SmallDisk | SmallFiles:
    """Return a small disk, or what stands for one where this user may mount nothing."""
    if os.geteuid() == 0:
        with suppress(OSError):
            return SmallDisk()
    return SmallFiles()
