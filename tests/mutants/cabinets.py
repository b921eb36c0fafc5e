"""Planted bugs against the cabinet: what cools, defrosts, heats and lights it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from controller.domain import climate
from controller.journal import records as rec
from controller.machine.brain import Brain
from drivers.dispenser import dispenser
from tests.mutants.planting import Mutant, Soil

COLDEST: Final = -273.0


def cool_without_a_hysteresis(soil: Soil) -> None:
    soil.put(climate.Cooling, "start_c", property(lambda cooling: cooling.target_c + 0.1))


def _of_a_phase(soil: Soil, **other: Any) -> None:
    def make(real: Any) -> Any:
        return lambda plan, cooler, **known: real(plan, cooler, **{**known, **other})

    soil.wrap(climate, "next_phase", make)


def defrost_by_the_clock_alone(soil: Soil) -> None:
    _of_a_phase(soil, defrost_c=None)


def cool_the_room(soil: Soil) -> None:
    """As if the door were closed."""
    _of_a_phase(soil, door_open_s=None)


def never_defrost(soil: Soil) -> None:
    soil.put(climate, "_defrost_due", lambda plan, cooler, now_s: False)


def _of_the_heater(soil: Soil, change: Callable[[Any, Any], tuple[Any, Any]]) -> None:
    def make(real: Any) -> Any:
        def heater(plan: Any, known: Any, cabinet_c: Any, now_s: float) -> Any:
            plan, cabinet_c = change(plan, cabinet_c)
            return real(plan, known, cabinet_c, now_s)

        return heater

    soil.wrap(climate, "next_heater", make)


def heat_without_a_thermometer(soil: Soil) -> None:
    _of_the_heater(
        soil, lambda plan, cabinet_c: (plan, COLDEST if cabinet_c is None else cabinet_c)
    )


def heat_without_a_rest(soil: Soil) -> None:
    def restless(plan: Any, cabinet_c: Any) -> tuple[Any, Any]:
        heating = plan.heating
        return replace(plan, heating=heating and replace(heating, rest_s=0.0)), cabinet_c

    _of_the_heater(soil, restless)


def leave_the_light_on(soil: Soil) -> None:
    soil.put(climate, "light_on", lambda light, wall, *, door_open: light is not None or door_open)


def light_by_greenwich(soil: Soil) -> None:
    def make(real: Any) -> Any:
        def on(light: Any, wall: Any, *, door_open: bool) -> bool:
            there = light and replace(light, zone=None)
            return bool(real(there, wall, door_open=door_open))

        return on

    soil.wrap(climate, "light_on", make)


def turn_on_as_the_door_is_opened(soil: Soil) -> None:
    soil.put(dispenser, "DOOR_DEBOUNCE_S", 60.0)


def take_an_opened_door_for_a_visit(soil: Soil) -> None:
    """Whatever is too warm has the time of a filling again."""

    def make(real: Any) -> Any:
        def door(self: Any, is_open: bool) -> None:
            real(self, is_open)
            if is_open and self.desk.mode.selling and not self.desk.state.sagas:
                self.desk.write(rec.ServiceEntered(by="door"))
                self.desk.write(rec.ServiceLeft(by="door"))

        return door

    soil.wrap(Brain, "_door", make)


MUTANTS: Final = (
    Mutant("take an opened door for a visit", take_an_opened_door_for_a_visit, "cabin.warm,door"),
    Mutant("cool without a hysteresis", cool_without_a_hysteresis),
    Mutant("defrost by the clock alone", defrost_by_the_clock_alone),
    Mutant("cool the room", cool_the_room, "door"),
    Mutant("never defrost", never_defrost),
    Mutant("heat without a thermometer", heat_without_a_thermometer),
    Mutant("heat without a rest", heat_without_a_rest),
    Mutant("leave the light on", leave_the_light_on),
    Mutant("light by Greenwich", light_by_greenwich),
    Mutant("turn on as the door is opened", turn_on_as_the_door_is_opened, "door"),
)
