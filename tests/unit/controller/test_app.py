"""What the configuration says reaches the brain: no key is read and then forgotten."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

from config.models import Policy as PolicySettings
from config.settings import load
from controller.app import devices_of, planogram_of, policy_of
from controller.domain.policy import Policy
from controller.ports import DeviceName

DEMO = Path(__file__).parents[3] / "config" / "machines" / "demo.toml"
FROM_DEVICES = {"coins_accepted", "bills_accepted", "bill_max", "tubes_kept"}


def test_every_policy_of_the_file_is_the_brains() -> None:
    assert set(PolicySettings.model_fields) | FROM_DEVICES == {f.name for f in fields(Policy)}
    settings = load(DEMO, home=Path("/nonexistent"))
    changed = {
        name: (not value)
        if isinstance(value, bool)
        else value + 7
        if isinstance(value, int | float)
        else {"refund": "charge", "pay": "keep"}[value]
        if name != "after_failure"
        else "keep"
        for name, value in settings.policy.model_dump().items()
    }
    other = settings.model_copy(update={"policy": settings.policy.model_copy(update=changed)})
    policy = policy_of(other)
    assert {name: getattr(policy, name) for name in changed} == changed


def test_the_demo_machines_devices_and_prices() -> None:
    settings = load(DEMO, home=Path("/nonexistent"))
    assert devices_of(settings) == {DeviceName.CHANGER, DeviceName.BILL, DeviceName.CASHLESS1}
    assert planogram_of(settings).columns["B4"].price == 50
    assert dict(policy_of(settings).tubes_kept) == {10: 5, 20: 3}
