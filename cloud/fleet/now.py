"""Where the operating system's clock ends: the fleet's time."""

from __future__ import annotations

from datetime import UTC, datetime

from cloud.contract.journal import to_ms


def now_ms() -> int:
    """Return the server's time, UTC in ms since 1970."""
    return to_ms(datetime.now(UTC))  # noqa: TID251 - here it ends
