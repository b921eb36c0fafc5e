"""What a bill validator says once, and keeps until it has heard our ACK. Pure.

Source: MDB/ICP 4.2, section 6 (POLL). Telling a repeat: ``repeats.py``.
"""

from __future__ import annotations

from typing import Final

from drivers.mdb import bill_codec as codec
from drivers.mdb.bill_faults import ONE_SHOT, RECYCLER_ONE_SHOT

RESULTS: Final = frozenset(
    {codec.BillRoute.STACKED, codec.BillRoute.RETURNED, codec.BillRoute.RECYCLED}
)
"""Where a bill went from escrow."""

Shot = codec.BillEvent | codec.ValidatorReported | codec.RecyclerReported


def one_shots(answer: codec.PollAnswer) -> list[Shot]:
    """Return what takes part in telling a repeat."""
    return [
        item
        for item in answer.items
        if isinstance(item, codec.BillEvent)
        or (isinstance(item, codec.ValidatorReported) and item.status in ONE_SHOT)
        or (isinstance(item, codec.RecyclerReported) and item.status in RECYCLER_ONE_SHOT)
    ]


def but_what_is_held(shots: list[Shot]) -> list[Shot]:
    """Leave out a bill that comes to escrow while one is held, of which it says then where it went.

    That is the one that is held, told again by a validator that has not heard our ACK: no second
    one can be there before it has gone.
    """
    bills = [item for item in shots if isinstance(item, codec.BillEvent)]
    if len(bills) < 2:
        return shots
    held, gone = bills[:2]
    again = held.route is codec.BillRoute.ESCROW and gone.route in RESULTS
    if not again or held.bill_type != gone.bill_type:
        return shots
    return [item for item in shots if item is not held]
