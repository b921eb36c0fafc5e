"""The section of the ccTalk line: what it may say, and what contradicts it."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.settings import load
from controller.app import cctalk_plan
from controller.faults import ConfigError
from controller.planning import policy_of
from drivers.cctalk.frames import Checksum
from drivers.cctalk.hopper_codec import DispenseKind

ROOT = Path(__file__).parents[3]
DEMO = (ROOT / "config" / "machines" / "demo.toml").read_text(encoding="utf-8")
LINE = """
[cctalk]
port = "cctalk"

[cctalk.acceptor]
accept = [50, 100]

[[cctalk.hoppers]]
address = 3
value = 100
content = 200
keep = 5
path = 1

[[cctalk.hoppers]]
address = 4
value = 20
dispense = "no_cipher"

[cctalk.bill]
max_value = 1_000
"""


def write(tmp_path: Path, line: str = LINE, *, mdb_cash: bool = False) -> Path:
    text = DEMO + line
    if not mdb_cash:
        for part in ("changer", "bill"):
            text = text.replace(f"[mdb.{part}]\nenabled = true", f"[mdb.{part}]\nenabled = false")
    path = tmp_path / "machine.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_line_is_read_and_its_devices_are_planned(tmp_path: Path) -> None:
    settings = load(write(tmp_path), home=tmp_path)
    assert settings.cctalk is not None
    assert settings.cctalk.port == tmp_path / "cctalk"
    plan = cctalk_plan(settings.cctalk)
    assert plan.acceptor is not None
    assert (plan.acceptor.address, plan.acceptor.checksum) == (2, Checksum.SUM)
    assert [(h.address, h.value, h.content, h.path, h.kind) for h in plan.hoppers] == [
        (3, 100, 200, 1, None),
        (4, 20, 0, None, DispenseKind.NO_CIPHER),
    ]
    assert plan.bill is not None
    assert (plan.bill.address, plan.bill.checksum) == (40, Checksum.CRC)
    policy = policy_of(settings)
    assert policy.coins_accepted == frozenset({50, 100})
    assert policy.bill_max == 1_000
    assert dict(policy.tubes_kept)[100] == 5


def test_the_example_is_a_machine() -> None:
    settings = load(ROOT / "config" / "machines" / "cctalk-example.toml")
    assert settings.cctalk is not None
    assert len(settings.cctalk.hoppers) == 2
    assert settings.mdb.cashless1.enabled


def test_a_machine_needs_no_mdb(tmp_path: Path) -> None:
    text = DEMO + LINE
    begin, end = text.index("[mdb]"), text.index("[policy]")
    path = tmp_path / "machine.toml"
    path.write_text(text[:begin] + text[end:], encoding="utf-8")
    settings = load(path, home=tmp_path)
    assert not settings.mdb.changer.enabled


@pytest.mark.parametrize(
    ("old", "new", "mistake"),
    [
        ("address = 4", "address = 3", "cctalk.hoppers[1].address = 3: is that of cctalk.hoppers"),
        ("address = 4", "address = 40", "is that of cctalk.bill already"),
        ("address = 4", "address = 1", "allowed: 2 to 255"),
        ('port = "cctalk"', 'port = "mdb"', "is mdb.port already"),
        ("content = 200", "content = 700", "is more than its capacity; allowed: 0 to 500"),
        ("[cctalk.acceptor]\naccept = [50, 100]", "", "there is no acceptor to sort"),
        ('dispense = "no_cipher"', 'dispense = "cipher"', "is not known"),
        ("value = 20", "value = 0", "allowed: 1 to"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, old: str, new: str, mistake: str) -> None:
    assert old in LINE
    with pytest.raises(ConfigError) as told:
        load(write(tmp_path, LINE.replace(old, new)), home=tmp_path)
    assert mistake in str(told.value)


def test_coins_and_bills_come_from_one_line_each(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as told:
        load(write(tmp_path, mdb_cash=True), home=tmp_path)
    assert "mdb.changer.enabled = true: coins are cctalk's already" in str(told.value)
    assert "mdb.bill.enabled = true: bills are cctalk's already" in str(told.value)


def test_a_line_without_devices_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as told:
        load(write(tmp_path, '\n[cctalk]\nport = "cctalk"\n'), home=tmp_path)
    assert "cctalk: has no device" in str(told.value)
