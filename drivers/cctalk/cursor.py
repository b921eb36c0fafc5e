"""What a driver asks the journal to remember: the last events seen, and what hoppers held then.

ccTalk has no acknowledgement, so a device's event counter is the only way to tell what is new. It
is kept with the money it brought: one record holds both, so each event counts exactly once,
whenever the power goes. For hoppers it holds the running dispense count and the coins that were
inside: from there on the count alone tells what left.

Pure. The format is ours: a version byte, a flag, the event buffer, seven bytes a hopper.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from drivers.cctalk.events import BUFFER_BYTES, EventBuffer, decode_events

_VERSION: Final = 1
_HOPPER_BYTES: Final = 7
MAX_CONTENT: Final = 0xFFFF
"""Coins in a hopper; the largest hold some thousands."""


@dataclass(frozen=True, slots=True)
class HopperMark:
    """One hopper at a moment."""

    event: int
    """Its event counter (header 166)."""
    dispensed: int
    """Its running dispense count (header 168)."""
    content: int
    """Coins inside, as far as anybody knows."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """Everything to go on from."""

    buffer: EventBuffer | None = None
    hoppers: Mapping[int, HopperMark] = field(default_factory=dict)
    """By address."""

    def encode(self) -> bytes:
        """The bytes to keep."""
        parts = [bytes((_VERSION, self.buffer is not None))]
        if self.buffer is not None:
            parts.append(self.buffer.answer)
        for address, mark in sorted(self.hoppers.items()):
            content = min(max(mark.content, 0), MAX_CONTENT)
            parts.append(bytes((address, mark.event)))
            parts.append(mark.dispensed.to_bytes(3, "little") + content.to_bytes(2, "little"))
        return b"".join(parts)


NOTHING_SEEN: Final = Cursor()


def decode_cursor(data: bytes) -> Cursor:
    """What was kept. Bytes that this format did not write are nothing: another device's answer."""
    if len(data) < 2 or data[0] != _VERSION or data[1] > 1:
        return NOTHING_SEEN
    at = 2 + BUFFER_BYTES * data[1]
    if len(data) < at or (len(data) - at) % _HOPPER_BYTES:
        return NOTHING_SEEN
    buffer = decode_events(data[2:at]) if data[1] else None
    hoppers = {}
    for start in range(at, len(data), _HOPPER_BYTES):
        address, event, *rest = data[start : start + _HOPPER_BYTES]
        hoppers[address] = HopperMark(
            event,
            int.from_bytes(bytes(rest[:3]), "little"),
            int.from_bytes(bytes(rest[3:]), "little"),
        )
    return Cursor(buffer, hoppers)
