"""Start a simulated machine as a process of its own, and end it: for tests and stories."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from controller.clock import SystemClock
from simulator.client import SimClient, SimulatorError
from simulator.shapes import Hello

# A bare Raspberry Pi imports for some seconds; longer than this, something is wrong.
START_LIMIT_S: Final = 90.0
STOP_LIMIT_S: Final = 45.0


@dataclass(slots=True)
class RunningMachine:
    """A simulator's process, and a client that is connected to it.

    Args:
        process: The process, a child of ours.
        hello: What it said when it was ready.
        sim: A client.
    """

    process: subprocess.Popen[bytes]
    hello: Hello
    sim: SimClient

    @property
    def home(self) -> Path:
        """Return the folder of this run; what a controller gets as its home."""
        return Path(self.hello.paths.home)

    @property
    def control(self) -> Path:
        """Return the control socket, for further clients."""
        return Path(self.hello.paths.control)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """End it."""
        self.stop()

    def stop(self) -> int:
        """End the process in good order, by force after a while; returns its exit code."""
        self.sim.close()
        if self.process.poll() is None:
            self.process.terminate()
        try:
            code = self.process.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            return self.kill()
        self._close()
        return code

    def kill(self) -> int:
        """End the process at once, as a crash does."""
        self.sim.close()
        self.process.kill()
        code = self.process.wait()
        self._close()
        return code

    def _close(self) -> None:
        if self.process.stdout is not None:
            self.process.stdout.close()


def start_machine(
    config: Path,
    home: Path,
    *,
    state: Path | None = None,
    speed: float = 1.0,
    link: str | None = None,
    pins_on_exit: str = "keep",
) -> RunningMachine:
    """Start ``vendsim machine`` and wait until it is ready.

    Args:
        config: The machine's file.
        home: The folder of this run, made if it is not there.
        state: Where the world is kept across restarts.
        speed: How much faster than life.
        link: Instead of what the file says.
        pins_on_exit: What pins do when a controller ends.

    Raises:
        SimulatorError: It ended, or was not ready in time; its own words are on standard error.
    """
    command = [
        sys.executable, "-m", "simulator", "machine", "--json", "--config", str(config),
        "--dir", str(home), "--speed", str(speed), "--pins-on-exit", pins_on_exit,
    ]  # fmt: skip
    if state is not None:
        command += ["--state", str(state)]
    if link is not None:
        command += ["--link", link]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)  # noqa: S603 - our own program
    try:
        hello = Hello.model_validate(json.loads(_first_line(process)))
        return RunningMachine(process, hello, SimClient(Path(hello.paths.control)))
    except BaseException:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
        raise


def _first_line(process: subprocess.Popen[bytes]) -> bytes:
    """Return the ready line. Raises SimulatorError."""
    assert process.stdout is not None
    clock = SystemClock()
    until_s = clock.monotonic_s() + START_LIMIT_S
    descriptor = process.stdout.fileno()
    line = b""
    while not line.endswith(b"\n"):
        readable, _, _ = select.select(
            [descriptor], [], [], max(0.0, until_s - clock.monotonic_s())
        )
        if not readable:
            raise SimulatorError(f"the simulator was not ready within {START_LIMIT_S:g} s")
        part = os.read(descriptor, 65_536)
        if not part:
            raise SimulatorError(
                f"the simulator ended with code {process.wait()} instead of starting"
            )
        line += part
    return line
