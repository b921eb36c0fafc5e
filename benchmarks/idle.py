"""What vendd costs while nobody buys, how soon it is up, and how soon `vendctl` answers."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.machine import BIN, Vendd, configured, simulated, vendd
from benchmarks.place import BenchError, Place, environment
from benchmarks.relay import Relay
from benchmarks.report import Row, Spread, Table

NAME: Final = "idle"
_STARTS: Final = 20  # the fewest of which p95 is not the worst
_SETTLE_S: Final = 5.0
_FIRST_POLL_S: Final = 30.0
_TICKS: Final = os.sysconf("SC_CLK_TCK")
HOW: Final = (
    "`vendd guard` with `vendd run` below it, as the unit starts them, on a simulated machine with "
    "changer, validator, reader, display and keypad; then one more, connected and in sync with a "
    "fleet's real broker and server. Processor time from /proc/PID/stat, memory from smaps_rollup, "
    "the first poll from the bytes on the MDB line. Starts and answers are judged by their p95: "
    "of twenty, one may be later."
)


@dataclass(frozen=True, slots=True)
class Burden:
    """What a process costs."""

    cpu_s: float
    resident_mib: float


def burden(pid: int) -> Burden:
    """Read it from /proc."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    resident = next(line for line in rollup.splitlines() if line.startswith("Rss:"))
    return Burden((int(fields[11]) + int(fields[12])) / _TICKS, int(resident.split()[1]) / 1024)


def run(place: Place) -> Table:
    """Measure."""
    table = Table(NAME, "an idle vendd", HOW)
    near = "mdb-near"
    config = configured(place, {'port = "mdb" ': f'port = "{near}" '})
    home = place.folder("home")
    with simulated(configured(place, {}), home) as machine:
        assert machine.hello.paths.mdb is not None
        with closing(Relay(home / near, Path(machine.hello.paths.mdb))) as relay:
            starts = {
                command: _starts(place, relay, config, home, command)
                for command in ("guard", "run")
            }
        with vendd(configured(place, {}), home, "guard") as guard:
            guard.wait_until_it_sells()
            _idle(place, table, guard)
            _status(place, table, guard)
    _linked(place, table)
    table.rows += [
        judged("start of `vendd guard` to the first poll", starts["guard"], 1.0),
        judged("start of `vendd run` alone to the first poll", starts["run"], 1.0),
    ]
    return table


def judged(what: str, took: Sequence[float], limit_s: float) -> Row:
    """Return a row of what somebody waits for: the limit is for nearly every time, not for half."""
    spread = Spread.of(took)
    beside = (
        f"median {spread.p50:.2f}, worst {spread.worst:.2f} s; "
        f"each: {', '.join(f'{one:.2f}' for one in took)}"
    )
    return Row(f"{what}, p95", spread.p95, "s", limit_s, beside=beside)


def _starts(place: Place, relay: Relay, config: Path, home: Path, command: str) -> list[float]:
    place.say(f"idle: starts of `vendd {command}`")
    took = []
    for number in range(place.many(_STARTS, 3) + 1):
        relay.arm()
        with vendd(config, home, command) as daemon:
            at = relay.first_poll_at(_FIRST_POLL_S)
            if at is None:
                raise BenchError(f"no poll within {_FIRST_POLL_S:g} s")
            if number:  # the very first start compiles
                took.append(at - daemon.started_at)
            daemon.wait_until_it_sells()
    return took


def _idle(place: Place, table: Table, guard: Vendd) -> None:
    seconds = place.many(60, 15)
    place.say(f"idle: {seconds} s of nothing")
    pid = child_of(guard.process.pid)
    time.sleep(_SETTLE_S)
    before, begun = burden(pid), time.monotonic()
    guard_before = burden(guard.process.pid)
    time.sleep(seconds)
    took = time.monotonic() - begun
    after, guard_after = burden(pid), burden(guard.process.pid)
    guards = (guard_after.cpu_s - guard_before.cpu_s) / took * 100
    table.rows += [
        Row(
            "processor time of an idle vendd", (after.cpu_s - before.cpu_s) / took * 100,
            "% of a core", 3.0, beside=f"its guard: {guards:.2f} % (over {seconds} s)",
        ),
        Row(
            "resident", after.resident_mib, "MiB", 64.0,
            beside=f"its guard: {guard_after.resident_mib:.1f} MiB",
        ),
    ]  # fmt: skip


def _linked(place: Place, table: Table) -> None:
    seconds = place.many(30, 8)
    place.say("idle: the same, in touch with a fleet")
    found = place.child("idle_linked", "--folder", place.folder("linked"), "--seconds", seconds)
    table.rows += [
        Row(
            "processor time of an idle vendd with [cloud]", found["cpu_percent"], "% of a core",
            3.0, beside=f"TLS to a real broker (over {found['seconds']:.0f} s)",
        ),
        Row("resident, with [cloud]", found["resident_mib"], "MiB", 64.0),
    ]  # fmt: skip


def child_of(pid: int) -> int:
    """Return the daemon below a guard. Raises BenchError."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    if len(children) != 1:
        raise BenchError(f"the guard has {len(children)} children")
    return int(children[0])


def _status(place: Place, table: Table, daemon: Vendd) -> None:
    place.say("idle: `vendctl status`")
    took = []
    for number in range(place.many(_STARTS, 5) + 1):
        begun = time.monotonic()
        done = subprocess.run(
            [BIN / "vendctl", "--socket", daemon.socket, "status"],
            env=environment(),
            capture_output=True,
            check=False,
        )
        if done.returncode:
            raise BenchError(f"vendctl status: {done.stderr.decode(errors='replace')}")
        if number:
            took.append(time.monotonic() - begun)
    table.rows.append(judged("`vendctl status`", took, 0.35))
