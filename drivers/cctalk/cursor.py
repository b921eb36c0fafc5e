"""What a driver asks the journal to remember: the last events seen, and what hoppers held then.

ccTalk has no acknowledgement, so a device's event counter is the only way to tell what is new. It
is kept with the money it brought: one record holds both, so each event counts exactly once,
whenever the power goes. For hoppers it holds the running dispense count and the coins that were
inside: from there on the count alone tells what left.

Pure. The format is ours: a version byte, flags, the event buffer, four bytes for a bill in escrow,
three for the coins ever accepted, seven bytes a hopper.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from drivers.cctalk.events import BUFFER_BYTES, EventBuffer, decode_events

_VERSION: Final = 1
_HOPPER_BYTES: Final = 7
_BILL_BYTES: Final = 4
_HAS_BUFFER: Final = 1
_ACCEPTED_BYTES: Final = 3
_HAS_BILL: Final = 2
_HAS_ACCEPTED: Final = 4
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
    escrow: tuple[int, int] | None = None
    """The bill type in escrow, and how many of it were ever accepted before."""
    accepted: int | None = None
    """Coins that the acceptor ever took by its own count, with this buffer; None: it keeps none."""

    def encode(self) -> bytes:
        """The bytes to keep."""
        flags = (self.buffer is not None) * _HAS_BUFFER | (self.escrow is not None) * _HAS_BILL
        flags |= (self.accepted is not None) * _HAS_ACCEPTED
        parts = [bytes((_VERSION, flags))]
        if self.buffer is not None:
            parts.append(self.buffer.answer)
        if self.escrow is not None:
            parts.append(bytes((self.escrow[0],)) + self.escrow[1].to_bytes(3, "little"))
        if self.accepted is not None:
            parts.append(self.accepted.to_bytes(_ACCEPTED_BYTES, "little"))
        for address, mark in sorted(self.hoppers.items()):
            content = min(max(mark.content, 0), MAX_CONTENT)
            parts.append(bytes((address, mark.event)))
            parts.append(mark.dispensed.to_bytes(3, "little") + content.to_bytes(2, "little"))
        return b"".join(parts)


NOTHING_SEEN: Final = Cursor()


def decode_cursor(data: bytes) -> Cursor:
    """What was kept. Bytes that this format did not write are nothing: another device's answer."""
    known = _HAS_BUFFER | _HAS_BILL | _HAS_ACCEPTED
    if len(data) < 2 or data[0] != _VERSION or data[1] > known:
        return NOTHING_SEEN
    bill_at = 2 + BUFFER_BYTES * bool(data[1] & _HAS_BUFFER)
    count_at = bill_at + _BILL_BYTES * bool(data[1] & _HAS_BILL)
    at = count_at + _ACCEPTED_BYTES * bool(data[1] & _HAS_ACCEPTED)
    if len(data) < at or (len(data) - at) % _HOPPER_BYTES:
        return NOTHING_SEEN
    buffer = decode_events(data[2:bill_at]) if data[1] & _HAS_BUFFER else None
    escrow = None
    if data[1] & _HAS_BILL:
        escrow = data[bill_at], int.from_bytes(data[bill_at + 1 : count_at], "little")
    accepted = None
    if data[1] & _HAS_ACCEPTED:
        accepted = int.from_bytes(data[count_at:at], "little")
    hoppers = {}
    for start in range(at, len(data), _HOPPER_BYTES):
        address, event, *rest = data[start : start + _HOPPER_BYTES]
        hoppers[address] = HopperMark(
            event,
            int.from_bytes(bytes(rest[:3]), "little"),
            int.from_bytes(bytes(rest[3:]), "little"),
        )
    return Cursor(buffer, hoppers, escrow, accepted)
