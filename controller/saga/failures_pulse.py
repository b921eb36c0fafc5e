"""Rows of the failure table: what goes wrong on the wire of a pulse acceptor."""

from __future__ import annotations

from typing import Final

from controller.saga.failure_cells import Cell, Gets, Next, Phase, Tender, each

_COINS: Final = (Tender.COINS,)

ROWS: Final[tuple[Cell, ...]] = (
    *each("noise on the pulse line", _COINS, Phase.IDLE, Gets.PRODUCT, Next.SELLS,
          "coins.deposited"),
    *each("pulses are lost", _COINS, Phase.IDLE, Gets.ASKED, Next.SELLS, "coins.deposited",
          "review.flagged", flagged=True),
)  # fmt: skip
