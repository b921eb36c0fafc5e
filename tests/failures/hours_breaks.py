"""How an offer's hours end in mid vend, and how a killed vendd forgets what time it is."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

from controller.saga.failure_cells import Phase
from tests.failures.acts import HALF_PRICE, Play
from tests.failures.breaking import Break, is_over, waits

# Until the hours end, from the choice on: what they end in has begun by then, and is not over.
LEFT_S: Final[Mapping[Phase, float]] = {
    Phase.MONEY: 0.0, Phase.APPROVAL: 1.0, Phase.TURN: 1.0, Phase.PAYOUT: 3.2,
}  # fmt: skip
BY_CARD_S: Final = 1.6  # more: the reader asks for the card first, and its issuer
BETWEEN: Final[Mapping[Phase, tuple[str, str]]] = {
    Phase.MONEY: ("coins.deposited", ""),
    Phase.APPROVAL: ("approval.requested", "approval.finished"),
    Phase.TURN: ("dispense.intended", "dispense.finished"),
    Phase.PAYOUT: ("payout.intended", "payout.finished"),
}


async def _is_within(play: Play) -> None:
    await play.comes_within_the_hours()


async def _runs_out(play: Play) -> None:
    """Whoever has put the money in takes their time."""
    cell = play.cell
    late = play.by_card and cell.phase is Phase.TURN
    await asyncio.sleep(play.hours_left_s - LEFT_S[cell.phase] - BY_CARD_S * late)


async def _has_ended(play: Play) -> None:
    """In mid vend: wait for its end. Before: choose, be asked for the list's price, and not pay."""
    if play.cell.phase is not Phase.MONEY:
        await waits(play)
        return
    play.press(play.column)
    await play.shows("Missing €1.00")
    play.press("*")
    await waits(play)


def _ended_within(play: Play) -> bool:
    """Tell whether the hours ended in the cell's phase, and the price was that of the choice."""
    first, last = BETWEEN[play.cell.phase]
    at = {record.type: record.at_ms for record in play.told}
    offers = [data.offer or "" for data in play.records("vend.opened")]
    ended = at[first] < play.hours_end_ms and (not last or play.hours_end_ms <= at[last])
    return ended and offers == ([play.settings.offers[0].name] if last else [""])


async def _forgets_the_time(play: Play) -> None:
    await play.kill()
    play.time_known = False
    await asyncio.sleep(1.0)
    await play.opens()


def _knows_no_time(play: Play) -> bool:
    assert play.running is not None
    return not play.running.journal.label.confirmed


HOURS: Final[dict[str, Break]] = {
    "an offer's hours end": Break(
        change="B4", machine=HALF_PRICE, early=_is_within, ready=_runs_out, ending=_has_ended,
        sign=_ended_within,
    ),
    "vendd is killed, and nobody knows the time behind it": Break(
        change="B4", machine=HALF_PRICE, early=_is_within, strike=_forgets_the_time,
        ending=is_over, sign=_knows_no_time,
    ),
}  # fmt: skip
