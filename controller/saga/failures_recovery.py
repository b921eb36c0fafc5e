"""Rows of the failure table: vendd was killed in a turn, and now what it needs fails as well."""

from __future__ import annotations

from typing import Final

from controller.saga.failure_cells import BY_CARD, CASH, PAYING, Cell, Gets, Next, Phase, each
from controller.saga.strategy import Strategy

_FAILS: Final = Strategy.DISPENSING_FAILURE
_LATE: Final = Strategy.TIME_OUT


def _refund(failure: str) -> tuple[Cell, ...]:
    """Return a row in which the refund of recovery ends well all the same."""
    return each(
        failure, CASH, Phase.RECOVERY, Gets.MONEY, Next.RESTARTS, "payout.finished",
        strategy=_FAILS,
    )  # fmt: skip


ROWS: Final[tuple[Cell, ...]] = (
    *_refund("changer jams in payout"),
    *_refund("changer pays too little"),
    *_refund("changer resets in payout"),
    *_refund("changer is away for a moment"),
    *each("changer is gone", CASH, Phase.RECOVERY, Gets.CLAIM, Next.CARDS_ONLY, "claim.opened",
          strategy=_LATE),
    *each("reader can't refund", BY_CARD, Phase.RECOVERY, Gets.CLAIM, Next.RESTARTS,
          "settle.finished", "claim.opened", strategy=_FAILS),
    *each("reader never says whether it refunded", BY_CARD, Phase.RECOVERY, Gets.CLAIM,
          Next.RESTARTS, "settle.finished", "claim.opened", flagged=True, strategy=_LATE),
    *each("reader falls silent when told of failure", BY_CARD, Phase.RECOVERY, Gets.CLAIM,
          Next.RESTARTS, "settle.finished", "claim.opened", flagged=True, strategy=_LATE),
    # Its self-test would wipe out what it tells, so it comes behind: a person is asked to look.
    *each("drop latch is stuck", PAYING, Phase.RECOVERY, Gets.CHARGED, Next.STOPS,
          "dispense.finished", "fault.raised", flagged=True),
    *each("door is opened", CASH, Phase.RECOVERY, Gets.MONEY, Next.STOPS, "payout.finished",
          strategy=_FAILS),
    *each("disk fails to write", CASH, Phase.RECOVERY, Gets.MONEY, Next.RESTARTS,
          "payout.finished", strategy=_FAILS),
    *each("disk fails to sync", CASH, Phase.RECOVERY, Gets.MONEY, Next.RESTARTS,
          "payout.finished", strategy=_FAILS),
)  # fmt: skip
