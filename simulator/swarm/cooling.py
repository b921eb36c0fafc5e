"""The oracle of the compressor, at its relay: it rests as long as it must, and runs as long.

What it has to do with how warm the air is, ``relays`` says.
"""

from __future__ import annotations

from typing import Final

from controller.journal import records as rec
from controller.journal.envelope import Record
from simulator.swarm.evidence import Evidence
from simulator.whole import Whole

SOON_S: Final = 0.1  # a record's time is in whole milliseconds, a turn takes its own


class CoolingOracle:
    """Watches one compressor."""

    def __init__(self, machine: Whole) -> None:
        """It has rested since nobody knows when."""
        cooling = None if machine.settings.climate is None else machine.settings.climate.cooling
        self._machine = machine
        self._cooling = cooling
        self._on_s = self._off_s = float("-inf")
        self._stopping = False
        self._late_s = 0.0  # what the last change waited for its record

    def record(self, record: Record) -> None:
        """Take a record that is durable: a life that ends switches it off, a slow disk late."""
        if isinstance(record.data, rec.CoolingChanged):
            self._late_s = self._machine.loop.time() - record.mono_ms / 1_000
        if isinstance(record.data, rec.StopRequested | rec.BootStarted):
            self._stopping = isinstance(record.data, rec.StopRequested)

    def ended(self, evidence: Evidence) -> bool:
        """Tell whether its life may have ended, which switches everything off."""
        disk = any(one.part == "disk" for one in evidence.struck)  # which may end a life as well
        return self._machine.running is None or self._stopping or disk or bool(evidence.ends)

    def switched(self, evidence: Evidence, *, on: bool) -> None:
        """Judge an edge; what the one before it was late is missing between them."""
        now = self._machine.loop.time()
        cooling = self._cooling
        assert cooling is not None, "it has a pin"
        spare_s = SOON_S + self._late_s
        if on:
            self._on_s = now
            rested_s = now - self._off_s
            if rested_s < cooling.min_off_s - spare_s:
                evidence.findings.append(
                    f"the compressor starts {rested_s:.1f} s after it stopped, and needs"
                    f" {cooling.min_off_s:.0f} s of rest"
                )
            return
        self._off_s = now
        ran_s = now - self._on_s
        if ran_s < cooling.min_on_s - spare_s and not self.ended(evidence):
            evidence.findings.append(
                f"the compressor stops {ran_s:.1f} s after it started, and runs for"
                f" {cooling.min_on_s:.0f} s at least"
            )
