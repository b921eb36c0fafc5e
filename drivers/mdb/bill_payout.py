"""Paying bills out of a recycler: one command, sent once, and what the recycler says it paid.

DISPENSE BILL is never repeated: a lost ACK does not mean a lost command. What was paid is told by
PAYOUT STATUS, and by the recycler's counts.

Source: MDB/ICP 4.2, section 6 (DISPENSE BILL, PAYOUT STATUS, PAYOUT VALUE POLL, PAYOUT CANCEL).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

from controller.faults import LinkError
from drivers.links.mdb_link import AnswerKind
from drivers.mdb.bill_codec import PayoutStatus, decode_payout_status
from drivers.mdb.bill_commands import (
    AskPayoutStatus,
    DispenseBill,
    PayoutCancel,
    PayoutValuePoll,
    encode_command,
)
from drivers.mdb.changer_payout import (
    BUSY,
    LAST_LOOK_S,
    UNHEARD_VALUE_POLLS,
    PayingChanger,
    ask_status,
    wait_idle,
)
from drivers.mdb.slots import Retry
from drivers.mdb.turns import Turn

BILL_S: Final = 30.0
"""Each bill may take so long; one that the customer leaves in the slot counts as on its way."""

CANCEL_S: Final = 30.0
"""Within this a payout has stopped after PAYOUT CANCEL."""

VALUE_POLL_S: Final = 0.25
"""Between two value polls; an ordinary poll comes between, so that jams and resets are seen."""

STILL_VALUE_POLLS: Final = 20
"""Value polls in a row that bring nothing while POLL says "not busy": it ended without a word."""

_STATUS: Final = encode_command(AskPayoutStatus())
_VALUE_POLL: Final = encode_command(PayoutValuePoll())
_CANCEL: Final = encode_command(PayoutCancel())


@dataclass(frozen=True, slots=True)
class BillsPaid:
    """What is known of a payout: whether it has stopped, and the bills by type (None: not told)."""

    idle: bool
    status: tuple[int, ...] | None = None
    balked: bool = False  # it took too long and was cancelled


async def pay_bills(recycler: PayingChanger, bill_type: int, count: int) -> BillsPaid:
    """DISPENSE BILL once, wait for its end, cancel it when it takes too long.

    Raises:
        LinkError: The command never left; nothing was paid.
    """
    started = recycler.resets
    answer = await recycler.send(encode_command(DispenseBill(bill_type, count)), Retry.ONCE)
    idle = await _watch(recycler, BILL_S * count)
    balked = not idle and recycler.resets == started
    if balked:
        try:
            await recycler.send(_CANCEL, Retry.ASK)
        except LinkError:
            return BillsPaid(idle=False, balked=True)
        idle = await _watch(recycler, CANCEL_S)
    if recycler.resets != started:
        return BillsPaid(idle=True, balked=balked)
    if not idle:
        return BillsPaid(idle=False, balked=True)
    status = await ask_bills_paid(recycler)
    if status == BUSY:
        return BillsPaid(idle=False, balked=True)
    if status is not None and not answer.heard and not any(status):
        status = None  # zeros of a payout that perhaps never began: the counts decide
    return BillsPaid(idle=True, status=status, balked=balked)


async def ask_bills_paid(recycler: PayingChanger) -> tuple[int, ...] | None:
    """PAYOUT STATUS by bill type; None when it is not to be had."""
    return await ask_status(recycler, _STATUS, _bills_paid)


def _bills_paid(data: bytes) -> tuple[int, ...]:
    status = decode_payout_status(data)
    assert isinstance(status, PayoutStatus), "data is no lone ACK"
    return status.counts


async def _watch(recycler: PayingChanger, seconds: float) -> bool:
    """Ask the value paid until "finished", then poll until idle; False when that does not come."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    started = recycler.resets
    unheard = still = 0
    while loop.time() < end:
        try:
            answer = await recycler.send(_VALUE_POLL, Retry.ONCE)
        except LinkError:
            break
        if answer.kind is AnswerKind.ACK:
            break
        paid = answer.kind is AnswerKind.DATA and any(answer.data)
        unheard = 0 if answer.heard else unheard + 1
        if await recycler.turn(VALUE_POLL_S) is Turn.LOST:
            return False
        if recycler.resets != started:
            return True
        still = 0 if paid or recycler.busy else still + 1
        if unheard >= UNHEARD_VALUE_POLLS or still >= STILL_VALUE_POLLS:
            break
        await asyncio.sleep(VALUE_POLL_S)
    # Also after "finished": one flipped or lost byte makes an ACK of "nothing yet".
    return await wait_idle(recycler, max(end - loop.time(), LAST_LOOK_S))
