"""How failures of cash devices that speak ccTalk are played."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from controller.faults import FaultCode
from controller.saga.failure_cells import Phase, Tender
from simulator.cctalk_line import CcTalkLine
from simulator.peripherals.cctalk_bill import SimCcTalkBill
from simulator.peripherals.cctalk_coin import SimCoinAcceptor
from simulator.swarm.cctalk import CcTalkCash
from simulator.swarm.plan import Build
from tests.failures.acts import DUE_S, Play
from tests.failures.breaking import Break, Strike, is_over
from tests.scenarios.stage import SETTINGS

CCTALK_SETTINGS: Final = CcTalkCash().settings(SETTINGS, Build(cctalk=True))
HOPPER: Final = "hopper3"  # whose coins are the largest: each payout begins with it
AWAY_S: Final = 3.0
MANY: Final = 7  # coins; two more than a buffer holds
WRAPS: Final = 254  # two coins later its counter is 1
REFUSED: Final = 1
NEVER: Final = 1_000
UNHEARD: Final = 5  # more than a frame is tried by itself


def line(play: Play) -> CcTalkLine:
    """Return the devices."""
    assert play.world.cctalk is not None
    return play.world.cctalk


def acceptor(play: Play) -> SimCoinAcceptor:
    """Return what takes coins."""
    found = line(play).acceptor
    assert found is not None
    return found


def validator(play: Play) -> SimCcTalkBill:
    """Return what takes bills."""
    found = line(play).bill
    assert found is not None
    return found


# -------------------------------------------------------------------------------- hoppers


async def _breaks_down(play: Play) -> None:
    if play.cell.phase is Phase.REFUND:
        play.breaks(play.column, "jam")


def _hopper(fault: str, value: object = None) -> Break:
    """A payout that goes wrong: the change of a vend, or the refund of one that failed.

    Without a value behind its first coin, or before it where there is but one.
    """

    async def early(play: Play) -> None:
        await _breaks_down(play)
        one = play.cell.phase is Phase.PAYOUT and play.cell.tender is Tender.COINS
        play.breaks(HOPPER, fault, value if value is not None else 0 if one else 1)

    return Break("B4", early=early, machine=CCTALK_SETTINGS)


def _in_payout(act: Strike) -> Break:
    async def strike(play: Play) -> None:
        await play.coins_fall()
        await act(play)

    return Break("B4", early=_breaks_down, strike=strike, machine=CCTALK_SETTINGS)


def _is_left_out(play: Play) -> bool:
    """Tell whether the others have paid what it could not."""
    return play.has_fault("hopper 3", FaultCode.CHANGER_TUBE_JAM)


async def _away(play: Play) -> None:
    play.breaks(HOPPER, "mute_s", AWAY_S)


async def _dies(play: Play) -> None:
    play.world.unplug(HOPPER)


async def _cut(play: Play) -> None:
    play.breaks("cctalk", "dead", True)


async def _is_joined(play: Play) -> None:
    """The cable is plugged in again, and what had been paid is found out."""
    await waits_noisily(play)
    play.mends("cctalk", "dead")
    await play.until(lambda: play.physical() == play.booked(), within_s=60.0)
    await play.quiet()


async def waits_noisily(play: Play) -> None:
    """Wait until the customer's vend has ended; what devices would tell nobody hears."""
    await play.until(lambda: play.ended_vends > 0, within_s=900.0)


# ------------------------------------------------------------------------------- the acceptor


async def _takes_money(play: Play) -> None:
    """Wait until both have been told what they may take."""
    await play.comes(lambda: bool(acceptor(play).accepted and validator(play).accepted))
    await play.passes(1.0)


async def _resets(play: Play) -> None:
    acceptor(play).self_reset()
    await asyncio.sleep(3.0)


async def _fact(play: Play, text: str) -> None:
    """Return behind the instant of a physical fact; nobody has read of it yet."""
    seen = asyncio.get_running_loop().create_future()

    def look(kind: str, data: dict[str, Any]) -> None:
        if kind == "fact" and text in data["detail"] and not seen.done():
            seen.set_result(None)

    forget = play.world.listen(look)
    async with asyncio.timeout(DUE_S):
        await seen
    forget()


async def _unread(play: Play) -> None:
    """A coin is in the cash box, and before anybody reads so, the acceptor resets itself."""
    await _takes_money(play)
    play.world.insert_coin(200)
    await _fact(play, "-> cashbox")
    acceptor(play).self_reset()
    await _takes_money(play)


async def _too_many(play: Play) -> None:
    """More coins than a buffer tells of fall between two reads."""
    await _takes_money(play)
    play.breaks("acceptor", "silent", True)
    for _ in range(MANY):
        play.world.insert_coin(50)
    await play.comes(lambda: acceptor(play).quiet)
    play.mends("acceptor", "silent")
    await play.quiet()


async def _wraps(play: Play) -> None:
    """So many other coins have been refused since its power came."""
    await _takes_money(play)
    while acceptor(play).log.counter < WRAPS:
        acceptor(play).log.add(0, REFUSED)
        await play.comes(lambda: acceptor(play).told_all)


async def _gone(play: Play) -> None:
    play.world.unplug("acceptor")
    await play.passes(3.0)


# ------------------------------------------------------------------------------ the validator


async def _bill_is_over(play: Play) -> None:
    await play.until(lambda: play.state.escrow is None or play.state.escrow.claimed, within_s=240.0)
    await play.quiet()


def _bill(strike: Callable[[Play], None], *faults: tuple[str, object]) -> Break:
    async def strikes(play: Play) -> None:
        strike(play)

    return Break(
        early=_takes_money,
        strike=strikes,
        faults=tuple(("billcc", fault, value) for fault, value in faults),
        ending=_bill_is_over,
        machine=CCTALK_SETTINGS,
    )


def _nothing(play: Play) -> None:
    del play


async def _behind_the_stack(play: Play) -> None:
    """The bill is in the stacker, and before anybody reads so, the validator resets itself."""
    await _fact(play, "-> stacker")
    validator(play).self_reset()


CCTALK: Final[dict[str, Break]] = {
    "hopper jams in payout": _hopper("jam_after"),
    "hopper's coins bridge in payout": _hopper("bridged_after"),
    "hopper does not hear the order": _hopper("lost_dispenses", 1),
    "hopper hears no order at all": replace(
        _hopper("lost_dispenses", NEVER), sign=_is_left_out
    ),
    "hopper resets in payout": _hopper("reset_after"),
    "hopper loses its power in payout": _hopper("cut_after"),
    "hopper is away for a moment": _in_payout(_away),
    "hopper never ends its payout": replace(_hopper("stall", True), sign=_is_left_out),
    "hopper dies in payout": _in_payout(_dies),
    "ccTalk line is cut in payout": replace(_in_payout(_cut), ending=_is_joined),
    "acceptor resets": Break("A1", strike=_resets, ending=is_over, machine=CCTALK_SETTINGS),
    "acceptor resets with a coin that nobody has read": Break(
        "A1", early=_unread, machine=CCTALK_SETTINGS,
        hides=("cash.cashbox", "customers are out of pocket by 200"),
    ),
    "acceptor tells more than its buffer holds": Break(
        "A1", early=_too_many, machine=CCTALK_SETTINGS,
        hides=("cash.cashbox", "customers are out of pocket by 100"),
    ),
    "acceptor's counter begins again behind 255": Break(
        "A1", early=_wraps, machine=CCTALK_SETTINGS,
        sign=lambda play: acceptor(play).log.counter < WRAPS,
    ),
    "acceptor is gone": Break("A1", strike=_gone, ending=is_over, machine=CCTALK_SETTINGS),
    "ccTalk bill jams on its way": _bill(lambda play: play.breaks("billcc", "jam")),
    "ccTalk validator does not hear the route": _bill(_nothing, ("lost_routes", UNHEARD)),
    "ccTalk validator hears no route at all": _bill(_nothing, ("lost_routes", NEVER)),
    "ccTalk validator resets before the stack": _bill(lambda play: validator(play).self_reset()),
    "ccTalk validator resets behind the stack": replace(
        _bill(_nothing), strike=_behind_the_stack
    ),
    "ccTalk validator is away for a moment": _bill(
        lambda play: play.breaks("billcc", "mute_s", AWAY_S)
    ),
    "ccTalk validator is gone": _bill(lambda play: play.world.unplug("billcc")),
}  # fmt: skip
