"""Pulses of a coin acceptor: from edges to groups, and what a group is worth.

Pure: no pin, no clock, no timer; who feeds it says when it is. A pulse counts when the line has
stood on for its least time after it stopped bouncing; pulses that follow each other within the gap
are one group, and a group is one coin, or nothing that anybody knows.

Edges come with their own times and may be heard late, all at once even: what a level came to is
judged by the next edge, and by time alone only where a group ends or a line is stuck.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

MAX_PULSES = 255
"""A line that goes on for longer than this tells of no coin."""


@dataclass(frozen=True, slots=True)
class PulseShape:
    """How the acceptor's pulses look, seconds.

    Args:
        least_s: A shorter pulse is noise.
        longest_s: A longer one is a line that is stuck, and spoils its group.
        gap_s: A pause that is longer ends the group.
        bounce_s: A level that stands for less is no level: contacts bounce, cables catch spikes.
    """

    least_s: float = 0.02
    longest_s: float = 0.2
    gap_s: float = 0.3
    bounce_s: float = 0.003


class Spoilt(StrEnum):
    """Why a group can't be trusted, although its pulses were counted."""

    NO = ""
    STUCK = "a pulse was too long"
    CUT = "it had begun before anybody listened, or was heard when its group had ended"
    ENDLESS = "it never ended"


@dataclass(frozen=True, slots=True)
class Group:
    """Pulses that came together."""

    pulses: int
    spoilt: Spoilt = Spoilt.NO


class PulseTrain:
    """Groups the edges of one line.

    Args:
        shape: How its pulses look.
        now_s: When listening begins; monotonic, as all times here.
        active: The line's level then.
    """

    def __init__(self, shape: PulseShape, now_s: float, *, active: bool) -> None:
        self._shape = shape
        self._raw = active  # as the last edge said
        self._raw_since = now_s
        self._level = active  # as it stands, bounces taken out
        self._since = now_s
        self._pulses = 0
        self._spoilt = Spoilt.CUT if active else Spoilt.NO
        self._overdue = False  # it has been on for longer than any pulse
        self._whole_from_s = now_s + shape.gap_s  # what begins before is the rest of something
        self.noise = 0  # pulses too short to be one

    @property
    def stuck(self) -> bool:
        """Tell whether the line has been on for longer than any pulse, as far as was told."""
        return self._level and self._overdue

    def edge(self, at_s: float, *, active: bool) -> Group | None:
        """Hear of an edge; the group that had ended before it, if one had."""
        ended = self.tick(at_s)
        if active != self._raw:
            self._raw, self._raw_since = active, at_s
        return ended

    def tick(self, now_s: float) -> Group | None:
        """Let time have passed, its edges heard; the group that has ended by now, if one has."""
        settled_s = self._raw_since + self._shape.bounce_s
        if self._raw != self._level and settled_s <= now_s:
            self._settle()
        if self._level and now_s > self._since + self._shape.longest_s:
            self._overdue = True
            self._spoil(Spoilt.STUCK)
        return self._ended(now_s)

    def due(self) -> float | None:
        """Return when ``tick`` has something to do; None: not before the next edge."""
        bounces = self._raw != self._level
        since = self._raw_since if bounces else self._since
        if self._raw:
            overdue = self._overdue and not bounces
            return None if overdue else since + self._shape.longest_s + 1e-6
        return since + self._shape.gap_s if bounces or self._pending else None

    @property
    def _pending(self) -> bool:
        return bool(self._pulses) or self._spoilt is not Spoilt.NO

    def _settle(self) -> None:
        """The line stands on its other level since its last edge."""
        on, at_s = self._raw, self._raw_since
        if on:
            if not self._pending and at_s < self._whole_from_s:
                self._spoil(Spoilt.CUT)  # the rest of a group that nobody heard from its beginning
            self._level, self._since, self._overdue = True, at_s, False
            return
        lasted_s = at_s - self._since
        self._level, self._since = False, at_s
        if lasted_s < self._shape.least_s:
            self.noise += 1
        elif lasted_s > self._shape.longest_s:
            self._spoil(Spoilt.STUCK)
            self._pulses += 1
        else:
            self._pulses += 1
        if self._pulses > MAX_PULSES:
            self._pulses = MAX_PULSES
            self._spoil(Spoilt.ENDLESS)

    def _spoil(self, why: Spoilt) -> None:
        if self._spoilt is Spoilt.NO:
            self._spoilt = why

    def _ended(self, now_s: float) -> Group | None:
        quiet = not self._level and self._raw == self._level
        if not (quiet and self._pending) or now_s < self._since + self._shape.gap_s:
            return None
        group = Group(self._pulses, self._spoilt)
        self._pulses, self._spoilt = 0, Spoilt.NO
        self._whole_from_s = self._since + self._shape.gap_s  # else it was heard too late
        return group if group.pulses or group.spoilt is Spoilt.STUCK else None


def value_of(group: Group, coins: Mapping[int, int]) -> int | None:
    """Return what a group is worth, minor units; None for one that is no coin for certain.

    Never the nearest coin: a lost pulse makes a dear coin look like a cheap one.
    """
    return None if group.spoilt else coins.get(group.pulses)
