"""The policy to put cash on cards: its key, and what contradicts it."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.settings import load
from controller.faults import ConfigError
from controller.planning import policy_of

DEMO = (Path(__file__).parents[3] / "config" / "machines" / "demo.toml").read_text(encoding="utf-8")
ON = ("[policy]", "[policy]\nrevalue = true")


def write(tmp_path: Path, *changes: tuple[str, str]) -> Path:
    text = DEMO
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    path = tmp_path / "machine.toml"
    path.write_text(text, encoding="utf-8")
    return path


def mistakes(tmp_path: Path, *changes: tuple[str, str]) -> str:
    with pytest.raises(ConfigError) as caught:
        load(write(tmp_path, *changes), home=tmp_path)
    return str(caught.value)


def test_it_is_off_and_no_key_does_it(tmp_path: Path) -> None:
    assert policy_of(load(write(tmp_path), home=tmp_path)).revalue_key == ""


def test_its_key_is_the_last_letter_that_nothing_else_needs(tmp_path: Path) -> None:
    assert policy_of(load(write(tmp_path, ON), home=tmp_path)).revalue_key == "C"
    alone = ('languages = ["en", "de", "es"]', 'languages = ["en"]')
    assert policy_of(load(write(tmp_path, ON, alone), home=tmp_path)).revalue_key == "D"
    chosen = ('# revalue_key = "C"', 'revalue_key = "C"')
    assert policy_of(load(write(tmp_path, ON, chosen), home=tmp_path)).revalue_key == "C"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ([('# revalue_key = "C"', 'revalue_key = "C"')], "does nothing"),
        ([ON, ('# revalue_key = "C"', 'revalue_key = "A"')], 'begins columns[0].selection = "A1"'),
        ([ON, ('# revalue_key = "C"', 'revalue_key = "D"')], "shows another language"),
        ([ON, ('# revalue_key = "C"', 'revalue_key = "7"')], "A, B, C or D"),
        (
            [ON, ("[mdb.cashless1]\nenabled = true", "[mdb.cashless1]\nenabled = false")],
            "no reader",
        ),
        ([ON, ("enabled = true\nlevel = 3\nname", "enabled = true\nlevel = 1\nname")], "no reader"),
        (
            [
                ON,
                ("[mdb.changer]\nenabled = true", "[mdb.changer]\nenabled = false"),
                ("[mdb.bill]\nenabled = true", "[mdb.bill]\nenabled = false"),
            ],
            "nothing takes cash",
        ),
    ],
)
def test_what_contradicts_it_is_said(
    tmp_path: Path, changes: list[tuple[str, str]], said: str
) -> None:
    assert said in mistakes(tmp_path, *changes)
