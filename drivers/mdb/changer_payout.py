"""Paying out: one command after the other, each sent once, and the evidence of what fell.

By coins (DISPENSE, both levels) or by value (PAYOUT, level 3 with alternative payout). No payout
command is ever repeated: a lost ACK does not mean a lost command. What was paid is told by PAYOUT
STATUS where there is one, and by the tubes.

Source: MDB/ICP 4.2, section 5 (DISPENSE, PAYOUT, PAYOUT STATUS, PAYOUT VALUE POLL).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

from controller.faults import LinkError
from controller.ports import TubeCounts
from drivers.links.mdb_link import Answer, AnswerKind
from drivers.mdb.blocks import PAYOUT_ANSWER_S, MdbBlockError
from drivers.mdb.changer_codec import PayoutStatus, decode_payout_status
from drivers.mdb.changer_commands import (
    MAX_DISPENSE_COUNT,
    MAX_PAYOUT_VALUE,
    AskPayoutStatus,
    Dispense,
    Payout,
    PayoutValuePoll,
    encode_command,
)
from drivers.mdb.slots import Retry
from drivers.mdb.turns import Turn

BUSY_LIMIT_S: Final = 60.0
"""One command's payout. The standard sets no limit; fifteen coins from the slowest hopper take
half of it, and a changer that is busy for longer is stuck."""

UNHEARD_VALUE_POLLS: Final = 5
"""Value polls without an answer before we watch the ordinary poll instead."""

STILL_VALUE_POLLS: Final = 20
"""Value polls that bring nothing while POLL says "not busy" (5 s): it ended without saying so."""

LATE_COIN_S: Final = 2.0
"""Coins that lack, or are too many, are waited for so long, the changer's non-response time. Some
answer the first polls of a payout by ACK, before their motor runs, or all of them: by the standard
it has ended."""

LAST_LOOK_S: Final = 2.0
"""After the limit is over: the changer's non-response time, for one more answer."""

BUSY: Final[tuple[int, ...]] = ()
"""No status: asked for as long as it may take, it went on saying that it pays."""

_STATUS: Final = encode_command(AskPayoutStatus())
_VALUE_POLL: Final = encode_command(PayoutValuePoll())


class PayingChanger(Protocol):
    """What a payout needs of the driver of a changer, or of a bill recycler."""

    @property
    def busy(self) -> bool:
        """Return whether the last poll answer said that a payout runs (or details must wait)."""
        ...

    @property
    def resets(self) -> int:
        """Return how often it reported a reset that nobody asked for."""
        ...

    @property
    def withholds_ack(self) -> bool:
        """Return whether an answer that did not reach us is still held by the changer."""
        ...

    async def send(self, payload: bytes, retry: Retry) -> Answer:
        """Send a command. Raises LinkError when it never left."""
        ...

    async def turn(self, seconds: float) -> Turn | None:
        """Wait for the next poll's answer, None when there was none in that time."""
        ...


class CountingChanger(PayingChanger, Protocol):
    """What paying by coins needs beyond that: what is left in the tubes."""

    async def held(self) -> TubeCounts | None:
        """Ask TUBE STATUS; None where it is not answered."""
        ...


async def pay_coins(changer: CountingChanger, coins: tuple[tuple[int, int], ...]) -> bool:
    """DISPENSE each (type, count), at most 15 coins at a time, waiting for each to end.

    Stops at the first command whose ACK was not seen, at a reset and at a loss: the evidence then
    tells how far it came. The rest of a tube that jammed on the way is not ordered.

    Returns:
        Whether the changer is known to have stopped paying.

    Raises:
        LinkError: The first command never left; nothing was paid.
    """
    started = changer.resets
    parts = _parts_of(coins)
    held: TubeCounts | None = None
    for number, (coin_type, count) in enumerate(parts):
        if len(parts) > 1 and not number:
            held = await changer.held()
        if number and held is not None and coin_type in held.defective:
            continue  # its tube has jammed meanwhile: nobody could count what fell of the rest
        try:
            answer = await changer.send(encode_command(Dispense(coin_type, count)), Retry.ONCE)
        except LinkError:
            if not number:
                raise
            return await wait_idle(changer)
        if not await wait_idle(changer):
            return False
        if not answer.heard or changer.resets != started:
            return True
        if number + 1 < len(parts):
            held = await _fallen(changer, held, coin_type, count)
            if changer.resets != started:
                return True
    return True


def _parts_of(coins: tuple[tuple[int, int], ...]) -> list[tuple[int, int]]:
    """Return (type, count) of each command."""
    return [
        (coin_type, min(count - paid, MAX_DISPENSE_COUNT))
        for coin_type, count in coins
        for paid in range(0, count, MAX_DISPENSE_COUNT)
    ]


async def _fallen(
    changer: CountingChanger, before: TubeCounts | None, coin_type: int, count: int
) -> TubeCounts | None:
    """Count the tubes, and wait for coins of this type that may still fall, or for more of them."""
    held = await changer.held()

    def other(now: TubeCounts) -> bool:
        assert before is not None
        return before.counts[coin_type] - now.counts[coin_type] != count

    if before is None or held is None or before.counts[coin_type] >= before.cap:
        return held
    return await late_coins(changer, held, other)


async def late_coins(
    changer: CountingChanger, held: TubeCounts, other: Callable[[TubeCounts], bool]
) -> TubeCounts | None:
    """Wait while other coins than were ordered fall; returns what is left in the tubes then.

    What lacks is ordered anew. So nobody may take a payout that has not begun for one that ended,
    though the changer says that a tube jammed: that may have been the order before. Nor is one
    known to be done that has paid too much. A tube whose count goes up and down for ever is waited
    for as long as a changer that is busy.
    """
    loop, resets = asyncio.get_running_loop(), changer.resets
    end = loop.time() + BUSY_LIMIT_S
    while other(held) and loop.time() < end:
        before = held
        await asyncio.sleep(LATE_COIN_S)
        if not await wait_idle(changer) or changer.resets != resets:
            return None
        now = await changer.held()
        if now is None or now.counts == before.counts:
            return now
        held = now
    return held


async def pay_value(changer: PayingChanger, value: int) -> tuple[bool, tuple[int, ...] | None]:
    """PAYOUT a scaled value, 255 units at a time, letting the changer pick the coins.

    Returns:
        Whether it is known to have stopped, and the coins paid by type over all commands (None
        when a PAYOUT STATUS was not to be had).

    Raises:
        LinkError: The first command never left; nothing was paid.
    """
    started = changer.resets
    paid: tuple[int, ...] | None = None
    left = value
    while left > 0:
        part = min(left, MAX_PAYOUT_VALUE)
        left -= part
        try:
            answer = await changer.send(encode_command(Payout(part)), Retry.ONCE)
        except LinkError:
            if paid is None:
                raise
            return await wait_idle(changer), None
        idle = await _watch_value(changer, part)
        if not idle:
            return False, None
        if changer.resets != started:
            return True, None
        status = await ask_status(changer)
        if status == BUSY:
            return False, None
        if status is None or (not answer.heard and not any(status)):
            return True, None
        paid = status if paid is None else tuple(map(sum, zip(paid, status, strict=True)))
        if not answer.heard:
            break
    return True, paid


async def wait_idle(changer: PayingChanger, seconds: float = BUSY_LIMIT_S) -> bool:
    """Poll until an answer is neither "busy" nor silence; False when that does not come."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while (left := end - loop.time()) > 0:
        turn = await changer.turn(left)
        if turn is Turn.LOST:
            return False
        if turn is not None and not changer.busy:
            return True
    return False


async def _watch_value(changer: PayingChanger, ordered: int) -> bool:
    """Ask the value paid until "finished", a poll between, so that jams and resets are seen.

    Some changers never say finished, or repeat a value for ever. So it also ends when they have
    told all that was ordered, or tell nothing while the ordinary poll says that nothing runs.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + BUSY_LIMIT_S
    started = changer.resets
    told = unheard = still = 0
    while loop.time() < end and told < ordered:
        try:
            answer = await changer.send(_VALUE_POLL, Retry.ONCE)
        except LinkError:
            break
        if answer.kind is AnswerKind.ACK:
            break
        paid = answer.data[0] if answer.kind is AnswerKind.DATA else 0
        told += paid
        unheard = 0 if answer.heard else unheard + 1
        if await changer.turn(PAYOUT_ANSWER_S) is Turn.LOST:
            return False
        still = 0 if paid or changer.busy else still + 1
        if changer.resets != started:
            return True
        if unheard >= UNHEARD_VALUE_POLLS or still >= STILL_VALUE_POLLS:
            break
    # Also after "finished": one flipped or lost byte makes an ACK of "nothing yet".
    return await wait_idle(changer, max(end - loop.time(), LAST_LOOK_S))


def _coins_paid(data: bytes) -> tuple[int, ...]:
    status = decode_payout_status(data)
    assert isinstance(status, PayoutStatus), "data is no lone ACK"
    return status.counts


async def ask_status(
    changer: PayingChanger,
    question: bytes = _STATUS,
    read: Callable[[bytes], tuple[int, ...]] = _coins_paid,
) -> tuple[int, ...] | None:
    """PAYOUT STATUS, which an ACK alone calls `BUSY`; None when it is not to be had.

    The changer forgets it once it is acknowledged. So on an adapter an answer that got lost behind
    the adapter's own ACK is gone, and must not be asked again: zeros would come.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + PAYOUT_ANSWER_S
    unheard = 0
    told: tuple[int, ...] | None = None
    while loop.time() < end and unheard < UNHEARD_VALUE_POLLS:
        try:
            answer = await changer.send(question, Retry.ONCE)
        except LinkError:
            return None
        if answer.kind is AnswerKind.DATA:
            try:
                return read(answer.data)
            except MdbBlockError:
                return None
        if answer.kind is AnswerKind.GARBLED and not changer.withholds_ack:
            return None
        told = BUSY if answer.kind is AnswerKind.ACK else None
        unheard = 0 if answer.heard else unheard + 1
        if await changer.turn(PAYOUT_ANSWER_S) is Turn.LOST:
            return None
    return told
