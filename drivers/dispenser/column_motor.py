"""What turns a column: one pin, or a crossing of a matrix (``matrix.py``)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from drivers.gpio.lines import OutputLine


class ColumnMotor(Protocol):
    """A motor that is on or off."""

    @property
    def cut_why(self) -> str | None:
        """Return why its last run was cut by the on-time watch, or None."""
        ...

    def on(self, *, on_cut: Callable[[], None]) -> None:
        """Switch on; ``on_cut`` is called if the on-time watch ends the run."""
        ...

    def off(self) -> None:
        """Switch off; harmless when off."""
        ...


class DirectMotor:
    """A motor with a pin of its own."""

    def __init__(self, line: OutputLine) -> None:
        self._line = line

    @property
    def cut_why(self) -> str | None:
        """Return why its last run was cut, or None."""
        return self._line.cut_why

    def on(self, *, on_cut: Callable[[], None]) -> None:
        """Switch on."""
        self._line.on(on_cut=on_cut)

    def off(self) -> None:
        """Switch off."""
        self._line.off()
