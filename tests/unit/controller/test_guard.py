"""The guard with real processes: vendd ends in mid turn, each way, and the outputs are off."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

RIG = Path(__file__).with_name("guard_rig.py")
ROOT = Path(__file__).resolve().parents[3]
SAFE_WITHIN_S = 5.0  # a busy machine's; a motor of the rig may stay on for 30
SAFE = {5: 0, 6: 1}  # the second one is active low


@dataclass
class Rig:
    """A guard that runs, and what was written down."""

    process: subprocess.Popen[bytes]
    folder: Path

    def log(self) -> list[tuple[float, str, str]]:
        path = self.folder / "log"
        lines = path.read_text().splitlines() if path.exists() else []
        split = [line.split(" ", 2) for line in lines]
        return [(float(at), word, detail) for at, word, detail in split]

    def when(self, word: str) -> float:
        return next(at for at, said, _ in self.log() if said == word)

    def said(self, word: str) -> str:
        return next(detail for _, said, detail in self.log() if said == word)

    def until(self, word: str, seconds: float = 60.0) -> None:
        end = time.monotonic() + seconds
        while not any(said == word for _, said, _ in self.log()):
            assert time.monotonic() < end, f"no {word!r} within {seconds} s: {self.log()}"
            time.sleep(0.01)

    def levels(self) -> dict[int, int]:
        return dict(tuple(map(int, d.split())) for _, said, d in self.log() if said == "pin")  # type: ignore[misc]  # pairs

    def until_safe(self, seconds: float = 60.0) -> None:
        end = time.monotonic() + seconds
        while self.levels() != SAFE:
            assert time.monotonic() < end, f"not safe within {seconds} s: {self.log()}"
            time.sleep(0.01)

    def safe_after(self, word: str) -> float:
        """Return how long after ``word`` the last output became safe."""
        assert self.levels() == SAFE
        start = self.when(word)
        safe_at = {
            int(detail.split()[0]): at
            for at, said, detail in reversed(self.log())
            if said == "pin"
            and at >= start
            and int(detail.split()[1]) == SAFE[int(detail.split()[0])]
        }
        return max(safe_at.values()) - start


Start = Callable[..., Rig]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    rigs: list[Rig] = []

    def begin(way: str, role: str = "guard", **environ: str) -> Rig:
        process = subprocess.Popen(
            [sys.executable, str(RIG), role, way, str(tmp_path)],
            env={**os.environ, "PYTHONPATH": str(ROOT), **environ},
            stderr=subprocess.PIPE,
        )
        rigs.append(Rig(process, tmp_path))
        return rigs[-1]

    yield begin
    for rig in rigs:
        if rig.process.poll() is None:
            rig.process.kill()
        rig.process.communicate(timeout=60)
        for _, said, pid in rig.log():
            if said == "turning" and Path(f"/proc/{pid}").exists():
                os.kill(int(pid), signal.SIGKILL)


@pytest.mark.parametrize(
    ("way", "status"),
    [
        ("stop", 128 + signal.SIGKILL),  # hangs: stopped
        ("spin", 128 + signal.SIGKILL),  # hangs: busy
        ("kill", 128 + signal.SIGKILL),
        ("exit", 3),
        ("raise", 1),
        ("leave", 5),
    ],
)
def test_outputs_are_safe_soon_after_any_end_in_mid_turn(
    start: Start, way: str, status: int
) -> None:
    rig = start(way)
    assert rig.process.wait(timeout=60) == status
    assert rig.safe_after("now") < SAFE_WITHIN_S
    assert rig.said("guard-ends") == str(status)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_is_passed_on_and_vendd_ends_in_order(
    start: Start, number: signal.Signals
) -> None:
    rig = start("wait")
    rig.until("now")
    rig.process.send_signal(number)
    assert rig.process.wait(timeout=60) == 4
    assert rig.said("signal") == str(int(number))
    assert rig.levels() == SAFE


def test_a_start_that_holds_up_the_beats_is_given_its_time(start: Start) -> None:
    rig = start("slow")
    rig.until("now")
    rig.process.send_signal(signal.SIGTERM)
    assert rig.process.wait(timeout=60) == 4


def test_a_guard_that_dies_is_noticed_by_vendd_which_makes_itself_safe(start: Start) -> None:
    rig = start("wait")
    rig.until("now")
    killed_at = time.monotonic()
    rig.process.kill()
    rig.until("guard-lost")
    assert rig.when("guard-lost") - killed_at < SAFE_WITHIN_S
    rig.until_safe()


def test_a_vendd_without_a_guard_is_watched_by_its_own_thread(start: Start) -> None:
    rig = start("spin", role="vendd")
    rig.until("now")
    rig.until_safe()
    assert rig.safe_after("now") < SAFE_WITHIN_S
    assert rig.process.poll() is None  # it still hangs


def test_pins_that_cannot_be_reached_end_vendd_before_anything_turns_for_long(start: Start) -> None:
    rig = start("no-pins")
    _, said = rig.process.communicate(timeout=60)
    assert rig.process.returncode == 78
    assert b"these pins cannot be opened" in said


def test_words_for_the_service_manager_are_passed_up(start: Start, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(10)
        rig = start("wait", NOTIFY_SOCKET=str(tmp_path / "notify"))
        heard = {manager.recv(100) for _ in range(2)}
        rig.process.send_signal(signal.SIGTERM)
        rig.process.wait(timeout=60)
    assert heard == {b"READY=1", b"WATCHDOG=1"}
