"""What is left in each column, how sure we are, and which column serves a selection.

Pure and synchronous; owned and changed by the journal's fold.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from controller.domain.planogram import Planogram


class Refusal(StrEnum):
    """Why a selection can't be served."""

    NO_SUCH_SELECTION = "no_such_selection"
    SOLD_OUT = "sold_out"
    OUT_OF_ORDER = "out_of_order"  # there would be stock, but every such column is disabled
    UNHEALTHY = "unhealthy"  # there would be stock, but the health timer holds it back


@dataclass(slots=True)
class ColumnStock:
    """One column's count.

    ``count`` is a lower bound when ``uncertain``: a drop that nobody saw counts as gone, so the
    machine rather stops selling one too early than turns an empty column.
    """

    count: int = 0
    uncertain: bool = False
    disabled: str = ""  # the reason; empty: it sells

    @property
    def sells(self) -> bool:
        """Tell whether it is enabled and, as far as we know, not empty."""
        return self.count > 0 and not self.disabled


class Stock:
    """Counts per column name; those of columns that left the planogram are kept."""

    __slots__ = ("_columns",)

    def __init__(self, columns: Mapping[str, ColumnStock] | None = None) -> None:
        """Start with ``columns`` (owned from now on), or knowing nothing: every count is 0."""
        self._columns: dict[str, ColumnStock] = dict(columns or {})

    def of(self, column: str) -> ColumnStock:
        """Return a column's stock, an empty one if it was never filled; look, don't touch."""
        return self._columns.get(column) or ColumnStock()

    # ----------------------------------------------------------------------------- choosing

    def candidates(
        self, planogram: Planogram, selection: str, unhealthy: Container[str] = ()
    ) -> tuple[str, ...] | Refusal:
        """Return the columns that may serve a selection, the one to try first in front.

        The requested column first; then the other columns of its product: those with a certain
        count first, of those the fullest (so that columns empty evenly), then the planogram's
        order. The customer pays the price of what was keyed, whichever column delivers. No
        column that is ``unhealthy`` is among them.
        """
        if planogram.find(selection) is None:
            return Refusal.NO_SUCH_SELECTION
        others = sorted(
            planogram.siblings(selection),
            key=lambda name: (self.of(name).uncertain, -self.of(name).count),
        )
        names = (selection, *others)
        stocked = tuple(name for name in names if self._sells(planogram, name))
        able = tuple(name for name in stocked if name not in unhealthy)
        if able:
            return able
        if stocked:
            return Refusal.UNHEALTHY
        in_stock = any(self.of(name).count for name in names)
        return Refusal.OUT_OF_ORDER if in_stock else Refusal.SOLD_OUT

    def on_sale(self, planogram: Planogram) -> frozenset[str]:
        """Return the selections that some column can serve now."""
        able = {name for name in planogram.columns if self._sells(planogram, name)}
        return frozenset(
            name
            for name in planogram.columns
            if name in able or not able.isdisjoint(planogram.siblings(name))
        )

    def _sells(self, planogram: Planogram, name: str) -> bool:
        """Tell whether a column may turn: one that sells on may at a count of zero, too."""
        stock = self.of(name)
        return stock.sells or (planogram.columns[name].sells_on and not stock.disabled)

    # ----------------------------------------------------------------------------- changing

    def set(self, column: str, count: int) -> None:
        """Believe somebody who counted (>= 0); the count is certain from now on."""
        stock = self._own(column)
        stock.count, stock.uncertain = max(count, 0), False

    def take(self, column: str, drops: int = 1) -> None:
        """Count ``drops`` products that were seen to leave; more than believed raises doubt."""
        stock = self._own(column)
        stock.uncertain = stock.uncertain or drops > stock.count
        stock.count = max(stock.count - drops, 0)

    def doubt(self, column: str) -> None:
        """Count a turn after which nobody knows whether a product left."""
        self.take(column)
        self._own(column).uncertain = True

    def question(self, column: str) -> None:
        """Say that more may have left than was counted."""
        self._own(column).uncertain = True

    def found_empty(self, column: str) -> None:
        """Believe the column's own switch: nothing is left, whatever was counted."""
        stock = self._own(column)
        stock.uncertain = stock.uncertain or stock.count > 0
        stock.count = 0

    def disable(self, column: str, reason: str) -> None:
        """Stop selling from a column; ``reason`` is a fault code or a technician's words."""
        self._own(column).disabled = reason or "disabled"

    def enable(self, column: str) -> None:
        """Sell from a column again."""
        self._own(column).disabled = ""

    def _own(self, column: str) -> ColumnStock:
        return self._columns.setdefault(column, ColumnStock())

    # ---------------------------------------------------------------------------- snapshots

    def to_json(self) -> dict[str, list[int | str]]:
        """Return ``{column: [count, uncertain as 0 or 1, reason]}``, sorted."""
        return {
            name: [stock.count, int(stock.uncertain), stock.disabled]
            for name, stock in sorted(self._columns.items())
        }

    @classmethod
    def from_json(cls, rows: Mapping[str, Iterable[int | str]]) -> Stock:
        """Make it from what ``to_json`` returned."""
        columns = {}
        for name, row in rows.items():
            count, uncertain, disabled = row
            columns[name] = ColumnStock(int(count), bool(uncertain), str(disabled))
        return cls(columns)

    def __eq__(self, other: object) -> bool:
        """Compare all columns; one that was never filled equals one at its default."""
        if not isinstance(other, Stock):
            return False
        names = self._columns.keys() | other._columns.keys()
        return all(self.of(name) == other.of(name) for name in names)

    __hash__ = None  # type: ignore[assignment]  # it changes, so it is no key
