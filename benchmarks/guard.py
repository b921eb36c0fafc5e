"""How soon the motor stands still after vendd hung or was killed: through the real processes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from benchmarks.machine import configured
from benchmarks.place import Place
from benchmarks.report import Row, Spread, Table

NAME: Final = "guard"
HOW: Final = (
    "`vendd guard` with `vendd run` below it, with the default of 500 ms between two beats, on a "
    "simulated machine, all scheduled as the unit schedules vendd (fifo), if this user may. While "
    "a motor turns, vendd is stopped or killed by the kernel, at a random moment. The clock starts "
    "with the signal and stops when the motor's pin is off, as the simulator saw it; vendd stops "
    "between two beats, so that the guard may be sooner than its limit."
)
# Nobody but the guard switches the motor off meanwhile, and nothing is too much for the machine.
CHANGES: Final[Mapping[str, str]] = {
    "max_on_s = 5.0": "max_on_s = 30.0",
    "multi_vend = false ": "column_refunds_max = 0\nmachine_refunds_max = 0\nmulti_vend = false ",
}
# The guard's patience and 0.2 s; no patience where the kernel itself tells of the end.
LIMITS_S: Final[Mapping[str, float]] = {"SIGSTOP": 0.7, "SIGKILL": 0.2}
_WORDS: Final[Mapping[str, str]] = {"SIGSTOP": "vendd hangs", "SIGKILL": "vendd is killed"}


def run(place: Place) -> Table:
    """Measure."""
    table = Table(NAME, "from the end of vendd to the motor's pin off", HOW)
    config = configured(place, CHANGES)
    for name in LIMITS_S:
        count = place.many(15, 3)
        place.say(f"guard: {count} times {name} while a motor turns")
        found = place.child(
            "motor_off",
            "--config", config, "--home", place.folder("home"), "--signal", name, "--count", count,
        )  # fmt: skip
        table.rows.append(row(name, found["took_s"]))
    return table


def row(name: str, took_s: Sequence[float]) -> Row:
    """Judge the worst of some ends by a signal."""
    spread = Spread.of(took_s)
    each = ", ".join(f"{one:.3f}" for one in took_s)
    return Row(
        f"motor off after {_WORDS[name]} ({name}), worst", spread.worst, "s", LIMITS_S[name],
        beside=f"median {spread.p50:.3f} s; each: {each}",
    )  # fmt: skip
