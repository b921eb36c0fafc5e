"""``vendd guard``: the small parent of vendd that switches the outputs off when vendd can't.

A Pi's pins keep their level when a process is killed or stopped, so that a motor would run on. The
guard starts vendd, hears its heartbeat, kills it after half a second of silence, and after any end
of it drives every output safe. It passes signals down and words for the service manager up. What
is left if the guard dies, too, is vendd itself (it finds the pipe closed) and the service manager
(``ExecStopPost=vendd safe-outputs``).
It imports little, knows no pins, and does nothing that may wait for vendd.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from types import FrameType
from typing import Final

from controller.clock import SystemClock
from controller.faults import HardwareError, VenddError
from controller.heartbeat import HEARTBEAT_VARIABLE, NOTIFY_VARIABLE, ServiceManager
from controller.lean import ENVIRONMENT

# How a module of ours is started, whatever has its name in the folder that somebody is in.
OURS: Final = (sys.executable, "-P", "-m")
PASSED_ON: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
EXIT_CONFIG: Final = 78  # sysexits.h EX_CONFIG
EXIT_HARDWARE: Final = 69  # sysexits.h EX_UNAVAILABLE: not there now; start again and look
EXIT_UNSAFE: Final = 70  # sysexits.h EX_SOFTWARE: outputs may be on, ExecStopPost tries again
READY: Final = b"READY=1"  # sd_notify(3): what vendd tells the service manager, through us
_KILLED_BASE: Final = 128  # as a shell reports a death by signal
_READ_BYTES: Final = 65536  # the whole of a Linux pipe


@dataclass(frozen=True, slots=True)
class GuardTimes:
    """How patient the guard is, in seconds."""

    silence_s: float = 0.5  # between two beats, once vendd has said that it is ready
    # Before that nothing turns, and pins and a long journal are opened, on a cold Pi too.
    start_s: float = 30.0
    last_words_s: float = 0.5  # between the end of its pipe and the end of vendd


@dataclass(slots=True)
class _Child:
    """vendd, as its parent sees it."""

    process: subprocess.Popen[bytes]
    pipe: int
    deadline: float
    piped: bool = True  # its end of the pipe is open
    ready: bool = False  # it has said so; from now on motors may turn
    rest: bytes = field(default=b"")  # of a line


def guard_main(
    command: Sequence[str],
    make_safe: Callable[[], None],
    *,
    prepare: Callable[[], None] = lambda: None,
    times: GuardTimes | None = None,
) -> int:
    """Run ``command`` under guard.

    Args:
        command: vendd's own command line, ``run`` and all.
        make_safe: Drives every output to its safe level; called when vendd is dead.
        prepare: Loads what ``make_safe`` needs, while vendd starts (nothing forks after it).
        times: How patient to be.

    Returns:
        The exit status: vendd's, or 128 + signal if one killed it; 70 if the outputs could not be
        driven safe after an orderly end; 78 if the configuration has them wrong, 69 if they are
        out of reach in the first place.
    """
    said: set[str] = set()
    try:
        status = _run(command, prepare, times or GuardTimes(), said)
    finally:
        unsafe = _try(make_safe, said)
    return status or (EXIT_UNSAFE if unsafe else 0)


def _run(
    command: Sequence[str], prepare: Callable[[], None], times: GuardTimes, said: set[str]
) -> int:
    with _signals() as signals, _started(command, times) as guard:
        failed = _try(prepare, said)
        if failed is not None:
            guard.child.process.terminate()
        guard.listen(signals)
    status = guard.child.process.returncode
    if failed is not None:
        return EXIT_HARDWARE if isinstance(failed, HardwareError) else EXIT_CONFIG
    return _KILLED_BASE - status if status < 0 else status


def _try(step: Callable[[], None], said: set[str]) -> VenddError | None:
    """Return what a step failed with; it is said once, though it is tried again at the end."""
    try:
        step()
    except VenddError as error:
        if str(error) not in said:
            _say(str(error))
        said.add(str(error))
        return error
    return None


class _Guard:
    """Listens to one vendd until it is dead."""

    def __init__(self, child: _Child, times: GuardTimes, manager: ServiceManager) -> None:
        self.child = child
        self._times = times
        self._manager = manager
        self._now = SystemClock().monotonic_s

    def listen(self, signals: int) -> None:
        """Return when vendd is dead, by itself or by our hand."""
        child = self.child
        while child.process.poll() is None:
            waiting = [signals, child.pipe] if child.piped else [signals]
            left = max(0.0, child.deadline - self._now())
            ready, _, _ = select.select(waiting, [], [], left)
            if signals in ready:
                self._pass_on(os.read(signals, _READ_BYTES))
            if child.pipe in ready:
                self._hear(os.read(child.pipe, _READ_BYTES))
            # What is in the pipe was heard first: if it was we who slept, vendd is not to blame.
            if self._now() >= child.deadline and child.process.poll() is None:
                _say("no heartbeat: killing vendd")
                child.process.kill()
                child.process.wait()

    def _pass_on(self, numbers: bytes) -> None:
        for number in numbers:
            if number in PASSED_ON:
                with contextlib.suppress(ProcessLookupError):
                    self.child.process.send_signal(number)

    def _hear(self, data: bytes) -> None:
        child = self.child
        if not data:
            child.piped = False
            child.deadline = self._now() + self._times.last_words_s
            return
        *lines, child.rest = (child.rest + data).split(b"\n")
        child.ready |= READY in lines
        patience_s = self._times.silence_s if child.ready else self._times.start_s
        child.deadline = self._now() + patience_s
        self._manager.beat()
        for line in lines:
            if line:
                self._manager.tell(line.decode(errors="replace"))


@contextlib.contextmanager
def _started(command: Sequence[str], times: GuardTimes) -> Iterator[_Guard]:
    """Start vendd, in a process group of its own: a key on a terminal reaches it through us."""
    ours, theirs = os.pipe2(os.O_CLOEXEC)
    now = SystemClock().monotonic_s
    environ = {**ENVIRONMENT, **os.environ, HEARTBEAT_VARIABLE: str(theirs)}
    manager = ServiceManager(environ.pop(NOTIFY_VARIABLE, None), now)
    try:
        process = subprocess.Popen(  # noqa: S603 - the command is our own
            command, env=environ, pass_fds=(theirs,), process_group=0
        )
    except BaseException:
        os.close(ours)
        raise
    finally:
        os.close(theirs)
    try:
        yield _Guard(_Child(process, ours, now() + times.start_s), times, manager)
    finally:
        if process.poll() is None:  # we are failing ourselves: nobody would watch it any more
            process.kill()
            process.wait()
        os.close(ours)


@contextlib.contextmanager
def _signals() -> Iterator[int]:
    """Turn signals into bytes on a pipe, so that none comes between two of our steps."""
    ours, written = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    handled = (*PASSED_ON, signal.SIGCHLD)
    before = {number: signal.signal(number, _noted) for number in handled}
    wakeup = signal.set_wakeup_fd(written, warn_on_full_buffer=False)
    try:
        yield ours
    finally:
        signal.set_wakeup_fd(wakeup)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(ours)
        os.close(written)


def _noted(number: int, frame: FrameType | None) -> None:
    """Do nothing: the number is on the pipe."""
    del number, frame


def _say(text: str) -> None:
    sys.stderr.write(f"vendd guard: {text}\n")
    sys.stderr.flush()
