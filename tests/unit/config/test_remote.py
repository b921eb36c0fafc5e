"""What the fleet may change of a machine's file, and the whole that is checked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from config.machine import MachineSettings
from config.models import Policy
from config.remote import CHANGEABLE, leaves, local_only, merged
from config.settings import load
from controller.faults import ConfigError
from tests.climate_kit import cooled

FOLDER = Path(__file__).parents[3] / "config" / "machines"
FILES = sorted(FOLDER.glob("*.toml"))
DEMO = load(FOLDER / "demo.toml", home=Path("/nonexistent"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_file_with_nothing_over_it_is_itself(path: Path) -> None:
    local = load(path, home=Path("/nonexistent"))
    assert merged(local, {}, {}, {}) == local


def test_every_key_that_may_be_changed_is_a_key() -> None:
    for key in CHANGEABLE:
        model: Any = MachineSettings
        *sections, name = key.split(".")
        for section in sections:
            annotation = str(model.model_fields[section].annotation)
            model = _model_of(model.model_fields[section].annotation)
            assert model is not None, annotation
        assert name in model.model_fields, key


def _model_of(annotation: Any) -> Any:
    for one in getattr(annotation, "__args__", (annotation,)):
        if hasattr(one, "model_fields"):
            return one
    return None


def test_every_policy_may_be_changed() -> None:
    changeable = {key.partition(".")[2] for key in CHANGEABLE if key.startswith("policy.")}
    assert changeable == set(Policy.model_fields)


def test_wiring_trust_and_what_protects_stay_local() -> None:
    for key in (
        "machine.id", "machine.currency", "machine.home", "journal.folder", "api.socket",
        "mdb.port", "mdb.changer.enabled", "gpio.rows", "columns", "products", "guard", "health",
        "cloud.host", "cloud.root_key", "climate.cooling.pin", "climate.cooling.min_off_s",
        "climate.thermometers", "door.pin", "keypad", "display", "log.level", "nonsense",
    ):  # fmt: skip
        nested: dict[str, Any] = {}
        here = nested
        *tables, last = key.split(".")
        for table in tables:
            here = here.setdefault(table, {})
        here[last] = 1
        (told,) = local_only(nested)
        assert told.startswith(f"{key.split('.')[0]}"), told
        assert "stays with the machine's own file: " in told
        assert not told.endswith(": ")


def test_leaves_are_replaced_as_one() -> None:
    settings = {"mdb": {"changer": {"keep": {"10": 5}}}, "policy": {"basket": True}}
    assert dict(leaves(settings)) == {"mdb.changer.keep": {"10": 5}, "policy.basket": True}
    whole = merged(DEMO, settings, {}, {})
    assert dict(whole.mdb.changer.keep) == {10: 5}
    assert whole.policy.basket
    assert whole.policy.max_credit == DEMO.policy.max_credit
    assert whole.mdb.port == DEMO.mdb.port


def test_set_points_may_be_changed_where_there_is_a_climate() -> None:
    points = {"target_c": 4.0, "hysteresis_c": 0.5}
    whole = merged(cooled(), {"climate": {"cooling": points}}, {}, {})
    assert whole.climate is not None
    assert whole.climate.cooling is not None
    assert whole.climate.cooling.target_c == 4.0
    with pytest.raises(ConfigError, match=r"above_c = 5: is exceeded before"):
        merged(cooled(), {"climate": {"cooling": {"target_c": 4.5}}}, {}, {})
    with pytest.raises(ConfigError, match=r"climate\.cooling\.target_c: this machine has no clima"):
        merged(DEMO, {"climate": {"cooling": {"target_c": 4.5}}}, {}, {})


def test_products_and_columns_lie_over_the_files() -> None:
    whole = merged(
        DEMO,
        {},
        {"tea": {"name": "Tea", "price": 170}, "water": {"name": "Water", "price": 90}},
        {"A1": {"product": "tea", "price": 180, "capacity": 4}, "Z9": {"price": 1}},
    )
    a1, a2 = whole.columns[:2]
    assert (a1.product, a1.price, a1.capacity, a1.motor) == ("tea", 180, 4, DEMO.columns[0].motor)
    assert whole.price_of(a2) == 90
    assert len(whole.columns) == len(DEMO.columns)


@pytest.mark.parametrize(
    ("settings", "products", "columns", "says"),
    [
        ({}, {"tea": {"name": ""}}, {}, r"products\.tea\.name"),
        ({}, {"Tea!": {"name": "Tea"}}, {}, r"products\.Tea!\.id"),
        ({}, {}, {"A1": {"price": 10**9}}, r"columns\.A1\.price = 1000000000: is out of range"),
        ({"offers": [{"name": "x"}]}, {}, {}, r"offers\[0\]\.percent: is missing"),
        ({"machine": {"timezone": "Mars/X"}}, {}, {}, "is no time zone"),
    ],
)
def test_a_mistake_is_named_as_in_a_file(
    settings: dict[str, Any], products: dict[str, Any], columns: dict[str, Any], says: str
) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        merged(DEMO, settings, products, columns)
    assert "configuration: " not in str(caught.value)


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        merged(DEMO, {"policy": {"max_credit": -1, "basket": 3}}, {}, {"A1": {"capacity": 0}})
    assert len(str(caught.value).splitlines()) == 3
