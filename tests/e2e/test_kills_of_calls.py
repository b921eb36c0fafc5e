"""SIGKILL of a real vendd at its writes and syncs: the modelled disk is honest.

Every call of every scene takes some minutes (``./run soak`` does it), so a stride goes through
some of them here: others every day, until each had its turn. ``VENDD_KILLS_DAY=N`` plays a day's
once more.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

import pytest

from simulator.real_kills import CallKiller, Found
from simulator.real_machines import MACHINES
from simulator.rig import Rig
from tests.e2e.kill_kit import DAY, the_day

# Some thirty starts of real processes, on however busy a machine.
pytestmark = pytest.mark.timeout(600)

STRIDE = 9  # calls; a scene makes fifteen to forty
SPEED = 4.0  # a dead vendd's motor stands before its spiral has turned twice
StartRig = Callable[..., Awaitable[Rig]]


OF_MONEY = 3  # scenes of the first machine a day; one of the others has all of its own played
# The rest has two items or two payouts: for ./run soak.
OTHERS = ["rights", "claims", "line", "pulses"]


def of_the_day(machine: str, day: int) -> list[str]:
    """Return the scenes of a machine that have their turn on a day."""
    scenes = list(MACHINES[machine].scenes)
    if machine == "money":
        return [scenes[(day * OF_MONEY + place) % len(scenes)] for place in range(OF_MONEY)]
    return scenes if OTHERS[day % len(OTHERS)] == machine else []


def test_each_scene_has_its_day() -> None:
    for machine in ("money", *OTHERS):
        played = {scene for day in range(739_000, 739_008) for scene in of_the_day(machine, day)}
        assert played == set(MACHINES[machine].scenes)


async def kills(rig: Rig, machine: str, scenes: Sequence[str]) -> list[Found]:
    killer = CallKiller(rig, MACHINES[machine])
    await killer.begin()
    found: list[Found] = []
    for index, scene in enumerate(scenes):
        calls = await killer.count(scene)
        assert calls >= STRIDE
        found += [await killer.kill(scene, n) for n in range(1 + index, calls + 1, STRIDE)]
    assert await killer.finish() == []
    return found


@pytest.mark.parametrize("which", ["money", "other"])
async def test_a_kill_at_any_call_leaves_what_the_model_says_and_the_money_right(
    rigs: StartRig, which: str
) -> None:
    day = the_day()
    machine = "money" if which == "money" else OTHERS[day % len(OTHERS)]
    scenes = of_the_day(machine, day)
    rig = await rigs(link="native", speed=SPEED, edits=MACHINES[machine].edits)
    found = await kills(rig, machine, scenes)
    assert [one for one in found if one.problems] == [], f"{DAY}={day}"
    reached = [one for one in found if one.reached]
    assert len(reached) >= 2 * len(scenes) - 2, "commits are grouped as they come"
    assert {one.after.split()[0] for one in reached} <= {"write", "sync"}


async def test_a_vendd_that_would_not_sync_is_found(rigs: StartRig) -> None:
    killer = CallKiller(await rigs(link="native", speed=SPEED))
    await killer.begin()
    honest = await killer.kill("coins, with change", 20)
    assert honest.reached
    assert honest.problems == []
    assert killer.last is not None
    never = replace(killer.last, calls=[one for one in killer.last.calls if one.call != "sync"])
    found = Found("coins, with change", 20)
    await killer.examine(found, never)
    assert "was told" in found.problems[0]
    lying = replace(killer.last, calls=killer.last.calls[:-2])
    found = Found("coins, with change", 20)
    await killer.examine(found, lying)
    assert "differs from the model" in found.problems[0]
