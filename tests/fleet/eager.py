"""``vendcloud``, the very same, whose workers look more often whose turn it is."""

from __future__ import annotations

from cloud.fleet import duties
from cloud.fleet.cli import main

LOOK_S = 1.0


def eager() -> None:
    duties.LOOK_S = LOOK_S  # type: ignore[misc] # a wait of a test would be four looks long
    main()


if __name__ == "__main__":
    eager()
