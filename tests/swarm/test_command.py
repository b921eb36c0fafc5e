"""``vendsim swarm`` as somebody types it: what is asked for oddly, and what it prints."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import sys
from dataclasses import replace
from functools import partial
from multiprocessing import active_children
from threading import Event
from typing import Final

import pytest
from rich.console import Console

from simulator.cli import main
from simulator.cli.swarm import _show
from simulator.swarm import build, run
from simulator.swarm.draw import draw, luck
from simulator.swarm.plan import Act, Build, Life, Step
from simulator.swarm.report import story
from simulator.swarm.run import Order, carry_out_all
from simulator.swarm.shrink import shrink
from simulator.swarm.verdict import Verdict
from tests.swarm.stopping import stopped_in_the_third


def typed(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Return status, output and complaints of one command."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["vendsim", "swarm", *words])
        with pytest.raises(SystemExit) as ended:
            main()
    told = capsys.readouterr()
    code = ended.value.code
    return (code if isinstance(code, int) else 0), told.out, told.err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--seeds", "5..1"), "holds no seed: 1 comes before 5"),
        (("--seeds", "abc"), "is no seed and no range"),
        (("--seeds", "1..2..3"), "is no seed and no range"),
        (("--faults", ""), "no fault is named"),
        (("--faults", " , "), "no fault is named"),
        (("--faults", "none,jam"), "'none' stands alone"),
        (("--only", "3,99", "--vends", "10"), "there is no customer 99"),
        (("--only", "0"), "there is no customer 0"),
        (("--only", "a"), "is no list of numbers"),
        (("--link", "wifi"), "no link 'wifi'; there are: adapter, native"),
        (("--replay", "garbage"), "no life that can be played"),
    ],
)
def test_who_asks_for_nothing_that_can_be_played_is_told(
    words: tuple[str, ...], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, complaint = typed(capsys, *words)
    assert code == 2, "1 would say that a promise was broken"
    assert out == ""
    assert says in " ".join(complaint.replace("│", " ").split())
    assert "Traceback" not in complaint


def test_json_names_the_seed_of_each_trace(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = typed(capsys, "--seeds", "3..5", "--vends", "2", "--faults", "none", "--json")
    told = json.loads(out)
    assert code == 0
    assert told["seeds"] == [3, 4, 5]
    assert len(told["traces"]) == told["lives"] == 3
    assert (told["broken"], told["stopped"]) == ([], False)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_who_stops_it_hears_what_was_found_until_then(
    number: signal.Signals, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "carry_out_all", partial(stopped_in_the_third, number))
    words = ("--seeds", "1..9", "--vends", "2", "--faults", "none")
    code, out, _ = typed(capsys, *words, "--json")
    assert code == 130
    told = json.loads(out)
    assert (told["lives"], told["stopped"]) == (2, True)
    code, out, _ = typed(capsys, *words)
    assert code == 130
    assert out.startswith("stopped before its end\n2 lives")


def whose(job: int) -> int:
    """Tell who works, or work for ever."""
    if job:
        Event().wait()
    return os.getpid()


ITS_STARTER: Final = """
from simulator.swarm.workers import share_out
from tests.swarm.test_command import whose
for pid in share_out(whose, [0, 1, 1, 1], 1):
    print(pid, flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_no_worker_outlives_whoever_started_it(number: signal.Signals) -> None:
    with subprocess.Popen([sys.executable, "-c", ITS_STARTER], stdout=subprocess.PIPE) as starter:
        assert starter.stdout is not None
        worker = os.pidfd_open(int(starter.stdout.readline()))
        try:
            starter.send_signal(number)
            assert starter.wait() == -number
            assert select.select([worker], [], [], 30.0)[0] == [worker], "it still works"
        finally:
            os.close(worker)


def test_who_stops_listening_leaves_no_worker_behind() -> None:
    verdicts = carry_out_all((Order(seed, 40, shrink=False) for seed in range(1, 1_000)), 2)
    assert next(verdicts).life.seed == 1
    verdicts.close()  # type: ignore[attr-defined]  # it is a generator
    assert active_children() == []


def test_workers_tell_the_same_traces_in_the_same_order() -> None:
    orders = [Order(seed, 4, shrink=False) for seed in (11, 12, 13)]
    alone = [verdict.trace for verdict in carry_out_all(orders)]
    assert [verdict.trace for verdict in carry_out_all(orders, 2)] == alone


# ------------------------------------------------------------------------------ what a person sees


def broken(life: Life) -> Verdict:
    """Play as if a promise were broken on whatever machine."""
    return Verdict(life, ["a promise is broken"], step=life.steps[0].number)


def test_a_short_story_leaves_out_what_does_not_matter() -> None:
    drawn = replace(draw(build.base_settings(), 1, 6, luck("all")), finale="old")
    short = shrink(broken(drawn), broken).life
    assert short.finale == ""
    assert replace(short.build, link="adapter") == Build()
    assert next(iter(story(short))) == f"machine: link={drawn.build.link}"


def test_a_story_names_what_is_unusual_about_the_machine() -> None:
    told = story(Life(1, Build("native", tube_fill=3), (Step(1, (Act("coin", 50),)),)))
    assert list(told) == ["machine: link=native, tube_fill=3", "   1: coin 50"]


def test_a_terminal_shows_how_far_it_is_and_folds_the_sum_between_words(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # as a terminal that knows colours
    monkeypatch.setenv("COLUMNS", "60")
    code, out, _ = typed(capsys, "--seeds", "1..2", "--vends", "2", "--faults", "none")
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", out).replace("\r", "\n").splitlines()
    assert code == 0
    assert any(line.startswith("1 of 2 lives") for line in lines)
    begin = next(number for number, line in enumerate(lines) if line.startswith("2 lives, "))
    assert all(len(line) <= 60 for line in lines[begin:])
    assert "0 broken seeds 1..2" in " ".join(lines[begin:])


def test_a_terminal_has_what_it_has_no_room_for_under_its_words_and_the_command_whole(
    capsys: pytest.CaptureFixture[str],
) -> None:
    life = Life(1, Build(), (Step(1, (Act("coin", 50),)),))
    record = "5.949 17 v17 credit_return.opened {'amount': 5, 'reason': 'coin return'}"
    verdict = replace(broken(life), journal=[record])
    terminal = Console(width=60, force_terminal=True, color_system=None, highlight=False)
    _show(terminal, verdict, f"vendsim swarm --replay {'x' * 80}")
    assert capsys.readouterr().out.splitlines() == [
        "seed 1, customer 1:",
        "  a promise is broken",
        "  machine: link=adapter",
        "     1: coin 50",
        "  journal 5.949 17 v17 credit_return.opened {'amount': 5,",
        "                      'reason': 'coin return'}",
        f"  again: vendsim swarm --replay {'x' * 80}",
    ]
