"""The demo's second act tells the truth about its fleet: what does not hold fails it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from simulator.demo.fleet import Fleet
from simulator.demo.main import main
from simulator.demo.scenes import SCENES
from simulator.demo.stage import Stage

FAST = ("--speed", "10")
BY_NAME = {scene.name: scene for scene in SCENES}


async def stolen_elsewhere(fleet: Fleet, stage: Stage) -> None:
    """A good scene, in which somebody takes a coin out of another machine."""
    await BY_NAME["fleet-credit"].play(fleet, stage)
    gym = fleet.rig("gym").sim
    await gym.empty_tubes(50, (await gym.truth()).tubes[50] - 1)


def test_a_coin_that_is_gone_in_one_machine_fails_the_closing_table_and_no_other_machine(
    capsys: pytest.CaptureFixture[str],
) -> None:
    scenes = [BY_NAME["fleet-refund"], replace(BY_NAME["fleet-credit"], play=stolen_elsewhere)]
    assert main([*FAST, "--json"], stories=(), scenes=scenes) == 1
    said = capsys.readouterr()
    found = json.loads(said.out)
    assert (found["ok"], found["fleet"]["ok"], found["fleet"]["problems"]) == (False, False, [])
    assert [(story["story"], story["ok"]) for story in found["fleet"]["stories"]] == [
        ("fleet-refund", True),
        ("fleet-credit", True),
    ]
    gym, kitchen = found["fleet"]["machines"]
    assert (gym["machine"], gym["equal"]) == ("gym", False)
    assert (kitchen["machine"], kitchen["equal"]) == ("kitchen", True)
    wrong = {line["words"]: line for line in gym["lines"] if not line["equal"]}
    assert set(wrong) == {"coins in the tubes", "accounts, to the cent"}
    tubes = wrong["coins in the tubes"]
    assert tubes["cloud"] == tubes["ledger"] == tubes["truth"] + 50
    assert "The fleet does not hold: failed: gym" in said.err


def test_a_scene_that_goes_another_way_fails_the_demo_by_name(
    capsys: pytest.CaptureFixture[str],
) -> None:
    price = BY_NAME["fleet-price"]
    wrong = replace(price, expected=replace(price.expected, inserted=120))
    assert main(FAST, stories=(), scenes=[wrong]) == 1
    said = " ".join(capsys.readouterr().out.split())
    assert "paid in cash: 130, expected 120" in said
    assert "The fleet does not hold: failed: fleet-price" in said


def test_a_machine_that_was_alone_is_taken_over_catches_up_and_sells_on(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The whole scene, of a shorter week: lived in virtual time, then real processes."""
    scenes = [BY_NAME["fleet-week"]]
    assert main([*FAST, "--days", "0.6", "--json"], stories=(), scenes=scenes) == 0
    said = capsys.readouterr()
    found = json.loads(said.out)["fleet"]
    assert (found["ok"], found["problems"]) == (True, [])
    assert [(story["story"], story["ok"]) for story in found["stories"]] == [("fleet-week", True)]
    assert found["caught_up"]["records"] > 100
    (lobby,) = found["machines"]
    lines = {line["words"]: line for line in lobby["lines"]}
    assert lines["products sold"]["cloud"] == lines["products sold"]["truth"] > 10
    assert lobby["equal"]
    told = " ".join(said.err.split())
    assert "0.6 days:" in told
    assert "a real vendd starts: each coin and product is there" in told
