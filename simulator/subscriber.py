"""One client of the control socket, and the events that it asked for."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

from simulator.cabinet import UnknownPartError
from simulator.world import World

KINDS: Final = ("fact", "display", "edge")

# Bytes that may wait for a slow client before events are left out; an edge is about 120.
MOST_WAITING_BYTES: Final = 1 << 20


class Subscriber:
    """Where a connection's notifications go.

    Args:
        send: Takes a line and never waits.
        waiting: Returns how many bytes the client has not taken yet.
    """

    def __init__(self, send: Callable[[str], None], waiting: Callable[[], int]) -> None:
        self._send = send
        self._waiting = waiting
        self._end: Callable[[], None] | None = None
        self._kinds: frozenset[str] = frozenset()
        self._lost = 0

    def subscribe(self, world: World, kinds: list[str] | None) -> None:
        """Send events of these kinds, or of all. Raises UnknownPartError."""
        unknown = sorted(set(kinds or ()) - set(KINDS))
        if unknown:
            raise UnknownPartError(f"no events {unknown[0]!r}; there are: {', '.join(KINDS)}")
        self._kinds = frozenset(kinds or KINDS)
        if self._end is None:
            self._end = world.listen(self._event)

    def close(self) -> None:
        """Send nothing more."""
        if self._end is not None:
            self._end()
            self._end = None

    def _event(self, kind: str, data: dict[str, Any]) -> None:
        if kind not in self._kinds:
            return
        if self._waiting() > MOST_WAITING_BYTES:
            self._lost += 1
            return
        if self._lost:
            self._notify("lost", {"events": self._lost})
            self._lost = 0
        self._notify(kind, data)

    def _notify(self, kind: str, data: dict[str, Any]) -> None:
        params = {"kind": kind, "data": data}
        self._send(json.dumps({"jsonrpc": "2.0", "method": "event", "params": params}))
