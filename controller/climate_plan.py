"""From the settings' climate and health sections to what the domain reads."""

from __future__ import annotations

from config.climate import Climate
from config.climate import Health as HealthSettings
from config.climate import Light as LightSettings
from config.machine import MachineSettings
from config.pins import Pin
from controller.domain.climate import ClimatePlan, Cooling, Defrost, Heating, Light, Plausible
from controller.domain.health import HealthRule
from controller.ports import ClimatePart

COLD_S = (900.0, 1_800.0)  # allowed above the limit, and after a filling: the rules' own times
HOT_S = (7_200.0, 7_200.0)


def climate_plan(settings: MachineSettings) -> ClimatePlan | None:
    """Return what the cabinet's climate should be; None where nobody cares."""
    climate = settings.climate
    if climate is None:
        return None
    cooling, defrost, heating = climate.cooling, climate.defrost, climate.heating
    return ClimatePlan(
        sensor=climate.leading,
        thermometers=tuple(
            Plausible(t.name, t.lowest_c, t.highest_c, t.stuck_s) for t in climate.thermometers
        ),
        cooling=None
        if cooling is None
        else Cooling(
            target_c=cooling.target_c,
            hysteresis_c=cooling.hysteresis_c,
            min_on_s=cooling.min_on_s,
            min_off_s=cooling.min_off_s,
            max_on_s=cooling.max_on_s,
            lost_on_s=cooling.lost_on_s,
            lost_off_s=cooling.lost_off_s,
            weak_after_s=cooling.weak_after_s,
        ),
        defrost=None
        if defrost is None
        else Defrost(
            every_s=defrost.every_s,
            for_s=defrost.for_s,
            end_c=defrost.end_c,
            sensor=defrost.thermometer or "",
            heated=defrost.pin is not None,
        ),
        heating=None
        if heating is None
        else Heating(heating.target_c, heating.hysteresis_c, heating.max_on_s),
        light=None if climate.light is None else _light(climate.light),
    )


def _light(light: LightSettings) -> Light:
    if light.when != "schedule":
        return Light(light.when)
    from zoneinfo import ZoneInfo  # noqa: PLC0415 - only who has a schedule pays for it

    return Light("schedule", _minute(light.on), _minute(light.off), ZoneInfo(light.zone))


def _minute(clock: str) -> int:
    hours, _, minutes = clock.partition(":")
    return int(hours) * 60 + int(minutes)


def health_rules(settings: MachineSettings) -> tuple[HealthRule, ...]:
    """Return the health timer's limits, column by column; a column's own go first."""
    found: dict[str, HealthRule] = {}
    for own in (True, False):
        for rule in settings.health:
            for column in settings.columns:
                names = rule.columns if own else rule.products
                name = column.selection if own else column.product
                if name in names and column.selection not in found:
                    found[column.selection] = _rule(settings, rule, column.selection)
    return tuple(
        found[column.selection] for column in settings.columns if column.selection in found
    )


def _rule(settings: MachineSettings, rule: HealthSettings, column: str) -> HealthRule:
    hot = rule.below_c is not None
    limit_c = rule.below_c if hot else rule.above_c
    assert limit_c is not None, "checked when the file was loaded"
    assert settings.climate is not None, "checked when the file was loaded"
    allowed_s, filling_s = HOT_S if hot else COLD_S
    return HealthRule(
        column=column,
        sensor=rule.thermometer or settings.climate.leading,
        limit_c=limit_c,
        hot=hot,
        allowed_s=allowed_s if rule.allowed_s is None else rule.allowed_s,
        after_filling_s=filling_s if rule.after_filling_s is None else rule.after_filling_s,
    )


def relay_pins(climate: Climate) -> dict[ClimatePart, tuple[Pin, float | None]]:
    """Return each relay's pin, and how long it may be on."""
    pins: dict[ClimatePart, tuple[Pin, float | None]] = {}
    if climate.cooling is not None:
        pins[ClimatePart.COMPRESSOR] = (climate.cooling.pin, climate.cooling.max_on_s)
    if climate.defrost is not None and climate.defrost.pin is not None:
        pins[ClimatePart.DEFROST] = (climate.defrost.pin, climate.defrost.for_s)
    if climate.heating is not None:
        pins[ClimatePart.HEATER] = (climate.heating.pin, climate.heating.max_on_s)
    if climate.light is not None:
        pins[ClimatePart.LIGHT] = (climate.light.pin, None)
    return pins
