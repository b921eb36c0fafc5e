"""What the dialogues with a card reader share: expectations, phases, settings.

Source: MDB/ICP 4.2, section 7.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from enum import Enum, unique
from typing import Final

from drivers.mdb.cashless_codec import (
    JustReset,
    Malfunction,
    OutOfSequence,
    ReaderMessage,
    SessionCancelRequest,
)
from drivers.mdb.cashless_commands import (
    WriteTimeDate,
)
from drivers.mdb.fields import Identification

VMC_LEVEL: Final = 3
LARGEST_16: Final = 0xFFFE
LARGEST_32: Final = 0xFFFF_FFFE
"""The largest amounts; all bits set means "unknown"."""

RESET_GRACE_S: Final = 5.0
"""A RESET that COMMAND OUT OF SEQUENCE asks for waits so long for the session's end; no vend may
be open then, so nothing is charged by it."""

RESTART_NOTICE_S: Final = 0.3
"""From the word that a RESET of ours comes to the RESET: a request that was being written down as
it was decided is refused by then, and its end is on record. Else the RESET left it in doubt."""

LATE_CANCEL_S: Final = 1.0
"""A request to end a session that comes so soon after its end was told before it."""

STANDING_S: Final = 1.0
"""So long a reader has told nothing but what stands in each poll: then it has nothing else to say,
as by a plain ACK. Its card is pulled, or it wants service."""

US: Final = Identification("VND", "0", "VENDD", 1)
"""What we call ourselves in REQUEST ID."""


@unique
class Gone(Enum):
    """Why an expected message will not come."""

    RESET = "reset"
    LOST = "lost"
    TIMEOUT = "timeout"


@unique
class Phase(Enum):
    """Where we are in a vend; an approval obliges us to SUCCESS or FAILURE."""

    NONE = "none"
    REQUESTED = "requested"
    APPROVED = "approved"


@dataclass(slots=True, eq=False)
class Expectation:
    """A dialogue waits for one of these messages."""

    types: tuple[type[ReaderMessage], ...]
    future: asyncio.Future[ReaderMessage | Gone]

    @property
    def message(self) -> ReaderMessage | None:
        """What came, None when nothing did, or the reader is gone."""
        if not self.future.done() or self.future.cancelled():
            return None
        result = self.future.result()
        return None if isinstance(result, Gone) else result

    @property
    def open(self) -> bool:
        """Whether it still waits."""
        return not self.future.done()


@dataclass(frozen=True, slots=True)
class ReaderSettings:
    """How we treat one reader.

    Attributes:
        level: The highest that we tell it, 1 to 3.
        columns: Of our display, 0 when readers may not use it.
        rows: Of our display.
        always_idle: Use always-idle mode where it is offered.
        expanded: Use expanded currency mode where it is offered.
        zone: For a reader that asks the time.
    """

    level: int = VMC_LEVEL
    columns: int = 0
    rows: int = 0
    always_idle: bool = True
    expanded: bool = True
    zone: tzinfo = UTC


def one_shot(message: ReaderMessage) -> bool:
    """Whether it is told once, and so can tell a repeat."""
    match message:
        case JustReset() | SessionCancelRequest() | OutOfSequence():
            return False  # the first two may stand in each poll; a complaint may be a new one
        case Malfunction():
            return message.error_class == 1 or message.is_refund_error
        case _:
            return True


def stands(message: ReaderMessage) -> bool:
    """Whether it may be told in each poll, by a reader that works, and says nothing of a vend."""
    if isinstance(message, Malfunction):
        return message.error_class == 2
    return isinstance(message, SessionCancelRequest)


def is_reset(messages: tuple[ReaderMessage, ...]) -> bool:
    """Whether an answer reports a reset: only its first byte can."""
    return bool(messages) and isinstance(messages[0], JustReset)


def time_date(now: datetime) -> WriteTimeDate:
    """What a reader that asks the time is told."""
    _, week, weekday = now.isocalendar()
    return WriteTimeDate(
        now.year % 100,
        now.month,
        now.day,
        now.hour,
        now.minute,
        now.second,
        weekday,
        week,
        int(bool(now.dst())),
    )
