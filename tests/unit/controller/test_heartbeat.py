"""vendd's sign of life: through the guard's pipe, or straight to the service manager."""

import os
import socket
from pathlib import Path

import pytest

from controller.heartbeat import HEARTBEAT_VARIABLE, Heartbeat, sd_notify


class Now:
    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def test_beats_and_words_are_lines_on_the_guards_pipe() -> None:
    reader, writer = os.pipe()
    environ = {HEARTBEAT_VARIABLE: str(writer), "NOTIFY_SOCKET": "/nowhere"}
    lost: list[str] = []
    heart = Heartbeat.from_environment(environ, Now(), lambda: lost.append("lost"))
    assert HEARTBEAT_VARIABLE not in environ
    assert not os.get_inheritable(writer)
    heart.beat()
    heart.tell("STATUS=two\nlines")
    assert os.read(reader, 100) == b"\nSTATUS=two lines\n"
    os.close(reader)
    heart.beat()
    heart.beat()
    assert lost == ["lost"]


def test_a_guard_that_does_not_read_never_blocks_vendd() -> None:
    reader, writer = os.pipe()
    heart = Heartbeat.from_environment({HEARTBEAT_VARIABLE: str(writer)}, Now(), lambda: None)
    for _ in range(70_000):  # more than a pipe holds
        heart.beat()
    os.close(reader)
    os.close(writer)


@pytest.mark.parametrize("name", ["notify", "@vendd-test-notify"])
def test_without_a_guard_the_service_manager_hears_one_beat_a_second(
    tmp_path: Path, name: str
) -> None:
    address = name if name.startswith("@") else str(tmp_path / name)
    now = Now()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(address.replace("@", "\0"))
        manager.setblocking(False)
        heart = Heartbeat.from_environment({"NOTIFY_SOCKET": address}, now, lambda: None)
        heart.tell("READY=1")
        for _ in range(25):  # 2.5 seconds
            heart.beat()
            now.seconds += 0.1
        heard = [manager.recv(100) for _ in range(4)]
        with pytest.raises(BlockingIOError):
            manager.recv(100)
    assert heard == [b"READY=1", *[b"WATCHDOG=1"] * 3]


def test_alone_and_with_a_manager_that_is_gone_nothing_happens(tmp_path: Path) -> None:
    heart = Heartbeat.from_environment({}, Now(), lambda: None)
    heart.beat()
    heart.tell("READY=1")
    sd_notify(str(tmp_path / "gone"), "READY=1")
