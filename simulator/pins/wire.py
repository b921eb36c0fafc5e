"""How a process and the simulator talk about pins over a unix stream socket.

A *command* connection: requests of three bytes (operation, pin, value), each answered by two
(status, value), strictly in turn. A *listener* connection, one per process at most: it opens with
operation HELLO and the token that HELLO gave on the command connection, and from then on the
simulator pushes ten bytes per edge. The pins are the command connection's; they are released
when it ends.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Final


class Operation(IntEnum):
    """The first byte of a request."""

    OPEN = 1  # begin as a process; the answer's value is a token for the listener connection
    LISTEN = 2  # this connection becomes the listener of the process with token ``value``
    INPUT = 3  # claim as an input without a pull
    OUTPUT = 4  # claim as an output at level ``value``
    WRITE = 5
    READ = 6
    PULL = 7
    EDGES = 8
    FUNCTION = 9  # value of the answer: 1 for an output


class Status(IntEnum):
    """The first byte of an answer."""

    OK = 0
    BUSY = 1  # held by another process
    WRONG = 2  # no such pin, not claimed, or not an output


REQUEST: Final = struct.Struct(">BBB")
ANSWER: Final = struct.Struct(">BB")
_EDGE: Final = struct.Struct(">BBd")
EDGE_SIZE: Final = _EDGE.size


@dataclass(frozen=True, slots=True)
class PushedEdge:
    """An edge as it travels; the time is the system's monotonic clock in seconds."""

    pin: int
    level: bool
    at_s: float

    def to_bytes(self) -> bytes:
        """Return the bytes on the socket."""
        return _EDGE.pack(self.pin, self.level, self.at_s)

    @classmethod
    def from_bytes(cls, data: bytes) -> PushedEdge:
        """Read ``EDGE_SIZE`` bytes."""
        pin, level, at_s = _EDGE.unpack(data)
        return cls(pin, bool(level), at_s)
