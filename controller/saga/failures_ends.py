"""Rows of the failure table: vendd is stopped or killed, or the power goes, at each phase."""

from __future__ import annotations

from typing import Final

from controller.saga.failure_cells import ALL, BY_CARD, CASH, Cell, Gets, Next, Phase, Tender, each
from controller.saga.strategy import Strategy

_FAILS: Final = Strategy.DISPENSING_FAILURE
_LATE: Final = Strategy.TIME_OUT
_CARD: Final = (Tender.CARD,)
_CLAIM: Final = (Tender.CLAIM,)
_HELD: Final = (*CASH, Tender.MIXED, Tender.CLAIM)  # what is credit before a vend begins
_MONEY: Final = (*CASH, *BY_CARD, Tender.BILL_CARD)

_STOPPED: Final = "service manager stops vendd"
_KILLED: Final = "vendd is killed"
_CUT: Final = "power is lost"


def _before(failure: str, then: Next, *journaled: str) -> tuple[Cell, ...]:
    """Return the phases that leave the customer where they were."""
    return (
        *each(failure, (Tender.ANY,), Phase.IDLE, Gets.NOTHING_PAID, then, *journaled),
        *each(failure, _HELD, Phase.MONEY, Gets.CREDIT, then, *journaled),
    )


def _no_product(
    failure: str, phase: Phase, then: Next, *journaled: str, flagged: bool = False
) -> tuple[Cell, ...]:
    """Return a phase in which nothing has fallen: everything goes back."""
    return (
        *each(failure, _MONEY, phase, Gets.MONEY, then, *journaled,
              flagged=flagged, strategy=_FAILS),
        *each(failure, _CLAIM, phase, Gets.CREDIT, then, *journaled,
              flagged=flagged, strategy=_FAILS),
    )  # fmt: skip


_BY_READER: Final = (*BY_CARD, Tender.BILL_CARD)
_AGAIN: Final = Next.RESTARTS
_REFUSED: Final = ("dispense.finished", "dispense.refused")

_DECIDED: Final = ("dispense.finished", "dispense.decided")


def _blind(phase: Phase) -> tuple[Cell, ...]:
    """Return a power cut in the turn: the latch forgot, and a reader's own reset charged."""
    return (
        *each(_CUT, CASH, phase, Gets.MONEY, _AGAIN, *_DECIDED, flagged=True, strategy=_FAILS),
        *each(_CUT, _BY_READER, phase, Gets.CLAIM, _AGAIN, *_DECIDED, "claim.opened",
              flagged=True, strategy=_FAILS),
        *each(_CUT, _CLAIM, phase, Gets.CREDIT, _AGAIN, *_DECIDED, flagged=True, strategy=_FAILS),
    )  # fmt: skip


ROWS: Final[tuple[Cell, ...]] = (
    # ----------------------------------------------------------- in good order, within 25 s
    *_before(_STOPPED, Next.ENDS, "stop.requested"),
    *each(_STOPPED, _CARD, Phase.APPROVAL, Gets.NOTHING_PAID, Next.ENDS, "approval.finished"),
    *each(_STOPPED, (Tender.MIXED,), Phase.APPROVAL, Gets.CREDIT, Next.ENDS, "approval.finished"),
    *each(_STOPPED, (*ALL, Tender.BILL_CARD), Phase.TURN, Gets.PRODUCT, Next.ENDS,
          "stop.requested"),
    *each(_STOPPED, (*ALL, Tender.BILL_CARD), Phase.DROP, Gets.PRODUCT, Next.ENDS,
          "stop.requested"),
    *each(_STOPPED, BY_CARD, Phase.SETTLE, Gets.PRODUCT, Next.ENDS, "stop.requested"),
    *each(_STOPPED, _MONEY, Phase.REFUND, Gets.MONEY, Next.ENDS, "stop.requested",
          strategy=_FAILS),
    *each(_STOPPED, CASH, Phase.PAYOUT, Gets.PRODUCT, Next.ENDS, "payout.finished"),
    *each(_STOPPED, (Tender.BILL,), Phase.ESCROW, Gets.CREDIT, Next.ENDS, "bill.stacked"),
    *_no_product(_STOPPED, Phase.RECOVERY, Next.ENDS, *_REFUSED),
    # ------------------------------------------------------------------------------ SIGKILL
    *_before(_KILLED, _AGAIN),
    *each(_KILLED, _CARD, Phase.APPROVAL, Gets.NOTHING_PAID, _AGAIN, "approval.finished"),
    *each(_KILLED, (Tender.MIXED,), Phase.APPROVAL, Gets.CREDIT, _AGAIN, "approval.finished"),
    *_no_product(_KILLED, Phase.TURN, _AGAIN, *_REFUSED),
    *each(_KILLED, (*ALL, Tender.BILL_CARD), Phase.DROP, Gets.PRODUCT, _AGAIN,
          "dispense.finished"),
    *each(_KILLED, BY_CARD, Phase.SETTLE, Gets.PRODUCT, _AGAIN, "settle.finished"),
    *each(_KILLED, CASH, Phase.REFUND, Gets.MONEY, _AGAIN, strategy=_FAILS),
    # What the reader said to VEND FAILURE died with vendd: a person compares its report.
    *each(_KILLED, _BY_READER, Phase.REFUND, Gets.MONEY, _AGAIN, "settle.finished",
          flagged=True, strategy=_FAILS),
    *each(_KILLED, CASH, Phase.PAYOUT, Gets.PRODUCT, _AGAIN, "payout.finished"),
    *each(_KILLED, (Tender.BILL,), Phase.ESCROW, Gets.CREDIT, _AGAIN, "bill.stacked"),
    *each(_KILLED, CASH, Phase.RECOVERY, Gets.MONEY, _AGAIN, *_REFUSED, strategy=_FAILS),
    *each(_KILLED, _BY_READER, Phase.RECOVERY, Gets.MONEY, _AGAIN, *_REFUSED,
          flagged=True, strategy=_FAILS),
    *each(_KILLED, _CLAIM, Phase.RECOVERY, Gets.CREDIT, _AGAIN, *_REFUSED, strategy=_FAILS),
    # --------------------------------------------------------------------------- power cuts
    *_before(_CUT, _AGAIN),
    *each(_CUT, _CARD, Phase.APPROVAL, Gets.CLAIM, _AGAIN, "approval.finished", "claim.opened",
          flagged=True, strategy=_LATE),
    *each(_CUT, (Tender.MIXED,), Phase.APPROVAL, Gets.CLAIM, _AGAIN, "approval.finished",
          "claim.opened", flagged=True, strategy=_LATE),
    *_blind(Phase.TURN),
    *each(_CUT, (*CASH, Tender.CLAIM), Phase.DROP, Gets.BOTH, _AGAIN, *_DECIDED,
          flagged=True, strategy=_FAILS),
    *each(_CUT, _BY_READER, Phase.DROP, Gets.PRODUCT_AND_CLAIM, _AGAIN, *_DECIDED,
          "claim.opened", flagged=True, strategy=_FAILS),
    *each(_CUT, BY_CARD, Phase.SETTLE, Gets.PRODUCT, _AGAIN, "settle.finished"),
    *each(_CUT, CASH, Phase.REFUND, Gets.MONEY, _AGAIN, "payout.finished", strategy=_FAILS),
    *each(_CUT, BY_CARD, Phase.REFUND, Gets.CLAIM, _AGAIN, "settle.finished", "claim.opened",
          flagged=True, strategy=_LATE),
    *each(_CUT, CASH, Phase.PAYOUT, Gets.PRODUCT, _AGAIN, "payout.finished",
          strategy=Strategy.PARTIAL_DISPENSING),
    *each(_CUT, (Tender.BILL,), Phase.ESCROW, Gets.NOTHING_PAID, _AGAIN, "bill.returned"),
    *_blind(Phase.RECOVERY),
)  # fmt: skip
