"""Rows of the failure table: vendd is stopped or killed, or the power goes, at each phase."""

from __future__ import annotations

from typing import Final

from controller.saga.failure_cells import PAYING, Cell, Gets, Next, Phase, each

ROWS: Final[tuple[Cell, ...]] = (
    *each("service manager stops vendd", PAYING, Phase.TURN, Gets.PRODUCT, Next.ENDS,
          "stop.requested"),
)  # fmt: skip
