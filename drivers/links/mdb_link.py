"""The link protocol: one master block out, one answer in, and our word after a data block.

A link owns a port and nothing else: no device, no polling order. Two implementations differ in
what they can promise (`LinkCapabilities`): `ninth_bit.NinthBitLink` drives the line itself and can
hold back an acknowledgement; `adapter_text.AdapterTextLink` talks to a box that acknowledges by
itself.

Source: MDB/ICP 4.2, section 2 (block format, ACK/NAK/RET).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, unique
from typing import Final, Protocol

from controller.ports import LinkCapabilities


@unique
class AnswerKind(Enum):
    """What came back after a master block."""

    ACK = "ack"
    """A lone ACK: accepted, nothing to say."""
    DATA = "data"
    """A data block whose checksum was right; on a link that can withhold, say `ack` in time."""
    NAK = "nak"
    """The peripheral saw a bad checksum; the response time has been waited out."""
    SILENCE = "silence"
    """Nothing within the response time (an adapter: no answer, or NAK)."""
    GARBLED = "garbled"
    """Something that is no answer; the command may have been executed."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer. `data` has no checksum; `why` says what was wrong, for logs."""

    kind: AnswerKind
    data: bytes = b""
    why: str = ""
    told: bool = False  # GARBLED, and there was data: acknowledged, and told no second time

    @property
    def heard(self) -> bool:
        """Whether the peripheral took the block: an ACK or data."""
        return self.kind is AnswerKind.ACK or self.kind is AnswerKind.DATA


ACKED: Final = Answer(AnswerKind.ACK)
NEARLY_ACKED: Final = Answer(AnswerKind.ACK, why="one bit flipped")
"""An ACK by the number of set bits, but not 00: good for a command, no proof of idleness."""
NAKED: Final = Answer(AnswerKind.NAK)
SILENT: Final = Answer(AnswerKind.SILENCE)


@dataclass(slots=True)
class LinkCounters:
    """What a technician wants to know about a line; they only grow."""

    exchanges: int = 0
    silences: int = 0
    naks: int = 0
    garbled: int = 0
    rets: int = 0
    stray_bytes: int = 0  # received while nothing was asked: collisions, chatter, late answers
    reopened: int = 0


class MdbLink(Protocol):
    """One master's line. Calls never overlap: the bus scheduler is the only user."""

    @property
    def capabilities(self) -> LinkCapabilities:
        """Return what the line can do."""
        ...

    @property
    def counters(self) -> LinkCounters:
        """Return the running counts."""
        ...

    async def open(self) -> None:
        """Open the port and make the far side ready; also after the port was lost.

        Raises:
            LinkError: It can't be opened, or the far side does not answer.
        """
        ...

    async def exchange(self, payload: bytes) -> Answer:
        """Send a block (`payload` has no checksum) and bring its answer.

        Raises:
            LinkError: The port is gone and *nothing was sent*. A port that dies later is SILENCE
                here and a LinkError at the next call.
        """
        ...

    @property
    def answered_at(self) -> float:
        """Return the loop time at which the last byte of the last answer was read."""
        ...

    def ack(self) -> None:
        """Acknowledge the data block just received. Not calling it withholds."""
        ...

    async def bus_reset(self) -> None:
        """Break, then the standard's pause. Charges approved cards: recovery talks first.

        Raises:
            LinkError: The port is gone.
        """
        ...

    def close(self) -> None:
        """Give the port back; idempotent."""
        ...
