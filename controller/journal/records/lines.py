"""Words that records share: lines of the ledger, lots, coins by type."""

from __future__ import annotations

Lots = tuple[tuple[int, int], ...]  # (lot's seq, amount)
Coins = tuple[tuple[int, int], ...]  # (coin type, count)
Lines = tuple[tuple[str, int], ...]


def lines_of(*lines: tuple[str, int]) -> Lines:
    """Drop zero lines; the envelope checks that the rest sums to zero."""
    return tuple(line for line in lines if line[1])
