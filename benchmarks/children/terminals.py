"""Starts far sides and hears what they have seen."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

_END_S: Final = 10.0


class Terminal:
    """A far side that runs.

    Attributes:
        path: The terminal's name.
        seen: What it saw, after its end.
    """

    def __init__(self, kind: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.children.far_side", kind],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        self.path = str(json.loads(self._process.stdout.readline())["path"])
        self.seen: dict[str, Any] = {}

    def end(self) -> None:
        """End it and hear what it saw."""
        output, _ = self._process.communicate(timeout=_END_S)
        self.seen = json.loads(output)


@contextmanager
def terminal(kind: str) -> Iterator[Terminal]:
    """Start a far side, and end it."""
    far = Terminal(kind)
    try:
        yield far
    finally:
        far.end()
