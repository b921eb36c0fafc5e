"""Compensation, named for what it does: how a saga that could not go its straight way was ended.

Written into ``vend.closed``, so that a list of vends says why money went back. Pure.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from controller.state.saga import Saga


class Strategy(StrEnum):
    """What was done about a vend that did not go as it should."""

    NONE = ""
    """Nothing was to be undone: it was sold, or refused before anything had been earned."""

    DISPENSING_FAILURE = "dispensing failure"
    """No product: VEND FAILURE to the reader, locked credit free again, all of it paid out."""

    PARTIAL_DISPENSING = "partial dispensing"
    """A part came out and stands (a product, some of the coins); the rest is paid again, and what
    can't be paid is a claim."""

    TIME_OUT = "time-out"
    """An answer did not come: the request is cancelled; what may have happened all the same is
    presumed against ourselves, flagged, and owed as a claim."""


UNANSWERED: Final = frozenset(
    {"approval unknown", "reader gone while it was asked", "card refund unknown", "payout unknown"}
    | {"revalue unknown"}
)
"""The flags of a saga that say that an answer was waited for in vain."""

REFUSALS: Final = frozenset({"denied", "cancelled", "not_sent"})
"""Ends of an approval that leave nothing to be undone but a lock on the customer's credit."""


def strategy_of(saga: Saga, *, timed_out: bool = False) -> Strategy:
    """Return how a saga that is about to close was compensated.

    Args:
        saga: As it stands behind its last act.
        timed_out: A deadline of ours ended one of its acts.
    """
    if saga.test:
        return Strategy.NONE
    if timed_out or not UNANSWERED.isdisjoint(saga.flags):
        return Strategy.TIME_OUT
    rest = bool(saga.claimed or saga.short_payouts)
    if saga.dispensed:
        return Strategy.PARTIAL_DISPENSING if rest else Strategy.NONE
    if saga.kind == "return" or saga.failed in REFUSALS:
        return Strategy.PARTIAL_DISPENSING if rest else Strategy.NONE
    return Strategy.DISPENSING_FAILURE
