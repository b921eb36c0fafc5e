"""What is sold, as a customer sees it."""

from __future__ import annotations

from config.machine import MachineSettings


class Shelf:
    """What is sold, as far as a customer can read it on the window."""

    def __init__(self, settings: MachineSettings) -> None:
        """Read the prices."""
        self.prices = {c.selection: settings.price_of(c) for c in settings.columns}
        self.selections = tuple(self.prices)
