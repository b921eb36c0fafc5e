"""Rows of the failure table: customers with a token, a free vend or credit from an app."""

from __future__ import annotations

from typing import Final

from controller.saga.failure_cells import RIGHTS, UNPAID, Cell, Gets, Next, Phase, Tender, each
from controller.saga.strategy import Strategy

_APP: Final = (Tender.APP,)
_OFF: Final = ("dispense.finished", "fault.raised", "column.disabled")
_BACK: Final = ("right.returned", "refund.requested")


def _fails(failure: str, phase: Phase, then: Next, *journaled: str) -> tuple[Cell, ...]:
    """Return a row in which nothing is delivered."""
    failed = Strategy.DISPENSING_FAILURE
    return (
        *each(failure, RIGHTS, phase, Gets.RIGHT, then, "right.returned", *journaled,
              strategy=failed),
        *each(failure, _APP, phase, Gets.APP_MONEY, then, *_BACK, *journaled, strategy=failed),
    )  # fmt: skip


ROWS: Final[tuple[Cell, ...]] = (
    *_fails("motor jams", Phase.TURN, Next.COLUMN_OFF, *_OFF),
    *_fails("product hangs", Phase.TURN, Next.COLUMN_OFF, *_OFF),
    *_fails("drop sensor is blind", Phase.IDLE, Next.STOPS, "dispense.refused"),
    *each("product hangs once", UNPAID, Phase.TURN, Gets.PRODUCT, Next.SELLS, "right.used"),
    *each("another column delivers", UNPAID, Phase.TURN, Gets.PRODUCT, Next.COLUMN_OFF,
          "right.used", *_OFF),
    *each("price is changed", UNPAID, Phase.TURN, Gets.PRODUCT, Next.SELLS, "right.used"),
    *each("service manager stops vendd", UNPAID, Phase.TURN, Gets.PRODUCT, Next.ENDS, "right.used",
          "stop.requested"),
    *each("nobody comes in time", (Tender.FREE,), Phase.MONEY, Gets.NOTHING_PAID, Next.SELLS,
          "right.ended"),
    *each("nobody comes in time", _APP, Phase.MONEY, Gets.APP_MONEY, Next.SELLS, "right.ended",
          "refund.requested"),
    *each("vendd is killed while it waits", (Tender.TOKEN,), Phase.MONEY, Gets.RIGHT, Next.SELLS,
          "token.inserted"),
    *each("vendd is killed while it waits", (Tender.FREE,), Phase.MONEY, Gets.NOTHING_PAID,
          Next.SELLS, "right.ended"),
    *each("vendd is killed while it waits", _APP, Phase.MONEY, Gets.APP_MONEY, Next.SELLS,
          "right.ended", "refund.requested"),
)  # fmt: skip
