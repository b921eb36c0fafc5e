"""A simulated machine and the vendd that drives it, each a process of its own, as installed."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.place import BenchError, Place, environment
from controller.cli.client import Client
from controller.cli.errors import CliError
from simulator.running import RunningMachine, start_machine

DEMO: Final = Path("config/machines/demo.toml")
BIN: Final = Path(sys.executable).parent
_UP_S: Final = 90.0
_STOP_S: Final = 20.0
_LOOK_S: Final = 0.01


def configured(place: Place, changes: Mapping[str, str]) -> Path:
    """Write the demo's file with some lines changed. Raises BenchError if one is not there."""
    text = DEMO.read_text(encoding="utf-8")
    for old, new in changes.items():
        if old not in text:
            raise BenchError(f"{DEMO} has no line {old!r}")
        text = text.replace(old, new)
    path = place.folder("machine") / "machine.toml"
    path.write_text(text, encoding="utf-8")
    return path


@dataclass(slots=True)
class Vendd:
    """A running vendd."""

    process: subprocess.Popen[bytes]
    socket: Path
    started_at: float  # monotonic seconds

    def wait_until(self, done: Callable[[dict[str, Any]], bool], words: str) -> dict[str, Any]:
        """Ask for the status until ``done``; returns it. Raises BenchError."""
        until = time.monotonic() + _UP_S
        while time.monotonic() < until:
            if self.process.poll() is not None:
                raise BenchError(f"vendd ended with {self.process.returncode}")
            status = self.status()
            if status is not None and done(status):
                return status
            time.sleep(_LOOK_S)
        raise BenchError(f"vendd: {words}: not within {_UP_S:g} s")

    def status(self) -> dict[str, Any] | None:
        """Return the status, None while nobody answers."""
        try:
            with Client(self.socket) as client:
                found = client.call("status")
        except CliError:
            return None
        assert isinstance(found, dict)
        return found

    def wait_until_it_sells(self) -> None:
        """Wait until every device is ready and money is taken. Raises BenchError."""

        def ready(status: dict[str, Any]) -> bool:
            devices = status["devices"]
            return status["mode"] in ("idle", "credit") and all(
                device["state"] == "ready" for device in devices
            )

        self.wait_until(ready, "every device ready")

    def stop(self) -> None:
        """End it in good order."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@contextmanager
def vendd(config: Path, home: Path, command: str = "run") -> Iterator[Vendd]:
    """Start vendd as its unit does, and end it."""
    started_at = time.monotonic()
    process = subprocess.Popen(
        [BIN / "vendd", command, "--config", config, "--home", home],
        env=environment(),
        stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    running = Vendd(process, home / "vendd.sock", started_at)
    try:
        yield running
    finally:
        running.stop()


def simulated(config: Path, home: Path, speed: float = 1.0) -> RunningMachine:
    """Start the hardware; to be used as a context."""
    return start_machine(config.resolve(), home, speed=speed)
