"""Rows of the failure table: a product for grown-ups, and a proof of age that does not come."""

from __future__ import annotations

from typing import Final

from controller.saga.failure_cells import Cell, Gets, Next, Phase, Tender, each

_CASH: Final = (Tender.COINS,)

ROWS: Final[tuple[Cell, ...]] = (
    *each("age is not proved", _CASH, Phase.IDLE, Gets.CREDIT, Next.SELLS, "age.checked"),
    *each("reader can't check an age", _CASH, Phase.IDLE, Gets.CREDIT, Next.SELLS, "age.checked"),
    *each("reader resets while an age is asked", _CASH, Phase.IDLE, Gets.CREDIT, Next.SELLS,
          "age.checked"),
)  # fmt: skip
