"""``vendctl bus``: what was counted on the lines, for who looks for trouble in the wiring."""

from __future__ import annotations

from typing import Any, Final

import typer

from controller.cli import screen
from controller.cli.place import AsJson, ask
from controller.cli.reader import titled

# Each count, in this order: what it means, and whether it is a share of what was asked.
_ASKED: Final = {"mdb": "exchanges", "cctalk": "asked"}
COUNTS: Final = {
    "exchanges": "blocks sent",
    "polls": "of them polls",
    "commands": "of them commands",
    "asked": "questions sent",
    "repeated": "questions asked again",
    "silences": "no answer in time",
    "naks": "a device did not understand us",
    "garbled": "damaged answers",
    "rets": "damaged answers that we asked for again",
    "collisions": "somebody spoke while we did",
    "stray_bytes": "bytes that nobody had asked for",
    "withheld": "answers with money held back: the disk was slow",
    "reopened": "times the port was opened; the first is the start",
    "worst_late_s": "s: the latest start of a poll",
    "worst_ago_s": "s since then",
    "skipped_polls": "polls that only a simulator may leave out",
}
_SHARES: Final = frozenset(
    {"repeated", "silences", "naks", "garbled", "rets", "collisions", "withheld"}
)
_RARE: Final = frozenset({"skipped_polls"})  # shown when there are some
MISSES: Final = {
    "silences": "Silences",
    "naks": "NAK",
    "garbled": "Garbled",
    "resets": "Resets",
    "unanswered": "Unanswered",
}
_GUIDE: Final = 'docs/wiring.md, "What vendctl bus counts", says what to look at'


def mount(app: typer.Typer) -> None:
    """Add the command."""
    app.command("bus")(show)


def show(context: typer.Context, json: AsJson = False) -> None:
    """Show what went wrong on the lines since the start, and what devices told that was odd."""
    told = ask(context, "bus.show")
    if json:
        screen.as_json(told)
        return
    screen.line(f"counted for {screen.duration(told['up_s'])}")
    for line in told["lines"]:
        print()
        _line(line)
    _oddities(told["devices"])
    screen.line((_GUIDE, screen.DIM))


def _line(line: dict[str, Any]) -> None:
    state = (f"down: {line['down']}", screen.BAD) if line["down"] else ("works", screen.GOOD)
    screen.line((line["name"], screen.BOLD), state)
    counts = line["counts"]
    asked = counts.get(_ASKED.get(line["name"], ""), 0)
    screen.table(
        ("Count", ">", ">Of 1000", "What it is"),
        [
            (name, _figure(counts[name]), _share(name, counts[name], asked), words)
            for name, words in COUNTS.items()
            if name in counts and (counts[name] or name not in _RARE)
        ],
    )
    if line["devices"]:
        print()
        heads = [name for name in MISSES if any(name in one for one in line["devices"].values())]
        screen.table(
            ("Device", *(f">{MISSES[name]}" for name in heads)),
            [
                (device, *(str(misses.get(name, "")) for name in heads))
                for device, misses in line["devices"].items()
            ],
        )


def _figure(count: float) -> str:
    return str(count) if isinstance(count, int) else f"{count:.3f}"


def _share(name: str, count: float, asked: float) -> str:
    return f"{1000 * count / asked:.1f}" if name in _SHARES and asked else ""


def _oddities(devices: list[dict[str, Any]]) -> None:
    print()
    rows = [
        (titled(device), what, str(count))
        for device in devices
        for what, count in sorted(device["oddities"].items(), key=lambda one: (-one[1], one[0]))
    ]
    if rows:
        screen.table(("Device", "Told", ">Times"), rows)
    else:
        screen.line("no device told anything odd")
