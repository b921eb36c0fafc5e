"""Where branch coverage would cost more than it tells."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from coverage import Coverage


@contextmanager
def untraced() -> Iterator[None]:
    """Stop branch coverage meanwhile, where it runs: in fixtures, that no marker speaks for."""
    running = Coverage.current()
    if running is not None:
        running.stop()
    try:
        yield
    finally:
        if running is not None:
            running.start()
