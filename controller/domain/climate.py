"""Cooling, defrosting, heating and light as pure functions of readings, door and time.

Instants are monotonic seconds, temperatures degrees Celsius. Nothing here switches anything:
``next_phase`` says what the compressor should do now, and ``deadline_s`` when to ask again even
if no reading comes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, tzinfo
from enum import StrEnum
from typing import Final, Literal

# The door of a machine that is being filled stands open: the compressor would cool the room. One
# that stands open for longer was forgotten, and the goods matter more.
DOOR_WAIT_S: Final = 600.0
# Instants on record are whole milliseconds: what wakes at the very end of a time is not early.
ROUNDING_S: Final = 0.001


class Phase(StrEnum):
    """What the cooling is doing."""

    OFF = "off"
    COOLING = "cooling"
    DEFROSTING = "defrosting"


@dataclass(frozen=True, slots=True)
class Cooling:
    """How the compressor is led.

    Args:
        target_c: Cooled down to this.
        hysteresis_c: It starts again this much above.
        min_on_s: A run is no shorter, for the oil's sake.
        min_off_s: A rest is no shorter: a compressor can't start against pressure.
        max_on_s: A run is no longer; then it rests.
        lost_on_s: Without a thermometer it runs for so long (0: not at all)...
        lost_off_s: ...and rests for so long.
        weak_after_s: Cooling for longer without getting below the start is a fault.
    """

    target_c: float
    hysteresis_c: float = 1.5
    min_on_s: float = 120.0
    min_off_s: float = 300.0
    max_on_s: float = 14_400.0
    lost_on_s: float = 600.0
    lost_off_s: float = 1_200.0
    weak_after_s: float = 7_200.0

    @property
    def start_c(self) -> float:
        """Return the temperature at which it starts."""
        return self.target_c + self.hysteresis_c


@dataclass(frozen=True, slots=True)
class Defrost:
    """How ice is got rid of: the compressor rests, a heater helps where there is one.

    Args:
        every_s: From the end of one defrost to the next.
        for_s: It lasts no longer.
        end_c: It ends when its thermometer is this warm; None: by time alone.
        sensor: That thermometer, the evaporator's.
        heated: There is a heater.
    """

    every_s: float
    for_s: float
    end_c: float | None = None
    sensor: str = ""
    heated: bool = False


@dataclass(frozen=True, slots=True)
class Heating:
    """A heater: against frost, or for hot food."""

    target_c: float
    hysteresis_c: float = 1.0
    max_on_s: float = 3_600.0
    rest_s: float = 60.0  # after a run that was as long as may be


@dataclass(frozen=True, slots=True)
class Light:
    """The light in the cabinet; minutes count from midnight, the wall clock's own."""

    when: Literal["always", "door", "schedule"] = "always"
    on_minute: int = 0
    off_minute: int = 0
    zone: tzinfo | None = None  # of those minutes; None: UTC


@dataclass(frozen=True, slots=True)
class Plausible:
    """What a thermometer may say."""

    name: str
    lowest_c: float = -40.0
    highest_c: float = 85.0
    stuck_s: float = 0.0  # the very same reading for so long is none; 0: it may be


@dataclass(frozen=True, slots=True)
class ClimatePlan:
    """All of a machine's climate; ``sensor`` is the cabinet's thermometer."""

    sensor: str
    thermometers: tuple[Plausible, ...]
    cooling: Cooling | None = None
    defrost: Defrost | None = None
    heating: Heating | None = None
    light: Light | None = None


@dataclass(frozen=True, slots=True)
class Cooler:
    """What is known of the compressor; instants in monotonic seconds."""

    phase: Phase = Phase.OFF
    since_s: float = 0.0  # when the phase began
    off_since_s: float = 0.0  # when it last stopped; a time that nobody knows counts as zero
    defrosted_s: float = 0.0  # when the last defrost ended, as far as is known


def next_phase(
    plan: ClimatePlan,
    cooler: Cooler,
    *,
    cabinet_c: float | None,
    defrost_c: float | None,
    door_open_s: float | None,
    now_s: float,
) -> tuple[Phase, str]:
    """Return what the cooling should do now, and why.

    Args:
        plan: The owner's wishes; without cooling it is always off.
        cooler: What is known of the compressor.
        cabinet_c: The cabinet's temperature; None: nobody can say.
        defrost_c: The evaporator's, where it has a thermometer.
        door_open_s: For how long the door has been open; None: it is closed.
        now_s: Monotonic seconds.
    """
    cooling = plan.cooling
    if cooling is None:
        return Phase.OFF, ""
    lasted = now_s - cooler.since_s + ROUNDING_S
    match cooler.phase:
        case Phase.COOLING:
            return _while_cooling(plan, cooling, cooler, cabinet_c, lasted, now_s)
        case Phase.DEFROSTING:
            assert plan.defrost is not None, "a phase of this plan"
            if lasted >= plan.defrost.for_s:
                return Phase.OFF, "defrosted for long enough"
            end_c = plan.defrost.end_c
            if end_c is not None and defrost_c is not None and defrost_c >= end_c:
                return Phase.OFF, "defrosted"
            return Phase.DEFROSTING, ""
        case Phase.OFF:
            return _while_off(plan, cooling, cooler, cabinet_c, door_open_s, now_s)


def _while_cooling(
    plan: ClimatePlan,
    cooling: Cooling,
    cooler: Cooler,
    cabinet_c: float | None,
    lasted: float,
    now_s: float,
) -> tuple[Phase, str]:
    if lasted >= cooling.max_on_s:
        return Phase.OFF, "ran for as long as it may"
    if lasted < cooling.min_on_s:
        return Phase.COOLING, ""
    if cabinet_c is None:
        over = lasted >= cooling.lost_on_s
        return (Phase.OFF, "no thermometer: rests") if over else (Phase.COOLING, "")
    if cabinet_c <= cooling.target_c:
        return Phase.OFF, "cold enough"
    if _defrost_due(plan, cooler, now_s):
        return Phase.DEFROSTING, "due"
    return Phase.COOLING, ""


def _while_off(
    plan: ClimatePlan,
    cooling: Cooling,
    cooler: Cooler,
    cabinet_c: float | None,
    door_open_s: float | None,
    now_s: float,
) -> tuple[Phase, str]:
    if _defrost_due(plan, cooler, now_s):
        return Phase.DEFROSTING, "due"
    rested = now_s - cooler.off_since_s + ROUNDING_S
    if rested < cooling.min_off_s or (door_open_s is not None and door_open_s < DOOR_WAIT_S):
        return Phase.OFF, ""
    if cabinet_c is None:
        runs = cooling.lost_on_s > 0 and rested >= cooling.lost_off_s
        return (Phase.COOLING, "no thermometer: by the clock") if runs else (Phase.OFF, "")
    if cabinet_c >= cooling.start_c:
        return Phase.COOLING, "too warm"
    return Phase.OFF, ""


def _defrost_due(plan: ClimatePlan, cooler: Cooler, now_s: float) -> bool:
    if plan.defrost is None:
        return False
    return now_s - cooler.defrosted_s + ROUNDING_S >= plan.defrost.every_s


def deadline_s(plan: ClimatePlan, cooler: Cooler, now_s: float) -> float:
    """Return the next instant at which time alone may change the phase; infinity if none can."""
    cooling, defrost = plan.cooling, plan.defrost
    if cooling is None:
        return float("inf")
    since = cooler.since_s
    ends: list[float]
    match cooler.phase:
        case Phase.COOLING:
            ends = [since + s for s in (cooling.min_on_s, cooling.lost_on_s, cooling.max_on_s)]
        case Phase.DEFROSTING:
            ends = [since + (0.0 if defrost is None else defrost.for_s)]
        case Phase.OFF:
            ends = [cooler.off_since_s + s for s in (cooling.min_off_s, cooling.lost_off_s)]
    if defrost is not None:
        ends.append(cooler.defrosted_s + defrost.every_s)
    return min((end for end in ends if end > now_s), default=float("inf"))


@dataclass(frozen=True, slots=True)
class Heater:
    """What is known of the heater."""

    on: bool = False
    since_s: float = 0.0  # when it was switched on or off
    resting: bool = False  # it was on for as long as it may be


def next_heater(plan: ClimatePlan, heater: Heater, cabinet_c: float | None, now_s: float) -> Heater:
    """Return what the heater should do now; without a thermometer it never heats."""
    heating = plan.heating
    if heating is None:
        return heater if not heater.on else Heater(on=False, since_s=now_s)
    lasted = now_s - heater.since_s + ROUNDING_S
    if heater.on and lasted >= heating.max_on_s:
        return Heater(on=False, since_s=now_s, resting=True)
    if cabinet_c is None:
        return heater if not heater.on else Heater(on=False, since_s=now_s)
    if heater.on:
        if cabinet_c >= heating.target_c:
            return Heater(on=False, since_s=now_s)
        return heater
    if heater.resting and lasted < heating.rest_s:
        return heater
    if cabinet_c <= heating.target_c - heating.hysteresis_c:
        return Heater(on=True, since_s=now_s)
    return heater


def light_on(light: Light | None, wall: datetime, *, door_open: bool) -> bool:
    """Tell whether the light should be on; ``wall`` is the wall time, aware.

    A clock that is wrong costs a dark window and no more, so that it needn't be confirmed.
    """
    if light is None:
        return False
    if light.when == "always" or door_open:
        return True
    if light.when == "door":
        return False
    there = wall if light.zone is None else wall.astimezone(light.zone)
    minute = there.hour * 60 + there.minute
    start, end = light.on_minute, light.off_minute
    if start <= end:
        return start <= minute < end
    return minute >= start or minute < end


class Thermometer:
    """Judges one thermometer's readings: what it says, or that nobody can say.

    A reading that fails is forgiven for ``LOST_AFTER_S``: the last one holds until then.
    """

    LOST_AFTER_S: Final = 60.0

    def __init__(self, plausible: Plausible, now_s: float) -> None:
        """Know nothing yet."""
        self.plausible = plausible
        self._celsius: float | None = None
        self._read_s = now_s
        self._same_since_s = now_s
        self.why = ""  # what is wrong with it
        self.heard = False  # it has told a temperature since the start

    def take(self, celsius: float | None, why: str, now_s: float) -> None:
        """Take a reading, or the news that there is none."""
        limits = self.plausible
        if celsius is None:
            self.why = why or "no reading"
        elif not limits.lowest_c <= celsius <= limits.highest_c:
            self.why = f"{celsius:g} °C is out of range"
        else:
            if celsius != self._celsius:
                self._same_since_s = now_s
            self._celsius, self._read_s = celsius, now_s
            self.why, self.heard = "", True

    def celsius(self, now_s: float) -> float | None:
        """Return the temperature, or None when nobody can say."""
        return None if self.lost(now_s) else self._celsius

    def lost(self, now_s: float) -> str:
        """Return why nobody can say how warm it is; empty while somebody can, or may soon."""
        if now_s - self._read_s >= self.LOST_AFTER_S:
            return self.why or "silent"
        stuck = self.plausible.stuck_s
        if stuck and self.heard and now_s - self._same_since_s >= stuck:
            return f"{self._celsius:g} °C for {stuck:g} s"
        return ""

    def deadline_s(self, now_s: float) -> float:
        """Return the next instant at which it may count as lost."""
        ends = [self._read_s + self.LOST_AFTER_S]
        if self.plausible.stuck_s and self.heard:
            ends.append(self._same_since_s + self.plausible.stuck_s)
        return min((end for end in ends if end > now_s), default=float("inf"))

    @property
    def read_s(self) -> float:
        """Return when it last told a temperature (or when it began)."""
        return self._read_s
