"""Telling a repeated poll answer from a new one. Pure.

A peripheral keeps what it has reported until it hears our ACK. When the ACK is withheld, or lost on
the line, or died with us in a power cut, the next answer begins with the same items, perhaps with
newer ones behind them. Only *one-shot* items take part (coins, bills, button presses); conditions
that are reported in every poll say nothing about repetition.

Source: MDB/ICP 4.2, section 5 ("poll again after about 20 ms; an identical message then is a
repeat") and section 2 (flow control: newer items are appended).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from enum import Enum, unique
from typing import Final

STATES: Final = 20
"""Answers that may tell of states alone before a withheld one comes again (3 s); one that keeps
nothing that was not acknowledged never says it again."""


@unique
class _Proof(Enum):
    """What is known about our last acknowledgement."""

    HEARD = "heard"  # or there was nothing to acknowledge
    UNKNOWN = "unknown"  # sent, or sent by somebody who died: the next answer tells
    WITHHELD = "withheld"  # not sent: the device must repeat


class RepeatFilter:
    """Remembers the last answer's items until its acknowledgement is proved."""

    __slots__ = ("_last", "_owed", "_proof", "_states", "astray")

    def __init__(self) -> None:
        self.astray = False  # the last answer stood in this one, all of it taken for new
        self._last: tuple[bytes, ...] = ()
        self._owed: Counter[bytes] = Counter()
        self._proof = _Proof.HEARD
        self._states = 0  # answers since a withheld one, that told of states alone

    @property
    def pending(self) -> bool:
        """Whether the last answer may come again."""
        return self._proof is not _Proof.HEARD

    @property
    def unproved(self) -> bool:
        """Whether the last answer was acknowledged, and nothing tells that it was heard."""
        return self._proof is _Proof.UNKNOWN

    @property
    def last(self) -> tuple[bytes, ...]:
        """The last answer's items, until its acknowledgement is proved."""
        return self._last

    def restore(self, items: Sequence[bytes]) -> None:
        """After a restart: these were recorded, and nobody knows whether they were acknowledged."""
        self._last = tuple(items)
        self._proof = _Proof.UNKNOWN if items else _Proof.HEARD
        self._owed.clear()

    def clear(self) -> None:
        """The device was reset: it holds nothing any more."""
        self._last = ()
        self._proof = _Proof.HEARD
        self._owed.clear()

    def quiet(self) -> None:
        """The device has nothing to say: our ACK was heard."""
        if self._proof is not _Proof.HEARD or self._owed:
            self.clear()

    def told(self, *, acked: bool) -> None:
        """Note what became of the answer last given to `fresh`."""
        if self._last:
            self._proof = _Proof.UNKNOWN if acked else _Proof.WITHHELD

    def note(self, items: Sequence[bytes]) -> None:
        """These came as the direct answer to a command: certainly new, and they may come again."""
        self._last = tuple(items)
        self._proof = _Proof.UNKNOWN if items else _Proof.HEARD

    def fresh(
        self,
        items: Sequence[bytes],
        *,
        once: Collection[bytes] = frozenset(),
        soon: bool = False,
    ) -> list[bool]:
        """Tell for each one-shot item of an answer whether it is new.

        Items that head the answer and are the whole last answer (in any order among themselves)
        are its repeat. If the ACK was certainly withheld, its items are repeats wherever they
        stand, even when the device spreads them over several answers. So they are when one of
        them that cannot happen ``once`` more comes again, or when all of them do so ``soon`` that
        not all of this answer can be new: then the ACK was not heard.

        The whole last answer somewhere else in this one, and nothing that proves more, is new by
        the standard, which lets newer items only be appended: `astray` tells of it.
        """
        new = [True] * len(items)
        self.astray = False
        if not items and self._proof is _Proof.WITHHELD and self._states < STATES:
            self._states += 1
            return new  # it told a state of its own, and will say the last answer again
        self._states = 0
        if self._proof is not _Proof.HEARD and items:
            count = len(self._last)
            if tuple(items[:count]) == self._last or (
                len(items) >= count and Counter(items[:count]) == Counter(self._last)
            ):
                new[:count] = [False] * count
            elif (
                self._proof is _Proof.WITHHELD
                or any(item in once and item in self._last for item in items)
                or (soon and len(items) > count and Counter(self._last) <= Counter(items))
            ):
                self._owed.update(self._last)
            else:
                self.astray = Counter(self._last) <= Counter(items)
        for index, item in enumerate(items):
            if new[index] and self._owed[item] > 0:
                self._owed[item] -= 1
                new[index] = False
        self._last = tuple(items)
        self._proof = _Proof.UNKNOWN if items else _Proof.HEARD
        return new
