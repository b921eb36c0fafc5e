"""What the fleet may change of a machine's configuration, and the whole that results.

The machine's own file stays the ground. Over it lie the settings of a revision, and products and
columns as they were applied. Wiring, devices, trust and what protects a part or somebody's health
stay with the file: whoever changes those stands in front of the machine.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from config.contradictions import contradictions
from config.explain import explain
from config.machine import MachineSettings
from config.models import Policy
from controller.faults import ConfigError

PLANOGRAM: Final = "planogram"  # products and columns; applied by its own rules
NAME: Final = Path("configuration")  # what errors call the whole: it is in no file

# A leaf is replaced as one; what a revision does not name is the file's.
CHANGEABLE: Final = frozenset(
    {
        "machine.locale", "machine.languages", "machine.timezone",
        *(f"policy.{name}" for name in Policy.model_fields),
        "tokens.products", "tokens.columns",
        "offers",
        "mdb.changer.accept", "mdb.changer.keep", "mdb.bill.accept", "mdb.bill.max_value",
        "cctalk.acceptor.accept", "cctalk.bill.accept", "cctalk.bill.max_value",
        "pulse.accept",
        "climate.cooling.target_c", "climate.cooling.hysteresis_c",
        "climate.defrost.every_s", "climate.defrost.for_s", "climate.defrost.end_c",
        "climate.heating.target_c", "climate.heating.hysteresis_c",
        "climate.light.when", "climate.light.on", "climate.light.off", "climate.light.zone",
        "cloud.state_minutes",
    }
)  # fmt: skip
_INNER: Final = frozenset(
    ".".join(parts[:count])
    for parts in (leaf.split(".") for leaf in CHANGEABLE)
    for count in range(1, len(parts))
)

_TRUST: Final = "whom the machine trusts and reaches is settled at the machine"
_WIRING: Final = "wiring and devices are what stands in front of a technician"
_FOOD: Final = "a limit of the health timer may be a law's"
_PARTS: Final = "it protects a part from wear"
# Why a key stays local; the longest beginning that fits says it.
_REASONS: Final[Mapping[str, str]] = {
    "": _WIRING,
    "machine": "it says which machine this is, and where its files lie",
    "machine.currency": "a journal counts in one currency for good",
    "journal": "the journal stays where it is, whatever comes over the network",
    "api": "who may act at the machine is settled at the machine",
    "cloud": _TRUST,
    "climate": _PARTS,
    "climate.thermometers": _WIRING,
    "guard": "it is the last net under everything that moves",
    "health": _FOOD,
    "products": "say it in planogram.products",
    "columns": "say product, price and capacity in planogram.columns; the rest is wiring",
    "policy": "there is no such policy",
    "recorder": "it is switched at the machine's start",
    "log": "the command log.level changes it",
}


def leaves(settings: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Yield each key that is to be changed with its value, as far down as keys are known."""
    for name, value in settings.items():
        key = f"{above}.{name}" if above else str(name)
        if key in _INNER and isinstance(value, Mapping):
            yield from leaves(value, key)
        else:
            yield key, value


def local_only(settings: Mapping[str, Any]) -> Iterator[str]:
    """Yield what may not be changed from afar, each with the reason."""
    for key, value in leaves(settings):
        if key in CHANGEABLE or key == PLANOGRAM:
            continue
        if key in _INNER:
            shown = json.dumps(value, default=str, ensure_ascii=False)
            yield f"{key} = {shown}: is no table; allowed: a table"
            continue
        section = key.rpartition(".")[0]
        beside = sorted(leaf for leaf in CHANGEABLE if leaf.rpartition(".")[0] == section)
        allowed = f"; allowed of {section}: {', '.join(beside)}" if section and beside else ""
        yield f"{key}: stays with the machine's own file: {_reason(key)}{allowed}"


def _reason(key: str) -> str:
    if key.partition(".")[0] not in MachineSettings.model_fields:
        return "there is no such section"
    while key not in _REASONS:
        key = key.rpartition(".")[0]
    return _REASONS[key]


def merged(
    local: MachineSettings,
    settings: Mapping[str, Any],
    products: Mapping[str, Mapping[str, Any]],
    columns: Mapping[str, Mapping[str, Any]],
) -> MachineSettings:
    """Return the whole configuration, checked like a file.

    Args:
        local: The machine's own, as loaded: its paths are absolute.
        settings: Of a revision, without its planogram.
        products: By id, as in ``[[products]]``; they stand beside and over the file's.
        columns: By selection: product, price, capacity. A selection that is not there is left out.

    Raises:
        ConfigError: A line for every mistake, as ``vendd check-config`` says them.
    """
    raw = json.loads(local.model_dump_json())
    mistakes = list(local_only(settings))
    for key, value in leaves(settings):
        if key in CHANGEABLE:
            mistakes += _put(raw, key, value)
    if mistakes:
        raise ConfigError("\n".join(mistakes))
    there = {product["id"]: product for product in raw["products"]}
    for name, product in products.items():
        there[name] = {"id": name, **product}
    raw["products"] = list(there.values())
    for column in raw["columns"]:
        column.update(columns.get(column["selection"], {}))
    try:
        whole = MachineSettings.model_validate_json(json.dumps(raw))
    except ValidationError as error:
        raise ConfigError(_said(raw, explain(NAME, raw, error, MachineSettings))) from error
    mistakes = list(contradictions(whole))
    if mistakes:
        raise ConfigError(_said(raw, iter(mistakes)))
    return whole


def _put(raw: dict[str, Any], key: str, value: Any) -> Iterator[str]:
    """Put a value in its place; yield the mistake when that section is not there."""
    *sections, name = key.split(".")
    here: Any = raw
    for depth, section in enumerate(sections):
        here = here.get(section)
        if here is None:
            yield f"{key}: this machine has no {'.'.join(sections[: depth + 1])}"
            return
    here[name] = value


def _said(raw: dict[str, Any], lines: Iterator[str]) -> str:
    """Return mistakes without the name of a file, with columns by their selections."""
    found = []
    for line in lines:
        text = line.removeprefix(f"{NAME}: ")
        for table, word in (("columns", "selection"), ("products", "id")):
            for index, item in enumerate(raw[table]):
                named = rf"(?<![\w.]){table}\[{index}\]"
                text = re.sub(named, f"{table}.{item[word]}", text)
        found.append(text)
    return "\n".join(found)
