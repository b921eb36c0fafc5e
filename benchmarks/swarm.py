"""The swarm's rate: whole machines in virtual time, faults and deaths included, on one core."""

from __future__ import annotations

from typing import Any, Final

from benchmarks.place import Place
from benchmarks.report import Row, Spread, Table

NAME: Final = "swarm"
_FOLDED: Final = 300.0  # vends a second, idle polls answered without the line
_SENT: Final = 20.0  # with every poll sent
HOW: Final = (
    "seeds of `vendsim swarm`, all faults on, every oracle asked after every customer and restart; "
    "one process. The rate is in seconds of its processor, so that neighbours that only wait for "
    "their turn do not count; those that share a core's caches still slow it."
)


def run(place: Place) -> Table:
    """Measure."""
    table = Table(NAME, "simulated vends a second on one core, faults on", HOW)
    findings: list[str] = []
    for words, limit, last, extra in (
        ("idle polls answered as one step", _FOLDED, place.many(24, 6), ()),
        ("every poll sent", _SENT, place.many(8, 2), ("--no-fold",)),
    ):
        place.say(f"swarm: {last} seeds, {words}")
        found = place.child("lives", "--last", last, "--customers", 60, *extra)
        findings += found["findings"]
        table.rows.append(
            Row(
                f"vends a second, {words}", found["vends"] / found["cpu_s"], "", limit,
                at_least=True, beside=_about(found),
            )
        )  # fmt: skip
    first = findings[0] if findings else ""
    table.rows.append(Row("promises broken on the way", len(findings), "", 0.0, beside=first))
    return table


def _about(found: dict[str, Any]) -> str:
    spread = Spread.of(found["per_s"])
    return (
        f"{found['vends']:,} vends, {found['records']:,} records, {found['boots']} starts, "
        f"{found['virtual_s'] / 3600:.1f} h; by seed p50 {spread.p50:.0f}, best {spread.worst:.0f}"
    )
