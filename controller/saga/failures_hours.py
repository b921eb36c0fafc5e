"""Rows of the failure table: discounts and free hours that end, or whose time nobody knows.

What a customer chose is sold at the price that it was chosen at; before that the list's price is
asked for, and credit stays credit.
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
_FREE: Final = (Tender.HOUR,)
_ENDS: Final = "an offer's hours end"
_UNKNOWN: Final = "vendd is killed, and nobody knows the time behind it"
_AGAIN: Final = Next.RESTARTS
_OFF: Final = ("dispense.finished", "column.disabled")
_REFUSED: Final = ("dispense.finished", "dispense.refused")

ROWS: Final[tuple[Cell, ...]] = (
    *each(_ENDS, (Tender.COINS,), Phase.MONEY, Gets.CREDIT, Next.SELLS),
    *each(_ENDS, BY_CARD, Phase.APPROVAL, Gets.PRODUCT, Next.SELLS, "approval.finished"),
    *each(_ENDS, (*PAYING, *_FREE), Phase.TURN, Gets.PRODUCT, Next.SELLS, "dispense.finished"),
    *each(_ENDS, CASH, Phase.PAYOUT, Gets.PRODUCT, Next.SELLS, "payout.finished"),
    *each("motor jams", _FREE, Phase.TURN, Gets.NOTHING_PAID, Next.COLUMN_OFF, *_OFF,
          strategy=_FAILS),
    *each(_UNKNOWN, PAYING, Phase.TURN, Gets.MONEY, _AGAIN, *_REFUSED, strategy=_FAILS),
    *each(_UNKNOWN, _FREE, Phase.TURN, Gets.NOTHING_PAID, _AGAIN, *_REFUSED, strategy=_FAILS),
    *each(_UNKNOWN, (*PAYING, *_FREE), Phase.DROP, Gets.PRODUCT, _AGAIN, "dispense.finished"),
    *each(_UNKNOWN, CASH, Phase.PAYOUT, Gets.PRODUCT, _AGAIN, "payout.finished"),
)  # fmt: skip
