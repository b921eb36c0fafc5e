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
    *each("a pulse is too long", _COINS, Phase.IDLE, Gets.ASKED, Next.SELLS, "coins.deposited",
          "review.flagged", flagged=True),
    *each("pulse line stays on", _COINS, Phase.MONEY, Gets.CREDIT, Next.SELLS, "fault.raised"),
    *each("coin gives no pulse", _COINS, Phase.MONEY, Gets.LOST, Next.SELLS),
    *each("vendd is killed while a coin pulses", _COINS, Phase.MONEY, Gets.LOST, Next.RESTARTS),
    *each("vendd starts while a coin pulses", _COINS, Phase.MONEY, Gets.LOST, Next.RESTARTS,
          "review.flagged", flagged=True),
    *each("power is lost while a coin pulses", _COINS, Phase.MONEY, Gets.LOST, Next.RESTARTS),
)  # fmt: skip
