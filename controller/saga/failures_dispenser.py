"""Rows of the failure table: what goes wrong between the motor and the bin."""

from __future__ import annotations

from typing import Final

from controller.saga.failure_cells import ALL, BY_CARD, CASH, Cell, Gets, Next, Phase, Tender, each
from controller.saga.strategy import Strategy

_FAILS: Final = Strategy.DISPENSING_FAILURE
_OFF: Final = ("dispense.finished", "fault.raised", "column.disabled")
_CLAIM: Final = (Tender.CLAIM,)  # what a card once paid never becomes coins: it stays credit
_MONEY: Final = (*CASH, *BY_CARD)


def _fails(failure: str, phase: Phase, then: Next, *journaled: str) -> tuple[Cell, ...]:
    """Return a row in which nothing is delivered."""
    return (
        *each(failure, _MONEY, phase, Gets.MONEY, then, *journaled, strategy=_FAILS),
        *each(failure, _CLAIM, phase, Gets.CREDIT, then, *journaled, strategy=_FAILS),
    )


ROWS: Final[tuple[Cell, ...]] = (
    *_fails("motor jams", Phase.TURN, Next.COLUMN_OFF, *_OFF),
    *each(
        "motor jams", (Tender.BILL_CARD,), Phase.TURN, Gets.MONEY, Next.COLUMN_OFF, "bill.stacked",
        "settle.finished", "payout.finished", *_OFF, strategy=_FAILS,
    ),
    *_fails("motor does not start", Phase.TURN, Next.COLUMN_OFF, *_OFF),
    *_fails("motor is seized", Phase.TURN, Next.COLUMN_OFF, *_OFF),
    *each("motor never comes home", ALL, Phase.DROP, Gets.PRODUCT, Next.COLUMN_OFF, *_OFF),
    *_fails("home switch is stuck", Phase.TURN, Next.COLUMN_OFF, *_OFF),
    *_fails("product hangs", Phase.TURN, Next.COLUMN_OFF, *_OFF),
    *each("product hangs once", ALL, Phase.TURN, Gets.PRODUCT, Next.SELLS, "dispense.finished"),
    *each("product falls late", ALL, Phase.DROP, Gets.PRODUCT, Next.SELLS, "dispense.finished"),
    *each("another column delivers", ALL, Phase.TURN, Gets.PRODUCT, Next.COLUMN_OFF, *_OFF),
    *each(
        "drop is not seen", _MONEY, Phase.DROP, Gets.BOTH, Next.COLUMN_OFF, *_OFF, strategy=_FAILS
    ),
    *_fails("column is empty against the count", Phase.TURN, Next.COLUMN_OFF, *_OFF),
    *_fails("column says that it is empty", Phase.TURN, Next.COLUMN_OFF, *_OFF),
    *each("two products fall", ALL, Phase.DROP, Gets.PRODUCT, Next.SELLS),
    *_fails("drop sensor is blind", Phase.IDLE, Next.STOPS, "dispense.refused", "fault.raised"),
    *each(
        "drop sensor goes blind", ALL, Phase.TURN, Gets.BOTH, Next.STOPS, "dispense.finished",
        "dispense.decided", "fault.raised", flagged=True, strategy=_FAILS,
    ),
    *_fails(
        "something lies in the beam", Phase.IDLE, Next.STOPS, "dispense.refused", "fault.raised"
    ),
    *_fails("drop latch is stuck", Phase.IDLE, Next.STOPS, "dispense.refused", "fault.raised"),
    *_fails("door is opened", Phase.TURN, Next.STOPS, "dispense.finished"),
    *each("door is opened", ALL, Phase.DROP, Gets.PRODUCT, Next.STOPS, "dispense.finished"),
)  # fmt: skip
