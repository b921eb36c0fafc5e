"""The figures of a page of the documentation: what a real run came to, between two marks of it.

A page says ``<!-- soak:NAME -->`` and ``<!-- /soak:NAME -->``; what stands between is replaced.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from simulator.soak_instants import Instants
from simulator.swarm import coverage
from simulator.swarm.report import Tally

NAMED = 20  # findings on the page


class NoSuchPlaceError(ValueError):
    """The page has no such marks."""


def replace_block(page: str, name: str, lines: Sequence[str]) -> str:
    """Return the page with these lines between its marks.

    Raises:
        NoSuchPlaceError: It has none.
    """
    begin, end = f"<!-- soak:{name} -->", f"<!-- /soak:{name} -->"
    before, found, rest = page.partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise NoSuchPlaceError(f"no {begin} … {end}")
    return "\n".join((f"{before}{begin}", "", *lines, "", f"{end}{after}"))


def swarm_lines(tally: Tally, seconds: float, customers: int, workers: int) -> Iterator[str]:
    """Yield what the swarm came to."""
    lost = coverage.missed(tally.cells)
    cells = len(coverage.KEYS)
    days = tally.virtual_s / 86_400
    troubles = sum(n for key, n in tally.hits.items() if "." in key)
    ends = sum(tally.hits.get(how, 0) for how in ("kill", "power", "stop"))
    yield "| | |"
    yield "|---|---|"
    if tally.seeds:
        yield f"| seeds | {min(tally.seeds)}..{max(tally.seeds)}, {customers} customers each |"
    yield f"| lives | {tally.lives} |"
    yield f"| customers | {tally.customers} |"
    yield f"| vends | {tally.vends} |"
    yield f"| troubles that struck | {troubles} |"
    yield f"| kills, power cuts, stops | {ends} |"
    yield f"| starts of the controller | {tally.boots} |"
    yield f"| records | {tally.records} |"
    yield f"| time lived | {days:.1f} days in {seconds:.0f} s on {workers} core(s) |"
    yield f"| rate | {tally.vends / max(seconds, 1e-9):.0f} vends a second |"
    yield f"| broken promises | {len(tally.broken)} |"
    yield f"| cells of the failure table | {cells - len(lost)} of {cells} hit |"
    yield ""
    if lost:
        yield f"Cells missed in this run ({len(lost)}): {', '.join(f'`{key}`' for key in lost)}."
    else:
        yield "No cell was missed in this run."
    for verdict in tally.broken[:NAMED]:
        yield f"* seed {verdict.life.seed}: {'; '.join(verdict.findings)}"


def instants_lines(instants: Instants, seconds: float, stride: int, images: int) -> Iterator[str]:
    """Yield what the ends at every instant came to."""
    every = "every instant" if stride == 1 else f"one instant in {stride}"
    cuts = f"{images} disk image(s) of each power cut" if images else "kills alone"
    yield f"{instants.total} ends, {every} of each story, {cuts},"
    yield f"in {seconds:.0f} s: {len(instants.broken)} broken promises."
    yield ""
    yield "| story | link | end | instants | broken promises |"
    yield "|---|---|---|---:|---:|"
    for (name, link, how), row in instants.rows.items():
        yield f"| {name} | {link} | {how.value} | {row.cuts} | {row.broken} |"
    for line in instants.broken[:NAMED]:
        yield f"* {line}"


def mutants_lines(found: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield how soon each planted bug was found."""
    yield "| planted bug | vends until found (median of the ranges) | what the oracle said |"
    yield "|---|---:|---|"
    for row in found:
        said = str(row["finding"]).replace("|", "/")[:110]
        yield f"| {row['name']} | {row['median']:.0f} | {said} |"
