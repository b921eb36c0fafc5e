"""A backlog on the wire: its bytes and its time, beside a Mosquitto bridge's."""

from __future__ import annotations

from typing import Final

from benchmarks.place import Place
from benchmarks.report import Row, Table

NAME: Final = "wire"
_OF_BRIDGE: Final = 0.1
_OF_NEEDED: Final = 1.25
_SOONER: Final = 8.0
_FAST_S: Final = 5.0
HOW: Final = (
    "the machine's real link, a real Mosquitto and the server's worker with SQLite; the journal is "
    "the swarm's. Bytes are counted by a proxy in between, upwards, without TLS on both sides. The "
    "slow link is that proxy with 150 ms for a round trip and 256 kbit/s upwards. The bridge is a "
    "second Mosquitto with a message for each event; over the slow link it carries a part of them, "
    "and its time for all is reckoned from that."
)


def run(place: Place) -> Table:
    """Measure."""
    records = place.many(60_000, 12_000)
    table = Table(NAME, f"a backlog of {records:,} records on its way", HOW)
    place.say(f"wire: {records:,} records, fast and slow")
    found = place.child(
        "link_wire", "--folder", place.folder("wire"), "--records", records,
        "--events", place.many(5_000, 1_000), "--slow-events", place.many(1_500, 300),
    )  # fmt: skip
    table.rows += [
        Row(
            "bytes of a record, of the bridge's", found["bytes"] / found["bridge_bytes"], "×",
            _OF_BRIDGE,
            beside=f"{found['bytes']:.1f} in batches of 200; bridge {found['bridge_bytes']:.0f}",
        ),
        Row(
            "slow link: time, of what the compressed bytes need",
            found["slow_s"] / found["needs_s"], "×", _OF_NEEDED,
            beside=f"{found['slow_s']:.1f} s, needed {found['needs_s']:.1f} s",
        ),
        Row(
            "slow link: sooner than through the bridge", found["bridge_s"] / found["slow_s"], "×",
            _SOONER, at_least=True, beside=f"bridge {found['bridge_s']:,.0f} s",
        ),
        Row(
            "fast link: until all is acknowledged", found["fast_s"], "s",
            _FAST_S * max(1.0, records / 60_000),
            beside=f"{records / found['fast_s']:,.0f} records a second",
        ),
    ]  # fmt: skip
    return table
