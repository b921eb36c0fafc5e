"""What a payout came to, as far as a device of the MDB can prove it: coins and bills alike."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from controller.faults import LinkError
from controller.ports import PayoutEvidence, TubeCounts


async def evidence_of(
    count: Callable[[], Awaitable[TubeCounts]],
    was_reset: Callable[[], bool],
    *,
    idle: bool,
    status: tuple[int, ...] | None,
    lost: bool,
) -> PayoutEvidence:
    """Count what is left, and tell what is known.

    Args:
        count: Asks the device for what it holds; raises LinkError as a command does.
        was_reset: Whether the device has been reset since the payout began; asked last. It pays
            no more then, and what PAYOUT STATUS told is forgotten.
        idle: Whether it has said that the payout is over.
        status: What PAYOUT STATUS told, pieces by type; None where it told nothing.
        lost: The device is away: there is nothing to ask, unless it was idle.
    """
    try:
        held = await count() if idle or not lost else None
    except LinkError:
        held = None
    reset = was_reset()
    return PayoutEvidence(
        idle=idle or reset, status=None if reset else status, tubes=held, was_reset=reset
    )
