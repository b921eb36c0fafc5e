"""``vendctl sync``: how far the fleet is, and bringing it up to date while a person waits."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Final

import typer

from controller.cli import screen
from controller.cli.client import Client
from controller.cli.errors import Exit
from controller.cli.place import AsJson, ask, new_group, place
from controller.clock import SystemClock

_LOOK_EVERY_S: Final = 0.2
_LINE_EVERY_S: Final = 2.0  # where no terminal is
_PHASE: Final = {"in sync": screen.GOOD, "catching up": screen.WARN}

Shape = dict[str, Any]


def mount(app: typer.Typer) -> None:
    """Add the commands."""
    group = new_group("The fleet: how far it is with this machine's journal.", show)
    group.command("show")(show)
    group.command("now")(now)
    app.add_typer(group, name="sync")


def show(context: typer.Context, json: AsJson = False) -> None:
    """Show whether the fleet has everything, and what stands in the way."""
    found: Shape = ask(context, "sync.show")
    if json:
        screen.as_json(found)
        return
    screen.fields(_fields(found))


def _fields(found: Shape) -> list[tuple[str, screen.Cell]]:
    how = f" over {found['transport']}" if found["connected"] else ""
    rows: list[tuple[str, screen.Cell]] = [
        ("Fleet", (f"{found['phase']}{how}", _PHASE.get(found["phase"], screen.BAD)))
    ]
    if found["quarantined"]:
        rows.append(("Quarantine", (found["quarantined"], screen.BAD)))
    rows.append(("Has", f"records to {found['acked']} of {found['last']}"))
    if found["records"]:
        kept = f"{screen.many(found['records'], 'record')}, about {_size(found['bytes'])}"
        if found["oldest_s"] is not None:
            about = "" if found["oldest_certain"] else "about "
            kept += f"; the oldest for {about}{screen.duration(found['oldest_s'])}"
        rows.append(("Waiting", (kept, screen.WARN)))
    if found["heard"] is not None:
        ago = screen.duration(found["heard_age_s"])
        rows.append(("Heard", f"{found['heard']} (fleet time), {ago} ago"))
    rows.append(("Clock", _clock(found)))
    if found["vouched"]:
        rows.append(("Vouched", f"the fleet has countersigned the books to {found['vouched']}"))
    if found["error"]:
        rows.append(("Problem", (found["error"], screen.BAD)))
    if found["retry_in_s"] is not None:
        rows.append(("Next try", f"in {screen.duration(found['retry_in_s'])}"))
    return rows


def _clock(found: Shape) -> screen.Cell:
    if found["offset_ms"] is not None:
        return f"the system's is {_offset(found['offset_ms'])}"
    if found["time_known"]:
        return "kept right by NTP; the fleet has not told the time yet"
    return "nobody has confirmed the time yet: records are marked", screen.WARN


def _offset(ms: int) -> str:
    if abs(ms) < 1_000:
        return f"right to {abs(ms)} ms"
    return f"{screen.duration(abs(ms) / 1000)} {'behind' if ms > 0 else 'ahead'}"


def _size(count: int) -> str:
    if count < 10_000:
        return f"{count} bytes"
    return f"{count / 1e3:.0f} kB" if count < 10_000_000 else f"{count / 1e6:.0f} MB"


def now(
    context: typer.Context,
    timeout: Annotated[
        float, typer.Option("--timeout", min=1, max=86_400, help="Seconds to wait at most.")
    ] = 60.0,
    json: AsJson = False,
) -> None:
    """Bring the fleet up to date at once, and wait for it. Exit code 1 if it is not by then."""
    with Client(place(context).socket) as client:
        target: int = client.call("sync.now")["to"]
        clock = SystemClock()
        end = clock.monotonic_s() + timeout
        found: Shape = client.call("sync.show")
        first: int = found["acked"]
        with _progress(quiet=json) as told:
            while found["acked"] < target and clock.monotonic_s() < end:
                told(found["acked"] - first, target - first, found)
                time.sleep(_LOOK_EVERY_S)  # noqa: TID251 - a person waits, and nothing else happens here
                found = client.call("sync.show")
            told(found["acked"] - first, target - first, found)
    synced = found["acked"] >= target
    if json:
        screen.as_json({"synced": synced, "to": target, "sent": found["acked"] - first, **found})
    elif synced:
        sent = screen.many(found["acked"] - first, "record")
        screen.line(("in sync:", screen.GOOD), f"the fleet has everything to {target}; {sent} sent")
    else:
        screen.line(("NOT IN SYNC:", screen.BAD), _why(found, target, timeout))
    if not synced:
        raise typer.Exit(Exit.NO)


def _why(found: Shape, target: int, timeout: float) -> str:
    left = screen.many(target - found["acked"], "record")
    if found["quarantined"]:
        return f"the fleet keeps this journal apart: {found['quarantined']}"
    why = f": {found['error']}" if found["error"] else ""
    if not found["connected"]:
        return f"no way to the fleet{why}; {left} wait here"
    return f"{left} left after {timeout:g} s{why}; it goes on by itself"


Told = Callable[[int, int, Shape], None]


@contextmanager
def _progress(*, quiet: bool) -> Iterator[Told]:
    """Show how far it is: a bar on a terminal, a line now and then elsewhere."""
    if quiet:
        yield lambda _sent, _all, _found: None
    elif sys.stderr.isatty():
        from rich.console import Console  # noqa: PLC0415 - for people alone
        from rich.progress import Progress  # noqa: PLC0415 - as above

        with Progress(console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("")

            def told(sent: int, everything: int, found: Shape) -> None:
                words = found["phase"] if found["connected"] else "no way to the fleet"
                bar.update(task, description=words, completed=sent, total=max(1, everything))

            yield told
    else:
        yield _Lines().told


class _Lines:
    def __init__(self) -> None:
        self._clock = SystemClock()
        self._next = 0.0

    def told(self, sent: int, everything: int, found: Shape) -> None:
        at = self._clock.monotonic_s()
        if at >= self._next:
            self._next = at + _LINE_EVERY_S
            screen.note(f"{found['phase']}: {sent} of {screen.many(everything, 'record')}")
