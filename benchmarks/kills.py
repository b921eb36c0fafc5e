"""Whatever dies between a machine and its fleet, at any moment: what is lost, what is doubled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from benchmarks.place import Place
from benchmarks.report import Row, Table

NAME: Final = "kills"
SEED: Final = 1  # of the moments
HOW: Final = (
    "a machine's real link on its own journal, a real Mosquitto over TLS, `vendcloud serve` with "
    "SQLite (or two workers with PostgreSQL), each a process of its own. The machine sells without "
    "a pause, so that records are on their way at any moment; one kind of process gets SIGKILL at "
    "moments drawn from a seed, a quarter of them before there was progress since the last one, "
    "and is started again. Brokers and bridges lose their memory at about half of the kills. Then "
    "the machine's disk and the fleet's database are compared, record by record, and their books. "
    "Our bridge stands beside the machine and passes its topics on to the fleet's broker. The "
    "peer is such a bridge with persistence, a queue without an end, and a message at QoS 1 for "
    "each event: what it had acknowledged, and what came out of it behind a SIGKILL."
)
KINDS: Final[Mapping[str, str]] = {
    "broker": "broker killed",
    "server": "server killed",
    "worker": "one of two workers killed (PostgreSQL)",
    "machine": "machine killed",
    "bridge": "our bridge killed",
    "two": "two of all these killed at once",
}


def run(place: Place) -> Table:
    """Measure."""
    table = Table(
        NAME, "what a kill loses between a machine and its fleet, and what it doubles", HOW
    )
    kills = place.many(20, 3)
    differ = 0
    for kind, words in KINDS.items():
        place.say(f"kills: {words}, {kills} times")
        found = place.child(
            "killed_fleet", "--kind", kind, "--folder", place.folder(kind), "--kills", kills,
            "--seconds", place.many(200, 60), "--seed", SEED,
        )  # fmt: skip
        table.rows += rows(words, found)
        differ += found["differ"]
    table.rows.append(Row("accounts and sales that differ afterwards", differ, "", 0.0))
    place.say("kills: the bridge of others")
    peer = place.child(
        "killed_bridge", "--folder", place.folder("bridge"), "--events",
        place.many(100_000, 10_000), "--kills", place.many(10, 3), "--seed", SEED,
    )  # fmt: skip
    table.rows += peers(peer)
    return table


def rows(words: str, found: Mapping[str, Any]) -> list[Row]:
    """Return what one kind of kill came to."""
    beside = (
        f"{found['kills']} kills, {found['records']:,} records, "
        f"{found['waiting']:,} or more on their way"
    )
    return [
        Row(f"{words}: records lost", found["lost"], "", 0.0, beside=beside),
        Row(f"{words}: records doubled", found["doubled"], "", 0.0),
    ]


def peers(found: Mapping[str, Mapping[str, int]]) -> list[Row]:
    """Return what became of events that a bridge had acknowledged."""
    online = f"killed online, {found['online']['kills']} times"
    return [
        Row(
            f"peer: a bridge {words}: events lost", found[name]["lost"], "",
            beside=f"of {found[name]['acked']:,} acknowledged; doubled {found[name]['doubled']:,}",
        )
        for name, words in {
            "killed": "killed offline",
            "saving": "killed offline that saves every second",
            "stopped": "stopped offline, in order",
            "online": online,
        }.items()
    ]  # fmt: skip
