"""A life that failed is played again by one command, the very same one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from simulator.swarm import build
from simulator.swarm.draw import draw, luck
from simulator.swarm.plan import Act, Build, End, Life, Step, Trouble
from simulator.swarm.play import play
from simulator.swarm.report import Tally, as_json, replay_command, side_by_side, story
from simulator.swarm.run import Order, carry_out
from simulator.swarm.shrink import shrink
from simulator.swarm.token import BadTokenError, decode, encode
from simulator.swarm.verdict import Verdict

ROOT = Path(__file__).parents[2]
BITTEN = Life(7, Build("native"), (Step(3, (Act("coin", 50), Act("keys", text="B4"))),))


@pytest.mark.parametrize("seed", range(40, 60))
def test_a_life_is_a_word_and_the_word_is_the_life(seed: int) -> None:
    life = draw(build.base_settings(), seed, 25, luck("all"))
    assert decode(encode(life)) == life


def test_values_of_every_kind_come_back_as_they_were() -> None:
    troubles = tuple(
        Trouble("changer", "x", value) for value in (True, 1, 1.0, "word", {3: -1, 4: 2})
    )
    end = End("power", "vend.opened", 3, 1.0, (End("kill", "", 2), End("stop")))
    life = Life(1, Build(tubes=(1, 2), stock=None), (Step(1, (), troubles, end), Step(2)))
    again = decode(encode(life))
    assert again == life
    assert [type(t.value) for t in again.steps[0].troubles] == [type(t.value) for t in troubles]


@pytest.mark.parametrize("word", ["", "x", "AAAA", encode(BITTEN)[:-3], encode(BITTEN) + "zz!"])
def test_a_damaged_word_is_refused(word: str) -> None:
    with pytest.raises(BadTokenError, match="no life that can be played"):
        decode(word)


def again(command: str, hash_seed: str) -> str:
    """Run a replay command in a process of its own; return the trace's hash."""
    program, *arguments = command.split()
    assert program == "vendsim"
    done = subprocess.run(
        [sys.executable, "-m", "simulator", *arguments, "--json"],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        check=False,
    )
    [trace] = json.loads(done.stdout)["traces"]
    return str(trace)


def test_the_command_of_a_report_plays_the_same_trace_in_any_process() -> None:
    life = draw(build.base_settings(), 61, 12, luck("all"))
    verdict = carry_out(Order(61, 12, life=life, shrink=False))
    command = replay_command(verdict)
    assert verdict.trace == again(command, "1") == again(command, "4711")


def fails_with(life: Life, *numbers: int) -> Verdict:
    """Play as if these customers together broke a promise."""
    there = {step.number for step in life.steps}
    found = ["a promise is broken"] if there.issuperset(numbers) else []
    return Verdict(life, found, step=max(numbers))


def test_a_failure_is_told_by_its_fewest_customers_and_troubles() -> None:
    life = draw(build.base_settings(), 62, 20, luck("all"))
    short = shrink(fails_with(life, 4, 9), lambda one: fails_with(one, 4, 9))
    assert [step.number for step in short.life.steps] == [4, 9]
    assert all(not step.troubles and step.end is None for step in short.life.steps)


def test_a_report_holds_the_journal_beside_the_truth() -> None:
    life = replace(BITTEN, seed=63)
    verdict, _ = play(build.base_settings(), life)
    verdict.findings = ["made up for this test"]
    verdict.journal = ["    1.000     1 v-     coins.deposited {}"]
    verdict.truth = ["    0.900 moved    coin 50: slot -> tube:3"]
    rows = list(side_by_side(verdict))
    assert [row.split()[0] for row in rows] == ["truth", "journal"]
    assert any("coin 50" in line for line in story(life))
    tally = Tally()
    tally.add(verdict)
    [broken] = json.loads(as_json(tally, 1.0, [replay_command(verdict)]))["broken"]
    assert broken["seed"] == 63
    assert decode(broken["replay"].split()[-1]) == life
