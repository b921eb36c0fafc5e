"""Rows of the failure table: what goes wrong with cash devices that speak ccTalk."""

from __future__ import annotations

from typing import Final

from controller.saga.failure_cells import CASH, Cell, Gets, Next, Phase, Tender, each
from controller.saga.strategy import Strategy

_PART: Final = Strategy.PARTIAL_DISPENSING
_FAILS: Final = Strategy.DISPENSING_FAILURE
_LATE: Final = Strategy.TIME_OUT
_NONE: Final = Strategy.NONE
_BILL: Final = (Tender.BILL,)
_COINS: Final = (Tender.COINS,)


def _payout(failure: str, *journaled: str, change: Strategy = _NONE) -> tuple[Cell, ...]:
    """Return a row that ends well all the same: as change, and as the refund of a failed vend."""
    paid = ("payout.finished", *journaled)
    return (
        *each(failure, CASH, Phase.PAYOUT, Gets.PRODUCT, Next.SELLS, *paid, strategy=change),
        *each(failure, CASH, Phase.REFUND, Gets.MONEY, Next.COLUMN_OFF, *paid, strategy=_FAILS),
    )


ROWS: Final[tuple[Cell, ...]] = (
    # --------------------------------------------------------------------------- hoppers
    *_payout("hopper jams in payout", change=_PART),
    *_payout("hopper's coins bridge in payout", "fault.raised", change=_PART),
    *_payout("hopper does not hear the order"),
    *_payout("hopper hears no order at all", "fault.raised", change=_PART),
    *_payout("hopper resets in payout", change=_PART),
    *_payout("hopper loses its power in payout", change=_PART),
    *_payout("hopper is away for a moment"),
    *_payout("hopper never ends its payout", "fault.raised", change=_PART),
    *each("hopper dies in payout", CASH, Phase.PAYOUT, Gets.PRODUCT_AND_CLAIM, Next.SELLS,
          "payout.finished", "claim.opened", flagged=True, strategy=_LATE),
    *each("hopper dies in payout", CASH, Phase.REFUND, Gets.CLAIM, Next.COLUMN_OFF,
          "payout.finished", "claim.opened", flagged=True, strategy=_LATE),
    *each("ccTalk line is cut in payout", CASH, Phase.PAYOUT, Gets.PRODUCT_AND_CLAIM,
          Next.SELLS, "payout.finished", "claim.opened", flagged=True, strategy=_LATE),
    *each("ccTalk line is cut in payout", CASH, Phase.REFUND, Gets.CLAIM, Next.COLUMN_OFF,
          "payout.finished", "claim.opened", flagged=True, strategy=_LATE),
    # ------------------------------------------------------------------------- the acceptor
    *each("acceptor resets", _COINS, Phase.MONEY, Gets.CREDIT, Next.SELLS, "fault.raised"),
    *each("acceptor resets with a coin that nobody has read", _COINS, Phase.IDLE, Gets.ASKED,
          Next.SELLS, "coins.deposited", "review.flagged", flagged=True),
    *each("acceptor tells more than its buffer holds", _COINS, Phase.IDLE, Gets.ASKED, Next.SELLS,
          "coins.deposited", "review.flagged", flagged=True),
    *each("acceptor's counter begins again behind 255", _COINS, Phase.IDLE, Gets.PRODUCT,
          Next.SELLS, "coins.deposited"),
    *each("acceptor is gone", _COINS, Phase.MONEY, Gets.CREDIT, Next.SELLS, "fault.raised"),
    # ------------------------------------------------------------------------ the validator
    *each("ccTalk bill jams on its way", _BILL, Phase.ESCROW, Gets.CLAIM, Next.NO_BILLS,
          "fault.raised", "claim.opened", strategy=_LATE),
    *each("ccTalk validator does not hear the route", _BILL, Phase.ESCROW, Gets.CREDIT, Next.SELLS,
          "bill.stacked"),
    *each("ccTalk validator hears no route at all", _BILL, Phase.ESCROW, Gets.NOTHING_PAID,
          Next.SELLS, "bill.returned"),
    *each("ccTalk validator resets before the stack", _BILL, Phase.ESCROW, Gets.NOTHING_PAID,
          Next.SELLS, "bill.returned"),
    *each("ccTalk validator resets behind the stack", _BILL, Phase.ESCROW, Gets.CREDIT, Next.SELLS,
          "bill.stacked"),
    *each("ccTalk validator is away for a moment", _BILL, Phase.ESCROW, Gets.CREDIT, Next.SELLS,
          "bill.stacked"),
    *each("ccTalk validator is gone", _BILL, Phase.ESCROW, Gets.CLAIM, Next.NO_BILLS,
          "fault.raised", "claim.opened", flagged=True, strategy=_LATE),
)  # fmt: skip
