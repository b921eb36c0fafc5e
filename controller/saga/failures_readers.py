"""Rows of the failure table: two card readers, of which one serves the customer.

What becomes of the other one makes no difference to them, but that a card that comes to it while
the first is still asked is asked instead. The vend of a reader that fails is never carried on
there: a selection of its own goes to the other one.
"""

from __future__ import annotations

from typing import Final

from controller.saga.failure_cells import BY_CARD, Cell, Gets, Next, Phase, Tender, each
from controller.saga.strategy import Strategy

_FAILS: Final = Strategy.DISPENSING_FAILURE
_LATE: Final = Strategy.TIME_OUT
_CLAIMED: Final = ("settle.finished", "claim.opened")
_OTHER: Final = Next.OTHER_READER


def _beside(failure: str) -> tuple[Cell, ...]:
    """Return a row of the other reader: the vend goes on as if it were not there."""
    sells, off = Next.SELLS, Next.COLUMN_OFF
    return (
        *each(failure, BY_CARD, Phase.APPROVAL, Gets.PRODUCT, sells, "approval.finished"),
        *each(failure, BY_CARD, Phase.TURN, Gets.PRODUCT, sells, "settle.finished"),
        *each(failure, BY_CARD, Phase.SETTLE, Gets.PRODUCT, sells, "settle.finished"),
        *each(failure, BY_CARD, Phase.REFUND, Gets.MONEY, off, "settle.finished", strategy=_FAILS),
    )


ROWS: Final[tuple[Cell, ...]] = (
    *_beside("the other reader falls silent"),
    *_beside("the other reader resets"),
    *_beside("the other reader ends a session that it has not"),
    *_beside("a card comes to the other reader"),
    *each("one of two readers falls silent when asked", (Tender.CARD,), Phase.APPROVAL,
          Gets.NOTHING_PAID, _OTHER, "approval.finished", flagged=True, strategy=_LATE),
    *each("one of two readers falls silent when asked", (Tender.MIXED,), Phase.APPROVAL,
          Gets.CREDIT, _OTHER, "approval.finished", "credit.restored", flagged=True,
          strategy=_LATE),
    *each("one of two readers falls silent when it has approved", BY_CARD, Phase.TURN,
          Gets.PRODUCT, _OTHER, "settle.finished"),
    *each("one of two readers dies when told of success", BY_CARD, Phase.SETTLE, Gets.PRODUCT,
          _OTHER, "settle.finished"),
    *each("one of two readers falls silent when told of failure", BY_CARD, Phase.REFUND,
          Gets.CLAIM, _OTHER, *_CLAIMED, "column.disabled", flagged=True, strategy=_LATE),
    *each("one of two readers can't refund", BY_CARD, Phase.REFUND, Gets.CLAIM, Next.COLUMN_OFF,
          *_CLAIMED, strategy=_FAILS),
)  # fmt: skip
