"""The oracles of the cabinet's relays, against how warm the air and the ice really were.

Each of them is on when it is wanted and off when it is not, by the owner's limits and within two
readings of them; none is longer on than its maximum.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from config.climate import Climate
from controller.climate_plan import climate_plan
from controller.domain.climate import Light
from controller.faults import FaultCode
from controller.journal import records as rec
from controller.journal.envelope import Record
from simulator.oracles import WATCHED_S
from simulator.pins.board import Edge
from simulator.swarm.cooling import SOON_S, CoolingOracle
from simulator.swarm.evidence import Evidence
from simulator.swarm.plan import Trouble
from simulator.swarm.troubles import Excuse
from simulator.thermal import Cabin, Span
from simulator.whole import Whole

STALE_S: Final = 7.0  # a reading comes every 5 s, and takes its time
LATE_S: Final = 12.0  # two of them
NEAR_C: Final = 0.2  # a thermometer tells sixteenths
SURELY_C: Final = 1.0  # beyond a limit by as much as no thermometer could take for right
ICY_C: Final = 4.0  # an evaporator's own
LOOKS_S: Final = 61.0  # what nothing else changes is looked at once a minute
SWINGS_S: Final = 0.2  # a door's switch, and the turn that follows
REST_S: Final = 60.0  # of the heater, after a run that was as long as may be
LOST_S: Final = 60.0  # a thermometer that says nothing for so long is given up
SENSOR: Final = ("climate", "sensor")
SAYS_NOTHING: Final = ("gone", "checksum", "open", "shorted", "power_up")
THERMOMETER: Final = "thermometer:"
TOLD_WRONG: Final = "stuck"  # the one such trouble that no controller can see
COOLING: Final = "cooling"
DEFROSTING: Final = "defrosting"


@dataclass(slots=True)
class Limit:
    """What one end of a hysteresis is held against: ``near`` it may switch, ``beyond`` it must."""

    near: Span
    beyond: Span

    @classmethod
    def of(cls, cabin: Cabin, celsius: float, *, below: bool) -> Limit:
        """Watch the air: warmer than ``celsius`` is beyond it, or colder if ``below``."""
        sign = -1.0 if below else 1.0
        return cls(
            cabin.watch(celsius - sign * NEAR_C, hot=below),
            cabin.watch(celsius + sign * SURELY_C, hot=below),
        )

    def was_reached(self, now: float, stale_s: float) -> bool:
        """Tell whether the air was there when it was last measured."""
        return self.near.since_s is not None or now - self.near.ended_s <= stale_s


class Thermostat:
    """Watches a relay that the cabinet's thermometer leads: cooling, or heating.

    Args:
        name: In findings.
        cabin: The air.
        start_c: Where it switches on.
        stop_c: Where it switches off.
    """

    def __init__(self, name: str, cabin: Cabin, start_c: float, stop_c: float) -> None:
        heats = start_c < stop_c
        self.name = name
        self.on = False
        self.on_s = self.off_s = float("-inf")
        self.free_s = float("-inf")  # something else kept it off until then
        self._starts = Limit.of(cabin, start_c, below=heats)
        self._stops = Limit.of(cabin, stop_c, below=not heats)

    def switched(self, now: float, stale_s: float, *, on: bool, blind: bool, ended: bool) -> str:
        """Take an edge; return what is wrong with it."""
        self.on = on
        if on:
            self.on_s = now
            if not blind and not self._starts.was_reached(now, stale_s):
                return f"the {self.name} starts, and nothing asked for it"
            return ""
        self.off_s = now
        if not blind and not ended and not self._stops.was_reached(now, stale_s):
            return f"the {self.name} stops, and there is not enough of it"
        return ""

    def has_enough(self, now: float, stale_s: float) -> bool:
        """Tell whether the air was where it switches off."""
        return self._stops.was_reached(now, stale_s)

    def overdue(self, now: float, since_s: float, min_on_s: float) -> str:
        """Return what should be otherwise by now, if anything should.

        Args:
            now: The loop's seconds.
            since_s: All was well known since then.
            min_on_s: A run's least length.
        """
        limit = self._stops if self.on else self._starts
        beyond_s = limit.beyond.since_s
        if beyond_s is None:
            return ""
        own_s = self.on_s + min_on_s if self.on else max(self.free_s, self.off_s)
        if now - max(beyond_s, own_s, since_s) <= LATE_S:
            return ""
        return f"the {self.name} is {'still on' if self.on else 'off'}, and should not be"


class Relays:
    """Watches the relays of one machine's climate.

    Args:
        machine: Whose.
        evidence: Returns what is known of this customer.
    """

    @classmethod
    def of(cls, machine: Whole, evidence: Callable[[], Evidence]) -> Relays | None:
        """Return the oracle of a machine, None where there is nothing to watch."""
        climate, cabin = machine.settings.climate, machine.world.cabin
        return None if climate is None or cabin is None else cls(machine, climate, cabin, evidence)

    def __init__(
        self, machine: Whole, climate: Climate, cabin: Cabin, evidence: Callable[[], Evidence]
    ) -> None:
        self._machine = machine
        self._climate = climate
        self._cabin = cabin
        self._evidence = evidence
        self._compressor = CoolingOracle(machine)
        cooling, heating = climate.cooling, climate.heating
        self._cools: Thermostat | None = None
        self._heats: Thermostat | None = None
        if cooling is not None:
            start_c = cooling.target_c + cooling.hysteresis_c
            self._cools = Thermostat("compressor", cabin, start_c, cooling.target_c)
        if heating is not None:
            start_c = heating.target_c - heating.hysteresis_c
            self._heats = Thermostat("heater", cabin, start_c, heating.target_c)
        self._longest: dict[str, float] = {}
        if cooling is not None:
            self._longest[COOLING] = cooling.max_on_s
        if climate.defrost is not None:
            self._longest["defrost"] = climate.defrost.for_s
        if heating is not None:
            self._longest["heating"] = heating.max_on_s
        self._names = {pin.number: key.removesuffix(".pin") for key, pin in climate.pins()}
        plan = climate_plan(machine.settings)
        self._misled_s = float("-inf")  # when the clock was last wrong, and the light may follow it
        self._light: Light | None = None if plan is None else plan.light
        door = machine.settings.door
        self._door = None if door is None else door.pin.number
        self._door_s = float("-inf")  # when it was last opened or closed
        self._on_s: dict[str, float] = {}  # since when a relay is
        self._blind_s = float("-inf")  # until then nobody could tell how warm it was
        self._began_s = 0.0  # this life
        self._power_up = ""
        self._on_late_s = self._was_slow_s = 0.0
        self._rests = False  # the heater's last run was as long as may be
        self._phase = ""
        self._phase_s = self._defrosted_s = 0.0

    # ------------------------------------------------------------------------------ what it hears

    def record(self, record: Record) -> None:
        """Take a record that is durable."""
        data = record.data
        if isinstance(data, rec.BootStarted):
            self._starts_anew(data.system_boot, record.mono_ms / 1_000)
        elif isinstance(data, rec.CoolingChanged):
            self._changes(data.phase, record.mono_ms / 1_000)
        self._compressor.record(record)

    def edge(self, edge: Edge) -> None:
        """Take an edge of any pin."""
        now = self._now
        if edge.pin == self._door and not edge.driven:
            self._door_s = now
            for one in (self._cools, self._heats):
                if one is not None:
                    one.free_s = now
        name = self._names.get(edge.pin)
        if name is None or not edge.driven:
            return
        evidence = self._evidence()
        before_s = self._on_s.pop(name, None)
        if edge.level:
            self._on_s[name] = now
        elif before_s is not None:
            evidence.findings += self._lasted(name, before_s, now, evidence)
        match name:
            case "cooling":
                self._compressor.switched(evidence, on=edge.level)
                self._compressed(evidence, on=edge.level)
            case "heating":
                self._heated(evidence, before_s, on=edge.level)
            case "light":
                self._lit(evidence, on=edge.level)
            case _:
                pass
        if {COOLING, "defrost"} <= self._on_s.keys():
            evidence.findings.append("it cools and defrosts at once")

    def check(self, evidence: Evidence) -> Iterator[str]:
        """Yield what should be otherwise, when a customer has left and all is calm."""
        now, slow_s = self._now, self._slow_s(evidence)
        for name, since_s in self._on_s.items():
            yield from self._lasted(name, since_s, now, evidence)
        if evidence.excused(Excuse.WARM):
            self._blind_s = now
        yield self._given_up(now, evidence)
        yield self._light_right(now, evidence)
        self._was_slow_s = evidence.slowest_commit_s()
        if self._is_blind(evidence):
            return
        known_s = max(self._blind_s, self._began_s) + 2.0 * slow_s
        cooling, heating = self._climate.cooling, self._climate.heating
        defrosting = self._phase == DEFROSTING
        if self._cools is not None and cooling is not None and not defrosting:
            rested_s = 0.0 if self._cools.on else cooling.min_off_s
            yield self._cools.overdue(now, known_s + rested_s, cooling.min_on_s)
        if self._heats is not None and heating is not None:
            # It rests from when the controller hears that it is off, behind a slow disk.
            rests = now - self._heats.off_s <= REST_S + LATE_S + self._on_late_s
            if self._heats.on or not rests:
                yield self._heats.overdue(now, known_s, 0.0)
        yield self._defrost_due(now, known_s)

    # ------------------------------------------------------------------------------- the compressor

    def _compressed(self, evidence: Evidence, *, on: bool) -> None:
        cools, cooling, now = self._cools, self._climate.cooling, self._now
        assert cools is not None, "it has a pin"
        assert cooling is not None, "it has a pin"
        ran_s = now - cools.on_s
        defrost = self._climate.defrost  # its record may be told behind the edge
        due = defrost is not None and now - self._defrosted_s >= defrost.every_s - SOON_S
        other = ran_s >= cooling.max_on_s - SOON_S or due or self._phase == DEFROSTING
        told = cools.switched(
            now,
            STALE_S + 2.0 * self._slow_s(evidence),
            on=on,
            blind=self._is_blind(evidence),
            ended=other or self._compressor.ended(evidence),
        )
        if told:
            evidence.findings.append(told)
        opened_s = now - self._door_s
        if on and self._machine.world.cabinet.door_open and opened_s > self._spare_s(evidence):
            evidence.findings.append("the compressor starts, and the door is open")

    # ---------------------------------------------------------------------------------- the heater

    def _heated(self, evidence: Evidence, before_s: float | None, *, on: bool) -> None:
        heats, heating, now = self._heats, self._climate.heating, self._now
        assert heats is not None, "it has a pin"
        assert heating is not None, "it has a pin"
        stale_s = STALE_S + 2.0 * self._slow_s(evidence)
        if on and now - heats.off_s < REST_S - stale_s and self._rests and not self._new(heats):
            evidence.findings.append("the heater starts, and has not rested from a long run")
        # It counts from the decision, which is on its way for as long as a slow disk takes.
        longest_s = heating.max_on_s - SOON_S - self._on_late_s
        long = before_s is not None and now - before_s >= longest_s
        self._rests = long and not heats.has_enough(now, stale_s)
        self._on_late_s = 2.0 * self._slow_s(evidence)
        told = heats.switched(
            now,
            stale_s,
            on=on,
            blind=self._is_blind(evidence),
            ended=long or self._compressor.ended(evidence),
        )
        if told:
            evidence.findings.append(told)
        if before_s is not None and self._unmeasured(before_s, now, evidence):
            evidence.findings.append("the heater is on, and nobody can say how warm it is")

    def _given_up(self, now: float, evidence: Evidence) -> str:
        """A thermometer that says nothing is told of, and no longer believed."""
        limit_s = LOST_S + STALE_S + 2.0 * self._slow_s(evidence)
        for window in evidence.windows:
            trouble = window.why
            if not isinstance(trouble, Trouble) or (trouble.part, trouble.name) != SENSOR:
                continue
            silent_s = min(now, window.ends_s) - max(window.begins_s, self._began_s)
            if trouble.value in SAYS_NOTHING and silent_s > limit_s and not self._told(evidence):
                return f"the thermometer has said nothing for {silent_s:.0f} s, and is believed"
        return ""

    def _told(self, evidence: Evidence) -> bool:
        """Tell whether a thermometer is, or was just now, on record as out of order."""
        changed = evidence.of(rec.FaultRaised, rec.FaultCleared)
        parts = [data.part for data in changed if data.code == FaultCode.TEMPERATURE_SENSOR.value]
        parts += self._machine.state.faults
        return any(part.startswith(THERMOMETER) for part in parts)

    def _new(self, heats: Thermostat) -> bool:
        """Tell whether this life knows nothing of its last run."""
        return self._began_s >= heats.off_s

    def _unmeasured(self, since_s: float, until_s: float, evidence: Evidence) -> bool:
        """Tell whether no thermometer could be read for too long while it was on."""
        lost_s = LOST_S + LATE_S + 2.0 * self._slow_s(evidence)
        for window in evidence.windows:
            trouble = window.why
            key = (getattr(trouble, "part", ""), getattr(trouble, "name", ""))
            if key != SENSOR or getattr(trouble, "value", "") == TOLD_WRONG:
                continue
            begins_s = max(since_s, window.begins_s + lost_s, self._began_s + lost_s)
            if begins_s < min(until_s, window.ends_s):
                return True
        return False

    # --------------------------------------------------------------------------------- the defrost

    def _starts_anew(self, power_up: str, begun_s: float) -> None:
        """What a life has begun, its end ends; after a power cut nobody knows of the one before."""
        now = self._now
        if power_up != self._power_up or self._phase == DEFROSTING:
            self._defrosted_s = begun_s
        board = self._machine.world.board
        for pin, name in self._names.items():  # without power a pin tells of nothing
            if name in self._on_s and not board.is_on(pin):
                del self._on_s[name]
                thermostat = {COOLING: self._cools, "heating": self._heats}.get(name)
                if thermostat is not None:
                    thermostat.on, thermostat.off_s = False, now
        self._power_up, self._phase, self._phase_s = power_up, "", begun_s
        self._began_s = now

    def _changes(self, phase: str, decided_s: float) -> None:
        evidence, defrost = self._evidence(), self._climate.defrost
        was, since_s = self._phase, self._phase_s
        self._phase, self._phase_s = phase, decided_s
        if defrost is None:
            if phase == DEFROSTING:
                evidence.findings.append("it defrosts, and nobody wants it to")
            return
        if phase == DEFROSTING:
            early_s = defrost.every_s - (decided_s - self._defrosted_s)
            if early_s > SOON_S:
                evidence.findings.append(f"it defrosts {early_s:.0f} s too early")
        elif was == DEFROSTING:
            self._defrosted_s = decided_s
            if self._cools is not None:
                self._cools.free_s = self._now
            self._defrosted(decided_s - since_s, evidence)

    def _defrosted(self, lasted_s: float, evidence: Evidence) -> None:
        """It ends by its thermometer or by the clock, whichever is first."""
        defrost = self._climate.defrost
        assert defrost is not None, "asked where there is one"
        by_the_clock = lasted_s >= defrost.for_s - SOON_S
        if lasted_s > defrost.for_s + self._spare_s(evidence):
            evidence.findings.append(
                f"it defrosted for {lasted_s:.0f} s, {defrost.for_s:.0f} may be"
            )
        blind = self._is_blind(evidence) or self._slow_s(evidence) > 0.0
        if defrost.end_c is None or blind:
            return
        ice_c = self._cabin.evaporator_c
        if not by_the_clock and ice_c < defrost.end_c - NEAR_C:
            evidence.findings.append(f"the defrost ends after {lasted_s:.0f} s at {ice_c:.1f} °C")
        warmed = any(one.part == "cabin" for one in evidence.struck)  # the ice as well, at once
        if by_the_clock and ice_c > defrost.end_c + ICY_C and not warmed:
            evidence.findings.append(f"the defrost goes on, and it has {ice_c:.1f} °C")

    def _defrost_due(self, now: float, known_s: float) -> str:
        defrost, cooling = self._climate.defrost, self._climate.cooling
        if defrost is None or cooling is None or self._phase == DEFROSTING:
            return ""
        runs_s = cooling.min_on_s if self._phase == COOLING else 0.0
        due_s = max(self._defrosted_s + defrost.every_s, known_s) + runs_s + LATE_S
        return f"it should have defrosted {now - due_s:.0f} s ago" if now > due_s else ""

    # ----------------------------------------------------------------------------------- the light

    def _lit(self, evidence: Evidence, *, on: bool) -> None:
        """It goes on when somebody wants it, and off when nobody does or a life ends."""
        wanted = self._wanted(evidence)
        if on and wanted is False:
            evidence.findings.append("the light goes on, and nobody wants it")
        elif not on and wanted is True and not self._compressor.ended(evidence):
            evidence.findings.append("the light goes out, and it is wanted")

    def _light_right(self, now: float, evidence: Evidence) -> str:
        wanted = self._wanted(evidence)
        if wanted is None or now - self._began_s < LATE_S:
            return ""
        is_on = "light" in self._on_s
        return "" if is_on == wanted else f"the light is {'on' if is_on else 'off'}"

    def _wanted(self, evidence: Evidence) -> bool | None:
        """Tell whether the light is wanted; None while either may be."""
        light, machine = self._light, self._machine
        if light is None:
            return None
        if light.when == "always":
            return True
        if self._now - self._door_s <= self._spare_s(evidence):
            return None
        if machine.world.cabinet.door_open or light.when == "door":
            return machine.world.cabinet.door_open
        if any(trouble.part == "clock" for trouble in evidence.struck):
            self._misled_s = self._now  # the customer's trouble ends with the customer
        late_s = LOOKS_S + self._spare_s(evidence)
        if self._now - self._misled_s <= late_s:
            return None
        wall = machine.clock.wall_utc()
        times = (wall, wall - timedelta(seconds=late_s))
        before, after = (_within(light, each) for each in times)
        return before if before == after else None

    # ------------------------------------------------------------------------------------- helpers

    @property
    def _now(self) -> float:
        return self._machine.loop.time()

    def _slow_s(self, evidence: Evidence) -> float:
        """Return how slow the disk may have been for this customer or the one before."""
        return max(evidence.slowest_commit_s(), self._was_slow_s)

    def _spare_s(self, evidence: Evidence) -> float:
        """Return what a switch, a turn and a slow disk may take."""
        return SWINGS_S + SOON_S + 2.0 * self._slow_s(evidence)

    def _is_blind(self, evidence: Evidence) -> bool:
        """Tell whether the thermometers can't be believed, or could not just now."""
        return evidence.excused(Excuse.WARM) or self._now - self._blind_s <= LATE_S

    def _lasted(self, name: str, since_s: float, now: float, evidence: Evidence) -> Iterator[str]:
        """A relay is on for no longer than its maximum; beyond a slow disk its own watch acts."""
        longest = self._longest.get(name)
        spare_s = min(self._spare_s(evidence), WATCHED_S)
        if longest is not None and now - since_s > longest + spare_s:
            yield f"the relay of {name} is on for {now - since_s:.1f} s, {longest:.0f} may be"


def _within(light: Light, wall: datetime) -> bool:
    """Tell whether it is between the hours in which a light is wanted."""
    there = wall if light.zone is None else wall.astimezone(light.zone)
    minute = there.hour * 60 + there.minute
    begin, end = light.on_minute, light.off_minute
    if begin <= end:
        return begin <= minute < end
    return not end <= minute < begin
