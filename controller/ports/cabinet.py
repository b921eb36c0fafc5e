"""The cabinet around them: motors, drop sensor, panel and climate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol

from controller.ports.events import ClimatePart


class SensorCheck(StrEnum):
    """The drop sensor before a vend."""

    READY = "ready"  # self-test passed, latch cleared and read back
    BLIND = "blind"  # emitter off is not seen, or the latch can't be cleared
    NOT_FITTED = "not_fitted"


class DispenseOutcome(StrEnum):
    """What one motor run did, told apart as the field does."""

    DROPPED = "dropped"
    JAMMED = "jammed"  # started, then stood still (current sense or stuck off home)
    NO_START = "no_start"  # never left home
    NO_HOME = "no_home"  # turned, and home never came within the maximum on-time
    NOT_SEEN = "not_seen"  # a full turn, nothing fell past the sensor
    EMPTY = "empty"  # the column's own switch says so; not turned
    BLIND = "blind"  # the sensor died in mid vend, or in front of it: then not turned
    DOOR_OPENED = "door_opened"
    UNKNOWN = "unknown"  # no sensor fitted: a full turn, and nobody saw


@dataclass(frozen=True, slots=True)
class DispenseResult:
    """Outcome with what was measured."""

    outcome: DispenseOutcome
    run_s: float = 0.0  # motor on-time; 0: not turned
    drops: int = 0  # products seen by the sensor in this run (two: double drop)
    detail: str = ""
    trouble: DispenseOutcome | None = None  # DROPPED, and yet the turn did not end as it should


@dataclass(frozen=True, slots=True)
class DispenseEvidence:
    """What the hardware still knows after vendd died in a turn."""

    latched: bool | None  # drop latch: True fell, False not; None not fitted, blind or power lost
    at_home: bool | None  # home switch now; None without one


class Dispenser(Protocol):
    """All columns of the cabinet."""

    async def check_sensor(self, column: str, *, again: bool = False) -> SensorCheck:
        """Self-test the drop sensor, clear its latch and read it back; before the intent.

        Waits for what an earlier turn may have left leaning in its spiral, unless it is ``again``
        for the same vend: then it falls for its own customer.
        """
        ...

    async def turn(self, column: str, *, extra: bool = False) -> DispenseResult:
        """Run one column's motor one turn. Outputs are off on every way out, cancellation too."""
        ...

    async def evidence(self, column: str) -> DispenseEvidence:
        """Read latch and home switch without moving anything."""
        ...

    def all_off(self) -> None:
        """Drive every output to its safe level, now."""
        ...


class Display(Protocol):
    """Four lines of twenty characters."""

    def show(self, lines: Sequence[str]) -> None:
        """Show lines; never blocks, only the newest text is kept. Faults are told to the sink."""
        ...


class Tone(StrEnum):
    """What the buzzer says."""

    KEY = "key"
    OK = "ok"
    ERROR = "error"
    CLAIM = "claim"


class Buzzer(Protocol):
    """The panel's voice."""

    def beep(self, tone: Tone) -> None:
        """Sound; never blocks, with a maximum on-time."""
        ...


@dataclass(frozen=True, slots=True)
class ClimateOutputs:
    """What should be on."""

    compressor: bool = False
    defrost: bool = False
    heater: bool = False
    light: bool = False

    def names(self) -> list[str]:
        """Return what is on."""
        return [part.value for part in ClimatePart if getattr(self, part.value)]

    def without(self, part: ClimatePart) -> ClimateOutputs:
        """Return the same with one part off."""
        return replace(self, **{part.value: False})


class Climate(Protocol):
    """Compressor, defrost, heater and light."""

    def switch(self, outputs: ClimateOutputs) -> None:
        """Switch what differs, what goes off first; never blocks. Tells ``OutputCut``."""
        ...
