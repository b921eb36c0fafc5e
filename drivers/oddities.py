"""What a device told that is no money and no fault, counted for a technician.

A few slugs are a day's work, thousands are a customer with a file or an acceptor that wants
cleaning: only a count tells. No record is made of it.
"""

from __future__ import annotations

from collections import Counter
from enum import Enum
from typing import Final

KINDS_MAX: Final = 24
"""Kinds that are told apart, some are named by raw bytes: noise must not fill the memory."""

OTHERS: Final = "others"


class Oddities(Counter[str]):
    """Counts by what it was, in words; they only grow."""

    def note(self, what: str | Enum, count: int = 1) -> None:
        """Count something; a member of an enum by its name, in words."""
        words = what if isinstance(what, str) else what.name.replace("_", " ").lower()
        if words not in self and len(self) >= KINDS_MAX:
            words = OTHERS
        self[words] += count
