"""How a pin is described to the drivers; the settings' own pins fit without being imported."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

Pull = Literal["none", "up", "down"]


class PinShape(Protocol):
    """One line of the GPIO chip."""

    @property
    def number(self) -> int:
        """Return the chip's own number (BCM on a Raspberry Pi)."""
        ...

    @property
    def active_low(self) -> bool:
        """Tell whether the line is low when what it stands for is on."""
        ...

    @property
    def pull(self) -> Pull:
        """Return the pull resistor of an input."""
        ...


@dataclass(frozen=True, slots=True)
class Line:
    """A pin as a plain value."""

    number: int
    active_low: bool = False
    pull: Pull = "none"
