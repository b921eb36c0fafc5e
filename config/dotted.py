"""Settings by the names that people write: ``sales.max_credit``."""

from __future__ import annotations

from typing import Any


def flat(settings: dict[str, Any], above: str = "") -> list[tuple[str, Any]]:
    """Return settings by dotted names."""
    found: list[tuple[str, Any]] = []
    for name, value in sorted(settings.items()):
        key = f"{above}{name}"
        found += flat(value, f"{key}.") if isinstance(value, dict) else [(key, value)]
    return found
