"""The cabinet's climate: from readings, door and time to outputs, by way of the journal.

Goes on in every mode, for goods want to be cold whether they are sold or not. What the compressor
does is a record before it does it, so that its rest is known after a restart.
"""

from __future__ import annotations

from typing import Any, Final

from controller.domain import climate as pure
from controller.domain.climate import ClimatePlan, Cooler, Heater, Phase, Thermometer
from controller.faults import FaultCode
from controller.journal import records as rec
from controller.machine import effects as fx
from controller.machine.desk import Desk
from controller.machine.health import HealthKeeping
from controller.machine.incidents import Incidents
from controller.ports import ClimateOutputs, ClimatePart, OutputCut, TemperatureRead
from controller.state.climate import ColumnHealth

LOOK_AGAIN_S: Final = 60.0  # readings come more often; a schedule of the light turns on a minute
COOLING: Final = "cooling"
OFF: Final = ClimateOutputs()


class ClimateKeeping:
    """Looks after the climate of one machine; does nothing where none is configured."""

    def __init__(self, desk: Desk, incidents: Incidents) -> None:
        """Bind the desk."""
        self._desk = desk
        self._incidents = incidents
        self._health = HealthKeeping(desk)
        self._thermometers: dict[str, Thermometer] = {}
        self._heater = Heater()
        self._outputs = OFF
        self._door_since: float | None = None
        self._due = float("inf")  # the next look, if nothing happens before

    def boot(self) -> None:
        """Begin: nothing is known of any temperature yet."""
        desk, plan = self._desk, self._desk.climate
        if plan is None:
            return
        self._thermometers = {one.name: Thermometer(one, desk.now) for one in plan.thermometers}
        self.look()

    def reconfigured(self) -> None:
        """Go by other set points and other limits; the thermometers stay."""
        self._health = HealthKeeping(self._desk)
        self.look()

    def read(self, event: TemperatureRead) -> None:
        """Take a reading."""
        thermometer = self._thermometers.get(event.sensor)
        if thermometer is not None:
            thermometer.take(event.celsius, event.why, event.at_s)
            self._look(event.at_s)

    def cut(self, event: OutputCut) -> None:
        """An output was switched off from outside: it was on for too long, or nobody watched."""
        desk = self._desk
        if event.part is ClimatePart.COMPRESSOR or event.part is ClimatePart.DEFROST:
            if desk.state.climate.phase != Phase.OFF.value:
                desk.write(rec.CoolingChanged(phase="off", reason=event.why[:100]))
        elif event.part is ClimatePart.HEATER:
            self._heater = Heater(on=False, since_s=desk.now, resting=True)
        self._incidents.raised(event.part.value, FaultCode.OUTPUT_CUT, event.why)
        self._outputs = self._outputs.without(event.part)
        self.look()

    def door(self) -> None:
        """The door was opened or closed."""
        is_open = self._desk.live.door_open
        self._door_since = self._desk.now if is_open else None
        if self._desk.climate is not None:
            self.look()

    def look(self) -> None:
        """Decide what everything should do now.

        Behind a slow disk a turn comes late, and what was measured meanwhile waits behind it: food
        is judged as of the moment at which the turn was due.
        """
        self._look(min(self._desk.now, self._due))

    def _look(self, health_s: float) -> None:
        desk, plan = self._desk, self._desk.climate
        if plan is None or not self._thermometers:
            return
        now = desk.now
        ends = [now + LOOK_AGAIN_S]
        for name, thermometer in self._thermometers.items():
            self._judge(name, thermometer)
            ends.append(thermometer.deadline_s(now))
        cabinet_c = self._thermometers[plan.sensor].celsius(now)
        cooler = self._cool(plan, cabinet_c)
        ends.append(pure.deadline_s(plan, cooler, now))
        self._heater = pure.next_heater(plan, self._heater, cabinet_c, now)
        if plan.heating is not None and self._heater.on:
            ends.append(self._heater.since_s + plan.heating.max_on_s)
        self._switch(plan, cooler)
        ends.append(self._health.look(self._thermometers, health_s))
        wait_s = max(0.1, min(ends) - now)
        self._due = now + wait_s
        desk.do(fx.Wake("climate", wait_s))

    # -------------------------------------------------------------------------------- inside

    def _judge(self, name: str, thermometer: Thermometer) -> None:
        why = thermometer.lost(self._desk.now)
        part = f"thermometer:{name}"
        if why:
            self._incidents.raised(part, FaultCode.TEMPERATURE_SENSOR, why)
        elif thermometer.heard:
            self._incidents.cleared(part, FaultCode.TEMPERATURE_SENSOR)

    def _cool(self, plan: ClimatePlan, cabinet_c: float | None) -> Cooler:
        desk = self._desk
        cooler = self._cooler()
        leading = self._thermometers[plan.sensor]
        if cooler.phase is Phase.OFF and not leading.heard and not leading.lost(desk.now):
            return cooler  # its first reading is on its way, and will say what is wanted
        defrost = plan.defrost
        over = self._thermometers.get(defrost.sensor) if defrost is not None else None
        phase, why = pure.next_phase(
            plan,
            cooler,
            cabinet_c=cabinet_c,
            defrost_c=None if over is None else over.celsius(desk.now),
            door_open_s=None if self._door_since is None else desk.now - self._door_since,
            now_s=desk.now,
        )
        if phase is not cooler.phase:
            desk.write(rec.CoolingChanged(phase=phase.value, reason=why, celsius=cabinet_c))
            if phase is Phase.OFF:
                for part in (ClimatePart.COMPRESSOR, ClimatePart.DEFROST):
                    self._incidents.cleared(part.value, FaultCode.OUTPUT_CUT)
            cooler = self._cooler()
        self._judge_cooling(plan, cooler, cabinet_c)
        return cooler

    def _judge_cooling(self, plan: ClimatePlan, cooler: Cooler, cabinet_c: float | None) -> None:
        """A compressor that runs and runs and gets nothing cold is a fault."""
        cooling = plan.cooling
        if cooling is None or cabinet_c is None:
            return
        if cabinet_c <= cooling.target_c:
            self._incidents.cleared(COOLING, FaultCode.COOLING_WEAK)
        elif (
            cooler.phase is Phase.COOLING
            and cabinet_c >= cooling.start_c
            and self._desk.now - cooler.since_s >= cooling.weak_after_s
        ):
            self._incidents.raised(COOLING, FaultCode.COOLING_WEAK, f"{cabinet_c:g} °C")

    def _cooler(self) -> Cooler:
        known = self._desk.state.climate
        return Cooler(
            Phase(known.phase),
            known.since_ms / 1000,
            known.off_ms / 1000,
            known.defrosted_ms / 1000,
        )

    def _switch(self, plan: ClimatePlan, cooler: Cooler) -> None:
        desk = self._desk
        outputs = ClimateOutputs(
            compressor=cooler.phase is Phase.COOLING,
            defrost=cooler.phase is Phase.DEFROSTING
            and plan.defrost is not None
            and plan.defrost.heated,
            heater=self._heater.on,
            light=pure.light_on(plan.light, desk.clock.wall_utc(), door_open=desk.live.door_open),
        )
        if outputs != self._outputs:
            self._outputs = outputs
            desk.do(fx.SwitchClimate(outputs))

    # ------------------------------------------------------------------------------- looking

    def view(self) -> dict[str, Any]:
        """Return what technicians see of it, JSON-able; empty where none is configured."""
        desk, plan = self._desk, self._desk.climate
        if plan is None:
            return {}
        now = desk.now
        known = desk.state.climate
        return {
            "thermometers": [
                {"name": name, "celsius": one.celsius(now), "problem": one.lost(now) or one.why}
                for name, one in self._thermometers.items()
            ],
            "phase": known.phase,
            "phase_s": round(now - known.since_ms / 1000),
            "target_c": None if plan.cooling is None else plan.cooling.target_c,
            "outputs": self._outputs.names(),
            "health": [
                {
                    "column": rule.column,
                    "limit_c": rule.limit_c,
                    "hot": rule.hot,
                    "warm_s": _warm_s(known.columns.get(rule.column), now),
                    "allowed_s": rule.allowed_s,
                    "exceeded": getattr(known.columns.get(rule.column), "exceeded", ""),
                }
                for rule in desk.health
            ],
        }


def _warm_s(column: ColumnHealth | None, now_s: float) -> int | None:
    if column is None or column.warm_ms is None:
        return None
    return round(now_s - column.warm_ms / 1000)
