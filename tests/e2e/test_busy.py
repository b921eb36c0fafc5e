"""A real vendd that does not get its turn while a motor turns."""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable

from simulator.real_scenes import credited
from simulator.rig import Rig

StartRig = Callable[..., Awaitable[Rig]]

HOME = 5  # of A1: low while its cam is at home


async def test_a_cam_that_passes_home_while_vendd_stands_still_ends_its_turn(
    rigs: StartRig,
) -> None:
    """Its edges say when they were; a second turn would give another product."""
    rig = await rigs(speed=2.0)
    vendd = await rig.start_vendd()
    await rig.api.until_selling()
    await rig.sim.insert_coin(200)
    await credited(rig, 200)
    mark = await rig.sim.mark()
    await rig.sim.press_keys("A1")
    await rig.sim.wait_for(pin=HOME, level=True, since=mark)
    vendd.signal(signal.SIGSTOP)
    for level in (False, True):
        mark = await rig.sim.mark()
        await rig.sim.wait_for(pin=HOME, level=level, since=mark)
    vendd.signal(signal.SIGCONT)
    await rig.api.until_record("vend.closed")
    await rig.settled()
    (turn,) = [r["data"] for r in rig.api.records if r["type"] == "dispense.finished"]
    assert (turn["outcome"], turn["column"]) == ("dropped", "A1")
    reckoning = await rig.reckoning()
    assert reckoning.agrees, reckoning.differences
