"""Which keys of a matrix are pressed: debounce and ghosts, pure.

Bare contacts at the crossings of rows and columns show a ghost as soon as three corners of a
rectangle are pressed. Such a scan cannot be told from one with all four, so it counts for nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations

Crossing = tuple[int, int]  # row, column


def is_ambiguous(pressed: Iterable[Crossing]) -> bool:
    """Tell whether a scan holds the four corners of a rectangle, one of which may be a ghost."""
    rows: dict[int, set[int]] = {}
    for row, column in pressed:
        rows.setdefault(row, set()).add(column)
    return any(len(one & other) > 1 for one, other in combinations(rows.values(), 2))


class KeypadScan:
    """Turns scans into key presses.

    Args:
        layout: The keys, a text per row.
        debounce_s: How long a contact must stand still to count.
    """

    def __init__(self, layout: Sequence[str], debounce_s: float) -> None:
        self._layout = tuple(layout)
        self._debounce_s = debounce_s
        self._down: set[Crossing] = set()
        self._since: dict[Crossing, float] = {}  # contacts that differ from what counts, and since

    @property
    def at_rest(self) -> bool:
        """Tell whether every key is up and no contact is about to count."""
        return not self._down and not self._since

    def feed(self, now: float, pressed: frozenset[Crossing]) -> list[str]:
        """Take one scan at ``now`` (monotonic seconds); return the keys that went down."""
        if is_ambiguous(pressed):
            self._since.clear()
            return []
        keys = []
        changed = pressed ^ self._down
        for crossing in [c for c in self._since if c not in changed]:
            del self._since[crossing]
        for crossing in sorted(changed):
            if now - self._since.setdefault(crossing, now) < self._debounce_s:
                continue
            del self._since[crossing]
            if crossing in self._down:
                self._down.remove(crossing)
            else:
                self._down.add(crossing)
                row, column = crossing
                keys.append(self._layout[row][column])
        return keys
