"""The climate and health sections: what is wrong with them is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.settings import load
from controller.climate_plan import climate_plan, health_rules
from controller.faults import ConfigError

DEMO = Path(__file__).parents[3] / "config" / "machines" / "demo.toml"
WHOLE = """
[climate]
thermometers = [
  { name = "cabin", path = "w1/28-00/w1_slave" },
  { name = "evaporator", path = "w1/28-01/w1_slave" },
]
cooling = { pin = 40, target_c = 3 }
defrost = { every_s = 21600, for_s = 1200, end_c = 8, thermometer = "evaporator", pin = 41 }
light = { pin = 42, when = "schedule", on = "06:30", off = "21:00", zone = "Europe/Berlin" }

[[health]]
products = ["cola"]
above_c = 5

[[health]]
columns = ["B4"]
below_c = 57
"""


def written(tmp_path: Path, *changes: tuple[str, str]) -> Path:
    text = WHOLE
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    file = tmp_path / "machine.toml"
    file.write_text(DEMO.read_text(encoding="utf-8") + text, encoding="utf-8")
    return file


def test_a_whole_climate_becomes_a_plan_and_rules(tmp_path: Path) -> None:
    settings = load(written(tmp_path), home=tmp_path)
    plan = climate_plan(settings)
    assert plan is not None
    assert plan.sensor == "cabin"
    assert plan.cooling is not None
    assert plan.cooling.start_c == 4.5
    assert plan.defrost is not None
    assert plan.defrost.heated
    assert plan.light is not None
    assert (plan.light.on_minute, plan.light.off_minute) == (390, 1_260)
    assert settings.climate is not None
    assert settings.climate.thermometers[0].path == tmp_path / "w1/28-00/w1_slave"
    found = {
        r.column: (r.limit_c, r.hot, r.allowed_s, r.after_filling_s) for r in health_rules(settings)
    }
    assert found == {"A3": (5.0, False, 900.0, 1_800.0), "B4": (57.0, True, 7_200.0, 7_200.0)}
    assert {40, 41, 42} <= {pin.number for pin in settings.outputs()}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("pin = 40", "pin = 4", "climate.cooling.pin = 4: is used by columns[0].motor.pin already"),
        ('products = ["cola"]', 'products = ["tea"]', 'health[0].products = "tea": is not there'),
        ('columns = ["B4"]', 'columns = ["D9"]', 'health[1].columns = "D9": is not there'),
        ("above_c = 5", "allowed_s = 60", "health[0]: allowed: one of above_c and below_c"),
        ('products = ["cola"]', "products = []", "health[0]: is about nothing"),
        (
            'columns = ["B4"]',
            'columns = ["B4"]\nproducts = ["cola"]',
            'health[1].products: "cola" stands in health[0] already; allowed: each once',
        ),
        (
            'path = "w1/28-00/w1_slave"',
            'path = "w1/28-00/w1_slave", lowest_c = 20, highest_c = 10',
            "climate.thermometers[0].highest_c = 10: nothing is a temperature",
        ),
        ("above_c = 5", "above_c = 4", "health[0].above_c = 4: is exceeded before the compressor"),
        ("above_c = 5", 'above_c = 5\nthermometer = "x"', 'health[0].thermometer = "x": allowed'),
        ('name = "evaporator"', 'name = "cabin"', '"cabin" is there twice'),
        ("target_c = 3 }", "target_c = 3, max_on_s = 100 }", "climate.cooling.max_on_s = 100"),
        ('thermometer = "evaporator", ', "", "climate.defrost.thermometer: is missing"),
        ('thermometer = "evaporator"', 'thermometer = "ice"', 'defrost.thermometer = "ice"'),
        ("cooling = { pin = 40, target_c = 3 }", "", "climate.defrost: there is no"),
        ("Europe/Berlin", "Europe/Nowhere", 'climate.light.zone = "Europe/Nowhere": is no time'),
        (
            "light =",
            "heating = { pin = 43, target_c = 5 }\nlight =",
            "climate.heating.target_c = 5: would heat what is being cooled",
        ),
        ("[climate]", '[climate]\ncabinet = "room"', 'climate.cabinet = "room": allowed: cabin'),
    ],
)  # fmt: skip
def test_a_contradiction_is_said(tmp_path: Path, old: str, new: str, said: str) -> None:
    with pytest.raises(ConfigError) as error:
        load(written(tmp_path, (old, new)), home=tmp_path)
    assert said in str(error.value)


def test_a_health_timer_wants_a_thermometer(tmp_path: Path) -> None:
    file = tmp_path / "machine.toml"
    rule = '\n[[health]]\nproducts = ["cola"]\nabove_c = 5\n'
    file.write_text(DEMO.read_text(encoding="utf-8") + rule, encoding="utf-8")
    with pytest.raises(ConfigError, match="nobody can say how warm it is"):
        load(file, home=tmp_path)
