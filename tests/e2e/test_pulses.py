"""A pulse acceptor on the pins of a real vendd that does not get its turn."""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable

from simulator.real_machines import PULSED
from simulator.real_scenes import coins_on_record, credited
from simulator.rig import Rig

StartRig = Callable[..., Awaitable[Rig]]

# As fast as acceptors are: a vendd that stood still hears of all edges of several coins at once.
QUICK = {old: new.replace("gap_ms = 1_000", "gap_ms = 300") for old, new in PULSED.items()}


async def test_coins_that_were_pulsed_while_vendd_stood_still_are_those_coins(
    rigs: StartRig,
) -> None:
    rig = await rigs(edits=QUICK)
    vendd = await rig.start_vendd()
    values = [200, 100, 50, 200]
    for coins in (values[:1], values[1:]):
        vendd.signal(signal.SIGSTOP)
        for value in coins:
            await rig.sim.insert_coin(value)
        await rig.sim.wait_for(still_s=0.1)
        vendd.signal(signal.SIGCONT)
        await credited(rig, sum(coins_on_record(rig)) + sum(coins))
    assert coins_on_record(rig) == values
    assert not [record for record in rig.api.records if record["type"] == "review.flagged"]
    reckoning = await rig.reckoning()
    assert reckoning.agrees, reckoning.differences
