"""How failures of a pulse acceptor and its cable are played."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Final

from simulator.swarm.plan import Build
from simulator.swarm.pulse_coins import PulseCoins
from simulator.truth import CASHBOX
from tests.failures.acts import Play
from tests.failures.breaking import Break, Strike, is_over, power_fails
from tests.scenarios.stage import SETTINGS

PULSE_SETTINGS: Final = PulseCoins().settings(SETTINGS, Build(pulse=True))
COIN: Final = 200  # a group of twelve pulses
MID_GROUP_S: Final = 0.4


def _pulses(fault: str, bad: int = 0) -> Break:
    """The line is disturbed while the money comes in; ``bad`` is a coin that can't be read."""

    async def early(play: Play) -> None:
        play.breaks("pulse", fault, 1 if bad else 3)
        if bad:
            play.world.insert_coin(bad)
            await play.quiet()

    return Break("A1", early=early, coins=(100, 50), machine=PULSE_SETTINGS)


async def _stays_on(play: Play) -> None:
    play.breaks("pulse", "stuck_on", True)
    await asyncio.sleep(2.0)


async def _says_nothing(play: Play) -> None:
    play.breaks("pulse", "swallowed", 1)
    play.world.insert_coin(COIN)
    await play.quiet()


async def _is_killed(play: Play) -> None:
    """Its group ends while nobody listens."""
    await play.kill()
    await play.comes(lambda: play.world.pulse is not None and play.world.pulse.quiet)
    await play.opens()


async def _is_back_at_once(play: Play) -> None:
    """The next life hears the end of a group whose beginning nobody has heard."""
    await play.kill()
    await play.opens()


def _in_a_group(end: Strike) -> Break:
    """A life ends while a coin is being told; nobody tells it again."""

    async def early(play: Play) -> None:
        play.world.insert_coin(COIN)
        await play.comes(lambda: play.world.truth.value(CASHBOX) == COIN)
        await asyncio.sleep(MID_GROUP_S)
        assert play.world.pulse is not None
        assert not play.world.pulse.quiet
        await end(play)
        await play.quiet()

    return _lost(early)


def _lost(early: Strike) -> Break:
    hides = ("cash.cashbox", f"customers are out of pocket by {COIN}")
    return Break("A1", early=early, ending=is_over, machine=PULSE_SETTINGS, hides=hides, pays=False)


PULSE: Final[dict[str, Break]] = {
    "noise on the pulse line": _pulses("spikes"),
    "pulses are lost": replace(
        _pulses("lost_pulses", COIN), hides=("cash.cashbox", "customers are out of pocket by 200")
    ),
    "a pulse is too long": replace(
        _pulses("long_pulse", COIN), hides=("cash.cashbox", "customers are out of pocket by 200")
    ),
    "pulse line stays on": Break(
        "A1", strike=_stays_on, coins=(100, 50), ending=is_over, machine=PULSE_SETTINGS
    ),
    "coin gives no pulse": _lost(_says_nothing),
    "vendd is killed while a coin pulses": _in_a_group(_is_killed),
    "vendd starts while a coin pulses": _in_a_group(_is_back_at_once),
    "power is lost while a coin pulses": _in_a_group(power_fails),
}
