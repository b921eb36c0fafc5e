"""An SD card, whose sync costs 8 ms: what it adds between the last key and the motor."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from benchmarks.place import Place
from benchmarks.report import Row, Spread, Table
from benchmarks.syscalls import Call, between

NAME: Final = "slow-card"
SYNC_MS: Final = 8.0
_PAUSE_EVERY: Final = 26  # as in `vend`: the log is copied in quiet moments
_PAUSE_S: Final = 2.5
HOW: Final = (
    "vends as above, traced; in the second run strace holds every sync up by 8 ms. Times are from "
    "the last key to the call that turns the motor, syncs are those between the two in the log."
)


def run(place: Place) -> Table:
    """Measure."""
    table = Table(NAME, "key press to motor on a disk whose sync costs 8 ms", HOW)
    count = place.many(6, 2) * _PAUSE_EVERY
    place.say("slow-card: on this disk")
    fast, _ = _sell(place, count, 0.0)
    place.say("slow-card: with 8 ms for each sync")
    slow, syncs = _sell(place, count, SYNC_MS)
    table.rows += [
        Row(
            "added from key press to motor, at p50", slow.p50 - fast.p50, "ms", 20.0,
            beside=f"two syncs are {2 * SYNC_MS:g} ms",
        ),
        Row("added from key press to motor, at p99", slow.p99 - fast.p99, "ms", 20.0),
        Row(
            "syncs from key press to motor, worst", syncs.worst, "", 2.0,
            beside=f"p50 {syncs.p50:.0f} ({syncs.count} vends)",
        ),
        Row("key press to motor, slow", slow.p50, "ms", beside=slow.words()),
        Row("key press to motor, this disk", fast.p50, "ms", beside=fast.words()),
    ]  # fmt: skip
    return table


def _sell(place: Place, count: int, slow_sync_ms: float) -> tuple[Spread, Spread]:
    folder = place.folder("card")
    sold, calls = place.traced(
        "vends", "--folder", folder, "--count", count,
        "--pause-every", _PAUSE_EVERY, "--pause", _PAUSE_S,
        folder=folder, slow_sync_ms=slow_sync_ms,
    )  # fmt: skip
    return Spread.of(one * 1000 for one in sold["key_to_motor"]), _syncs(calls)


def _syncs(calls: Iterable[Call]) -> Spread:
    return Spread.of(cost.syncs for cost in between(calls, "key", "motor"))
