"""What the explanations of all ccTalk devices share: the scribe, and layouts made of fields.

Pure. A layout reads the data of one frame, field by field; the tables that say which header has
which layout stand with the devices.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum, unique
from typing import Final

from drivers.cctalk.events import BUFFER_BYTES, BUFFER_EVENTS, Pair, steps_between
from drivers.cctalk.fields import positions_of
from drivers.explanation import Meaning, counted
from drivers.explanation import Scribe as Words


@unique
class Kind(StrEnum):
    """What stands on the device's side, where a header means one thing here and one there."""

    COIN = "coin"
    BILL = "bill"
    HOPPER = "hopper"
    CHANGER = "changer"
    ESCROW = "escrow"
    OTHER = "other"


@dataclass(slots=True)
class Scribe(Words):
    """Reads the data of a ccTalk frame: numbers with the least significant byte first."""

    kind: Kind = Kind.OTHER
    last_counter: int | None = None
    """The event counter of the read before, to tell new events from old ones."""

    def string(self, size: int, name: str, meaning: Callable[[str], str] | None = None) -> str:
        """Read `size` characters."""
        raw = self._next(size, name)
        text = raw.decode("latin-1")
        self._note(raw, name, text, meaning(text) if meaning else repr(text.strip(" \0")))
        return text

    def positions(self, size: int, name: str, noun: str, verb: str) -> None:
        """Read a mask whose first byte's bit 0 is position 1."""
        raw = self._next(size, name)
        chosen = positions_of(raw)
        if len(chosen) == 8 * size:
            words = f"all {8 * size} {noun} positions {verb}"
        elif chosen:
            plural = "s" if len(chosen) > 1 else ""
            words = f"{noun} position{plural} {', '.join(map(str, chosen))} {verb}"
        else:
            words = f"no {noun} position {verb}"
        value = int.from_bytes(raw, "little")
        self._note(raw, name, value, words, None, {"positions": list(chosen)})


Layout = Callable[[Scribe], None]
"""Reads the data of one frame."""


@dataclass(frozen=True, slots=True)
class Talk:
    """What a header's request and its answer consist of. An answer of None is an ACK."""

    request: Layout | None = None
    answer: Layout | None = None
    ack: str | None = None
    """What an ACK says where data is the usual answer; None there: an ACK is an error."""


def number(
    name: str,
    words: Meaning = "",
    *,
    size: int = 1,
    detail: Callable[[int], Mapping[str, object]] | None = None,
) -> Layout:
    """A number of `size` bytes."""

    def read(scribe: Scribe) -> None:
        value = int.from_bytes(scribe.data[scribe.at : scribe.at + size], "little")
        scribe.number(size, name, words, detail=detail(value) if detail else None)

    return read


def choice(name: str, values: Mapping[int, str], otherwise: str = "undefined") -> Layout:
    """A byte whose values have names."""
    return number(name, lambda value: values.get(value, f"{value}, {otherwise}"))


def bits(name: str, names: Mapping[int, str], size: int = 1) -> Layout:
    """Option bits."""
    return lambda scribe: _options(scribe, size, name, names)


def _options(scribe: Scribe, size: int, name: str, names: Mapping[int, str]) -> None:
    scribe.options(size, name, names)


def string(name: str, words: Callable[[str], str] | None = None) -> Layout:
    """Characters up to the end of the frame."""

    def read(scribe: Scribe) -> None:
        scribe.string(max(scribe.left, 1), name, words)

    return read


def fixed(size: int, name: str, words: Callable[[str], str] | None = None) -> Layout:
    """Exactly so many characters."""

    def read(scribe: Scribe) -> None:
        scribe.string(size, name, words)

    return read


def rest(name: str, words: str) -> Layout:
    """Bytes up to the end of the frame that have no structure for us."""
    return lambda scribe: scribe.blob(scribe.left, name, words)


def optional(layout: Layout) -> Layout:
    """A field that may be missing."""

    def read(scribe: Scribe) -> None:
        if scribe.left:
            layout(scribe)

    return read


def seq(*layouts: Layout) -> Layout:
    """Fields one after the other."""

    def read(scribe: Scribe) -> None:
        for layout in layouts:
            layout(scribe)

    return read


def each(layout: Layout) -> Layout:
    """The same field up to the end of the frame, at least once."""

    def read(scribe: Scribe) -> None:
        layout(scribe)
        while scribe.left:
            layout(scribe)

    return read


def mask(name: str, verb: str) -> Layout:
    """A mask of coin or bill positions up to the end of the frame."""

    def read(scribe: Scribe) -> None:
        noun = {Kind.COIN: "coin", Kind.BILL: "bill"}.get(scribe.kind, "coin or bill")
        scribe.positions(max(scribe.left, 1), name, noun, verb)

    return read


@dataclass(frozen=True, slots=True)
class EventWords:
    """How one event of a buffer is told."""

    meaning: str
    names: tuple[str, str]
    """Of its two bytes."""
    detail: Mapping[str, object]


def events(tell: Callable[[Pair], EventWords]) -> Layout:
    """An event counter and its five pairs, newest first."""

    def read(scribe: Scribe) -> None:
        whole = scribe.left == BUFFER_BYTES
        count = scribe.number(1, "event counter", _counter_words)
        fresh = _fresh(scribe, count) if whole else None
        for index in range(BUFFER_EVENTS):
            first, second, *_ = (*scribe.data[scribe.at : scribe.at + 2], 0, 0)
            words = tell((first, second))
            meaning, told = words.meaning, {**words.detail}
            if count == 0:
                meaning = "empty: nothing has happened since the reset"
            elif fresh is not None:
                told["new"] = index < fresh
                meaning += ", new" if index < fresh else ", seen before"
            age = {0: " (newest)", BUFFER_EVENTS - 1: " (oldest)"}.get(index, "")
            scribe.begin(f"event {index + 1}{age}", meaning)
            scribe.number(1, words.names[0], detail=told)
            scribe.number(1, words.names[1])

    return read


def _fresh(scribe: Scribe, count: int) -> int | None:
    """How many of the pairs are new; None when nobody said what was seen before."""
    last = scribe.last_counter
    if last is None:
        return None
    if count == 0:
        if last:
            scribe.notes.append(
                f"the counter fell from {last} to 0: reset or power failure, events may be lost"
            )
        return 0
    steps = steps_between(last, count)
    note = f"{counted(steps, 'new event')} since counter {last}"
    if steps > BUFFER_EVENTS:
        note += f", the buffer holds 5: {steps - BUFFER_EVENTS} lost, or the device was reset"
    scribe.notes.append(note)
    return min(steps, BUFFER_EVENTS)


def _counter_words(count: int) -> str:
    if count == 0:
        return "0: just reset or powered up, nothing has happened yet"
    return f"{count} (after 255 comes 1)"


NO_DATA: Final = Talk()
"""Nothing asked, nothing but an ACK answered."""
