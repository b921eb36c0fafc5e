"""What the file says about a pulse acceptor, and what contradicts it."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.settings import load
from controller.app import pulse_plan
from controller.faults import ConfigError
from controller.planning import policy_of
from drivers.gpio.pulse_train import PulseShape

ROOT = Path(__file__).parents[3]
DEMO = (ROOT / "config" / "machines" / "demo.toml").read_text(encoding="utf-8")
SECTION = """
[pulse]
pin = "^!40"
enable = 41
coins = { 1 = 50, 2 = 100, 4 = 200 }
"""


def write(tmp_path: Path, section: str = SECTION, *, changer: bool = False) -> Path:
    text = DEMO + section
    if not changer:
        before = "[mdb.changer]\nenabled = true"
        assert before in text
        text = text.replace(before, "[mdb.changer]\nenabled = false")
    path = tmp_path / "machine.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_an_acceptor_is_read_and_planned(tmp_path: Path) -> None:
    settings = load(write(tmp_path), home=tmp_path)
    assert settings.pulse is not None
    plan = pulse_plan(settings.pulse)
    assert plan.coins == {1: 50, 2: 100, 4: 200}
    assert plan.shape == PulseShape()
    assert policy_of(settings).coins_accepted is None
    keys = {use.key: use.output for use in settings.pin_uses() if use.key.startswith("pulse")}
    assert keys == {"pulse.pin": False, "pulse.enable": True}


def test_the_example_is_a_machine(tmp_path: Path) -> None:
    settings = load(ROOT / "config" / "machines" / "pulse-example.toml", home=tmp_path)
    assert settings.pulse is not None
    assert settings.mdb.changer.enabled is False


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("pin = ", "pulse_min_ms = 3\npin = ", "5 to 500 ms"),
        ("pin = ", "pulse_min_ms = 250\npin = ", "no pulse is that long"),
        ("pin = ", "bounce_ms = 25\npin = ", "swallows pulses"),
        ("pin = ", "gap_ms = 30\nbounce_ms = 15\npin = ", "ends a coin within a bounce"),
        ("pin = ", "accept = [20]\npin = ", "20 is no coin"),
        ("2 = 100", "2 = 50", "50 stands for two numbers of pulses"),
        ("1 = 50", "0 = 50", "1 to 255 pulses"),
        ('"^!40"', '"^!22"', "is used"),
    ],
)
def test_a_wrong_section_is_refused_with_what_is_allowed(
    old: str, new: str, words: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=words):
        load(write(tmp_path, SECTION.replace(old, new, 1)), home=tmp_path)


def test_coins_come_from_one_device_alone(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="coins are pulse's already"):
        load(write(tmp_path, changer=True), home=tmp_path)
