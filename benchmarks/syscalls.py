"""What a process really asks of the disk: its system calls, seen (and slowed) by ``strace``.

A kernel filter (``--seccomp-bpf``) stops the process at the calls below and at nothing else. Marks
that the process writes to ``/dev/null`` stand in the same log, so that a log can be cut where a
vend begins and ends.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_SYNCS: Final = ("fsync", "fdatasync", "sync_file_range", "syncfs", "msync")
_WRITES: Final = ("write", "pwrite64", "writev", "pwritev", "pwritev2")
_TRACED: Final = ",".join(f"?{name}" for name in (*_SYNCS, *_WRITES))

_CALL: Final = re.compile(r"^(?P<pid>\d+)\s+(?P<name>\w+)\((?P<rest>.*)$")
_RESUMED: Final = re.compile(r"^(?P<pid>\d+)\s+<\.\.\. (?P<name>\w+) resumed>(?P<rest>.*)$")
_PATH: Final = re.compile(r"^\d+<(?P<path>[^>]*)>")
_RESULT: Final = re.compile(r"=\s*(?P<result>-?\d+)(?:\s|$)(?!.*=\s*-?\d)")
_MARK: Final = re.compile(r'</dev/null(?:<[^>]*>)?>,\s*"#(?P<mark>[^"]*)"')
_UNFINISHED: Final = "<unfinished ...>"


class NoStraceError(Exception):
    """``strace`` is not there; says how to get it."""


@dataclass(frozen=True, slots=True)
class Call:
    """A sync or a write below the folder that is watched, or a mark (``name`` is empty then)."""

    name: str
    path: str = ""
    bytes: int = 0
    mark: str = ""

    @property
    def syncs(self) -> bool:
        """Tell whether it waits for the disk."""
        return self.name in _SYNCS


@dataclass(frozen=True, slots=True)
class Cost:
    """What was asked of the disk between two marks."""

    syncs: int
    bytes: int


def command(
    log: Path, child: list[str], *, slow_sync_ms: float = 0.0, program: str | None = None
) -> list[str]:
    """Return ``child`` under strace, with each sync made slower by so much.

    Args:
        log: Where strace writes.
        child: What is looked at.
        slow_sync_ms: What each sync costs more.
        program: strace, by default the one that is installed.

    Raises:
        NoStraceError: It is not installed.
    """
    program = program or shutil.which("strace")
    if program is None:
        raise NoStraceError("strace is not installed: apt-get install strace")
    # A delayed call holds up its own thread alone, as a slow disk does.
    slow = f"--inject={','.join(f'?{n}' for n in _SYNCS)}:delay_enter={round(slow_sync_ms * 1000)}"
    return [
        program, "-f", "--seccomp-bpf", "-y", "-s", "40", "-e", "signal=none",
        "-e", f"trace={_TRACED}", *([slow] if slow_sync_ms else []), "-o", str(log), "--", *child,
    ]  # fmt: skip


class Marks:
    """Writes marks that cost a microsecond, or one stop under strace."""

    def __init__(self) -> None:
        self._null = os.open(os.devnull, os.O_WRONLY)

    def __call__(self, mark: str) -> None:
        """Write one."""
        os.write(self._null, b"#" + mark.encode("ascii"))


def read_log(lines: Iterable[str], folder: Path) -> Iterator[Call]:
    """Yield, in order of their ends, the calls on files below ``folder``, and the marks."""
    begun: dict[str, str] = {}
    below = f"{folder}/"
    for line in lines:
        text = line.rstrip()
        match = _CALL.match(text)
        if match is None:
            resumed = _RESUMED.match(text)
            if resumed is None or resumed["pid"] not in begun:
                continue
            name, rest = resumed["name"], begun.pop(resumed["pid"]) + resumed["rest"]
        elif text.endswith(_UNFINISHED):
            begun[match["pid"]] = match["rest"].removesuffix(_UNFINISHED)
            continue
        else:
            name, rest = match["name"], match["rest"]
        mark = _MARK.search(rest)
        if mark is not None:
            yield Call("", mark=mark["mark"])
            continue
        path = _PATH.match(rest)
        result = _RESULT.search(rest)
        if path is None or result is None or not path["path"].startswith(below):
            continue
        wrote = int(result["result"]) if name in _WRITES else 0
        yield Call(name, path["path"], max(0, wrote))


def between(calls: Iterable[Call], first: str, last: str) -> Iterator[Cost]:
    """Yield the cost of each stretch from a mark ``first`` to the next mark ``last``."""
    syncs = wrote = 0
    inside = False
    for call in calls:
        if call.mark == first:
            syncs, wrote, inside = 0, 0, True
        elif call.mark == last and inside:
            yield Cost(syncs, wrote)
            inside = False
        elif inside:
            syncs += call.syncs
            wrote += call.bytes
