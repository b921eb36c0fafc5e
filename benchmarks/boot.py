"""Opening a long journal: what a start costs more than with an empty one."""

from __future__ import annotations

from typing import Final

from benchmarks.place import Place
from benchmarks.report import Row, Table, median

NAME: Final = "boot"
_STARTS: Final = 5
_WITH_S: Final = 0.5
_WITHOUT_S: Final = 60.0
_MIB: Final = 1_048_576
_LINK_MIB: Final = 2.0  # a window of batches is half of it
HOW: Final = (
    "the journal is opened as a start opens it, its first record committed: chain verified and "
    "state folded from the last snapshot on, or from the first record when all snapshots were "
    "deleted. The long one holds whole vends, records chained as they are in a machine, none of "
    "which a fleet has: with the link, a start goes on to its first try to connect, in vain, and "
    "to what `vendctl sync` shows."
)


def run(place: Place) -> Table:
    """Measure."""
    records = place.many(1_000_000, 50_000)
    table = Table(NAME, f"a start with a journal of {records:,} records", HOW)
    place.say(f"boot: writing a journal of {records:,} records")
    found = place.child(
        "long_journal", "--folder", place.folder("long"), "--empty", place.folder("empty"),
        "--records", records, "--starts", _STARTS,
    )  # fmt: skip
    empty, long = median(found["empty_s"]), median(found["with_s"])
    link_empty, link = median(found["link_empty_s"]), median(found["link_s"])
    memory_empty, memory = median(found["link_empty_bytes"]), median(found["link_bytes"])
    table.rows += [
        Row(
            "more than with an empty one, snapshots there", (long - empty) * 1000, "ms",
            _WITH_S * 1000, beside=f"empty {empty * 1000:.1f} ms, long {long * 1000:.1f} ms",
        ),
        Row(
            "the same with the link, none of it sent, no network", (link - link_empty) * 1000, "ms",
            _WITH_S * 1000, beside=f"empty {link_empty * 1000:.1f} ms, long {link * 1000:.1f} ms",
        ),
        Row(
            "memory that it takes more", (memory - memory_empty) / _MIB, "MiB", _LINK_MIB,
            beside=f"empty {memory_empty / _MIB:.2f} MiB, long {memory / _MIB:.2f} MiB",
        ),
        Row(
            "opened with all snapshots deleted", found["without_s"], "s",
            _WITHOUT_S * records / 1_000_000,
            beside=f"{records / found['without_s']:,.0f} records a second",
        ),
    ]  # fmt: skip
    return table
