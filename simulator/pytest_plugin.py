"""Fixtures for tests that need a simulated machine as a process of its own.

``machine`` is one on the demo's file; ``machines`` starts as many as a test wants, of any file.
Every process is ended by its id, whatever becomes of the test.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from simulator.running import RunningMachine, start_machine

DEMO: Final = Path(__file__).parents[1] / "config" / "machines" / "demo.toml"

StartMachine = Callable[..., RunningMachine]


@pytest.fixture
def run_folder() -> Iterator[Path]:
    """Give a folder whose name is short enough for sockets below it."""
    folder = Path(tempfile.mkdtemp(prefix="vendsim-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def machines(run_folder: Path) -> Iterator[StartMachine]:
    """Start simulators: ``machines(config=..., home=..., speed=...)``, see ``start_machine``."""
    started: list[RunningMachine] = []

    def start(config: Path = DEMO, home: Path | None = None, **options: Any) -> RunningMachine:
        machine = start_machine(config, home or run_folder, **options)
        started.append(machine)
        return machine

    yield start
    for machine in started:
        machine.stop()


@pytest.fixture
def machine(machines: StartMachine) -> RunningMachine:
    """Start the demo's machine at ten times the speed of life."""
    return machines(speed=10.0)
