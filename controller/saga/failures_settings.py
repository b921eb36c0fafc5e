"""Rows of the failure table: the clock, keys, and settings that change under a vend."""

from __future__ import annotations

from typing import Final

from controller.saga.failure_cells import (
    ALL,
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

_SELLS: Final = Next.SELLS


def _jumps(failure: str) -> tuple[Cell, ...]:
    """Return a row of the wall clock: durations run on another one, labels mislead nobody."""
    return (
        *each(failure, (Tender.ANY,), Phase.IDLE, Gets.NOTHING_PAID, _SELLS),
        *each(failure, (*CASH, Tender.CLAIM), Phase.MONEY, Gets.CREDIT, _SELLS),
        *each(failure, BY_CARD, Phase.APPROVAL, Gets.PRODUCT, _SELLS),
        *each(failure, ALL, Phase.TURN, Gets.PRODUCT, _SELLS),
        *each(failure, CASH, Phase.PAYOUT, Gets.PRODUCT, _SELLS, "payout.finished"),
        *each(failure, (Tender.BILL,), Phase.ESCROW, Gets.CREDIT, _SELLS, "bill.stacked"),
        *each(failure, CASH, Phase.RECOVERY, Gets.MONEY, Next.RESTARTS, "payout.finished",
              strategy=Strategy.DISPENSING_FAILURE),
    )  # fmt: skip


ROWS: Final[tuple[Cell, ...]] = (
    *_jumps("clock jumps back ten years"),
    *_jumps("clock jumps ahead ten years"),
    # What a customer chose is sold as it was chosen.
    *each("price is changed", BY_CARD, Phase.APPROVAL, Gets.PRODUCT, _SELLS, "price.set"),
    *each("price is changed", ALL, Phase.TURN, Gets.PRODUCT, _SELLS, "price.set"),
    *each("price is changed", CASH, Phase.PAYOUT, Gets.PRODUCT, _SELLS, "price.set"),
    *each("column is switched off", PAYING, Phase.TURN, Gets.PRODUCT, Next.COLUMN_OFF,
          "column.disabled"),
    *each("reader is switched off", BY_CARD, Phase.APPROVAL, Gets.PRODUCT, _SELLS),
    *each("reader is switched off", BY_CARD, Phase.TURN, Gets.PRODUCT, _SELLS),
    *each("a technician wants the machine", (Tender.CARD,), Phase.APPROVAL, Gets.NOTHING_PAID,
          _SELLS, "approval.finished", "service.entered"),
    *each("a technician wants the machine", (Tender.MIXED,), Phase.APPROVAL, Gets.CREDIT,
          _SELLS, "approval.finished", "service.entered"),
    *each("a technician wants the machine", PAYING, Phase.TURN, Gets.PRODUCT, _SELLS),
    *each("two keys at once", ALL, Phase.IDLE, Gets.PRODUCT, _SELLS),
)  # fmt: skip
