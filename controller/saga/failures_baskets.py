"""Rows of the failure table: two items on one credit, of which the first one meets the failure."""

from __future__ import annotations

from typing import Final

from controller.saga.failure_cells import Cell, Gets, Next, Phase, Tender, each
from controller.saga.strategy import Strategy

_BASKET: Final = (Tender.BASKET,)
_OFF: Final = ("dispense.finished", "fault.raised", "column.disabled")
_FAILS: Final = Strategy.DISPENSING_FAILURE

ROWS: Final[tuple[Cell, ...]] = (
    *each("motor jams", _BASKET, Phase.TURN, Gets.OTHER, Next.COLUMN_OFF, "payout.finished", *_OFF,
          strategy=_FAILS),
    *each("product hangs", _BASKET, Phase.TURN, Gets.OTHER, Next.COLUMN_OFF, "payout.finished",
          *_OFF, strategy=_FAILS),
    *each("motor does not start", _BASKET, Phase.TURN, Gets.OTHER, Next.COLUMN_OFF,
          "payout.finished", *_OFF, strategy=_FAILS),
    *each("drop sensor is blind", _BASKET, Phase.IDLE, Gets.MONEY, Next.STOPS, "dispense.refused",
          "payout.finished", strategy=_FAILS),
    *each("product hangs once", _BASKET, Phase.TURN, Gets.ALL, Next.SELLS, "dispense.finished"),
    *each("price is changed", _BASKET, Phase.TURN, Gets.ALL, Next.SELLS, "price.set"),
    *each("service manager stops vendd", _BASKET, Phase.TURN, Gets.PRODUCT, Next.ENDS,
          "payout.finished", "stop.requested"),
    *each("customer cancels", _BASKET, Phase.TURN, Gets.PRODUCT, Next.SELLS, "payout.finished"),
)  # fmt: skip
