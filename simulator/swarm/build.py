"""The machine of a life: the demo machine's file with what the seed changed about it."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Final

from config.machine import MachineSettings
from config.settings import load
from simulator.peripherals.bill_settings import AfterPowerUp
from simulator.peripherals.changer_settings import (
    OPTION_ALTERNATIVE_PAYOUT,
    OPTION_DIAGNOSTICS,
    OPTION_MANUAL_FILL,
    BusyStyle,
)
from simulator.peripherals.reader_settings import OPTION_ALWAYS_IDLE
from simulator.plan import WorldPlan, plan_for
from simulator.swarm.fittings import FITTINGS
from simulator.swarm.plan import Build

CONFIG: Final = Path(__file__).parents[2] / "config" / "machines" / "demo.toml"
NOWHERE: Final = Path("/nonexistent/vendd")  # nothing is ever written there


@lru_cache(maxsize=1)
def base_settings() -> MachineSettings:
    """Return the file that every life begins with; nothing changes it, so it is read once."""
    return load(CONFIG, home=NOWHERE)


def settings_of(base: MachineSettings, build: Build) -> MachineSettings:
    """Return what the controller of this machine is told."""
    policy = base.policy.model_copy(
        update={"multi_vend": build.multi_vend, "on_unknown": build.on_unknown}
    )
    fitted = base if build.display else base.model_copy(update={"display": None})
    settings = fitted.model_copy(update={"policy": policy})
    for fitting in FITTINGS:
        settings = fitting.settings(settings, build)
    return settings


def plan_of(settings: MachineSettings, build: Build) -> WorldPlan:
    """Return what stands around it."""
    plan = plan_for(settings)
    options = OPTION_DIAGNOSTICS | OPTION_MANUAL_FILL
    changer = plan.changer and replace(
        plan.changer,
        level=build.changer_level,
        busy=BusyStyle.SILENCE if build.busy_silence else BusyStyle.REPORT,
        pays_first=(0, 1, 2, 3, 4) if build.lowest_first else (),
        detects_empty=build.detects_empty,
        options=options | (OPTION_ALTERNATIVE_PAYOUT if build.by_value else 0),
        coins=tuple(
            replace(coin, coins=min(_fill(build, kind), coin.capacity))
            for kind, coin in enumerate(plan.changer.coin_table())
        ),
    )
    bill = plan.bill and replace(
        plan.bill,
        has_escrow=build.escrow,
        after_power_up=(
            AfterPowerUp.STACK if build.bill_stacks_at_power_up else AfterPowerUp.RETURN
        ),
    )
    readers = {
        name: replace(
            reader,
            level=build.reader_level,
            can_refund=build.reader_refunds,
            options=OPTION_ALWAYS_IDLE if build.always_idle else 0,
        )
        for name, reader in plan.readers.items()
    }
    stock = {} if build.stock is None else {c.selection: build.stock for c in settings.columns}
    whole = replace(plan, changer=changer, bill=bill, readers=readers, stock=stock)
    for fitting in FITTINGS:
        whole = fitting.plan(whole, build)
    return whole


def _fill(build: Build, kind: int) -> int:
    return build.tubes[kind] if kind < len(build.tubes) else build.tube_fill
