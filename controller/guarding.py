"""``python -m controller.guarding PLAN``: what ``vendd guard`` becomes once it knows what to guard.

A configuration takes 20 MiB to be read and checked, which a process that waits for years need not
keep: it is replaced by one that knows what to start and what to switch off, and loads no more.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import NoReturn

from controller import lean
from controller.guard import OURS, GuardTimes, guard_main
from controller.outputs import Outputs


def become_guard(command: Sequence[str], outputs: Outputs, silence_s: float) -> NoReturn:
    """Replace this process, whose number stays; nothing was started yet.

    Args:
        command: What to guard, as ``guard_main`` takes it.
        outputs: What to switch off when it has ended.
        silence_s: Between two beats, in seconds.
    """
    plan = {"command": list(command), "outputs": asdict(outputs), "silence_s": silence_s}
    sys.stdout.flush()
    sys.stderr.flush()
    ours = [*OURS, "controller.guarding", json.dumps(plan)]
    os.execv(sys.executable, ours)  # noqa: S606 - our own program, and no shell


def main(plan: str) -> int:
    """Guard; returns the exit status, as ``guard_main`` does."""
    lean.hold_back()  # the pins are loaded while vendd starts
    told = json.loads(plan)
    safe = Outputs(**told["outputs"]).reach()
    return guard_main(
        told["command"],
        safe.drive,
        prepare=safe.prepare,
        times=GuardTimes(silence_s=told["silence_s"]),
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
