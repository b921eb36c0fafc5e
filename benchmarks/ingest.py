"""The server's ingest: everything on, beside rows alone and beside a statement an event."""

from __future__ import annotations

from typing import Any, Final

from benchmarks.place import Place
from benchmarks.report import Row, Table, median

NAME: Final = "ingest"
_OF_ROWS: Final = 35.0  # per cent of the rate of rows alone
_OF_NAIVE: Final = 15.0
_WHEN_FULL: Final = 80.0  # per cent of the rate with little stored
_WITHOUT_QUERY: Final = 95.0  # per cent of the batches that come again
_TITLES: Final = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
HOW: Final = (
    "batches of 200 records from journals that the swarm made, kept by a real Mosquitto for a "
    "worker that is away; the clock runs from its connection to its last commit. Everything on: "
    "unpack, chain, validation, projections, an ack for each batch behind its commit. Rows alone: "
    "unpack and commit. The usual way: a message and a statement for each event. In turns, each "
    "in an empty database; records of other machines are loaded by the database's own means."
)


def run(place: Place) -> Table:
    """Measure."""
    table = Table(NAME, "from the broker to committed rows and projections", HOW)
    stored = [100_000, place.many(10_000_000, 1_000_000)]
    for kind, title in _TITLES.items():
        place.say(f"ingest: {title}")
        found = place.child(
            "ingest_rates", "--database", kind, "--folder", place.folder(kind),
            "--parent", place.root.parent, "--records", place.many(60_000, 15_000),
            "--naive", place.many(2_000, 500), "--rounds", place.many(3, 1),
            "--stored", *stored,
        )  # fmt: skip
        table.rows += _rows(title, found, stored)
    return table


def _rows(title: str, found: dict[str, Any], stored: list[int]) -> list[Row]:
    rounds = found["rounds"]
    of_rows = [100 * one["ours"] / one["rows"] for one in rounds]
    of_naive = [one["ours"] / one["naive"] for one in rounds]
    few, many = (median(found["beside"][str(records)]) for records in stored)
    return [
        Row(
            f"{title}: of the rate of rows alone", median(of_rows), "%", _OF_ROWS, at_least=True,
            beside=f"each round: {', '.join(f'{one:.0f}' for one in of_rows)}",
        ),
        Row(
            f"{title}: of the usual way's rate", median(of_naive), "×", _OF_NAIVE, at_least=True,
            beside=f"each round: {', '.join(f'{one:.1f}' for one in of_naive)}",
        ),
        Row(
            f"{title}: records, everything on", median(one["ours"] for one in rounds), "per s",
            beside=f"{found['records']:,} records of journals of the swarm",
        ),
        Row(f"{title}: rows alone", median(one["rows"] for one in rounds), "per s"),
        Row(f"{title}: a statement an event", median(one["naive"] for one in rounds), "per s"),
        Row(
            f"{title}: with {stored[1]:,} records stored, of the rate with {stored[0]:,}",
            100 * many / few, "%", _WHEN_FULL, at_least=True,
            beside=f"{few:,.0f} and {many:,.0f} a second",
        ),
        Row(
            f"{title}: batches that come again, refused without a query",
            100 * found["without_query"], "%", _WITHOUT_QUERY, at_least=True,
        ),
    ]  # fmt: skip
