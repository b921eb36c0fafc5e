"""Where a benchmark runs: a folder on a real disk, child processes, words on how far it is."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks import syscalls

_MEMORY: Final = frozenset({"tmpfs", "ramfs"})
_STAT: Final = Path("/proc/stat")
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_MOUNTS: Final = Path("/proc/self/mounts")
# A slow card and a loaded machine; longer than this, something hangs.
CHILD_LIMIT_S: Final = 900.0


class BenchError(Exception):
    """A benchmark could not be run; says why."""


@dataclass(frozen=True, slots=True)
class Place:
    """What every benchmark is given.

    Args:
        root: A folder of this run, on a disk.
        quick: Fewer samples, for a look.
    """

    root: Path
    quick: bool = False

    def many(self, full: int, quick: int) -> int:
        """Return how many samples to take."""
        return quick if self.quick else full

    def say(self, words: str) -> None:
        """Tell how far it is."""
        sys.stderr.write(f"bench: {words}\n")
        sys.stderr.flush()

    def folder(self, name: str) -> Path:
        """Return a fresh folder."""
        return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self.root))

    def child(self, module: str, *arguments: object) -> Any:
        """Run a child to its end and return what it found. Raises BenchError."""
        return _run(_command(module, *arguments))

    def traced(
        self, module: str, *arguments: object, folder: Path, slow_sync_ms: float = 0.0
    ) -> tuple[Any, list[syscalls.Call]]:
        """Run a child under strace; return what it found and its calls below ``folder``.

        Raises:
            BenchError: strace is not there or may not look.
        """
        log = self.folder("strace") / "log"
        try:
            command = syscalls.command(log, _command(module, *arguments), slow_sync_ms=slow_sync_ms)
        except syscalls.NoStraceError as error:
            raise BenchError(str(error)) from error
        found = _run(command)
        with log.open(encoding="utf-8", errors="replace") as lines:
            return found, list(syscalls.read_log(lines, folder))


def environment() -> dict[str, str]:
    """Return the environment of what is measured: byte code is kept, as where it is installed."""
    ours = dict(os.environ)
    ours.pop("PYTHONDONTWRITEBYTECODE", None)
    return ours


def _command(module: str, *arguments: object) -> list[str]:
    return [sys.executable, "-m", f"benchmarks.children.{module}", *map(str, arguments)]


def _run(command: list[str]) -> Any:
    try:
        done = subprocess.run(
            command, capture_output=True, timeout=CHILD_LIMIT_S, env=environment(), check=True
        )
    except subprocess.CalledProcessError as error:
        last = error.stderr.decode(errors="replace").strip().splitlines()[-8:]
        raise BenchError("\n".join([f"{' '.join(command)}: {error.returncode}", *last])) from error
    except subprocess.TimeoutExpired as error:
        raise BenchError(f"{' '.join(command)}: not done in {CHILD_LIMIT_S:g} s") from error
    return json.loads(done.stdout.splitlines()[-1])


class Neighbours:
    """How much of the machine others used meanwhile: what a missed limit must be read with."""

    def __init__(self) -> None:
        self._busy, self._whole = _machine_ticks()
        self._ours = _our_seconds()

    def share(self) -> float:
        """Return the part of all processors that neither idled nor worked for us, 0 to 1."""
        busy, whole = _machine_ticks()
        ours = (_our_seconds() - self._ours) * _TICKS
        return max(0.0, busy - self._busy - ours) / max(1.0, whole - self._whole)


def _machine_ticks() -> tuple[float, float]:
    """Return the processors' ticks so far that were not idle, and all."""
    ticks = [
        float(word) for word in _STAT.read_text(encoding="ascii").split("\n", 1)[0].split()[1:9]
    ]
    return sum(ticks) - ticks[3] - ticks[4], sum(ticks)


def _our_seconds() -> float:
    """Return the processor time of this process and of its children that have ended."""
    return sum(
        usage.ru_utime + usage.ru_stime
        for usage in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


@contextmanager
def place(folder: Path, *, quick: bool) -> Iterator[Place]:
    """Make the folder of a run, and remove it.

    Raises:
        BenchError: It is in memory, where a sync costs nothing.
    """
    with tempfile.TemporaryDirectory(prefix="vendd-bench-", dir=folder) as root:
        kind = file_system(Path(root))
        if kind in _MEMORY:
            raise BenchError(f"{folder} is in memory ({kind}): name one on a disk with --folder")
        yield Place(Path(root), quick)


def file_system(folder: Path, mounts: str | None = None) -> str:
    """Return the kind of the file system that a folder is on, an empty string if unknown.

    Args:
        folder: Where.
        mounts: The kernel's list of mounts, by default as it is now.
    """
    if mounts is None:
        mounts = _MOUNTS.read_text(encoding="utf-8") if _MOUNTS.exists() else ""
    best, kind = "", ""
    for line in mounts.splitlines():
        _, point, name, *_ = line.split(" ")
        if folder.is_relative_to(point) and len(point) >= len(best):
            best, kind = point, name
    return kind
