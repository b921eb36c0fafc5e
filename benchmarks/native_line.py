"""The native link's times, during vends and beside a journal under load."""

from __future__ import annotations

from typing import Final

from benchmarks.place import Place
from benchmarks.report import Row, Spread, Table

NAME: Final = "native-line"
HOW: Final = (
    "four devices on a pseudo terminal, each polled 15 times as often as in life, every answer "
    "data; beside them, in the same process, the real brain and journal sell without a pause, and "
    "each coin's ACK waits for its record. ACKs are timed by the far side, from the last byte "
    "written to the 00 read."
)


def run(place: Place) -> Table:
    """Measure."""
    table = Table(NAME, "ACK and poll times during vends, beside a journal under load", HOW)
    count = place.many(20_100, 4_000)
    place.say(f"native-line: {count:,} polls")
    found = place.child("busy_line", "--folder", place.folder("line"), "--count", count)
    acks, late = Spread.of(found["acks_ms"]), Spread.of(found["late_ms"])
    table.rows += [
        Row("ACK behind the block's last byte, p99.9", acks.p999, "ms", 5.0, beside=acks.words()),
        Row("start of a poll, late, p99.9", late.p999, "ms", 15.0, beside=late.words()),
        Row(
            "answers neither acknowledged nor withheld on purpose",
            abs(found["unacknowledged"] - found["withheld"]), "", 1.0,
            beside=f"withheld: {found['withheld']:,} of {found['polls']:,}, then acknowledged",
        ),
        Row(
            "load: vends", found["vends"], "",
            beside=f"{found['records']:,} records",
        ),
    ]  # fmt: skip
    return table
