"""What a benchmark found: figures, each beside its limit and its peer, as a table or as JSON."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

_WRAP: Final = 98  # columns of the words above a table
COLUMNS: Final = ("what", "measured", "limit", "", "beside it, in the same run")


@dataclass(frozen=True, slots=True)
class Spread:
    """Percentiles of many samples, in the samples' unit."""

    count: int
    p50: float
    p95: float
    p99: float
    p999: float
    worst: float

    @classmethod
    def of(cls, samples: Iterable[float]) -> Spread:
        """Sort and pick; nearest rank. Raises ValueError when there are none."""
        ordered = sorted(samples)
        if not ordered:
            raise ValueError("no samples")
        return cls(
            len(ordered),
            percentile(ordered, 0.5),
            percentile(ordered, 0.95),
            percentile(ordered, 0.99),
            percentile(ordered, 0.999),
            ordered[-1],
        )

    def words(self, unit: str = "ms") -> str:
        """Say it in one line."""
        parts = (("p50", self.p50), ("p99", self.p99), ("p99.9", self.p999), ("worst", self.worst))
        told = ", ".join(f"{name} {figure(value)}" for name, value in parts)
        return f"{told} {unit} ({self.count:,} samples)"


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return the nearest-rank percentile of sorted samples."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def median(samples: Iterable[float]) -> float:
    """Return the middle one."""
    return percentile(sorted(samples), 0.5)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table.

    Args:
        what: In words.
        value: What was measured.
        unit: Of value and limit.
        limit: None for a figure that only stands beside others.
        at_least: The limit is the least, not the most.
        beside: The peer, the floor or the spread, in words.
        floor: The same figure of what nothing can be faster than, in the same run. Where the
            floor itself misses the limit, the verdict says so: the machine is at fault, or may be.
    """

    what: str
    value: float
    unit: str
    limit: float | None = None
    at_least: bool = False
    beside: str = ""
    floor: float | None = None

    @property
    def holds(self) -> bool | None:
        """Tell whether the limit holds; None without one."""
        return self._keeps(self.value)

    @property
    def floor_holds(self) -> bool | None:
        """Tell whether the floor keeps the limit; None without a floor or a limit."""
        return None if self.floor is None else self._keeps(self.floor)

    def _keeps(self, value: float) -> bool | None:
        if self.limit is None:
            return None
        return value >= self.limit if self.at_least else value <= self.limit

    def cells(self) -> tuple[str, ...]:
        """Return the row's cells as text."""
        limit = ""
        if self.limit is not None:
            limit = f"{'≥' if self.at_least else '≤'} {figure(self.limit)} {self.unit}"
        verdict = {None: "", True: "holds", False: "MISSED"}[self.holds]
        if self.holds is False and self.floor_holds is False:
            verdict = "MISSED, by the floor too"
        measured = f"{figure(self.value)} {self.unit}".strip()
        return self.what, measured, limit.strip(), verdict, self.beside

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "what": self.what,
            "value": self.value,
            "unit": self.unit,
            "limit": self.limit,
            "at_least": self.at_least,
            "holds": self.holds,
            "beside": self.beside,
            "floor": self.floor,
            "floor_holds": self.floor_holds,
        }


@dataclass(slots=True)
class Table:
    """The rows of one benchmark.

    Args:
        name: As on the command line.
        title: What it is about.
        how: How it was measured, in a sentence or two.
        rows: What was found.
        others: The part of the machine's processors that others used meanwhile, 0 to 1.
    """

    name: str
    title: str
    how: str
    rows: list[Row] = field(default_factory=list)
    others: float = 0.0

    @property
    def holds(self) -> bool:
        """Tell whether every limit holds."""
        return all(row.holds is not False for row in self.rows)

    def text(self) -> str:
        """Draw it."""
        lines = [COLUMNS, *(row.cells() for row in self.rows)]
        widths = [max(len(line[at]) for line in lines) for at in range(len(COLUMNS) - 1)]
        drawn = [_line(line, widths) for line in lines]
        rule = "  ".join("-" * width for width in widths) + "  " + "-" * len(COLUMNS[-1])
        return "\n".join(
            [
                f"{self.name}: {self.title}",
                *(f"  {line}" for line in textwrap.wrap(self.how, _WRAP)),
                f"  Others used {self.others:.0%} of this machine meanwhile.",
                "",
                drawn[0],
                rule,
                *drawn[1:],
                "",
            ]
        )

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "name": self.name,
            "title": self.title,
            "how": self.how,
            "holds": self.holds,
            "others": round(self.others, 3),
            "rows": [row.to_json() for row in self.rows],
        }


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [
        cell.rjust(width) if at in (1, 2) else cell.ljust(width)
        for at, (cell, width) in enumerate(zip(cells, widths, strict=False))
    ]
    return "  ".join([*padded, cells[-1]]).rstrip()


def figure(value: float) -> str:
    """Return a number with three significant digits, or all of them before the point."""
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    digits = 2 - math.floor(math.log10(abs(value)))
    return f"{value:.{min(max(digits, 0), 4)}f}"
