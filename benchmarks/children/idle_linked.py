"""An idle vendd that is in touch with its fleet: a real broker over TLS, and a real server."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from benchmarks.children.given import given, hand_back
from benchmarks.idle import burden, child_of
from benchmarks.machine import DEMO, Vendd, simulated, vendd
from benchmarks.place import BenchError
from controller.cli.client import Client
from controller.cli.errors import CliError
from simulator.fleet.site import Site

_MACHINE: Final = "demo"
_HEADING: Final = "[machine]\n"
_SYNC_S: Final = 30.0
_LOOK_S: Final = 0.1


def _measured(config: Path, home: Path, seconds: float) -> dict[str, float]:
    with simulated(config, home), vendd(config, home, "guard") as guard:
        guard.wait_until_it_sells()
        pid = _in_sync(guard)
        time.sleep(seconds)
        first, begun = burden(pid), time.monotonic()
        time.sleep(seconds)
        took, last = time.monotonic() - begun, burden(pid)
    return {
        "cpu_percent": (last.cpu_s - first.cpu_s) / took * 100,
        "resident_mib": last.resident_mib,
        "seconds": took,
    }


def _in_sync(guard: Vendd) -> int:
    """Wait until the fleet has acknowledged what there is; returns the daemon's process."""
    until = time.monotonic() + _SYNC_S
    while time.monotonic() < until:
        with suppress(CliError), Client(guard.socket) as client:  # just started: no link yet
            found = client.call("sync.show")
            assert isinstance(found, dict)
            if found["connected"] and not found["records"]:
                return child_of(guard.process.pid)
        time.sleep(_LOOK_S)
    raise BenchError(f"not in sync with its fleet within {_SYNC_S:g} s")


async def measure(folder: Path, seconds: float) -> dict[str, float]:
    """Start a fleet of one machine, and look at that one."""
    home = folder / "home"
    home.mkdir(parents=True)
    async with Site() as site:
        await site.ask("machine", "add", f"{site.tenant}/{_MACHINE}")
        text = DEMO.read_text(encoding="utf-8")
        config = folder / "machine.toml"
        config.write_text(
            text.replace(_HEADING, site.section(_MACHINE) + _HEADING), encoding="utf-8"
        )
        return await asyncio.to_thread(_measured, config, home, seconds)


def main() -> None:
    """Measure, and print what was found."""
    options = given(__doc__, folder=Path, seconds=float)
    hand_back(asyncio.run(measure(options.folder, options.seconds)))


if __name__ == "__main__":
    main()
