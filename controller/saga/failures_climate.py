"""Rows of the failure table: the climate, and the health timer that it feeds."""

from __future__ import annotations

from typing import Final

from controller.saga.failure_cells import CASH, PAYING, Cell, Gets, Next, Phase, Tender, each
from controller.saga.strategy import Strategy

_HELD: Final = "health timer has run out"
_MEANWHILE: Final = "health timer runs out meanwhile"
_TOLD: Final = ("health.exceeded", "fault.raised")

ROWS: Final[tuple[Cell, ...]] = (
    *each(_HELD, (*CASH, Tender.MIXED), Phase.MONEY, Gets.CREDIT, Next.HELD_BACK, *_TOLD),
    *each(_HELD, (Tender.ANY,), Phase.IDLE, Gets.NOTHING_PAID, Next.HELD_BACK, *_TOLD),
    *each(
        _MEANWHILE, (Tender.CARD, Tender.MIXED), Phase.APPROVAL, Gets.MONEY, Next.HELD_BACK,
        *_TOLD, "dispense.refused", "settle.finished", strategy=Strategy.DISPENSING_FAILURE,
    ),
    *each("thermometer dies", PAYING, Phase.IDLE, Gets.PRODUCT, Next.SELLS, "fault.raised"),
)  # fmt: skip
