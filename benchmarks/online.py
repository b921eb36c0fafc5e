"""A machine that is online, and one that comes back after months, beside a real server."""

from __future__ import annotations

from typing import Final

from benchmarks.place import Place
from benchmarks.report import Row, Spread, Table

NAME: Final = "online"
_SALE_MS: Final = 250.0
_MORE_MS: Final = 500.0
_IDLE: Final = 5.0
HOW: Final = (
    "real journals on this disk, the machine's real link over TLS, a real Mosquitto and `vendcloud "
    "serve` with SQLite as processes of their own. A sale's clock runs from the record of the drop "
    "to the fleet's acknowledgement, which follows its commit and its way back. The machine that "
    "comes back has sold all the while without a network; both ends' books are compared."
)


def run(place: Place) -> Table:
    """Measure."""
    records = place.many(1_000_000, 50_000)
    table = Table(NAME, "a sale in the cloud, and months that catch up", HOW)
    place.say(f"online: sales, then {records:,} records that waited")
    found = place.child(
        "link_online", "--folder", place.folder("online"), "--sales", place.many(300, 60),
        "--records", records,
    )  # fmt: skip
    sales = Spread.of(one * 1000 for one in found["sales"])
    table.rows += [
        Row("from the drop to the fleet's word, p99", sales.p99, "ms", _SALE_MS,
            beside=sales.words()),
        Row(
            f"start with {records:,} unsent records, more than with none",
            (found["open_s"] - found["empty_s"]) * 1000, "ms", _MORE_MS,
            beside=f"with none {found['empty_s'] * 1000:.1f} ms",
        ),
        Row(
            f"{found['records']:,} records until in sync", found["sync_s"], "s",
            beside=f"{found['records'] / found['sync_s']:,.0f} records a second",
        ),
        Row("accounts that differ afterwards", found["differ"], "", 0.0),
    ]  # fmt: skip
    machines = place.many(500, 100)
    place.say(f"online: {machines} machines that are idle")
    idle = place.child(
        "idle_fleet", "--machines", machines, "--seconds", place.many(60, 15)
    )  # fmt: skip
    table.rows.append(
        Row(
            f"{machines} idle machines: the server's processor time", 100 * idle["cpu"]["server"],
            "% of a core", _IDLE, beside=f"the broker's {100 * idle['cpu']['broker']:.2f} %",
        )
    )  # fmt: skip
    return table
