"""What is wrong between the keys of ``climate`` and ``health``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from config.climate import Climate, Health
from config.machine import MachineSettings


def climate_contradictions(settings: MachineSettings) -> Iterator[str]:
    """Yield what is wrong, each as ``key = value: what and what is allowed``."""
    climate = settings.climate
    if climate is not None:
        yield from _climate(climate)
    if settings.health and climate is None:
        yield "health: nobody can say how warm it is; allowed: with a climate section only"
        return
    yield from _twice(settings.health)
    products = {product.id for product in settings.products}
    columns = {column.selection for column in settings.columns}
    for index, rule in enumerate(settings.health):
        key = f"health[{index}]"
        yield from _unknown(f"{key}.products", rule.products, products)
        yield from _unknown(f"{key}.columns", rule.columns, columns)
        if not rule.products and not rule.columns:
            yield f"{key}: is about nothing; allowed: products or columns"
        if (rule.above_c is None) == (rule.below_c is None):
            yield f"{key}: allowed: one of above_c and below_c"
        if climate is not None:
            yield from _rule(key, rule, climate)


def _twice(rules: Sequence[Health]) -> Iterator[str]:
    """Yield what two rules name: one of its limits would be kept, the other one silently not."""
    for table in ("products", "columns"):
        first: dict[str, int] = {}
        for index, rule in enumerate(rules):
            for name in getattr(rule, table):
                if first.setdefault(name, index) != index:
                    yield (
                        f'health[{index}].{table}: "{name}" stands in health[{first[name]}] '
                        "already; allowed: each once"
                    )


def _climate(climate: Climate) -> Iterator[str]:
    names = [thermometer.name for thermometer in climate.thermometers]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f'climate.thermometers: "{name}" is there twice; allowed: each once'
    for index, thermometer in enumerate(climate.thermometers):
        if thermometer.lowest_c >= thermometer.highest_c:
            yield (
                f"climate.thermometers[{index}].highest_c = {thermometer.highest_c:g}: nothing is "
                f"a temperature; allowed: more than lowest_c = {thermometer.lowest_c:g}"
            )
    if climate.leading not in names:
        yield f'climate.cabinet = "{climate.cabinet}": allowed: {", ".join(names)}'
    defrost, cooling, heating = climate.defrost, climate.cooling, climate.heating
    if defrost is not None:
        if cooling is None:
            yield "climate.defrost: there is no climate.cooling to defrost"
        if defrost.thermometer is not None and defrost.thermometer not in names:
            yield (
                f'climate.defrost.thermometer = "{defrost.thermometer}": allowed: '
                f"{', '.join(names)}"
            )
        if defrost.end_c is not None and defrost.thermometer is None:
            yield "climate.defrost.thermometer: is missing; end_c is measured by it"
    if cooling is not None and cooling.min_on_s >= cooling.max_on_s:
        yield (
            f"climate.cooling.max_on_s = {cooling.max_on_s:g}: allowed: more than min_on_s = "
            f"{cooling.min_on_s:g}"
        )
    if cooling is not None and heating is not None and heating.target_c >= cooling.target_c:
        yield (
            f"climate.heating.target_c = {heating.target_c:g}: would heat what is being cooled; "
            f"allowed: less than climate.cooling.target_c = {cooling.target_c:g}"
        )
    if climate.light is not None and climate.light.when == "schedule":
        from zoneinfo import ZoneInfo  # noqa: PLC0415 - only who has a schedule pays for it

        try:
            ZoneInfo(climate.light.zone)
        except (OSError, ValueError, KeyError):
            yield f'climate.light.zone = "{climate.light.zone}": is no time zone of this system'


def _rule(key: str, rule: Health, climate: Climate) -> Iterator[str]:
    names = [thermometer.name for thermometer in climate.thermometers]
    if rule.thermometer is not None and rule.thermometer not in names:
        yield f'{key}.thermometer = "{rule.thermometer}": allowed: {", ".join(names)}'
    if rule.thermometer not in (None, climate.leading):
        return
    cooling, heating = climate.cooling, climate.heating
    if rule.above_c is not None and cooling is not None:
        start = cooling.target_c + cooling.hysteresis_c
        if start > rule.above_c:
            yield (
                f"{key}.above_c = {rule.above_c:g}: is exceeded before the compressor starts; "
                f"allowed: {start:g} or more, climate.cooling's target_c + hysteresis_c"
            )
    if rule.below_c is not None and heating is not None:
        start = heating.target_c - heating.hysteresis_c
        if start < rule.below_c:
            yield (
                f"{key}.below_c = {rule.below_c:g}: is undercut before the heater starts; "
                f"allowed: {start:g} or less, climate.heating's target_c - hysteresis_c"
            )


def _unknown(key: str, given: tuple[str, ...], known: set[str]) -> Iterator[str]:
    for name in given:
        if name not in known:
            yield f'{key} = "{name}": is not there; allowed: {", ".join(sorted(known))}'
