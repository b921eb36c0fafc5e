"""Rows of the failure table: what the journal's disk may do (design: never sell unjournaled).

A commit that fails is never retried: outputs off, vendd ends, and the reopened file decides.
"""

from __future__ import annotations

from typing import Final

from controller.saga.failure_cells import (
    BY_CARD,
    CASH,
    PAYING,
    Cell,
    Gets,
    Next,
    Phase,
    Tender,
    each,
)
from controller.saga.strategy import Strategy

_FAILS: Final = Strategy.DISPENSING_FAILURE
_CARD: Final = (Tender.CARD,)
_COINS: Final = (Tender.COINS,)
_BILL: Final = (Tender.BILL,)
_MIXED: Final = (Tender.MIXED,)


def _slow(failure: str) -> tuple[Cell, ...]:
    """Return a row in which everything waits for the disk, and comes out the same."""
    return (
        *each(failure, PAYING, Phase.TURN, Gets.PRODUCT, Next.SELLS),
        *each(failure, CASH, Phase.PAYOUT, Gets.PRODUCT, Next.SELLS, "payout.finished"),
    )


def _breaks(failure: str) -> tuple[Cell, ...]:
    """Return a row in which the next record can't be written; the start after it asks."""
    again = Next.RESTARTS
    return (
        *each(failure, BY_CARD, Phase.SETTLE, Gets.PRODUCT, again, "settle.finished"),
        *each(failure, CASH, Phase.REFUND, Gets.MONEY, again, "payout.finished", strategy=_FAILS),
        *each(failure, CASH, Phase.PAYOUT, Gets.PRODUCT, again, "payout.finished"),
        *each(failure, (Tender.BILL,), Phase.ESCROW, Gets.CREDIT, again, "bill.stacked"),
    )


_WRITE: Final = "disk fails to write"
_SYNC: Final = "disk fails to sync"


def _unreadable(failure: str) -> tuple[Cell, ...]:
    """Return a row in which the journal is refused; a new one inherits what can be read."""
    anew = Next.BEGINS_ANEW
    return (
        *each(failure, (Tender.ANY,), Phase.IDLE, Gets.NOTHING_PAID, anew),
        *each(failure, CASH, Phase.TURN, Gets.CREDIT, anew),
        *each(failure, BY_CARD, Phase.TURN, Gets.CLAIM, anew, "claim.opened"),
    )


def _gone(failure: str) -> tuple[Cell, ...]:
    """Return a row in which what a customer had put in stands in no record that can be read.

    The tubes are counted; a bill in the stacker is one more than there should be, of
    unknown worth.
    """
    anew = Next.BEGINS_ANEW
    return (
        *each(failure, (Tender.ANY,), Phase.IDLE, Gets.NOTHING_PAID, anew),
        *each(failure, _COINS, Phase.MONEY, Gets.UNCLAIMED, anew, "tubes.counted"),
        *each(failure, _BILL, Phase.MONEY, Gets.LOST, anew, "stacker.counted", flagged=True),
    )


ROWS: Final[tuple[Cell, ...]] = (
    *_slow("disk is slow (0.5 s)"),
    *_slow("disk is slow (3 s)"),
    *_slow("disk is slow (30 s)"),
    *each(_WRITE, _CARD, Phase.APPROVAL, Gets.NOTHING_PAID, Next.RESTARTS, "approval.finished"),
    *each(_WRITE, _MIXED, Phase.APPROVAL, Gets.CREDIT, Next.RESTARTS, "approval.finished"),
    *each(_WRITE, PAYING, Phase.TURN, Gets.PRODUCT, Next.RESTARTS, "dispense.finished"),
    *each(_WRITE, BY_CARD, Phase.REFUND, Gets.MONEY, Next.RESTARTS, "settle.finished",
          flagged=True, strategy=_FAILS),
    *_breaks(_WRITE),
    # What was written and not synced may be there all the same: then it counts.
    *each(_SYNC, BY_CARD, Phase.APPROVAL, Gets.MONEY, Next.RESTARTS, "approval.finished",
          "dispense.refused", strategy=_FAILS),
    *each(_SYNC, CASH, Phase.TURN, Gets.PRODUCT, Next.RESTARTS, "dispense.finished",
          "payout.finished", strategy=Strategy.PARTIAL_DISPENSING),
    *each(_SYNC, BY_CARD, Phase.TURN, Gets.PRODUCT, Next.RESTARTS, "dispense.finished"),
    *each(_SYNC, BY_CARD, Phase.REFUND, Gets.MONEY, Next.RESTARTS, "settle.finished",
          strategy=_FAILS),
    *_breaks(_SYNC),
    *each("disk is full", PAYING, Phase.TURN, Gets.PRODUCT, Next.STOPS, "fault.raised"),
    *each("disk is full", CASH, Phase.PAYOUT, Gets.PRODUCT, Next.STOPS, "fault.raised"),
    *each("disk turns read-only", _CARD, Phase.APPROVAL, Gets.NOTHING_PAID, Next.STRANDED,
          "approval.finished"),
    *each("disk turns read-only", PAYING, Phase.TURN, Gets.PRODUCT, Next.STRANDED,
          "dispense.finished"),
    *each("disk turns read-only", CASH, Phase.PAYOUT, Gets.PRODUCT, Next.STRANDED,
          "payout.finished"),
    *_gone("a page of the journal is corrupt"),
    *_unreadable("the last record is corrupt"),
    *_gone("an old disk image is put back"),
    *each("the journal's file is deleted", (Tender.ANY,), Phase.IDLE, Gets.NOTHING_PAID,
          Next.BEGINS_ANEW),
    *each("the journal's file is deleted", CASH, Phase.MONEY, Gets.LOST, Next.BEGINS_ANEW),
    *each("the records since the last start are gone", (Tender.COINS,), Phase.MONEY,
          Gets.UNCLAIMED, Next.RESTARTS, "tubes.counted"),
)  # fmt: skip
