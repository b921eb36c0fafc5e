"""How the clock, keys and settings change under a vend."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Final

import pytest

from controller.domain import commands as cmd
from controller.machine.inputs import CommandRefused
from controller.saga.failure_cells import Phase
from tests.failures.acts import Play
from tests.failures.breaking import Break, is_over, waits

YEARS: Final = 3_652 * 86_400.0


async def _ends(play: Play) -> None:
    """Wait for the customer's end, where one is due."""
    if play.cell.phase in (Phase.IDLE, Phase.MONEY, Phase.ESCROW, Phase.RECOVERY):
        await is_over(play)
    else:
        await waits(play)


def _jumps(seconds: float) -> Break:
    async def strike(play: Play) -> None:
        if play.cell.phase is Phase.RECOVERY:
            await play.kill()
        play.clock.jump_wall(seconds)
        if play.cell.phase is Phase.RECOVERY:
            await play.opens()

    return Break(strike=strike, ending=_ends, change="B4")


def _at_once(act: Callable[[Play], None], change: str = "B4") -> Break:
    async def strike(play: Play) -> None:
        act(play)

    return Break(strike=strike, change=change)


def _obeys(play: Play, command: cmd.Command) -> None:
    assert play.running is not None
    act = play.running.machine.act(command, "tech")
    play.strikes.append(asyncio.get_running_loop().create_task(act))


async def _asks_for_it(play: Play) -> None:
    if play.cell.phase is Phase.APPROVAL:
        await play.act(cmd.EnterService())  # the reader stops waiting
        return
    with pytest.raises(CommandRefused):
        await play.act(cmd.EnterService())


async def _is_served(play: Play) -> None:
    """A technician who has got the machine gives it back."""
    await waits(play)
    await play.act(cmd.LeaveService())
    await play.quiet()


SETTINGS_BREAKS: Final[dict[str, Break]] = {
    "clock jumps back ten years": _jumps(-YEARS),
    "clock jumps ahead ten years": _jumps(YEARS),
    "price is changed": _at_once(lambda play: _obeys(play, cmd.SetPrice(play.column, 990))),
    "column is switched off": _at_once(
        lambda play: _obeys(play, cmd.DisableColumn(play.column, "tech"))
    ),
    "reader is switched off": replace(
        _at_once(lambda play: _obeys(play, cmd.EnableReader("cashless1", on=False))),
        sign=lambda play: play.state.readers_off == ["cashless1"],
    ),
    "a technician wants the machine": Break(strike=_asks_for_it, ending=_is_served),
    "two keys at once": _at_once(lambda play: play.press("A1")),
}
