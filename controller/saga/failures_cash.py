"""Rows of the failure table: what goes wrong with a changer's payout or with a bill."""

from __future__ import annotations

from typing import Final

from controller.saga.failure_cells import CASH, Cell, Gets, Next, Phase, Tender, each
from controller.saga.strategy import Strategy

_PART: Final = Strategy.PARTIAL_DISPENSING
_FAILS: Final = Strategy.DISPENSING_FAILURE
_NONE: Final = Strategy.NONE
_LATE: Final = Strategy.TIME_OUT
_BILL: Final = (Tender.BILL,)
_COINS: Final = (Tender.COINS,)


def _payout(
    failure: str,
    *journaled: str,
    then: Next = Next.SELLS,
    change: Strategy = _PART,
    refund: Strategy = _FAILS,
    flagged: bool = False,
) -> tuple[Cell, ...]:
    """Return a row that ends well all the same: as change, and as the refund of a failed vend."""
    paid = ("payout.finished", *journaled)
    return (
        *each(
            failure, CASH, Phase.PAYOUT, Gets.PRODUCT, then, *paid,
            flagged=flagged, strategy=change,
        ),
        *each(
            failure, CASH, Phase.REFUND, Gets.MONEY, Next.COLUMN_OFF, *paid,
            flagged=flagged, strategy=refund,
        ),
    )  # fmt: skip


ROWS: Final[tuple[Cell, ...]] = (
    *_payout("changer jams in payout", "fault.raised"),
    *_payout("changer pays too little"),
    *_payout("changer resets in payout"),
    *each("changer pays too little again and again", CASH, Phase.PAYOUT, Gets.PRODUCT_AND_CLAIM,
          Next.SELLS, "payout.finished", "claim.opened", strategy=_PART),
    *each("changer pays too little again and again", CASH, Phase.REFUND, Gets.CLAIM,
          Next.COLUMN_OFF, "payout.finished", "claim.opened", strategy=_FAILS),
    *each("changer never ends its payout", CASH, Phase.PAYOUT, Gets.PRODUCT_AND_CLAIM, Next.SELLS,
          "payout.finished", "claim.opened", strategy=_LATE),
    *each("changer never ends its payout", CASH, Phase.REFUND, Gets.CLAIM, Next.COLUMN_OFF,
          "payout.finished", "claim.opened", strategy=_LATE),
    *_payout("changer tells a wrong tube count", change=_NONE),
    *_payout("changer tells a wrong payout status", change=_NONE),
    *_payout("changer is away for a moment"),
    *each("changer pays too much", CASH, Phase.PAYOUT, Gets.FREE, Next.SELLS, "payout.finished",
          flagged=True),
    *each("changer dies in payout", CASH, Phase.PAYOUT, Gets.PRODUCT_AND_CLAIM, Next.CARDS_ONLY,
          "payout.finished", "claim.opened", flagged=True, strategy=_LATE),
    *each("changer dies in payout", CASH, Phase.REFUND, Gets.CLAIM, Next.CARDS_ONLY,
          "payout.finished", "claim.opened", flagged=True, strategy=_LATE),
    *each("changer is gone", CASH, Phase.TURN, Gets.PRODUCT_AND_CLAIM, Next.CARDS_ONLY,
          "claim.opened", strategy=_LATE),
    *each("coins run out", _COINS, Phase.IDLE, Gets.CLAIM, Next.SELLS,
          "shortfall.booked", "claim.opened", strategy=_PART),
    # ----------------------------------------------------------------------------- bills
    *each("bill is returned by force", _BILL, Phase.ESCROW, Gets.NOTHING_PAID, Next.SELLS,
          "bill.returned"),
    *each("bill is stuck in escrow", _BILL, Phase.ESCROW, Gets.NOTHING_PAID, Next.SELLS,
          "fault.raised", "bill.return_intended", "bill.returned"),
    *each("bill jams on its way", _BILL, Phase.ESCROW, Gets.CLAIM, Next.NO_BILLS,
          "fault.raised", "claim.opened", strategy=_LATE),
    *each("validator resets before the stack", _BILL, Phase.ESCROW, Gets.NOTHING_PAID,
          Next.SELLS, "bill.returned"),
    *each("validator resets in the stack", _BILL, Phase.ESCROW, Gets.CREDIT, Next.SELLS,
          "bill.stacked"),
    *each("stacker reports late", _BILL, Phase.ESCROW, Gets.CREDIT, Next.SELLS, "bill.stacked"),
    *each("stacker never reports", _BILL, Phase.ESCROW, Gets.CREDIT, Next.SELLS, "bill.stacked"),
    *each("stacker neither reports nor counts", _BILL, Phase.ESCROW, Gets.CLAIM, Next.NO_BILLS,
          "fault.raised", "claim.opened", strategy=_LATE),
    *each("validator is gone", _BILL, Phase.ESCROW, Gets.CLAIM, Next.NO_BILLS,
          "fault.raised", "claim.opened", flagged=True, strategy=_LATE),
    *each("bill is not stacked", (Tender.BILL_CARD,), Phase.ESCROW, Gets.MONEY, Next.SELLS,
          "bill.returned", "dispense.refused", "settle.finished", strategy=_FAILS),
    *each("bill is stacked after power-up", _BILL, Phase.ESCROW, Gets.CREDIT, Next.RESTARTS,
          "bill.stacked"),
)  # fmt: skip
