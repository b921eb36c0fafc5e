"""How the ends of a life are played: stopped, killed, without power, and again in recovery."""

from __future__ import annotations

import asyncio
from typing import Final

from controller.saga.failure_cells import Phase
from tests.failures.acts import Play
from tests.failures.breaking import Break, Strike, is_over, jams_for_a_refund, power_fails

RECOVERING_S: Final = 0.3  # into a start: devices are being asked what happened


async def _stops(play: Play) -> None:
    if play.cell.phase is Phase.RECOVERY:
        await play.kill()
        await play.boot()
        await asyncio.sleep(RECOVERING_S)
    assert play.running is not None
    begun = play.loop.time()
    play.running.machine.stop("the service manager")
    await play.ends()
    play.stop_took_s = play.loop.time() - begun
    await play.kill()
    await play.opens()


async def _dies(play: Play) -> None:
    await play.kill()
    await asyncio.sleep(1.0)
    if play.cell.phase is Phase.RECOVERY:
        await play.boot()
        await asyncio.sleep(RECOVERING_S)
        await play.kill()
    await play.opens()


async def _loses_power(play: Play) -> None:
    await power_fails(play)
    if play.cell.phase is Phase.RECOVERY:
        await play.kill()
        await play.boot()
        await asyncio.sleep(RECOVERING_S)
        await power_fails(play)


def _end(strike: Strike) -> Break:
    return Break(ready=jams_for_a_refund, strike=strike, ending=is_over, change="B4")


ENDS: Final[dict[str, Break]] = {
    "service manager stops vendd": _end(_stops),
    "vendd is killed": _end(_dies),
    "power is lost": _end(_loses_power),
}
