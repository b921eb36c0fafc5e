"""Several selections that a customer keys before buying them all; nothing of it is paid yet."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

MAX_ITEMS: Final = 9  # what a display of four lines can speak of, and a hand can carry


@dataclass(slots=True)
class Basket:
    """What was keyed, and how far buying it has come. Lost with the process: it owes nothing."""

    items: list[str] = field(default_factory=list)  # selections still to be bought
    of: int = 0  # how many were confirmed; 0: not yet
    begun: int = 0  # how many of them were tried
    first: int = 0  # seq of the first vend
    asks_until: float | None = None  # monotonic; an item waits for a card until then

    @property
    def buying(self) -> bool:
        """Tell whether it was confirmed and is not over."""
        return self.of > 0

    def clear(self) -> None:
        """Forget it."""
        self.items.clear()
        self.of = self.begun = self.first = 0
        self.asks_until = None
