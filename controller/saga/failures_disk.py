"""Rows of the failure table: what the journal's disk may do."""

from __future__ import annotations

from typing import Final

from controller.saga.failure_cells import PAYING, Cell, Gets, Next, Phase, each

ROWS: Final[tuple[Cell, ...]] = (
    *each("disk is slow (0.5 s)", PAYING, Phase.TURN, Gets.PRODUCT, Next.SELLS),
    *each("disk is slow (3 s)", PAYING, Phase.TURN, Gets.PRODUCT, Next.SELLS),
    *each("disk is slow (30 s)", PAYING, Phase.TURN, Gets.PRODUCT, Next.SELLS),
)
