"""The climate's part of the folded state: the compressor's times and the health timer's latch.

Milliseconds are those of the records (``mono_ms``): of one power-up's clock, which a restart of
vendd does not end and a power cut does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from controller.journal import records as rec
from controller.journal.envelope import Record, RecordData


@dataclass(slots=True)
class ColumnHealth:
    """One column under the health timer."""

    warm_ms: int | None = None  # since when its temperature has been wrong; None: it is right
    served_ms: int | None = None  # last filled or served in this power-up
    dark_ms: int | None = None  # nobody has measured since then
    gap: bool = False  # the power was away for nobody knows how long, and nobody measured since
    exceeded: str = ""  # why it sells no more; only a technician clears it


@dataclass(slots=True)
class ClimateState:
    """What the journal knows of the climate."""

    phase: str = "off"  # of the cooling: off, cooling, defrosting
    since_ms: int = 0
    off_ms: int = 0  # when the compressor last stopped
    defrosted_ms: int = 0  # when the last defrost ended
    columns: dict[str, ColumnHealth] = field(default_factory=dict)

    @property
    def unhealthy(self) -> list[str]:
        """Return the columns that the health timer holds back."""
        return [name for name, column in self.columns.items() if column.exceeded]

    # ------------------------------------------------------------------------------ folding

    def booted(self, mono_ms: int, last_ms: int | None) -> None:
        """Take a start into account: a compressor that ran was stopped, nobody knows when.

        Args:
            mono_ms: Of this start.
            last_ms: Of the last record before it; None when the clock began anew.
        """
        if last_ms is None or self.phase != "off":
            self.off_ms = mono_ms
        if last_ms is None or self.phase == "defrosting":
            self.defrosted_ms = mono_ms
        self.phase, self.since_ms = "off", mono_ms
        for column in self.columns.values():
            if last_ms is None:
                column.warm_ms = column.served_ms = column.dark_ms = None
                column.gap = True
            elif column.dark_ms is None:
                column.dark_ms = last_ms

    def cooling(self, phase: str, mono_ms: int) -> None:
        """Note another phase of the cooling."""
        if self.phase == "cooling":
            self.off_ms = mono_ms
        elif self.phase == "defrosting":
            self.defrosted_ms = mono_ms
        self.phase, self.since_ms = phase, mono_ms

    def warmed(self, columns: Iterable[str], since_ms: int) -> None:
        """Let the timer of these columns run."""
        for column in self._own(columns):
            column.warm_ms, column.dark_ms = since_ms, None

    def cooled(self, columns: Iterable[str]) -> None:
        """Set the timer of these columns back."""
        for column in self._own(columns):
            column.warm_ms, column.dark_ms, column.gap = None, None, False

    def exceeded(self, columns: Iterable[str], reason: str) -> None:
        """Hold these columns back."""
        for column in self._own(columns):
            column.exceeded, column.gap = reason, False

    def served(self, columns: Iterable[str], mono_ms: int) -> None:
        """Sell these columns again; what is in them is fresh."""
        for column in self._own(columns):
            column.exceeded, column.gap, column.dark_ms = "", False, None
            column.served_ms = mono_ms
            if column.warm_ms is not None:
                column.warm_ms = mono_ms

    def attended(self, mono_ms: int, name: str | None = None) -> None:
        """Note that a column was filled, or (None) that the machine is being served."""
        for key, column in self.columns.items():
            if name in (None, key):
                column.served_ms = mono_ms

    def _own(self, columns: Iterable[str]) -> Iterable[ColumnHealth]:
        return [self.columns.setdefault(name, ColumnHealth()) for name in columns]


def _cooling_changed(state: Any, record: Record, data: rec.CoolingChanged) -> None:
    state.climate.cooling(data.phase, record.mono_ms)


def _health_warmed(state: Any, _record: Record, data: rec.HealthWarmed) -> None:
    state.climate.warmed(data.columns, data.since_ms)


def _health_cooled(state: Any, _record: Record, data: rec.HealthCooled) -> None:
    state.climate.cooled(data.columns)


def _health_exceeded(state: Any, _record: Record, data: rec.HealthExceeded) -> None:
    state.climate.exceeded(data.columns, data.reason)


def _health_served(state: Any, record: Record, data: rec.HealthServed) -> None:
    state.climate.served(data.columns, record.mono_ms)


FOLDS: Final[Mapping[type[RecordData], Callable[[Any, Record, Any], None]]] = {
    rec.CoolingChanged: _cooling_changed,
    rec.HealthWarmed: _health_warmed,
    rec.HealthCooled: _health_cooled,
    rec.HealthExceeded: _health_exceeded,
    rec.HealthServed: _health_served,
}
