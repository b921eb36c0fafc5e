"""Rows of the failure table: what goes wrong with a card reader, and what its customer may do."""

from __future__ import annotations

from typing import Final

from controller.saga.failure_cells import BY_CARD, Cell, Gets, Next, Phase, Tender, each
from controller.saga.strategy import Strategy

_FAILS: Final = Strategy.DISPENSING_FAILURE
_LATE: Final = Strategy.TIME_OUT
_CARD: Final = (Tender.CARD,)
_MIXED: Final = (Tender.MIXED,)


def _refused(
    failure: str, then: Next = Next.SELLS, *, flagged: bool = False, late: bool = False
) -> tuple[Cell, ...]:
    """Return a row in which the card pays nothing: coins that are in stay credit."""
    strategy = _LATE if late else Strategy.NONE
    phase = Phase.APPROVAL
    return (
        *each(
            failure, _CARD, phase, Gets.NOTHING_PAID, then, "approval.finished",
            flagged=flagged, strategy=strategy,
        ),
        *each(
            failure, _MIXED, phase, Gets.CREDIT, then, "approval.finished", "credit.restored",
            flagged=flagged, strategy=strategy,
        ),
    )  # fmt: skip


def _waiting_bill(failure: str) -> tuple[Cell, ...]:
    """Return the row of a bill in escrow whose card pays nothing: it waits on, as credit."""
    return each(
        failure, (Tender.BILL_CARD,), Phase.APPROVAL, Gets.CREDIT, Next.SELLS,
        "bill.escrowed", "approval.finished",
    )  # fmt: skip


_CLAIMED: Final = ("settle.finished", "claim.opened")

ROWS: Final[tuple[Cell, ...]] = (
    # ------------------------------------------------------------------- before the approval
    *_refused("card is declined"),
    *_waiting_bill("card is declined"),
    *_refused("reader falls silent when asked", Next.CASH_ONLY, flagged=True, late=True),
    *_refused("reader resets when asked", flagged=True, late=True),
    *_refused("reader never answers", late=True),
    *each("reader answers late", BY_CARD, Phase.APPROVAL, Gets.PRODUCT, Next.SELLS),
    *each("reader answers twice", BY_CARD, Phase.APPROVAL, Gets.PRODUCT, Next.SELLS),
    *each("reader says out of sequence", BY_CARD, Phase.APPROVAL, Gets.PRODUCT, Next.SELLS),
    # -------------------------------------------------------------------- after the approval
    *each("reader falls silent when it has approved", BY_CARD, Phase.TURN, Gets.PRODUCT,
          Next.CASH_ONLY, "settle.finished"),
    *each("reader resets when it has approved", BY_CARD, Phase.TURN, Gets.PRODUCT, Next.SELLS,
          "settle.finished"),
    *each("reader says out of sequence", BY_CARD, Phase.TURN, Gets.PRODUCT, Next.SELLS),
    *each("reader dies when told of success", BY_CARD, Phase.SETTLE, Gets.PRODUCT,
          Next.CASH_ONLY, "settle.finished"),
    *each("reader resets when told of success", BY_CARD, Phase.SETTLE, Gets.PRODUCT, Next.SELLS,
          "settle.finished"),
    # ----------------------------------------------------------------------- no refund by it
    *each("reader can't refund", BY_CARD, Phase.REFUND, Gets.CLAIM, Next.COLUMN_OFF, *_CLAIMED,
          strategy=_FAILS),
    *each("reader never says whether it refunded", BY_CARD, Phase.REFUND, Gets.CLAIM,
          Next.COLUMN_OFF, *_CLAIMED, flagged=True, strategy=_LATE),
    *each("reader falls silent when told of failure", BY_CARD, Phase.REFUND, Gets.CLAIM,
          Next.COLUMN_OFF, *_CLAIMED, flagged=True, strategy=_LATE),
    *each("reader resets when told of failure", BY_CARD, Phase.REFUND, Gets.CLAIM,
          Next.COLUMN_OFF, *_CLAIMED, strategy=_FAILS),
    # ------------------------------------------------------------ the customer, at each point
    *each("customer ends the session", _CARD, Phase.MONEY, Gets.NOTHING_PAID, Next.SELLS),
    *each("customer cancels", (Tender.COINS, Tender.BILL), Phase.MONEY, Gets.MONEY, Next.SELLS,
          "credit_return.opened", "payout.finished"),
    *_refused("customer cancels"),
    *_waiting_bill("customer cancels"),
    *each("customer cancels", BY_CARD, Phase.TURN, Gets.PRODUCT, Next.SELLS),
    *each("customer cancels", BY_CARD, Phase.DROP, Gets.PRODUCT, Next.SELLS),
    *each("customer cancels", BY_CARD, Phase.SETTLE, Gets.PRODUCT, Next.SELLS),
    *each("customer takes the card away", BY_CARD, Phase.TURN, Gets.PRODUCT, Next.SELLS),
    *each("customer takes the card away", BY_CARD, Phase.SETTLE, Gets.PRODUCT, Next.SELLS),
)  # fmt: skip
