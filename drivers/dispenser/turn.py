"""How one turn of a motor ends, as a pure judgement of what its inputs show.

No pins, no clock, no waiting: ``look`` takes the inputs as they are now and says whether the turn
is over, and ``look_by`` says when to look again although nothing changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

# A motor's inrush looks like one that stands still; it ends within a tenth of a second, the rest
# is margin for a spiral that breaks loose.
STALL_S: Final = 0.3
# The cam's notch is a small part of a turn; half a turn without leaving it is no turn.
START_PART_OF_TURN: Final = 0.5
# Short turns still get this long: a cold motor starts slowly.
START_AT_LEAST_S: Final = 0.5


# Once a product was seen, only a slow motor is still on its way home; the next product tips over
# the edge shortly before a second turn ends.
SEEN_TURNS: Final = 1.85


class TurnEnd(StrEnum):
    """Why the motor was switched off."""

    TURNED = "turned"  # a whole turn: home left and found again, or the time of one without switch
    NO_START = "no_start"
    JAMMED = "jammed"
    NO_HOME = "no_home"
    DOOR = "door"
    CUT = "cut"  # the on-time watch was faster


@dataclass(frozen=True, slots=True)
class TurnTimes:
    """The times of one column's turn, in seconds."""

    turn_s: float  # one turn, as measured
    max_on_s: float  # no turn is longer
    start_s: float  # home is left within this time
    stall_s: float = STALL_S

    @classmethod
    def of(cls, turn_s: float, max_on_s: float) -> TurnTimes:
        """Derive the start's limit from a turn's length."""
        start_s = max(START_AT_LEAST_S, START_PART_OF_TURN * turn_s)
        return cls(turn_s, max_on_s, min(start_s, max_on_s))


@dataclass(frozen=True, slots=True)
class TurnInputs:
    """What the wires show. ``None`` stands for a switch or sense that is not fitted."""

    home: bool | None  # debounced
    stalled: bool | None = None  # the motors' supply shows the current of one that stands still
    door_open: bool = False
    cut: bool = False
    seen: bool = False  # a product fell in this turn


class Turn:
    """One turn, from the instant the motor was switched on.

    Args:
        times: Its limits.
        now: Monotonic seconds at the start.
        at_home: The home switch at the start; None if there is none.
        sensed: A current sense is fitted.
    """

    def __init__(self, times: TurnTimes, now: float, *, at_home: bool | None, sensed: bool) -> None:
        self._times = times
        self._started = now
        self._has_home = at_home is not None
        # Off home at the start (an earlier run was broken off): this run ends at home.
        self._left_home = at_home is False
        self._came_home = False
        self._sensed = sensed
        self._stalled_since: float | None = None
        self._longest_s = times.max_on_s

    def note_home(self, *, at_home: bool) -> None:
        """Take a settled level of the home switch, each in its order: a look may come too late."""
        self._left_home |= not at_home
        self._came_home |= at_home and self._left_home

    def look(self, now: float, inputs: TurnInputs) -> TurnEnd | None:
        """Judge the inputs of this instant; None means: go on."""
        if inputs.door_open:
            return TurnEnd.DOOR
        if inputs.home is not None:
            self.note_home(at_home=inputs.home)
        if self._has_home:
            if self._came_home:
                return TurnEnd.TURNED
        elif now >= self._started + self._times.turn_s:
            return TurnEnd.TURNED
        if inputs.seen:
            self._longest_s = min(self._times.max_on_s, SEEN_TURNS * self._times.turn_s)
        self._note_stall(now, stalled=bool(inputs.stalled))
        if inputs.cut:
            return self._never_came() if self._is_late(now) else TurnEnd.CUT
        if self._stalled_since is not None and now >= self._stalled_since + self._times.stall_s:
            return TurnEnd.JAMMED
        if self._has_home and not self._left_home and now >= self._started + self._times.start_s:
            return TurnEnd.JAMMED if self._stalled_since is not None else TurnEnd.NO_START
        return self._never_came() if self._is_late(now) else None

    def look_by(self) -> float:
        """Return the instant of the next look, if no input changes before."""
        limits = [self._started + self._longest_s]
        if not self._has_home:
            limits.append(self._started + self._times.turn_s)
        elif not self._left_home:
            limits.append(self._started + self._times.start_s)
        if self._stalled_since is not None:
            limits.append(self._stalled_since + self._times.stall_s)
        return min(limits)

    def _note_stall(self, now: float, *, stalled: bool) -> None:
        if not stalled:
            self._stalled_since = None
        elif self._stalled_since is None:
            self._stalled_since = now

    def _is_late(self, now: float) -> bool:
        return now >= self._started + self._longest_s

    def _never_came(self) -> TurnEnd:
        """Tell a switch that never came from a motor that got stuck off home.

        With a current sense, no stall means that it turned. Without one, a motor that left home
        and did not return is taken for stuck: that is what the field finds.
        """
        return TurnEnd.NO_HOME if self._sensed else TurnEnd.JAMMED
