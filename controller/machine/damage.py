"""Answers that came damaged and may have told of money: one flag for a stretch of them.

Where they are few each is flagged at once. On a line that stays noisy they come once a second: the
journal would fill, and who reads a thousand flags reads none. From then on they are counted, and
the count is flagged when a pause is over: a minute first, and twice as long each time, up to an
hour. So there is none of which nobody is told within an hour, but by a life that is killed before:
then eight flags and the last count are all that says how the line was.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Final

from controller.machine.effects import Wake
from controller.machine.table import Mode

if TYPE_CHECKING:
    from controller.machine.desk import Desk

ALONE: Final = 8  # that are flagged each for itself
PAUSE_S: Final = 60.0
LONGEST_S: Final = 3_600.0
_DOUBLINGS: Final = 6  # and the hour is reached


@dataclass(slots=True)
class Stretch:
    """Damaged answers of one device, with less than an hour between any two."""

    last: float = 0.0  # monotonic, as all times here
    flagged: int = 0
    waiting: int = 0  # that are counted and not flagged
    since: float = 0.0  # the first of those
    due: float = 0.0  # when they are


def heard(desk: Desk, doubt: str) -> None:
    """Flag an answer that came damaged, or count it; ``doubt`` says whose it was, and why."""
    now, all_of_them = desk.now, desk.live.damage
    stretch = all_of_them.get(doubt)
    if stretch is None or (not stretch.waiting and now - stretch.last > LONGEST_S):
        stretch = all_of_them[doubt] = Stretch()
    stretch.last = now
    if stretch.flagged < ALONE or desk.mode is Mode.STOPPING:  # nobody would tell of the count
        stretch.flagged += 1
        desk.flag(doubt, None)
        return
    if not stretch.waiting:
        stretch.since = now
        stretch.due = now + min(LONGEST_S, PAUSE_S * 2 ** min(_DOUBLINGS, stretch.flagged - ALONE))
    stretch.waiting += 1
    _wake(desk)


def look(desk: Desk) -> None:
    """Flag what has waited long enough."""
    for doubt, stretch in desk.live.damage.items():
        if stretch.waiting and stretch.due <= desk.now:
            _tell(desk, doubt, stretch)
    _wake(desk)


def tell_all(desk: Desk) -> None:
    """Flag what waits: the machine begins to stop."""
    for doubt, stretch in desk.live.damage.items():
        if stretch.waiting:
            _tell(desk, doubt, stretch)


def _tell(desk: Desk, doubt: str, stretch: Stretch) -> None:
    minutes = ceil((stretch.last - stretch.since) / 60) or 1
    desk.flag(f"{doubt} ({stretch.waiting} times in {minutes} min)", None)
    stretch.flagged += 1
    stretch.waiting = 0


def _wake(desk: Desk) -> None:
    due = [stretch.due for stretch in desk.live.damage.values() if stretch.waiting]
    if due:
        desk.do(Wake("damage", max(0.0, min(due) - desk.now)))
