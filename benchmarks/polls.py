"""A poll's round trip against a peripheral that answers at once."""

from __future__ import annotations

from typing import Final

from benchmarks.place import Place
from benchmarks.report import Row, Spread, Table

NAME: Final = "polls"
HOW: Final = (
    "over a pseudo terminal whose far side, a process of its own, answers at once. The clock runs "
    "from the scheduler's call of the link to its call of the device's driver; 1 ms between polls, "
    "the three in turns of a thousand. Both sides are scheduled as the unit schedules vendd "
    "(fifo), if this user may."
)


def run(place: Place) -> Table:
    """Measure."""
    table = Table(NAME, "a poll's round trip through link and scheduler", HOW)
    count = place.many(20_000, 3_000)
    place.say(f"polls: {count:,} of each")
    found = place.child("round_trips", "--count", count)
    if not found["real_time"]:
        place.say("polls: this user may not use the fifo scheduling that the unit asks for")
    floor = Spread.of(found["floor"])
    for key, what in (("adapter", "the adapter's text protocol"), ("native", "the native link")):
        spread = Spread.of(found[key])
        table.rows.append(
            Row(f"round trip, {what}, p99.9", spread.p999, "ms", 1.0, beside=spread.words())
        )
    table.rows.append(
        Row("floor: add_reader and os.read alone, p99.9", floor.p999, "ms", beside=floor.words())
    )
    return table
