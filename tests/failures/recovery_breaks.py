"""How a second failure is played: vendd is killed in a turn, and then something else breaks."""

from __future__ import annotations

import asyncio
from typing import Final

import pytest

from controller.faults import JournalError
from simulator.disk import Io
from tests.failures.acts import Play
from tests.failures.breaking import Break, Strike, is_over


def _then(*faults: tuple[str, str, object], act: Strike | None = None) -> Break:
    """Kill it in the turn, break what else breaks, and start it again."""

    async def strike(play: Play) -> None:
        await play.kill()
        for part, fault, value in faults:
            play.breaks(part, fault, value)
        if act is not None:
            await act(play)
        await play.boot()

    return Break(strike=strike, ending=is_over)


async def _away(play: Play) -> None:
    play.world.unplug("changer")

    async def comes_back() -> None:
        await asyncio.sleep(20.0)
        play.world.plug("changer")

    play.strikes.append(asyncio.get_running_loop().create_task(comes_back()))


async def _gone(play: Play) -> None:
    play.world.unplug("changer")


async def _opened(play: Play) -> None:
    play.world.cabinet.set_door(True)


def _disk(kind: Io) -> Break:
    async def strike(play: Play) -> None:
        await play.kill()
        await play.boot()
        await play.record("dispense.finished")
        play.disk.fail(kind, suffix="-wal")
        with pytest.raises(JournalError):
            await play.ends()
        await play.kill()
        play.disk.heal()
        await play.opens()

    return Break(strike=strike, ending=is_over)


RECOVERY: Final[dict[str, Break]] = {
    "changer jams in payout": _then(("changer", "jam_after", 1)),
    "changer pays too little": _then(("changer", "short_by", 1)),
    "changer resets in payout": _then(("changer", "reset_after", 1)),
    "changer is away for a moment": _then(act=_away),
    "changer is gone": _then(act=_gone),
    "reader can't refund": _then(("cashless1", "refund", "error")),
    "reader never says whether it refunded": _then(("cashless1", "refund", "silent_paid")),
    "reader falls silent when told of failure": _then(
        ("cashless1", "dies_for_s", 60.0), ("cashless1", "dies_at", "failure")
    ),
    "drop latch is stuck": _then(("sensor", "latch_stuck", True)),
    "door is opened": _then(act=_opened),
    "disk fails to write": _disk(Io.WRITE),
    "disk fails to sync": _disk(Io.SYNC),
}
