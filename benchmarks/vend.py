"""A durable cash vend: its rate beside DBOS Transact's, and what it asks of the disk."""

from __future__ import annotations

from typing import Final

from benchmarks.place import Place
from benchmarks.report import Row, Spread, Table, median
from benchmarks.syscalls import Call, between

NAME: Final = "vend"
_ROUNDS: Final = 3
# The log is copied into the file when 256 records wait and the machine is quiet for 2 s: a machine
# that sells is paused that long after every 26 vends, so that each copy is counted.
_PAUSE_EVERY: Final = 26
_PAUSE_S: Final = 2.5
HOW: Final = (
    "the real brain, saga and journal over hardware that answers at once, one customer after the "
    "other, in turns with the peer. Syncs and bytes are system calls on the journal's folder, "
    "counted by strace from the first vend to the last, copies of the log and snapshots included."
)


def run(place: Place) -> Table:
    """Measure."""
    table = Table(NAME, "two coins, selection, dispense, change", HOW)
    _rates(place, table)
    _costs(place, table)
    _floors(place, table)
    return table


def _rates(place: Place, table: Table) -> None:
    ours, theirs, ratios = [], [], []
    whole: list[float] = []
    for number in range(1, _ROUNDS + 1):
        place.say(f"vend: rate, round {number} of {_ROUNDS}")
        sold = place.child(
            "vends", "--folder", place.folder("vends"), "--count", place.many(1_000, 300)
        )
        peer = place.child(
            "dbos_steps", "--folder", place.folder("dbos"), "--count", place.many(300, 100)
        )
        ours.append(sold["per_s"])
        theirs.append(peer["per_s"])
        ratios.append(sold["per_s"] / peer["per_s"])
        whole += [one * 1000 for one in sold["whole"]]
    table.rows += [
        Row(
            "vends, as a multiple of the peer's workflows",
            median(ratios),
            "×",
            2.0,
            at_least=True,
            beside=f"each round: {', '.join(f'{ratio:.2f}' for ratio in ratios)}",
        ),
        Row("vends", median(ours), "per s", beside=Spread.of(whole).words()),
        Row("five-step workflows in DBOS Transact, SQLite in WAL", median(theirs), "per s"),
    ]


def _costs(place: Place, table: Table) -> None:
    place.say("vend: syncs and bytes, ours")
    count = place.many(8, 3) * _PAUSE_EVERY
    folder = place.folder("traced")
    _, calls = place.traced(
        "vends", "--folder", folder, "--count", count,
        "--pause-every", _PAUSE_EVERY, "--pause", _PAUSE_S, folder=folder,
    )  # fmt: skip
    syncs, kib = _per(calls, count)
    alone = list(between(calls, "vend", "sold"))
    place.say("vend: syncs and bytes, the peer's")
    folder = place.folder("traced")
    peers = place.many(300, 100)
    _, calls = place.traced("dbos_steps", "--folder", folder, "--count", peers, folder=folder)
    their_syncs, their_kib = _per(calls, peers)
    lone = Spread.of(cost.syncs for cost in alone)
    wrote = Spread.of(cost.bytes / 1024 for cost in alone)
    table.rows += [
        Row(
            "syncs of a vend", syncs, "", 8.0,
            beside=f"DBOS {their_syncs:.1f}; without copies p50 {lone.p50:.0f}, "
            f"worst {lone.worst:.0f}",
        ),
        Row(
            "written by a vend", kib, "KiB", 48.0,
            beside=f"DBOS {their_kib:.0f} KiB; without copies p50 {wrote.p50:.1f}, "
            f"worst {wrote.worst:.1f} (a snapshot)",
        ),
    ]  # fmt: skip


def _per(calls: list[Call], count: int) -> tuple[float, float]:
    (cost,) = between(calls, "begin", "end")
    return cost.syncs / count, cost.bytes / 1024 / count


def _floors(place: Place, table: Table) -> None:
    place.say("vend: floors")
    found = place.child(
        "floors", "--folder", place.folder("floors"), "--count", place.many(3_000, 1_000)
    )
    for key, what in (
        ("raw", "floor: a commit, SQLite in WAL with FULL"),
        ("aiosqlite", "floor: the same through aiosqlite"),
        ("trigger", "floor: a trigger of the state machine's table"),
    ):
        spread = Spread.of(one * 1000 for one in found[key])
        table.rows.append(Row(what, spread.p50, "ms", beside=spread.words()))
