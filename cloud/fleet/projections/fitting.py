"""A row as its table can hold it, whatever a machine has said."""

from __future__ import annotations

from typing import Any


def fitted(table: Any, row: dict[str, Any]) -> dict[str, Any]:
    """Return a row as its table can hold it: PostgreSQL takes no longer text, and no NUL."""
    return {
        name: value.replace("\0", "\N{REPLACEMENT CHARACTER}")[: table.c[name].type.length]
        if value.__class__ is str and value
        else value
        for name, value in row.items()
    }
