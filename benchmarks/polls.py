"""A poll's round trip against a peripheral that answers at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from benchmarks.place import Place
from benchmarks.report import Row, Spread, Table

NAME: Final = "polls"
LIMIT_MS: Final = 1.0
# Of counts of 20 and more (p99.9 of 20,000) two that are alike by nature seldom differ by more.
MOST_AS_OFTEN: Final = 2.0
HOW: Final = (
    "over a pseudo terminal whose far side, a process of its own, answers at once. The clock runs "
    "from the scheduler's call of the link to its call of the device's driver; 1 ms between polls, "
    "the three in turns of a thousand. Both sides are scheduled as the unit schedules vendd "
    "(fifo), if this user may. Where the floor itself is above the limit at p99.9, this machine "
    "stalls by itself and the limit tells nothing of vendd: then it is judged as well by how often "
    f"it is above {LIMIT_MS:g} ms, as a multiple of how often the floor is."
)


def run(place: Place) -> Table:
    """Measure."""
    table = Table(NAME, "a poll's round trip through link and scheduler", HOW)
    count = place.many(20_000, 3_000)
    place.say(f"polls: {count:,} of each")
    found = place.child("round_trips", "--count", count)
    if not found["real_time"]:
        place.say("polls: this user may not use the fifo scheduling that the unit asks for")
    for key, what in (("adapter", "the adapter's text protocol"), ("native", "the native link")):
        table.rows.extend(rows(what, found[key], found["floor"]))
    floor = Spread.of(found["floor"])
    table.rows.append(
        Row("floor: add_reader and os.read alone, p99.9", floor.p999, "ms", beside=floor.words())
    )
    return table


def rows(what: str, ours_ms: Sequence[float], floor_ms: Sequence[float]) -> list[Row]:
    """Judge the round trips of one link.

    Args:
        what: Which link, in words.
        ours_ms: Its round trips.
        floor_ms: As many bare ones, of the same run.

    Returns:
        The row of the limit; and, where the floor misses that, one of how often both do.
    """
    ours, floor = Spread.of(ours_ms), Spread.of(floor_ms)
    judged = [
        Row(
            f"round trip, {what}, p99.9",
            ours.p999,
            "ms",
            LIMIT_MS,
            beside=ours.words(),
            floor=floor.p999,
        )
    ]
    if floor.p999 > LIMIT_MS:
        late, bare = (_share_above(samples) for samples in (ours_ms, floor_ms))
        judged.append(
            Row(
                f"as often above {LIMIT_MS:g} ms as the floor, {what}",
                late / bare,
                "×",
                MOST_AS_OFTEN,
                beside=f"{late:.2%} of ours, {bare:.2%} of the floor's: the machine's own stalls",
            )
        )
    return judged


def _share_above(samples_ms: Sequence[float]) -> float:
    return sum(sample > LIMIT_MS for sample in samples_ms) / len(samples_ms)
