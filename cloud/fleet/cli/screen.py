"""What an operator reads: tables for people, JSON for programs, amounts in main units."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from cloud import terminal
from cloud.contract.journal import Money
from cloud.terminal import BAD, DIM, GOOD, WARN, Cell, console, error, line, note

__all__ = ["BAD", "DIM", "GOOD", "WARN", "Cell", "console", "error", "line", "note"]

_LAST_MS: Final = 253_402_300_799_999  # the last of the year 9999


def table(heads: Sequence[str], rows: Sequence[Sequence[Cell]], nothing: str) -> None:
    """Print a table, or ``nothing`` when it is empty. ``>`` before a head: figures."""
    if rows:
        terminal.table(heads, rows)
    else:
        line((nothing, DIM))


def as_json(value: Any) -> None:
    """Print a value for programs."""
    json.dump(value, sys.stdout, ensure_ascii=False, indent=2, default=str)
    sys.stdout.write("\n")


def as_json_line(value: Any) -> None:
    """Print a value as one line, at once."""
    print(json.dumps(value, ensure_ascii=False, default=str), flush=True)


def amount(minor: int, currency: str) -> str:
    """Return an amount in main units with its currency; minor units where none is known."""
    return str(Money(minor, currency)) if currency else str(minor)


def at(ms: int | None) -> str:
    """Return a time; milliseconds where no calendar goes so far, whatever a machine has said."""
    if not ms:
        return ""
    if ms > _LAST_MS:
        return f"{ms} ms"
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
