"""Rows of the failure table: cash that goes to the card in the reader."""

from __future__ import annotations

from typing import Final

from controller.saga.failure_cells import Cell, Gets, Next, Phase, Tender, each
from controller.saga.strategy import Strategy

_CASH: Final = (Tender.REVALUE,)
_ASKED: Final = Phase.REVALUE
_TOLD: Final = ("revalue.finished",)
_DOUBT: Final = (*_TOLD, "claim.opened")
_LATE: Final = Strategy.TIME_OUT


def _doubtful(failure: str, then: Next) -> tuple[Cell, ...]:
    """Return a row in which nobody can tell whether the card has it: never twice, but owed."""
    return each(
        failure, _CASH, _ASKED, Gets.CLAIM, then, *_DOUBT, flagged=True, strategy=_LATE
    )  # fmt: skip


def _unwritten(failure: str, then: Next, *journaled: str) -> tuple[Cell, ...]:
    """Return a row in which the journal can't take the reader's answer.

    Unacknowledged it is given again to the next life; an adapter has taken it for vendd.
    """
    told = (*_TOLD, *journaled)
    doubt = (*_DOUBT, *journaled)
    return (
        *each(failure, _CASH, _ASKED, Gets.ON_CARD, then, *told, link="native"),
        *each(failure, _CASH, _ASKED, Gets.CLAIM, then, *doubt, flagged=True, strategy=_LATE,
              link="adapter"),
    )  # fmt: skip


ROWS: Final[tuple[Cell, ...]] = (
    *each("reader denies a revalue", _CASH, _ASKED, Gets.CREDIT, Next.SELLS, *_TOLD),
    *each("reader does not hear of a revalue", _CASH, _ASKED, Gets.CREDIT, Next.SELLS, *_TOLD),
    *each("reader revalues late", _CASH, _ASKED, Gets.ON_CARD, Next.SELLS, *_TOLD),
    *_doubtful("reader never answers", Next.SELLS),
    *_doubtful("reader falls silent before it revalues", Next.CASH_ONLY),
    *_doubtful("reader falls silent when it has revalued", Next.CASH_ONLY),
    *_doubtful("reader resets before it revalues", Next.SELLS),
    *_doubtful("reader resets when it has revalued", Next.SELLS),
    *each("customer cancels", _CASH, _ASKED, Gets.ON_CARD, Next.SELLS, *_TOLD),
    *each("customer takes the card away", _CASH, _ASKED, Gets.ON_CARD, Next.SELLS, *_TOLD),
    *each("service manager stops vendd", _CASH, _ASKED, Gets.ON_CARD, Next.ENDS, *_TOLD,
          "stop.requested"),
    # The reader's answer waits for the next life.
    *each("vendd is killed", _CASH, _ASKED, Gets.ON_CARD, Next.RESTARTS, *_TOLD),
    *_doubtful("power is lost", Next.RESTARTS),
    # What was written and not synced may be there all the same: then it counts.
    *each("disk fails to sync", _CASH, _ASKED, Gets.ON_CARD, Next.RESTARTS, *_TOLD),
    *_unwritten("disk fails to write", Next.RESTARTS),
    *_unwritten("disk is full", Next.STOPS, "fault.raised"),
    *_unwritten("disk turns read-only", Next.STRANDED),
)  # fmt: skip
