"""The demo tells the truth: a story that does not hold ends it with an error, Ctrl-C ends it clean.

That all of its stories hold is ``test_stories.py``'s.
"""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from simulator.demo.main import main
from simulator.demo.stage import Stage
from simulator.demo.stories import STORIES, Expected, Story

EXACT = next(story for story in STORIES if story.name == "exact-coins")
MIND = next(story for story in STORIES if story.name == "changed-mind")
NOT_SEEN = next(story for story in STORIES if story.name == "not-seen")
FAST = ("--speed", "10")
END_S = 60.0


async def a_coin_is_stolen(stage: Stage) -> None:
    """Somebody takes a coin out of a tube, past vendd and past the books."""
    await EXACT.play(stage)
    left = (await stage.sim.truth()).tubes[50] - 1
    await stage.sim.empty_tubes(50, left)


async def one_bottle_hangs(stage: Stage) -> None:
    """The extra turn delivers, and the second column is never asked."""
    await stage.sim.set_fault("A1", "hang", 1)
    await EXACT.play(stage)


async def vendd_stays_dead(stage: Stage) -> None:
    await stage.kill_vendd()


SABOTAGED = {
    "another product is expected": (
        replace(EXACT, expected=replace(EXACT.expected, products=("cola",))),
        "products: ('water',), expected ('cola',)",
    ),
    "a cent less is expected": (
        replace(EXACT, expected=replace(EXACT.expected, inserted=149)),
        "paid in cash: 150, expected 149",
    ),
    "the display says something else": (
        replace(EXACT, expected=replace(EXACT.expected, shown=("Happy birthday",))),
        "the display never showed: Happy birthday",
    ),
    "the second column is not asked": (
        replace(NOT_SEEN, play=one_bottle_hangs),
        "turns: A1, A1 extra, expected A1, A1 extra, A2",
    ),
    "a coin is gone": (
        replace(EXACT, play=a_coin_is_stolen),
        "cash.tubes: the ledger says",
    ),
    "nobody starts vendd again": (
        Story("dead", "Nobody starts vendd again", "eve", vendd_stays_dead, Expected()),
        "vendd went away",
    ),
}


@pytest.mark.parametrize("sabotage", SABOTAGED)
def test_a_story_that_does_not_hold_ends_the_demo_with_an_error_that_names_it(
    sabotage: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    story, words = SABOTAGED[sabotage]
    assert main(FAST, stories=[MIND, story], scenes=()) == 1
    said = " ".join(capsys.readouterr().out.split())
    assert words in said
    assert f"It does not hold: failed: {story.name}" in said
    assert "✓ paid in €1.30, paid back €1.30 (coins)" in said, "the other story is told as it was"


def test_as_json_it_says_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    wrong = replace(EXACT, expected=replace(EXACT.expected, returned=1))
    assert main([*FAST, "--json"], stories=[MIND, wrong], scenes=()) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["ok"] is False
    assert [(story["story"], story["ok"]) for story in found["stories"]] == [
        ("changed-mind", True),
        ("exact-coins", False),
    ]
    assert found["stories"][1]["problems"] == ["came back to the tray: 0, expected 1"]
    assert all(line["equal"] for line in found["ledger"])
    assert found["journal"]["ok"]


def test_as_json_it_ends_with_0_when_all_holds(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*FAST, "--json", "--story", "changed-mind"]) == 0
    said = capsys.readouterr()
    found = json.loads(said.out)
    assert (found["ok"], found["stories"][0]["ways"]) == (True, ["coins"])
    assert "changes their mind" in said.err.lower() or "mind" in said.err, "it is told beside"


# Standard input becomes the terminal of the session, so that its keys are signals.
AT_A_TERMINAL = """
import fcntl, runpy, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
runpy.run_module("simulator.demo", run_name="__main__", alter_sys=True)
"""


@contextmanager
def on_a_terminal(home: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Start the demo as somebody does who sits at a terminal."""
    ours, theirs = pty.openpty()
    try:
        process = subprocess.Popen(
            [sys.executable, "-c", AT_A_TERMINAL, "--dir", str(home)],
            stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
            env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24"},
        )  # fmt: skip
        try:
            yield process, ours
        finally:
            process.kill()
            process.wait()
    finally:
        os.close(ours)
        os.close(theirs)


def read_until(terminal: int, words: bytes) -> bytes:
    said = b""
    while words not in said:
        said += os.read(terminal, 4_096)
    return said


def processes_of(home: Path) -> list[str]:
    """Return the command lines of all processes that have to do with a folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                line = (entry / "cmdline").read_bytes()
            except OSError:
                continue  # it has ended
            if str(home).encode() in line:
                found.append(line.replace(b"\0", b" ").decode(errors="replace"))
    return found


@pytest.mark.parametrize("moment", [b"vendd starts", b"puts in", b"keys A1"])
def test_ctrl_c_ends_it_with_everything_it_started(run_folder: Path, moment: bytes) -> None:
    home = run_folder / "demo"
    with on_a_terminal(home) as (process, terminal):
        before = termios.tcgetattr(terminal)
        said = read_until(terminal, moment)
        os.write(terminal, b"\x03")
        assert process.wait(END_S) == 130
        os.set_blocking(terminal, False)
        try:
            while part := os.read(terminal, 4_096):
                said += part
        except BlockingIOError:
            pass
        assert termios.tcgetattr(terminal) == before
    assert b"Traceback" not in said
    assert b"\x1b[?25l" not in said, "the cursor was never hidden, so it need not come back"
    assert processes_of(home) == []


def test_a_stop_from_outside_does_the_same(run_folder: Path) -> None:
    home = run_folder / "demo"
    with on_a_terminal(home) as (process, terminal):
        read_until(terminal, b"puts in")
        process.send_signal(signal.SIGTERM)
        assert process.wait(END_S) == 130
    assert processes_of(home) == []
