"""Event counters and their buffers: what is new, what was lost, when a device was reset.

Pure. Coin acceptors (header 229) and bill validators (159) keep the last five events and count
them: 0 only after power-up or reset, then 1 to 255 and 1 again. Reading consumes nothing, so a read
may be repeated; the counter is the only cursor there is.

Source: ccTalk Generic Specification 4.7, part 2 (headers 229, 159) and part 3 (event counters).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from drivers.cctalk.frames import CcTalkError, FrameFault

BUFFER_EVENTS: Final = 5
BUFFER_BYTES: Final = 1 + 2 * BUFFER_EVENTS
COUNTER_STEPS: Final = 255
"""Different values of a counter that has counted: 1 to 255."""

Pair = tuple[int, int]
"""The two bytes of one event."""


@dataclass(frozen=True, slots=True)
class EventBuffer:
    """One answer to a buffered read."""

    counter: int
    pairs: tuple[Pair, ...]
    """Five, newest first; (0, 0) where nothing ever happened."""

    @property
    def answer(self) -> bytes:
        """The bytes it came in."""
        return bytes((self.counter, *(byte for pair in self.pairs for byte in pair)))


@dataclass(frozen=True, slots=True)
class News:
    """What a buffer tells beyond the last one that was seen."""

    events: tuple[Pair, ...] = ()
    """The new ones, oldest first."""
    lost: int = 0
    """Events that fell out of the buffer before anybody read them; never guess their value."""
    reset: bool = False
    """The device was reset or lost its power: events nobody knows of may be lost."""


NOTHING_NEW: Final = News()


@lru_cache(16)  # mostly a device tells the same as the last time
def decode_events(data: bytes) -> EventBuffer:
    """The counter and the five pairs.

    Raises:
        CcTalkError: Not eleven bytes.
    """
    if len(data) != BUFFER_BYTES:
        reason = FrameFault.TRUNCATED if len(data) < BUFFER_BYTES else FrameFault.WRONG_LENGTH
        raise CcTalkError(reason, f"an event buffer has {BUFFER_BYTES} bytes", data)
    pairs = tuple((data[at], data[at + 1]) for at in range(1, BUFFER_BYTES, 2))
    return EventBuffer(data[0], pairs)


def encode_events(counter: int, newest_first: Iterable[Pair]) -> bytes:
    """The answer to a buffered read; the buffer is filled up with (0, 0), older events fall out.

    Raises:
        CcTalkError: A byte out of range.
    """
    pairs = [*newest_first][:BUFFER_EVENTS]
    pairs += [(0, 0)] * (BUFFER_EVENTS - len(pairs))
    values = (counter, *(byte for pair in pairs for byte in pair))
    if not all(0 <= value <= 255 for value in values):
        raise CcTalkError(FrameFault.BAD_VALUE, f"event bytes must be 0 to 255: {values}")
    return bytes(values)


def next_counter(counter: int) -> int:
    """The counter after one more event: 255 goes on with 1, never 0."""
    return 1 if counter >= COUNTER_STEPS else counter + 1


def steps_between(last: int, now: int) -> int:
    """Events between two counters of a device that was not reset between them.

    A counter of 0 means that nothing has happened yet, so from 0 on `now` is the number itself.
    """
    return now - last if now >= last else now - last + COUNTER_STEPS


def news_between(last: EventBuffer | None, now: EventBuffer) -> News:
    """What happened since `last`.

    The counter alone does not show a reset after which the device has counted on. So the pairs that
    should have moved down are compared, as far as five of them reach, and a low counter above
    places that are still empty is taken for what it is.

    Args:
        last: The buffer last taken as seen, None when none ever was: `now` is the baseline then,
            and nothing of it is credited.
        now: The buffer just read.
    """
    if last is None or last is now:
        return NOTHING_NEW
    if now.counter == 0:
        return NOTHING_NEW if last.counter == 0 else News(reset=True)
    steps = steps_between(last.counter, now.counter)
    if not _continues(last, now, steps):
        fresh = min(now.counter, BUFFER_EVENTS)
        return News(_oldest_first(now, fresh), lost=now.counter - fresh, reset=True)
    fresh = min(steps, BUFFER_EVENTS)
    return News(_oldest_first(now, fresh), lost=steps - fresh)


def _continues(last: EventBuffer, now: EventBuffer, steps: int) -> bool:
    """Whether `now` may be `last` after `steps` more events."""
    if steps > BUFFER_EVENTS:
        untouched = now.pairs[now.counter :]
        return not untouched or any(pair != (0, 0) for pair in untouched)
    return now.pairs[steps:] == last.pairs[: BUFFER_EVENTS - steps]


def _oldest_first(buffer: EventBuffer, count: int) -> tuple[Pair, ...]:
    return tuple(reversed(buffer.pairs[:count]))
