"""SIGKILL of a real vendd at its writes and syncs: the modelled disk is honest.

Every call of every scene takes some minutes (``./run soak`` does it), so a stride goes through
them here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from simulator.real_kills import SCENES, CallKiller, Found
from simulator.rig import Rig

# Some thirty starts of real processes, on however busy a machine.
pytestmark = pytest.mark.timeout(600)

STRIDE = 9  # calls; a scene makes fifteen to forty
SPEED = 4.0  # a dead vendd's motor stands before its spiral has turned twice
StartRig = Callable[..., Awaitable[Rig]]


async def test_a_kill_at_any_call_leaves_what_the_model_says_and_the_money_right(
    rigs: StartRig,
) -> None:
    killer = CallKiller(await rigs(link="native", speed=SPEED))
    await killer.begin()
    found: list[Found] = []
    for index, scene in enumerate(SCENES):
        calls = await killer.count(scene)
        assert calls >= STRIDE
        found += [await killer.kill(scene, n) for n in range(1 + index, calls + 1, STRIDE)]
    assert await killer.finish() == []
    assert [one for one in found if one.problems] == []
    reached = [one for one in found if one.reached]
    assert len(reached) >= 2 * len(SCENES) - 2, "commits are grouped as they come"
    assert {one.after.split()[0] for one in reached} == {"write", "sync"}


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
