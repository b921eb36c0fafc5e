"""Rows of the failure table: what goes wrong with a payout in bills."""

from __future__ import annotations

from typing import Final

from controller.saga.failure_cells import Cell, Gets, Next, Phase, Tender, each
from controller.saga.strategy import Strategy

_BILL: Final = (Tender.BILL,)
_PART: Final = Strategy.PARTIAL_DISPENSING
_FAILS: Final = Strategy.DISPENSING_FAILURE
_LATE: Final = Strategy.TIME_OUT


def _payout(failure: str, *journaled: str) -> tuple[Cell, ...]:
    """Return a row that ends well all the same: as change, and as the refund of a failed vend."""
    paid = ("payout.finished", *journaled)
    return (
        *each(failure, _BILL, Phase.PAYOUT, Gets.PRODUCT, Next.SELLS, *paid, strategy=_PART),
        *each(failure, _BILL, Phase.REFUND, Gets.MONEY, Next.COLUMN_OFF, *paid, strategy=_FAILS),
    )


ROWS: Final[tuple[Cell, ...]] = (
    *_payout("recycler jams in payout", "fault.raised"),
    *_payout("recycler pays too little"),
    *_payout("recycler resets in payout"),
    *_payout("recycler stands still in payout", "fault.raised"),
    *_payout("recycler is away for a moment"),
    *each("recycler dies in payout", _BILL, Phase.PAYOUT, Gets.PRODUCT_AND_CLAIM, Next.SELLS,
          "payout.finished", "claim.opened", flagged=True, strategy=_LATE),
    *each("recycler dies in payout", _BILL, Phase.REFUND, Gets.CLAIM, Next.COLUMN_OFF,
          "payout.finished", "claim.opened", flagged=True, strategy=_LATE),
)  # fmt: skip
