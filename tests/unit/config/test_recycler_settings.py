"""What the file says about recycled bills, and what contradicts it."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.settings import load
from controller.faults import ConfigError

ROOT = Path(__file__).parents[3]
DEMO = (ROOT / "config" / "machines" / "demo.toml").read_text(encoding="utf-8")


def write(tmp_path: Path, keys: str, *, enabled: bool = True) -> Path:
    before = "[mdb.bill]\nenabled = true"
    assert before in DEMO
    after = before if enabled else "[mdb.bill]\nenabled = false"
    path = tmp_path / "machine.toml"
    path.write_text(DEMO.replace(before, f"{after}\n{keys}"), encoding="utf-8")
    return path


def test_bills_to_recycle_are_read_and_none_is_the_default(tmp_path: Path) -> None:
    assert load(write(tmp_path, ""), home=tmp_path).mdb.bill.recycle == ()
    settings = load(write(tmp_path, "recycle = [500, 1_000]"), home=tmp_path)
    assert settings.mdb.bill.recycle == (500, 1_000)


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ("recycle = [500, 500]", "twice"),
        ("recycle = [5_000]", "recycle: 5000 is never taken"),
        ("high_security = [5_000]", "high_security: 5000 is never taken"),
        ("high_security = [500, 500]", "twice"),
    ],
)
def test_a_bill_that_is_never_taken_is_neither_recycled_nor_validated_strictly(
    keys: str, words: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=words):
        load(write(tmp_path, keys), home=tmp_path)


def test_without_a_validator_nothing_is_recycled(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no validator"):
        load(write(tmp_path, "recycle = [500]", enabled=False), home=tmp_path)
    with pytest.raises(ConfigError, match="high_security: there is no validator"):
        load(write(tmp_path, "high_security = [500]", enabled=False), home=tmp_path)
