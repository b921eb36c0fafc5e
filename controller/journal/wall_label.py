"""The wall time that labels a record: never below a floor, and marked when nobody confirmed it.

Pure. A Pi has no clock chip and may wake up in any year. The floor is the build date or the
journal's last *confirmed* time; an unconfirmed time is raised to it and never raises it, so that
one jump ahead does no lasting harm. Confirmed time (the fleet's or NTP's) runs on the monotonic
clock from then on and may go back.
"""

from __future__ import annotations


class WallLabel:
    """Stamps records.

    Args:
        built_ms: When this software was built, UTC in ms since 1970.
        confirmed_ms: The last confirmed time in the journal, or None.
    """

    __slots__ = ("_anchor", "_built_ms", "_floor_ms")

    def __init__(self, *, built_ms: int, confirmed_ms: int | None = None) -> None:
        self._built_ms = built_ms
        self._floor_ms = max(built_ms, confirmed_ms or 0)
        self._anchor: tuple[int, int] | None = None  # (true UTC ms, monotonic ms) at that instant

    @property
    def confirmed(self) -> bool:
        """Tell whether the time is known."""
        return self._anchor is not None

    @property
    def floor_ms(self) -> int:
        """Return the time below which no label falls."""
        return self._floor_ms

    def confirm(self, true_ms: int, mono_ms: int) -> bool:
        """Take the fleet's or NTP's word that it was ``true_ms`` at ``mono_ms``; may go back.

        A time before the build date is no confirmation and is ignored; tells whether it was taken.
        """
        if true_ms < self._built_ms:
            return False
        self._anchor = (true_ms, mono_ms)
        self._floor_ms = true_ms
        return True

    def stamp(self, wall_ms: int, mono_ms: int) -> tuple[int, bool]:
        """Return the label for this instant and whether it is confirmed."""
        if self._anchor is None:
            return (wall_ms if wall_ms > self._floor_ms else self._floor_ms), False
        true_ms, since = self._anchor
        return true_ms + mono_ms - since, True
