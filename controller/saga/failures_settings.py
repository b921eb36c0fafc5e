"""Rows of the failure table: the clock, keys, and settings that change under a vend."""

from __future__ import annotations

from typing import Final

from controller.saga.failure_cells import CASH, PAYING, Cell, Gets, Next, Phase, each

_BACK: Final = "clock jumps back ten years"
_AHEAD: Final = "clock jumps ahead ten years"

ROWS: Final[tuple[Cell, ...]] = (
    *each(_BACK, PAYING, Phase.TURN, Gets.PRODUCT, Next.SELLS),
    *each(_AHEAD, PAYING, Phase.TURN, Gets.PRODUCT, Next.SELLS),
    *each("price is changed", PAYING, Phase.TURN, Gets.PRODUCT, Next.SELLS, "price.set"),
    *each("two keys at once", CASH, Phase.IDLE, Gets.PRODUCT, Next.SELLS),
)
